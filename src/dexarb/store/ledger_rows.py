"""What the ledger gives back: its rows, with the nouns in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dexarb.core.evidence import Evidence
from dexarb.core.probes import Probe
from dexarb.core.trade import Decision, Fill, StrategyHash

MAX_INTEGER = (1 << 63) - 1
"""Of SQLite."""


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """A strategy that the ledger knows. config: its effective parameters as JSON.

    ordinal: its place in the configuration file, for the order on screens.
    """

    hash: StrategyHash
    name: str
    config: str
    ordinal: int
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """The strategy took part from entry from_seq to entry to_seq, both included; None: still.

    reality: hash of the model of reality that it traded in; None: of an older ledger, or not told.
    """

    strategy: StrategyHash
    from_seq: int
    to_seq: int | None
    reality: str | None = None

    def holds(self, seq: int) -> bool:
        """Whether it took part in entry seq."""
        return self.from_seq <= seq and (self.to_seq is None or seq <= self.to_seq)


@dataclass(frozen=True, slots=True)
class RealityRow:
    """A model of reality that the ledger knows. spec: which one it is, as JSON."""

    hash: str
    spec: str


class DecisionState(StrEnum):
    """void: the history cannot tell its outcome any more; counted as reorged."""

    OPEN = "open"
    SETTLED = "settled"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision made at entry seq."""

    seq: int
    decision: Decision
    state: DecisionState


@dataclass(frozen=True, slots=True)
class FillRow:
    """A fill of entry seq; reorged_seq: the entry whose branch undid it, None while it stands."""

    seq: int
    fill: Fill
    reorged_seq: int | None


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """As FillRow, for evidence."""

    seq: int
    evidence: Evidence
    reorged_seq: int | None


class ProbeRow(NamedTuple):
    """What has been known from entry seq on."""

    seq: int
    probe: Probe


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident of entry seq."""

    seq: int
    strategy: StrategyHash
    problem: str


class BlockRange(NamedTuple):
    """Blocks by number and by UNIX second, all ends included; those that are both."""

    first: int = 0
    last: int = MAX_INTEGER
    first_second: int = 0
    last_second: int = MAX_INTEGER


ALL_BLOCKS = BlockRange()


class AgainstLimits(NamedTuple):
    """What counts against a strategy's limits: trades of a UTC day with their net in micro-USD and
    the block of the last one, losses since the last gain and the block of the last one. Blocks are
    0 where there is none."""

    strategy: StrategyHash
    day_trades: int
    day_net_micro_usd: int
    last_trade_block: int
    losses_in_a_row: int
    last_loss_block: int


@dataclass(frozen=True, slots=True)
class StrategyTotals:
    """A strategy's counts and sums: sent = filled + reverted + lost + expired + reorged + open.

    Micro-USD. profit is net of gas, the band is the sum of the fills' bands. unplaced: fills whose
    place in the block nothing tells; with any of them only the band is true. placed: the profit of
    the others.

    gained: filled and not at a loss, the others that were filled, reverted or lost are losses. Gas
    of filled, reverted and lost ones is all of the gas cost: what expires pays none.
    """

    hash: StrategyHash
    name: str
    seen: int
    sent: int
    filled: int
    reverted: int
    lost: int
    expired: int
    reorged: int
    open: int
    profit_micro_usd: int
    band_low_micro_usd: int
    band_high_micro_usd: int
    gas_cost_micro_usd: int
    unplaced: int
    placed_micro_usd: int
    gained: int
    gas_filled_micro_usd: int
    gas_reverted_micro_usd: int
    gas_lost_micro_usd: int


def stretches(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each stretch without a gap. Who was sent together is settled together."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
