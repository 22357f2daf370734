"""Why a strategy did not trade more, as its ledger tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dexarb.core.trade import SkipCount, SkipReason
from dexarb.core.units import GWEI, MICRO_USD, PPM_PER_PERCENT
from dexarb.screens.names import Names
from dexarb.screens.stopped import words
from dexarb.screens.tables import usd
from dexarb.store.ledger_reader import LedgerReader
from dexarb.store.ledger_rows import StrategyRow, StrategyTotals
from dexarb.study.funnel import (
    SCOPE,
    Funnel,
    Miss,
    Obstacle,
    funnel,
    nearest,
    obstacle,
)
from dexarb.study.stops import Stop, stops_now
from dexarb.study.totals import state_of
from dexarb.trading.strategy import THRESHOLD, StrategySettings

FAILED = {
    "lost": "lost to its coin",
    "reverted": "reverted: the pools had moved before its place",
    "expired": "not included in time",
}
OUTCOMES = ("filled", "reverted", "lost", "expired", "reorged", "open")


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that the ledger says about a strategy.

    last_block: of the ledger. earlier: hashes of other parameter sets under the same name.
    problem: the traceback of a strategy that failed in its own code.
    """

    strategy: StrategyRow
    settings: StrategySettings
    totals: StrategyTotals
    won_over_taker_micro_usd: int
    last_block: int | None
    is_active: bool
    stop: Stop | None
    earlier: tuple[str, ...]
    problem: str | None
    funnel: Funnel
    misses: tuple[Miss, ...]

    @property
    def obstacle(self) -> Obstacle | None:
        return obstacle(self.funnel)


def explanations(
    reader: LedgerReader,
    known: Sequence[StrategyRow],
    asked: Sequence[StrategyRow],
    now: int | None = None,
) -> list[Explanation]:
    """For each of the strategies asked; known: all of the ledger. now: as in `stops_now`."""
    active = reader.active()
    totals = {each.hash: each for each in reader.totals()}
    problems = {each.strategy: each.problem for each in reader.incidents()}
    won = reader.won_over_takers()
    settings = {row.hash: StrategySettings.from_canonical(row.name, row.config) for row in asked}
    trading = {key: each for key, each in settings.items() if key in active}
    stopped = stops_now(reader, trading, now)
    last = reader.last_block
    by_name: dict[str, list[str]] = {}
    for row in known:
        by_name.setdefault(row.name, []).append(row.hash)
    found = []
    for row in asked:
        skips = reader.skips(row.hash)
        found.append(
            Explanation(
                strategy=row,
                settings=settings[row.hash],
                totals=totals[row.hash],
                won_over_taker_micro_usd=won.get(row.hash, 0),
                last_block=last[0] if last else None,
                is_active=row.hash in active,
                stop=stopped.get(row.hash),
                earlier=tuple(key for key in by_name[row.name] if key != row.hash),
                problem=problems.get(row.hash),
                funnel=_funnel(totals[row.hash], skips),
                misses=tuple(_misses(skips)),
            )
        )
    return found


def _funnel(totals: StrategyTotals, skips: Iterable[SkipCount]) -> Funnel:
    times: dict[SkipReason, int] = {}
    for row in skips:
        times[row.reason] = times.get(row.reason, 0) + row.times
    outcomes = {key: int(getattr(totals, key)) for key in OUTCOMES}
    return funnel(times, totals.sent, outcomes)


def _misses(skips: Iterable[SkipCount]) -> Iterator[Miss]:
    """The nearest of each reason that is a threshold."""
    by_reason: dict[SkipReason, list[Miss]] = {}
    for row in skips:
        needed, best = row.needed, row.best
        if needed is not None and best is not None and row.block is not None:
            by_reason.setdefault(row.reason, []).append(Miss(row.reason, needed, best, row.block))
    for misses in by_reason.values():
        found = nearest(misses)
        if found is not None:
            yield found


def state(found: Explanation) -> str:
    """As `Totals.state`."""
    return state_of(
        is_active=found.is_active,
        has_failed=found.problem is not None,
        is_stopped=found.stop is not None,
    )


def sentence(found: Explanation) -> str:
    """What stands most in the way, as one would say it."""
    if found.stop is not None:
        return f"It is {words(found.stop)}."
    way, offers = found.obstacle, found.funnel
    if not offers.offered:
        return "Nothing was open after fees: no setting of a strategy changes that."
    if way is None:
        if offers.sent:
            return "Nothing stands in its way: all it could take it has taken."
        return "What it looked at was taken already, or has no price: no setting changes that."
    if not way.sending:
        what = f"{way.stopped} of {way.total} sent {FAILED[way.what]}"
        return f"{way.parameter} decides most: {what}."
    text = f"{way.parameter} stands most in the way: it stopped {way.stopped} of {way.total}"
    if way.what in SCOPE:
        return f"{text}, and nothing else was open."
    miss = next((each for each in found.misses if each.reason == way.what), None)
    return f"{text}; {nearly(miss)}." if miss else f"{text}."


def nearly(miss: Miss) -> str:
    """`needed 5.00 USD, best was 0.41 USD at block 812`"""
    needed, best = (" ".join(quantity(miss.reason, each)) for each in (miss.needed, miss.best))
    if needed == best:
        unit, scale, digits = (
            ("%", PPM_PER_PERCENT, 4) if miss.reason is SkipReason.SPREAD else ("USD", MICRO_USD, 6)
        )
        needed, best = (f"{x / scale:.{digits}f} {unit}" for x in (miss.needed, miss.best))
    return f"needed {needed}, best was {best} at block {miss.block}"


def quantity(reason: SkipReason, value: int) -> tuple[str, str]:
    """Number and unit: `5.00`, `USD`; of a spread `0.3`, `%`."""
    if reason is SkipReason.SPREAD:
        return f"{value / PPM_PER_PERCENT:.4g}", "%"
    return usd(value), "USD"


def in_units(reason: SkipReason, needed: int | None, best: int | None) -> dict[str, float | None]:
    """What machines get: USD, or percent of a spread."""
    is_spread = reason is SkipReason.SPREAD
    unit, scale = ("percent", PPM_PER_PERCENT) if is_spread else ("usd", MICRO_USD)
    return {
        f"needed_{unit}": None if needed is None else needed / scale,
        f"best_{unit}": None if best is None else best / scale,
    }


def wants(settings: StrategySettings, names: Names) -> str:
    """Its main parameters in a line."""
    if settings.kind != THRESHOLD:
        return f"own strategy {settings.kind}, parameters {settings.parameters}"
    pairs = ", ".join(names.pair(pair) for pair in settings.pairs)
    return (
        f"{pairs}; wants {usd(settings.min_profit_micro_usd)} USD after gas and "
        f"{settings.min_spread_ppm / PPM_PER_PERCENT:g} % after fees;\n"
        f"up to {settings.max_trade_size_micro_usd / MICRO_USD:,.0f} USD and "
        f"{settings.max_gas_price / GWEI:g} gwei"
    )
