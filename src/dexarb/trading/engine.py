"""The loop: a history entry comes in, decisions and fills come out.

The engine knows no clock, no file and no socket. Live trading, paper trading and replay are this
same loop between other ends, which `seams` names: another Source, another Executor.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from dexarb.core.block import Block, BlockHash, BlockUpdate
from dexarb.core.following import Follower, Move, MoveKind
from dexarb.core.ledger import Ledger
from dexarb.core.market import (
    MAX_REORG_DEPTH,
    Break,
    Entry,
    Keyframe,
    Market,
    PoolsChanged,
)
from dexarb.core.pool import PoolKey
from dexarb.core.probes import BarredRoutes
from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, Incident
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.episodes import Episodes
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import (
    Decided,
    Executor,
    ScannerFactory,
    Step,
    Strategy,
    View,
)
from dexarb.trading.settle.chances import Chances, worth_gas
from dexarb.trading.settle.evidence import EvidenceTracker
from dexarb.trading.state import EngineState


@dataclass(frozen=True, slots=True)
class _Back:
    """What going back has brought; see Step."""

    undone: tuple[Fill, ...] = ()
    dead_blocks: tuple[BlockHash, ...] = ()
    voided: tuple[Decision, ...] = ()


class Resumed(NamedTuple):
    """Where an engine goes on: the market of a block, and the engine's own state after it."""

    market: Market
    state: EngineState


