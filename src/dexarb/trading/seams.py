"""The seams: where the loop ends and something else begins, all on one page.

::

    Source ──► Market ──► Scanner ──► Strategy ──► Executor ──► Ledger

- **Source**: any iterator of history entries in order, so nothing here asks for a type. A replay
  reads `HistoryReader.entries`; live and paper trading `HistoryReader.follow`, which goes on as the
  collector appends.
- **Pool**: what the market holds of a pool's exact mathematics; each kind is one file in `amm`.
- **Scanner**: finds the open cycles; the one there is stands in `search`.
- **Strategy**: decides what to send; all of them are in `decide`. Authors of own strategies have a
  narrower one, `OwnStrategy` in `decide/custom`.
- **Executor**: what becomes of it; on paper it is `settle/paper_executor`.

Behind the paper executor and the strategies stands the model of reality: `models`.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dexarb.core.block import Block, BlockHash, BlockUpdate
from dexarb.core.evidence import Evidence
from dexarb.core.ledger import Ledger
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.probes import BarredRoutes
from dexarb.core.route import CycleId
from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, Incident, Opportunity, StrategyHash
from dexarb.search.result import Dust
from dexarb.search.scan import Scan
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.episodes import Episodes
from dexarb.trading.models.value import Valuation
from dexarb.trading.settle.chances import Chances

__all__ = [
    "Decided",
    "Executor",
    "Pool",
    "Scanner",
    "ScannerFactory",
    "Step",
    "Strategy",
    "View",
]


class Scanner(Protocol):
    """Finds and sizes the open cycles; `dexarb.search` has the implementation."""

    def update(self, market: Market, touched: Collection[PoolKey]) -> Scan: ...

    def widen(self, max_hops: int) -> bool:
        """Find cycles of so many hops as well from the next update on; whether that is new."""
        ...


class ScannerFactory(Protocol):
    def __call__(self, market: Market, dust: Dust, /) -> Scanner:
        """dust: of the market as it is priced whenever it is asked."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """All that a strategy may look at after a block: nothing in it is younger than that block.

    scan: the open cycles; those that could be worth something to somebody at their best size, and
    the others as columns. episodes: since when they are open. chances: how often such are still
    there in the next block. stale: the block reached us too old to act on. seq: of the history's
    entry that brought the block; barred: what of its routes is known by then not to execute.
    update: what the history has of the block.
    """

    market: Market
    valuation: Valuation
    ledger: Ledger
    scan: Scan
    episodes: Episodes
    stale: bool
    chances: Chances = field(default_factory=Chances)
    seq: int = 0
    barred: BarredRoutes = field(default_factory=BarredRoutes)
    update: BlockUpdate | None = None

    def bars(self, cycle: CycleId) -> bool:
        return self.barred.bars(cycle, self.seq, self.market.block.number)

    @property
    def opportunities(self) -> Sequence[Opportunity]:
        return self.scan.opportunities


@dataclass(frozen=True, slots=True)
class Decided:
    """What to send now, and the strategies that have just failed."""

    decisions: Sequence[Decision] = ()
    incidents: Sequence[Incident] = ()


class Strategy(Protocol):
    """Decides on a block's opportunities. `hash` is its identity in the ledger."""

    @property
    def hashes(self) -> Sequence[StrategyHash]: ...

    def decide(self, view: View, skips: SkipTally) -> Decided:
        """What to send now; the reasons for what is not sent go to `skips`."""
        ...

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        """The least profit before gas that any of them could want of a cycle from this token, in
        its smallest unit. What earns less need not be offered to them: it is a near miss."""
        ...


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

    def recall(self, block: Block, fills: Sequence[Fill]) -> None:
        """Instead of `settle`: take these as the outcomes in the block."""
        ...

    def rewind(self, block_hash: BlockHash) -> None:
        """The blocks after this one died: what was settled in them is open again."""
        ...

    def withdraw(self, pools: Container[PoolKey] = ()) -> list[Decision]:
        """Give up open decisions: the history goes on with these pools, and no longer tells what
        became of those that pass other ones."""
        ...

    def restart(self) -> None:
        """The history goes on without a way back: what is settled stays settled."""
        ...

    def state(self, nouns: NounWriter) -> bytes:
        """What is under way after a block, for `resume`; its decisions are told by `nouns`."""
        ...

    def resume(self, state: bytes | None, nouns: NounReader) -> None:
        """Forget everything, and go on from there; None: from nothing. The way back is cut off.

        Raises msgspec.MsgspecError and ValueError for a state that is none."""
        ...

    def remember(self, blocks: int) -> None:
        """Be able to take back so many blocks from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """All that one entry brought. block: where the market stands then, or what it could not follow
    while lost. opportunities: of an engine that finds them in every block. undone: fills of a
    branch that died; dead_blocks: its blocks' hashes, oldest first; rewound_to: the block that it
    branched off from, None if none died. voided: decisions whose outcome the history cannot tell
    any more. evidence: what became clear about earlier blocks' spreads. incidents: strategies that
    have just failed in their own code."""

    seq: int
    block: Block
    opportunities: Sequence[Opportunity] = ()
    decisions: Sequence[Decision] = ()
    fills: Sequence[Fill] = ()
    undone: Sequence[Fill] = ()
    voided: Sequence[Decision] = ()
    stale: bool = False
    evidence: Sequence[Evidence] = ()
    dead_blocks: Sequence[BlockHash] = ()
    incidents: Sequence[Incident] = ()
    rewound_to: BlockHash | None = None
