"""What a bot's trades teach the paper trader: where the time goes, which places its bids get, and
the parameters with which paper would have been like life."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import NamedTuple

from dexarb.core.trade import FillStatus
from dexarb.study.live_results import Optimism
from dexarb.study.live_trades import LiveTrade, LiveTrades, Steps

LATENCY_SHARE = 0.9
"""Paper is to be as late as all but a tenth of what was sent."""


class Quantiles(NamedTuple):
    """Of so many values, in their unit."""

    values: int
    p50: float
    p90: float
    p99: float


class Places(NamedTuple):
    """Trades whose place paper has told in the very same block: how many stood there, before it,
    and behind it, and by how many places in the middle (behind: more than 0)."""

    compared: int
    there: int
    before: int
    behind: int
    median: float | None


class Proposed(NamedTuple):
    """Parameters of a strategy on paper. latency_ms: within which all but a tenth were accepted.
    latency_blocks: the middle. priority_fee: wei per gas, what was really paid in the middle. None
    where nothing tells."""

    latency_ms: int | None
    latency_blocks: int | None
    priority_fee: int | None


class Tips(NamedTuple):
    """Wei per gas, in the middle of all trades in blocks; None where there is none. ahead: of those
    who moved our pools before us, in so many trades."""

    own: float | None
    before: float | None
    after: float | None
    ahead: float | None
    overtaken: int


@dataclass(frozen=True, slots=True)
class BotReport:
    """steps: by the name in Steps, those of which anything is known. ended: sent trades that came
    to an end; included: those in a block."""

    optimism: Optimism
    trades: Sequence[LiveTrade]
    steps: Mapping[str, Quantiles]
    ended: int
    included: int
    filled: int
    copied: int
    places: Places
    tips: Tips
    proposed: Proposed
    problem: str | None


def report(found: LiveTrades, optimism: Optimism) -> BotReport:
    trades = found.trades
    steps = {
        name: told
        for name in Steps._fields
        if (told := quantiles(getattr(each.steps, name) for each in trades)) is not None
    }
    inside = [each for each in trades if each.fill is not None and each.fill.gas_used]
    placed = [each.place for each in inside if each.place is not None]
    return BotReport(
        optimism,
        trades,
        steps,
        ended=sum(each.fill is not None for each in trades),
        included=len(inside),
        filled=sum(
            each.fill is not None and each.fill.status is FillStatus.FILLED for each in inside
        ),
        copied=sum(each.is_copied for each in placed),
        places=_places(inside),
        tips=Tips(
            _middle(each.tip for each in placed),
            _middle(each.before for each in placed),
            _middle(each.after for each in placed),
            _middle(each.ahead for each in placed),
            sum(each.ahead is not None for each in placed),
        ),
        proposed=_proposed(trades, inside),
        problem=found.problem,
    )


def quantiles(values: Iterable[float | None]) -> Quantiles | None:
    """None where nothing is known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return Quantiles(len(known), *(_at(known, share) for share in (0.5, 0.9, 0.99)))


def _at(ordered: Sequence[float], share: float) -> float:
    """The least value that at least this share does not exceed."""
    return ordered[ceil(share * len(ordered)) - 1]


def _middle(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _places(inside: Iterable[LiveTrade]) -> Places:
    off = [
        each.fill.place - each.predicted.place
        for each in inside
        if each.fill is not None
        and each.predicted is not None
        and each.predicted.block.hash == each.fill.block.hash
    ]
    return Places(
        len(off),
        off.count(0),
        sum(each < 0 for each in off),
        sum(each > 0 for each in off),
        float(median(off)) if off else None,
    )


def _proposed(trades: Iterable[LiveTrade], inside: Sequence[LiveTrade]) -> Proposed:
    out = sorted(each.steps.out for each in trades if each.steps.out is not None)
    blocks = [
        each.fill.block.number - each.decision.block.number
        for each in inside
        if each.fill is not None
    ]
    paid = [each.place.tip for each in inside if each.place is not None]
    return Proposed(
        ceil(_at(out, LATENCY_SHARE)) if out else None,
        ceil(median(blocks)) if blocks else None,
        round(median(paid)) if paid else None,
    )
