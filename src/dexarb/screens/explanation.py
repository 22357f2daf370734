"""Why a strategy did not trade more, as its ledger tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dexarb.core.block import Block
from dexarb.core.probes import Probe
from dexarb.core.trade import Funding, SkipCount, SkipReason
from dexarb.core.units import GWEI, MICRO_USD, PPM_PER_PERCENT
from dexarb.screens.names import Names
from dexarb.screens.output import listed
from dexarb.screens.stopped import words
from dexarb.screens.tables import apart, usd
from dexarb.store.ledger_figures import (
    NONE_BOUNDED,
    Bounded,
    Foreseen,
    bounded,
    foreseen,
    refused_net,
)
from dexarb.store.ledger_notes import METRICS
from dexarb.store.ledger_reader import LedgerReader
from dexarb.store.ledger_rows import StrategyRow, StrategyTotals
from dexarb.study.funnel import SCOPE, Funnel, Miss, funnel, nearest
from dexarb.study.obstacle import (
    ENOUGH,
    UNKNOWN,
    Costs,
    Obstacle,
    mostly_filled,
    nothing_paid,
    obstacle,
)
from dexarb.study.probed import barred_now
from dexarb.study.stops import Stop, stops_now
from dexarb.study.totals import state_of
from dexarb.trading.strategy import THRESHOLD, StrategySettings

FAILED = {
    "lost": "lost to its coin",
    "reverted": "reverted: the pools had moved before its place",
    "expired": "not included in time",
}
PAIRS_SHOWN = 4
OUTCOMES = ("filled", "reverted", "lost", "expired", "reorged", "open")


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that the ledger says about a strategy.

    last_block: of the ledger. earlier: hashes of other parameter sets under the same name.
    problem: the traceback of a strategy that failed in its own code. foreseen: its chances of a
    fill against what came. bounded: what its own minimum has cost it. barred: the routes that
    nobody trades now, since a node has refused them. refused_net: of its fills on such routes.
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
    costs: Costs = UNKNOWN
    foreseen: tuple[Foreseen, ...] = ()
    bounded: Bounded = NONE_BOUNDED
    barred: tuple[Probe, ...] = ()
    refused_net_micro_usd: int = 0

    @property
    def obstacle(self) -> Obstacle | None:
        return obstacle(self.funnel, self.settings, self.misses, self.costs)


def explanations(
    reader: LedgerReader,
    known: Sequence[StrategyRow],
    asked: Sequence[StrategyRow],
    block: Block | None = None,
) -> list[Explanation]:
    """For each of the strategies asked; known: all of the ledger. block: the collector's newest."""
    active = reader.active()
    totals = {each.hash: each for each in reader.totals()}
    problems = {each.strategy: each.problem for each in reader.incidents()}
    won = reader.won_over_takers()
    settings = {row.hash: StrategySettings.from_canonical(row.name, row.config) for row in asked}
    trading = {key: each for key, each in settings.items() if key in active}
    stopped = stops_now(reader, trading, block.timestamp if block else None)
    metrics = reader.note(METRICS)
    costs = Costs(metrics.usd_per_gwei if metrics else None, block.base_fee_per_gas if block else 0)
    last, barred = reader.last_block, tuple(barred_now(reader))
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
                costs=costs,
                foreseen=tuple(foreseen(reader, row.hash)),
                bounded=bounded(reader, row.hash),
                barred=barred if _passed_over(skips) else (),
                refused_net_micro_usd=refused_net(reader, row.hash),
            )
        )
    return found


def _passed_over(skips: Iterable[SkipCount]) -> bool:
    """Whether any of it was such a route."""
    return any(each.reason is SkipReason.NOT_EXECUTABLE for each in skips)


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
        text = _without_obstacle(found)
    elif not way.sending:
        what = f"{way.stopped} of {way.total} sent {FAILED[way.what]}"
        return f"{way.parameter} decides most: {what}."
    else:
        text = f"{way.parameter} stands most in the way: it stopped {way.stopped} of {way.total}"
        miss = next((each for each in found.misses if each.reason == way.what), None)
        if way.what in SCOPE:
            text = f"{text}, and nothing else was open."
        else:
            text = f"{text}; {nearly(miss)}." if miss else f"{text}."
    if 0 < offers.sent < ENOUGH and not mostly_filled(offers):
        text = f"{text} {offers.sent} sent: too few to tell what decides whether they fill."
    return text


def _without_obstacle(found: Explanation) -> str:
    offers = found.funnel
    if nothing_paid(offers, found.settings, found.misses):
        return "What it looked at did not even pay for gas: no setting changes that."
    if offers.sent:
        return "Nothing stands in its way: all it could take it has taken."
    return "What it looked at was taken already, or has no price: no setting changes that."


def nearly(miss: Miss) -> str:
    """`needed 5.00 USD, best was 0.41 USD at block 812`"""
    needed, best = quantities(miss.reason, miss.needed, miss.best)
    unit = unit_of(miss.reason)
    is_loss = miss.reason is SkipReason.PROFIT and miss.best < 0 < miss.needed
    less = ": less than its gas costs" if is_loss else ""
    return f"needed {needed} {unit}, best was {best} {unit} at block {miss.block}{less}"


def unit_of(reason: SkipReason) -> str:
    return "%" if reason is SkipReason.SPREAD else "USD"


def quantities(reason: SkipReason, needed: int, best: int) -> tuple[str, str]:
    """Numbers with digits enough to tell them apart."""
    if reason is not SkipReason.SPREAD:
        return apart(needed, best)
    shown = tuple(f"{each / PPM_PER_PERCENT:.4g}" for each in (needed, best))
    if shown[0] == shown[1]:
        shown = tuple(f"{each / PPM_PER_PERCENT:.4f}" for each in (needed, best))
    return shown[0], shown[1]


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
    pairs = listed([names.pair(pair) for pair in settings.pairs], PAIRS_SHOWN)
    return (
        f"{pairs}; wants {usd(settings.min_profit_micro_usd)} USD after gas and "
        f"{settings.min_spread_ppm / PPM_PER_PERCENT:g} % after fees{_expects(settings)};\n"
        f"up to {settings.max_trade_size_micro_usd / MICRO_USD:,.0f} USD {_funding(settings)} and "
        f"{settings.max_gas_price / GWEI:g} gwei; bids {_bid(settings)}"
    )


def _expects(settings: StrategySettings) -> str:
    asked = settings.min_expected_micro_usd
    return "" if asked is None else f",\n{usd(asked)} USD with misses counted in"


def _funding(settings: StrategySettings) -> str:
    return "of its own" if settings.funding is Funding.OWN else "by flash swap"


def _bid(settings: StrategySettings) -> str:
    if settings.bid_ppm is not None:
        return f"{settings.bid_ppm / PPM_PER_PERCENT:g} % of the profit"
    if settings.priority_fee is not None:
        return f"{settings.priority_fee / GWEI:g} gwei"
    return "what the chain is used to"
