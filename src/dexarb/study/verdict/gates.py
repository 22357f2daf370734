"""The gates before PROMOTE. Paper alone opens none of the last ones."""

from __future__ import annotations

from dataclasses import dataclass

from dexarb.core.units import MICRO_USD
from dexarb.study.verdict.distributions import binomial_bounds

LEAST_SENDS, LEAST_COMPARED = 30, 10


@dataclass(frozen=True, slots=True)
class CanaryEvidence:
    """What a strategy's trades came to that were really sent. sent: those that have come to an end.
    filled: on the chain. model_errors: the chain said otherwise than the twin. net: micro-USD.

    compared: those of which paper could say what it had come to, as nothing that it depends on had
    been changed by the trade itself. compared_net: theirs; low, high: their bands on paper, summed,
    and as far beyond as the gas model may be off.

    It comes from the ledger and the journal of a bot. Without them nobody is promoted.
    """

    sent: int
    filled: int
    model_errors: int
    net: int
    compared: int
    compared_net: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Gate:
    """is_open: whether it lets pass. says: why, or what is missing."""

    name: str
    is_open: bool
    says: str


def signed(micro_usd: int) -> str:
    """`+1,234.50`; more digits where cents would show nothing."""
    digits = 2 if abs(micro_usd) >= MICRO_USD // 100 or not micro_usd else 6
    return f"{micro_usd / MICRO_USD:+,.{digits}f}"


def gates(
    *,
    passed_at: int | None,
    net: int,
    net_twice_the_gas: int,
    fill_rate: float,
    canary: CanaryEvidence | None,
) -> list[Gate]:
    """In the order in which they are asked. passed_at: the look of the confirmation that it passed.
    net: micro-USD at the contested place, net_twice_the_gas with its gas paid twice. fill_rate: of
    what it sent on paper."""
    return [
        Gate(
            "confirmation",
            passed_at is not None,
            "no look has been passed" if passed_at is None else f"passed at day {passed_at}",
        ),
        Gate("net", net > 0, f"{signed(net)} USD at the contested place"),
        Gate(
            "twice the gas",
            net_twice_the_gas > 0,
            f"{signed(net_twice_the_gas)} USD with twice the gas",
        ),
        *_live(canary, fill_rate),
    ]


def _live(canary: CanaryEvidence | None, fill_rate: float) -> list[Gate]:
    if canary is None:
        return [Gate("canary", False, f"{LEAST_SENDS} real trades are needed, and there are none")]
    rate = binomial_bounds(canary.filled, canary.sent)[1] if canary.sent else 0.0
    return [
        Gate(
            "canary",
            canary.sent >= LEAST_SENDS,
            f"{canary.sent} of {LEAST_SENDS} real trades, {signed(canary.net)} USD",
        ),
        Gate(
            "model",
            canary.model_errors == 0,
            f"{canary.model_errors} unexplained model errors",
        ),
        Gate(
            "band",
            canary.compared >= LEAST_COMPARED and canary.low <= canary.compared_net <= canary.high,
            f"{signed(canary.compared_net)} USD live, {signed(canary.low)} to"
            f" {signed(canary.high)} on paper, over {canary.compared} trades that can be compared",
        ),
        # Not to be included at all lies in every band.
        Gate(
            "hits",
            rate >= fill_rate,
            f"{canary.filled} of {canary.sent} filled live, {fill_rate:.0%} on paper",
        ),
    ]
