"""Whether a trade came to what its twin says, and what of a difference is no fault of paper's.

Strangers can bring a run near two edges at which the gas model decides what comes of it. They put
ticks in front of it until it is near its gas limit; and they move a pool so that it fails at its
end, in an executor that had nothing of a token in between. Neither may count as an error: whoever
found two such trades would stop the bot.
"""

from __future__ import annotations

from dexarb.core.sending import GAS_TOLERANCE_PPM, Difference, Outcome
from dexarb.core.trade import FillStatus
from dexarb.core.units import PPM

NEW_BALANCE_GAS = 17_100
"""More for a balance that was nothing before: 20,000 for the write instead of 2,900. A run that
fills has it refunded when the balance is nothing again, one that reverts has not."""
REFUNDED = 5
"""Of the gas that a run needs a fifth at most is refunded (EIP-3529)."""


def difference(
    live: Outcome, twin: Outcome | None, *, hops: int, gas_limit: int, is_proven: bool
) -> Difference:
    """hops: of the cycle. gas_limit: of the transaction. is_proven: its block."""
    if twin is None or not is_proven:
        return Difference.UNKNOWN
    if (live.status, live.amount_out) != (twin.status, twin.amount_out):
        at_limit = _is_at_limit(live, twin, gas_limit) or _is_at_limit(twin, live, gas_limit)
        return Difference.UNKNOWN if at_limit else Difference.MODEL
    allowed = GAS_TOLERANCE_PPM * twin.gas_used // PPM
    if live.status is FillStatus.REVERTED:
        allowed += hops * NEW_BALANCE_GAS
    return Difference.GAS if abs(live.gas_used - twin.gas_used) > allowed else Difference.NONE


def _is_at_limit(one: Outcome, other: Outcome, gas_limit: int) -> bool:
    """Whether the one ran out of gas, and the other so nearly that the model cannot tell."""
    if one.status is not FillStatus.REVERTED or other.status is not FillStatus.FILLED:
        return False
    least = (PPM - GAS_TOLERANCE_PPM) * gas_limit // PPM
    return one.gas_used >= least and other.gas_used * REFUNDED >= least * (REFUNDED - 1)
