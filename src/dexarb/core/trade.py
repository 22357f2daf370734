"""From a chance to its outcome: opportunities, reasons to skip, decisions and fills."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType

from dexarb.core.block import Block
from dexarb.core.route import Cycle

StrategyHash = NewType("StrategyHash", str)
"""A strategy's identity: 16 hexadecimal digits over its parameters. The key of its books."""

DecisionId = NewType("DecisionId", str)
"""16 hexadecimal digits over strategy, block and cycle."""


class Piece(NamedTuple):
    """Part of a curve: out = output_from + rate·x / (1 + depth·x), x = amount_in − input_from."""

    input_from: float
    output_from: float
    rate: float
    depth: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What a whole cycle gives for any input up to its best one, in floats: for candidates only.

    The profit is concave in the input, so a capped size is best used up to its cap.
    """

    pieces: tuple[Piece, ...]

    def amount_out(self, amount_in: float) -> float:
        piece = self.pieces[0]
        for candidate in self.pieces:
            if candidate.input_from > amount_in:
                break
            piece = candidate
        x = amount_in - piece.input_from
        return piece.output_from + piece.rate * x / (1.0 + piece.depth * x)


@dataclass(frozen=True, slots=True)
class Opportunity:
    """An open cycle at the end of a block, at its best size.

    Amounts are exact integers in the smallest unit of the cycle's start token. rate is the
    marginal amount out per amount in after all fees at zero size. gas_units is what executing it
    at that size is expected to use.
    """

    block: Block
    cycle: Cycle
    amount_in: int
    amount_out: int
    rate: float
    gas_units: int
    curve: Curve

    @property
    def profit(self) -> int:
        return self.amount_out - self.amount_in


class Funding(StrEnum):
    """Where the input comes from: the strategy's own capital, or a flash swap of the first pool,
    which is paid at the end out of what the other pools gave (no fee beyond the pool's own)."""

    OWN = "own"
    FLASH = "flash"


class Position(StrEnum):
    """Where in the block a strategy assumes to be placed; see docs/honest-fills.md."""

    CONTESTED = "contested"
    FEE = "fee"
    TOP = "top"
    BOTTOM = "bottom"


class Decision(NamedTuple):
    """A trade that a strategy would have sent after `block`.

    amount_out: what it expects; min_amount_out: below this the trade reverts. priority_fee and
    max_base_fee in wei per gas. first_block is the earliest block it can be included in, and
    deadline_block the last; where latency_ms makes it miss first_block, the deadline moves as far.
    Money in integer micro-USD: capital is what it binds of the strategy's own, gas_reserve what
    its gas may cost at most. fixed_gas_cost_micro_usd replaces the measured gas where a strategy
    sets it. competition_lost: the coin has given it to a rival. p_fill_ppm: how likely it was
    thought to be filled, where the strategy weighs that.
    """

    id: DecisionId
    strategy: StrategyHash
    block: Block
    cycle: Cycle
    amount_in: int
    amount_out: int
    min_amount_out: int
    gas_units: int
    expected_net_micro_usd: int
    capital_micro_usd: int
    priority_fee: int
    max_base_fee: int
    first_block: int
    deadline_block: int
    position: Position = Position.CONTESTED
    funding: Funding = Funding.OWN
    latency_ms: int | None = None
    gas_reserve_micro_usd: int = 0
    fixed_gas_cost_micro_usd: int | None = None
    competition_lost: bool = False
    p_fill_ppm: int | None = None

    @property
    def least_amount_out(self) -> int:
        """The executor's bound, before a run and behind it: it never comes out with a loss of the
        start token, whatever the minimum says."""
        return max(self.min_amount_out, self.amount_in)


class SkipReason(StrEnum):
    """Why a strategy let an opportunity pass; the first that applies, in this order.

    DISABLED: it has failed in its own code. NOT_EXECUTABLE: a node that ran the route refused, or
    came to another amount; asked only of what could earn somebody's minimum. DECLINED: an own
    strategy that could, did not want it. Then those of a bot that sends: NOT_ARMED, it sends
    nothing now. AVOIDED: a pool or token has come to something else than was computed. BOT_BUSY:
    another of its trades is worth more.
    """

    DISABLED = "disabled"
    STALE = "stale"
    PAIR = "pair"
    HOPS = "hops"
    NOT_EXECUTABLE = "not_executable"
    NO_PRICE = "no_price"
    SPREAD = "spread"
    SIZE = "size"
    PROFIT = "profit"
    EXPECTED = "expected"
    GAS_PRICE = "gas_price"
    CAPITAL = "capital"
    DAILY_TRADES = "daily_trades"
    DAILY_LOSS = "daily_loss"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    POOL_BUSY = "pool_busy"
    DECLINED = "declined"
    NOT_ARMED = "not_armed"
    AVOIDED = "avoided"
    BOT_BUSY = "bot_busy"


OF_A_BOT = frozenset({SkipReason.NOT_ARMED, SkipReason.AVOIDED, SkipReason.BOT_BUSY})
"""On paper nobody has these."""

REASONS = tuple(SkipReason)
REASON_CODE = {reason: code for code, reason in enumerate(REASONS)}
"""In columns a reason is its number."""


class SkipCount(NamedTuple):
    """How often a strategy, by hash, skipped for a reason in a UTC hour (hours since 1970).

    The nearest miss of these is set where the reason is a threshold and one of them was more than
    dust (docs/search.md): what was needed and the best there was, in micro-USD for PROFIT and
    EXPECTED and in ppm for SPREAD, and the block. The best profit is exact where it had a chance to
    be enough; elsewhere it is what there could have been at most by the float curve, without the
    gas of ticks crossed.
    """

    strategy: StrategyHash
    hour: int
    reason: SkipReason
    times: int
    needed: int | None = None
    best: int | None = None
    block: int | None = None


class FillStatus(StrEnum):
    FILLED = "filled"
    REVERTED = "reverted"
    LOST = "lost"
    EXPIRED = "expired"


class Fill(NamedTuple):
    """What became of a decision in `block` at `place` (transactions of the block before it).

    amount_in and amount_out are zero where nothing was swapped. gas_price in wei per gas, base
    fee and bid together. gas_cost and net in integer micro-USD at the prices of the block before.
    band: least and greatest net over every place in the block, and not being included.
    place_known: False where nothing tells how the block was ordered, or it broke the order that the
    chain claims; then only the band is true, and the other figures are those of the end of the
    block. bound_micro_usd: of one that reverted by a minimum that asks for more than the amount put
    in, the net that it would have made without it; None of all others, and where that is no gain.
    """

    decision: Decision
    block: Block
    place: int
    status: FillStatus
    amount_in: int
    amount_out: int
    gas_used: int
    gas_price: int
    gas_cost_micro_usd: int
    net_micro_usd: int
    band_micro_usd: tuple[int, int]
    place_known: bool = True
    bound_micro_usd: int | None = None

    @property
    def profit(self) -> int:
        """In the start token's smallest unit, before gas."""
        return self.amount_out - self.amount_in


@dataclass(frozen=True, slots=True)
class Incident:
    """A strategy that failed in its own code and takes no further part. problem: its traceback."""

    strategy: StrategyHash
    block: Block
    problem: str