class Engine:
    """Mutable. `step` takes one history entry; `strategies` may be replaced between steps.

    max_state_age_s: a block that reached us later than this after its timestamp is stale, and so is
    one that was fetched afterwards: nobody could have traded on it.
    sizes_all: what is offered is found in every block. Without it that waits until somebody asks,
    before the next step: good for who reads a past in which nobody decides, and never asks.
    deciding: False while warming up on old blocks (prices and episodes are built, nothing sent).
    """

    def __init__(
        self,
        begins: Keyframe | Resumed,
        scanner_factory: ScannerFactory,
        executor: Executor,
        reality: Reality,
        *,
        max_state_age_s: float,
        sizes_all: bool = True,
    ) -> None:
        self._scanner_factory = scanner_factory
        self._executor = executor
        self._value = reality.value
        self._least_gas = LeastGas(reality.gas)
        self.max_state_age_s = max_state_age_s
        self._strategies: list[Strategy] = []
        self._max_hops = 0
        self.deciding = False
        self.weighing = False
        """Chances of being filled are counted from the next block on; once begun, for good."""
        self.barred = BarredRoutes()
        """What a node refuses to run; see there."""
        self.sizes_all = sizes_all
        self.known_fills: Sequence[Fill] | None = None
        """Of the next block, where a ledger says what came out: that is not found out again."""
        self.is_lost = False
        """Nothing is known until the next keyframe; `market` is the last one that was."""
        self._memory = MAX_REORG_DEPTH
        self.skips = SkipTally()
        self.ledger = Ledger()
        self.evidence = EvidenceTracker()
        self.chances = Chances()
        self.market: Market
        self.valuation: Valuation
        self.episodes: Episodes
        if isinstance(begins, Keyframe):
            self.seq = begins.seq
            self._follower = Follower()
            self._start(self._follower.take(begins))
        else:
            self.seq = begins.state.seq
            self._follower = Follower(begins.market)
            self._go_on(*begins)

    def _go_on(self, market: Market, state: EngineState) -> None:
        """What is not in the state follows from the market."""
        nouns, here = NounReader(state.nouns), market.block.hash
        self.market = market
        market.remember(0)  # nothing else can be taken back behind this block
        market.remember(self._memory)
        market.pace = state.pace
        market.swap_gas = frozenset(state.swap_gas)
        self.valuation = self._value.valuation(market)
        self.valuation.take_up(state.mids)
        self._max_hops = state.max_hops
        self._search_anew()
        self.episodes = Episodes.from_state(state.episodes, self.scan.table.index, here)
        self.ledger = Ledger.from_state(state.ledger, nouns, here)
        self.evidence = EvidenceTracker.from_state(state.watches, nouns, here)
        self.chances = Chances.from_state(state.chances, nouns, here)
        self._executor.resume(state.executor, nouns)

    def state(self) -> EngineState:
        """After a block: what an engine needs that goes on there. The tally of skips is left out:
        it has to be drained before."""
        nouns = NounWriter()
        ledger, watches = self.ledger.state(nouns), self.evidence.state(nouns)
        chances, executor = self.chances.state(nouns), self._executor.state(nouns)
        return EngineState(
            seq=self.seq,
            pace=self.market.pace,
            swap_gas=sorted(self.market.swap_gas),
            max_hops=self._max_hops,
            mids=self.valuation.state(),
            episodes=self.episodes.state(),
            ledger=ledger,
            watches=watches,
            chances=chances,
            executor=executor,
            nouns=nouns.nouns,
        )

    def beyond(self, entry: Entry) -> int | None:
        """See Follower."""
        return self._follower.beyond(entry)

    def remember(self, blocks: int) -> None:
        """Be able to take back so many blocks from now on."""
        self._memory = blocks
        self.market.remember(blocks)
        self.valuation.remember(blocks)
        self.episodes.remember(blocks)
        self.ledger.remember(blocks)
        self.evidence.remember(blocks)
        self.chances.remember(blocks)
        self._executor.remember(blocks)

    def _start(self, move: Move) -> None:
        """Begin with another market; where the block is the same, go on with what still holds."""
        assert self._follower.market is not None
        goes_on = move.kind is MoveKind.RESTATED
        prices_before = self.valuation if goes_on else None
        known = self.market.pools.keys() if goes_on else frozenset[PoolKey]()
        self.market = self._follower.market
        restated = move.touched & known & self.market.pools.keys()
        self.valuation = self._value.valuation(self.market, prices_before, restated)
        self._search_anew()
        before = self.episodes if goes_on else None
        self.episodes = Episodes(self.scan.table.index)
        self.episodes.observe(self.market.block, self.scan.table, self.scan.table.everything())
        if before is not None:
            self.episodes.go_on_from(before)
        if goes_on:
            # The market cannot be taken back behind this block any more, the books can.
            self.evidence.keep(self._unchanged(move))
        else:
            self.ledger.restart(self.market.block.hash)
            self._executor.restart()
            self.evidence.restart(self.market.block.hash)
            self.chances.restart(self.market.block.hash)
        self.ledger.release(self.scan.table)
        self.remember(self._memory)

    def _search_anew(self) -> None:
        self._scanner = self._scanner_factory(self.market, self._dust)
        self._scanner.widen(self._max_hops)
        self._look(self.market.pools.keys())

    def _look(self, touched: Collection[PoolKey]) -> None:
        self.scan = self._scanner.update(self.market, touched)
        if self.sizes_all:
            self.scan.offers()

    def _dust(self, token: Address) -> float:
        return self._least_gas.dust(token, self.market, self.valuation)

    def _unchanged(self, move: Move) -> frozenset[PoolKey]:
        """The pools whose future the history goes on to tell."""
        if move.kind is not MoveKind.RESTATED or self._follower.market is None:
            return frozenset()
        return frozenset(self._follower.market.pools.keys()) - move.touched

    def use(self, strategies: Sequence[Strategy]) -> None:
        """Trade with these from the next block on. Books of strategies that stay are kept."""
        self._strategies = list(strategies)
        self.ledger.open_rows(name for each in strategies for name in each.hashes)

    def search(self, max_hops: int) -> None:
        """Look for cycles of so many hops from this block on, if it did not before."""
        self._max_hops = max(self._max_hops, max_hops)
        if self._scanner.widen(self._max_hops):
            self._search(frozenset())

    def step(self, entry: Entry) -> Step:
        """Take the next entry of the history."""
        self.seq = entry.seq
        move = self._follower.take(entry)
        back = _Back()
        if move.rewound_to is not None:
            back = self._rewind(move.rewound_to, move.touched)
        if move.kind is MoveKind.APPLIED and isinstance(entry, BlockUpdate):
            return self._block(entry, move, back)
        voided: tuple[Decision, ...] = ()
        self.is_lost = move.kind is MoveKind.LOST
        if self.is_lost and isinstance(entry, Break):
            back = self._give_up(entry)
        if move.kind in (MoveKind.ANEW, MoveKind.RESTATED):
            voided = self._withdraw(self._unchanged(move))
            self._start(move)
        elif move.kind is MoveKind.CHANGED and isinstance(entry, PoolsChanged):
            voided = self._change(entry, move.touched)
        elif move.kind is MoveKind.BROKEN:
            self._look(move.touched)
        passed = entry.block if self.is_lost and isinstance(entry, BlockUpdate) else None
        return Step(
            seq=entry.seq,
            block=passed or self.market.block,
            undone=back.undone,
            dead_blocks=back.dead_blocks,
            voided=(*back.voided, *voided),
            stale=self.is_lost,
            rewound_to=move.rewound_to,
        )

    def _block(self, update: BlockUpdate, move: Move, back: _Back) -> Step:
        self.ledger.start_block(update.block.hash)
        fills = self._settle(update)
        self.ledger.settle(fills)
        self.valuation.observe(self.market, move.touched)
        self._look(move.touched)
        self.episodes.observe(update.block, self.scan.table, self.scan.changes)
        self.ledger.start_day(update.block.timestamp)
        self.ledger.release(self.scan.table)
        evidence = self.evidence.observe(self.market, update, self.scan.table)
        self._count_chances(update)
        stale = update.backfilled or self._is_stale(update.block)
        decided = self._decide(stale, update) if self.deciding else Decided()
        return Step(
            seq=update.seq,
            block=update.block,
            opportunities=self.scan.opportunities if self.sizes_all else (),
            decisions=decided.decisions,
            fills=fills,
            undone=back.undone,
            dead_blocks=back.dead_blocks,
            voided=back.voided,
            stale=stale,
            evidence=evidence,
            incidents=decided.incidents,
            rewound_to=move.rewound_to,
        )

    def _count_chances(self, update: BlockUpdate) -> None:
        self.chances.begun |= self.weighing
        if self.chances.begun:
            number, opened = update.block.number, self.episodes.opened
            worth = {each: number - opened(each) for each in worth_gas(self.scan.table, self._dust)}
            self.chances.observe(self.market, update, worth)

    def _settle(self, update: BlockUpdate) -> Sequence[Fill]:
        if self.known_fills is None:
            return self._executor.settle(self.market, update, self.valuation)
        self._executor.recall(update.block, self.known_fills)
        return self.known_fills

    def _change(self, entry: PoolsChanged, touched: frozenset[PoolKey]) -> tuple[Decision, ...]:
        """Pools have come and gone: what passes none of those goes on, and keeps its way back."""
        stayed = self.market.pools.keys() - entry.left
        voided = self._withdraw(stayed)
        if entry.left:
            self.evidence.keep(stayed)
        self.valuation.amend(self.market, touched, entry.corrected)
        self._search(touched)
        return voided

    def _search(self, touched: Set[PoolKey]) -> None:
        """The open cycles of the market as it is; a block may be looked at more than once."""
        self._look(touched)
        self.episodes.observe(self.market.block, self.scan.table, self.scan.changes)
        self.ledger.release(self.scan.table)

    def _withdraw(self, pools: Container[PoolKey]) -> tuple[Decision, ...]:
        """The history goes on with these pools: void the decisions that pass others."""
        voided = self._executor.withdraw(pools)
        for decision in voided:
            self.ledger.void(decision)
        return tuple(voided)

    def _rewind(self, block_hash: BlockHash, touched: Set[PoolKey]) -> _Back:
        """Everything but the market, which has been taken back.

        Pools that have joined since are not known there, and those that have left are nowhere.
        """
        undone = self.ledger.rewind(block_hash)
        self.valuation.rewind(block_hash)
        self.episodes.rewind(block_hash)
        self._executor.rewind(block_hash)
        dead = self.evidence.rewind(block_hash)
        self.chances.rewind(block_hash)
        if not touched <= self.market.pools.keys():
            self.evidence.keep(self.market.pools)
        return _Back(undone, dead, self._withdraw(self.market.pools))

    def _give_up(self, entry: Break) -> _Back:
        """Of a market that is lost: the books behind what still stands; all that is remembered,
        where that lies further back."""
        point = entry.fork_point
        stands = point.hash if point else BlockHash("")
        undone = self.ledger.rewind(stands)
        self._executor.rewind(stands)
        self.chances.rewind(stands)
        return _Back(undone, self.evidence.rewind(stands))

    def _is_stale(self, block: Block) -> bool:
        return block.seen_at is not None and block.seen_at - block.timestamp > self.max_state_age_s

    def _decide(self, stale: bool, update: BlockUpdate) -> Decided:
        view = View(
            self.market,
            self.valuation,
            self.ledger,
            self.scan,
            self.episodes,
            stale,
            self.chances,
            self.seq,
            self.barred,
            update,
        )
        decisions: list[Decision] = []
        incidents: list[Incident] = []
        for strategy in self._strategies:
            decided = strategy.decide(view, self.skips)
            decisions.extend(decided.decisions)
            incidents.extend(decided.incidents)
        self.ledger.send(decisions)
        self._executor.submit(decisions, self.valuation)
        self.evidence.watch(decisions)
        return Decided(decisions, incidents)
