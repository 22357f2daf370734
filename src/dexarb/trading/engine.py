"""The loop: a history entry comes in, decisions and fills come out.

::

    Source ──► Market ──► Scanner ──► strategies ──► Executor ──► Ledger

The engine knows no clock, no file and no socket. Live trading, paper trading and replay are this
same loop between other ends: another Source, another Executor.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dexarb.core.block import Block, BlockUpdate
from dexarb.core.evidence import Evidence
from dexarb.core.following import Follower, Kind, Move
from dexarb.core.ledger import Ledger
from dexarb.core.market import Entry, Keyframe, Market
from dexarb.core.route import CycleId
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, Incident, NearMiss, Opportunity
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.episodes import Episodes
from dexarb.trading.models.value import Valuation
from dexarb.trading.settle.evidence import EvidenceTracker
from dexarb.trading.strategy import Decided, Strategy, View


class Executor(Protocol):
    """Where decisions go. Paper or real, the outcome comes back as fills of later blocks."""

    def submit(self, decisions: Sequence[Decision], valuation: Valuation) -> None:
        """Take decisions made at the end of the latest block, where `valuation` stands now.

        Both what they start with and gas have a price there: no price, no trade.
        """
        ...

    def settle(self, market: Market, update: BlockUpdate, valuation: Valuation) -> list[Fill]:
        """Outcomes in the block that the market has just applied, in order of decision.

        `valuation` still stands before that block.
        """
        ...

    def rewind(self, block_hash: str) -> None:
        """The blocks after this one died: what was settled in them is open again."""
        ...

    def withdraw(self, pools: Container[Address] = ()) -> list[Decision]:
        """Give up open decisions: the history goes on with these pools, or without a way back,
        and no longer tells what became of those that pass other ones."""
        ...


class ScanResult(Protocol):
    @property
    def opportunities(self) -> Sequence[Opportunity]: ...
    @property
    def open_cycles(self) -> Mapping[CycleId, object]: ...


class Scanner(Protocol):
    """Finds and sizes the open cycles; `dexarb.search` has the implementation."""

    def update(self, market: Market, touched: Collection[Address]) -> ScanResult: ...

    def near_misses(self) -> Sequence[NearMiss]:
        """The open cycles that the last update did not make opportunities of."""
        ...


class ScannerFactory(Protocol):
    def __call__(self, market: Market) -> Scanner: ...


@dataclass(frozen=True, slots=True)
class Step:
    """All that one entry brought. block: where the market stands then, or what it could not follow
    while lost. undone: fills of a branch that died; dead_blocks: its blocks' hashes, oldest first;
    rewound_to: the block that it branched off from, None if none died.
    evidence: what became clear about earlier blocks' spreads. incidents: strategies that have just
    failed in their own code."""

    seq: int
    block: Block
    opportunities: Sequence[Opportunity]
    decisions: Sequence[Decision]
    fills: Sequence[Fill]
    undone: Sequence[Fill]
    voided: Sequence[Decision]
    stale: bool
    evidence: Sequence[Evidence] = ()
    dead_blocks: Sequence[str] = ()
    incidents: Sequence[Incident] = ()
    rewound_to: str | None = None


class Engine:
    """Mutable. `step` takes one history entry; `strategies` may be replaced between steps.

    max_state_age_s: a block that reached us later than this after its timestamp is stale, and so is
    one that was fetched afterwards: nobody could have traded on it.
    deciding: False while warming up on old blocks (prices and episodes are built, nothing sent).
    """

    def __init__(
        self,
        keyframe: Keyframe,
        scanner_factory: ScannerFactory,
        executor: Executor,
        *,
        max_state_age_s: float,
    ) -> None:
        self._scanner_factory = scanner_factory
        self._executor = executor
        self.max_state_age_s = max_state_age_s
        self._strategies: list[Strategy] = []
        self.deciding = False
        self.is_lost = False
        """Nothing is known until the next keyframe; `market` is the last one that was."""
        self._follower = Follower()
        self.ledger = Ledger()
        self.skips = SkipTally()
        self.evidence = EvidenceTracker()
        self.seq = keyframe.seq
        self.market: Market
        self._start(self._follower.take(keyframe))

    def _start(self, move: Move) -> None:
        """Begin with another market; where the block is the same, go on with what still holds."""
        assert self._follower.market is not None
        goes_on = move.kind is Kind.RESTATED
        before = self.valuation if goes_on else None
        known = self.market.pools.keys() if goes_on else frozenset[Address]()
        self.market = self._follower.market
        restated = move.touched & known & self.market.pools.keys()
        self.valuation: Valuation = Valuation(self.market, before, restated)
        if not goes_on:
            self.episodes = Episodes()
        self._scanner = self._scanner_factory(self.market)
        scan = self._scanner.update(self.market, self.market.pools.keys())
        self.episodes.observe(self.market.block, scan.open_cycles.keys())
        self.scan: ScanResult = scan
        self.ledger.restart(self.market.block.hash)
        self.ledger.release(scan.open_cycles.keys())
        self.evidence.restart(self.market.block.hash, self._unchanged(move))

    def _unchanged(self, move: Move) -> frozenset[Address]:
        """The pools whose future the history goes on to tell."""
        if move.kind is not Kind.RESTATED or self._follower.market is None:
            return frozenset()
        return frozenset(self._follower.market.pools.keys()) - move.touched

    def use(self, strategies: Sequence[Strategy]) -> None:
        """Trade with these from the next block on. Books of strategies that stay are kept."""
        self._strategies = list(strategies)
        self.ledger.open_rows(name for each in strategies for name in each.hashes)

    def step(self, entry: Entry) -> Step:
        """Take the next entry of the history."""
        self.seq = entry.seq
        move = self._follower.take(entry)
        undone: tuple[Fill, ...] = ()
        dead: tuple[str, ...] = ()
        if move.rewound_to is not None:
            undone, dead = self._rewind(move.rewound_to)
        if move.kind is Kind.APPLIED and isinstance(entry, BlockUpdate):
            return self._block(entry, move, undone, dead)
        voided: list[Decision] = []
        self.is_lost = move.kind is Kind.LOST
        if move.kind in (Kind.ANEW, Kind.RESTATED):
            voided = self._executor.withdraw(self._unchanged(move))
            for decision in voided:
                self.ledger.void(decision)
            self._start(move)
        elif move.kind is Kind.BROKEN:
            self.scan = self._scanner.update(self.market, move.touched)
        passed = entry.block if self.is_lost and isinstance(entry, BlockUpdate) else None
        return Step(
            entry.seq,
            passed or self.market.block,
            (),
            (),
            (),
            undone,
            voided,
            stale=self.is_lost,
            dead_blocks=dead,
            rewound_to=move.rewound_to,
        )

    def _block(
        self,
        update: BlockUpdate,
        move: Move,
        undone: tuple[Fill, ...],
        dead: tuple[str, ...],
    ) -> Step:
        self.ledger.start_block(update.block.hash)
        fills = self._executor.settle(self.market, update, self.valuation)
        self.ledger.settle(fills)
        self.valuation.observe(self.market, move.touched)
        self.scan = self._scanner.update(self.market, move.touched)
        open_cycles = self.scan.open_cycles.keys()
        self.episodes.observe(update.block, open_cycles)
        self.ledger.start_day(update.block.timestamp)
        self.ledger.release(open_cycles)
        evidence = self.evidence.observe(self.market, update, open_cycles)
        stale = update.backfilled or self._is_stale(update.block)
        decided = self._decide(stale) if self.deciding else Decided()
        return Step(
            update.seq,
            update.block,
            self.scan.opportunities,
            decided.decisions,
            fills,
            undone,
            (),
            stale,
            evidence,
            dead,
            decided.incidents,
            move.rewound_to,
        )

    def _rewind(self, block_hash: str) -> tuple[tuple[Fill, ...], tuple[str, ...]]:
        """Everything but the market, which knows whether it can be done."""
        undone = self.ledger.rewind(block_hash)
        self.valuation.rewind(block_hash)
        self.episodes.rewind(block_hash)
        self._executor.rewind(block_hash)
        return undone, self.evidence.rewind(block_hash)

    def _is_stale(self, block: Block) -> bool:
        return block.seen_at is not None and block.seen_at - block.timestamp > self.max_state_age_s

    def _decide(self, stale: bool) -> Decided:
        view = View(
            self.market,
            self.valuation,
            self.ledger,
            self.scan.opportunities,
            self.episodes.opened,
            stale,
            self._scanner.near_misses(),
        )
        decisions: list[Decision] = []
        incidents: list[Incident] = []
        for strategy in self._strategies:
            decided = strategy.decide(view, self.skips)
            decisions.extend(decided.decisions)
            incidents.extend(decided.incidents)
        for decision in decisions:
            self.ledger.send(decision)
        self._executor.submit(decisions, self.valuation)
        self.evidence.watch(decisions)
        return Decided(decisions, incidents)
