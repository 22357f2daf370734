"""What `dexarb spreads` shows: the answer in a sentence, then the figures behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.core.text import as_name
from dexarb.core.units import MICRO_USD, usd_or_none
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names, names_at
from dexarb.screens.output import counted
from dexarb.screens.over_blocks import span_json, span_line
from dexarb.screens.tables import apart, bar, plain_table, usd
from dexarb.study.distribution import Course, Distribution
from dexarb.study.ladder import Ladder
from dexarb.study.needs import Need
from dexarb.study.span import Span
from dexarb.study.spread_courses import RISES_BPS, PairCourse
from dexarb.study.spreads_survey import Survey

EDGES_BPS = (-100.0, -50.0, -30.0, -20.0, -10.0, 0.0, 3.0, 10.0, 20.0, 30.0, 50.0, 100.0)
"""Of the histograms. At 0 the fees are paid."""
NETS_MICRO_USD = tuple(int(net * MICRO_USD) for net in (0, 0.1, 0.5, 1, 3, 5, 10, 20, 50))
"""Thresholds on the profit after gas."""
SHOWN_NEEDS, SHOWN_PAIRS, MARKED = 12, 12, 2
BAR = 14
LEGEND = (
    "after fees: an exact round trip of {size} USD through both pools, in the direction that is"
    " nearer to paying. An opportunity is counted once, however many blocks it lasts."
)


@dataclass(frozen=True, slots=True)
class Spreads(Answer):
    """The answer to `dexarb spreads`."""

    span: Span
    survey: Survey

    def as_json(self) -> dict[str, Any]:
        survey = self.survey
        names = names_at(survey.market)
        raw, executable = _all(survey.best_raw), _all(survey.best_executable)
        ladder = Ladder(survey.episodes, len(survey.sizes_micro_usd))
        return {
            **span_json(self.span),
            "blocks": survey.blocks,
            "sentence": sentence(survey),
            "size_usd": survey.sizes_micro_usd[survey.size] / MICRO_USD,
            "gas_usd": usd_or_none(survey.gas_micro_usd),
            "opportunities": len(survey.episodes),
            "pairs": [_pair_json(course, names) for course in survey.pairs],
            "histogram": {
                "edges_bps": list(EDGES_BPS),
                "raw": raw.histogram(EDGES_BPS),
                "executable": executable.histogram(EDGES_BPS),
            },
            "by_spread": [
                {"percent": bps / 100, "raw": raw_times, "executable": executable_times}
                for bps, raw_times, executable_times in zip(
                    RISES_BPS, _rises(survey.best_raw), _rises(survey.best_executable), strict=True
                )
            ],
            "by_net_usd": [
                {"net_usd": net / MICRO_USD, "opportunities": _by_size(survey, ladder, net)}
                for net in NETS_MICRO_USD
            ],
            "strategies": [_need_json(need) for need in survey.needs],
        }

    def render(self) -> RenderableType:
        survey = self.survey
        parts: list[RenderableType] = [
            _head(self.span, survey),
            Text(sentence(survey), style="bold yellow"),
            _histogram(survey),
        ]
        if survey.needs:
            parts.append(_needs(survey))
            if len(survey.needs) > SHOWN_NEEDS:
                parts.append(Text(f"{len(survey.needs) - SHOWN_NEEDS} more in --json", style="dim"))
        parts += [_by_spread(survey), _by_net(survey), _pairs(survey)]
        if len(survey.pairs) > SHOWN_PAIRS:
            parts.append(Text(f"{len(survey.pairs) - SHOWN_PAIRS} more in --json", style="dim"))
        return Group(*parts, Text(LEGEND.format(size=_size(survey)), style="dim"))


def sentence(found: Survey) -> str:
    """Why there are as many opportunities as there are, as one would say it."""
    open_ = len(found.episodes)
    ladder = Ladder(found.episodes, len(found.sizes_micro_usd))
    best = ladder.best
    if not open_:
        return _none_open(found)
    largest = len(found.sizes_micro_usd) - 1
    paying = ladder.reaching(largest, 0)
    text = f"{counted(open_, 'spread')} paid their fees, {paying} of them their gas as well"
    if best is None:
        return f"{text}; nothing has a price."
    text = f"{text}; the best was {usd(best)} USD."
    unmet = [need for need in found.needs if not need.episodes]
    if not unmet:
        return text
    if len(unmet) == len(found.needs):
        least_usd = min(need.settings.min_profit_micro_usd for need in unmet)
        return f"{text} No strategy saw enough: the least that any wants is {usd(least_usd)} USD."
    return f"{text} {len(unmet)} of {len(found.needs)} strategies saw nothing that was enough."


def _none_open(found: Survey) -> str:
    """Of the two pools that came nearest to paying: what they lacked."""
    pair = found.nearest
    if pair is None:
        return "No two pools trade the same pair: there is nothing to arbitrage between."
    names = names_at(found.market)
    raw = pair.raw.values.greatest or 0.0
    pools = " and ".join(map(names.pool, pair.pools))
    text = (
        f"No opportunity: nearest came {names.pair(pair.tokens)} between {pools}, in the better of"
        f" both directions {_percent(raw)} % apart, where their fees need {_percent(pair.fees_bps)}"
        " %"
    )
    if raw <= pair.fees_bps:
        return f"{text}."
    if not found.is_searched(pair):
        return f"{text}; but the chain's profile lets no trade begin and end there."
    at_size = pair.executable.values.greatest
    came_to = "cannot be traded there" if at_size is None else f"came to {_percent(at_size)} %"
    return f"{text}; {_size(found)} USD {came_to}, and no smaller amount gained anything either."


def _head(span: Span, survey: Survey) -> Text:
    pools = len(survey.market.pools)
    gas = "without a price" if survey.gas_micro_usd is None else f"{usd(survey.gas_micro_usd)} USD"
    told = f", {pools} pools; gas of a trade through two pools {gas}"
    return span_line(span, told, blocks=survey.blocks)


# -- for machines ---------------------------------------------------------------------------------


def _by_size(found: Survey, ladder: Ladder, net_micro_usd: int) -> dict[str, int]:
    return {
        f"{size / MICRO_USD:g}": ladder.reaching(index, net_micro_usd)
        for index, size in enumerate(found.sizes_micro_usd)
    }


def _pair_json(course: PairCourse, names: Names) -> dict[str, Any]:
    return {
        "pair": names.pair(course.tokens),
        "pools": list(course.pools),
        "fees_bps": course.fees_bps,
        "raw_bps": _distribution_json(course.raw.values),
        "executable_bps": _distribution_json(course.executable.values),
        "blocks_above_fees": course.executable.values.at_least(0.0),
    }


def _distribution_json(values: Distribution) -> dict[str, Any]:
    return {
        "blocks": values.blocks,
        "blocks_without": values.missing,
        "p50": values.quantile(0.5),
        "p90": values.quantile(0.9),
        "p99": values.quantile(0.99),
        "max": values.greatest,
        "histogram": values.histogram(EDGES_BPS),
    }


def _need_json(need: Need) -> dict[str, Any]:
    return {
        "name": need.settings.name,
        "hash": need.settings.hash,
        "size_usd": need.size_micro_usd / MICRO_USD,
        "min_profit_usd": need.settings.min_profit_micro_usd / MICRO_USD,
        "needs_after_fees_bps": need.bps,
        "best_net_usd": usd_or_none(need.best_micro_usd),
        "best_block": need.best_block,
        "opportunities": need.episodes,
    }


# -- for people -----------------------------------------------------------------------------------


def _histogram(found: Survey) -> RenderableType:
    """Both distributions on one scale, with the strategies where they begin to trade."""
    raw = _all(found.best_raw).histogram(EDGES_BPS)
    executable = _all(found.best_executable).histogram(EDGES_BPS)
    whole = max(*raw, *executable, 1)
    table = plain_table("Best spread of each pair, in blocks")
    table.add_column("spread %", justify="right", no_wrap=True)
    table.add_column("raw", no_wrap=True)
    table.add_column(f"after fees, {_size(found)} USD", no_wrap=True)
    table.add_column("who needs that", overflow="fold")
    wanted = _by_bin(found.needs)
    rows = [i for i in range(len(raw)) if raw[i] or executable[i] or i in wanted]
    for index in range(min(rows, default=0), max(rows, default=-1) + 1):
        paid = index > EDGES_BPS.index(0.0)
        table.add_row(
            _bin(index),
            _bar(raw[index], whole, "cyan"),
            _bar(executable[index], whole, "green" if paid else "red"),
            Text(_marks(wanted.get(index, []), index)),
        )
    return table


def _bin(index: int) -> str:
    if index == 0:
        return f"below {_percent(EDGES_BPS[0])}"
    if index == len(EDGES_BPS):
        return f"from {_percent(EDGES_BPS[-1])}"
    return f"{_percent(EDGES_BPS[index - 1])}..{_percent(EDGES_BPS[index])}"


def _by_bin(needs: Sequence[Need]) -> dict[int, list[Need]]:
    found: dict[int, list[Need]] = {}
    for need in needs:
        found.setdefault(sum(edge <= need.bps for edge in EDGES_BPS), []).append(need)
    return found


def _marks(needs: Sequence[Need], index: int) -> str:
    names = [as_name(need.settings.name) for need in needs]
    fees = ["< fees are paid"] if index == EDGES_BPS.index(0.0) + 1 else []
    more = [f"{len(names) - MARKED} more"] if len(names) > MARKED else []
    return ", ".join(fees + names[:MARKED] + more)


def _bar(count: int, whole: int, color: str) -> Text:
    return Text.assemble((bar(count / whole, BAR), color), f" {count:,}" if count else "")


def _needs(found: Survey) -> RenderableType:
    table = plain_table("What each strategy needs, and the best there was in its pairs")
    table.add_column("strategy", overflow="fold")
    for name in ("size USD", "needs %", "needs USD", "best USD", "at block", "enough"):
        table.add_column(name, justify="right", no_wrap=True)
    for need in found.needs[:SHOWN_NEEDS]:
        best = need.best_micro_usd
        needed, shown = usd(need.settings.min_profit_micro_usd), "-"
        if best is not None:
            needed, shown = apart(need.settings.min_profit_micro_usd, best)
        enough = Text(str(need.episodes), style="bold green" if need.episodes else "red")
        table.add_row(
            as_name(need.settings.name),
            f"{need.size_micro_usd / MICRO_USD:,.0f}",
            _percent(need.bps),
            needed,
            shown,
            "-" if need.best_block is None else str(need.best_block),
            enough,
        )
    return table


def _by_spread(found: Survey) -> RenderableType:
    """How often a pair rose to a spread."""
    table = plain_table("How often a pair's best spread rose to a threshold or beyond", "%")
    for bps in RISES_BPS:
        table.add_column(_percent(bps), justify="right", no_wrap=True)
    table.add_row("raw", *map(str, _rises(found.best_raw)))
    table.add_row("after fees", *map(str, _rises(found.best_executable)))
    return table


def _by_net(found: Survey) -> RenderableType:
    """How many opportunities a threshold on the profit would have seen."""
    table = plain_table("Opportunities by size and min_profit_usd", "USD")
    for net in NETS_MICRO_USD:
        table.add_column(f"{net / MICRO_USD:g}", justify="right", no_wrap=True)
    ladder = Ladder(found.episodes, len(found.sizes_micro_usd))
    for index, size in enumerate(found.sizes_micro_usd):
        counts = (ladder.reaching(index, net) for net in NETS_MICRO_USD)
        table.add_row(f"{size / MICRO_USD:,.0f}", *map(str, counts))
    return table


def _pairs(found: Survey) -> RenderableType:
    names = names_at(found.market)
    table = plain_table("Pools of a pair, nearest to paying first (fees and spreads in %)")
    for name in ("pair", "between"):
        table.add_column(name, overflow="fold")
    for name in ("p50", "p99", "max", "fees", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    ordered = sorted(found.pairs, key=lambda course: -_greatest(course.executable))
    for course in ordered[:SHOWN_PAIRS]:
        raw, after = course.raw.values, course.executable.values.greatest
        color = "bold green" if after is not None and after > 0 else "dim"
        table.add_row(
            names.pair(course.tokens),
            " - ".join(map(names.pool, course.pools)),
            _percent(raw.quantile(0.5)),
            _percent(raw.quantile(0.99)),
            _percent(raw.greatest),
            _percent(course.fees_bps),
            Text(_percent(after), style=color),
        )
    return table


def _greatest(course: Course) -> float:
    found = course.values.greatest
    return float("-inf") if found is None else found


def _size(found: Survey) -> str:
    return f"{found.sizes_micro_usd[found.size] / MICRO_USD:,.0f}"


def _percent(bps: float | None) -> str:
    return "-" if bps is None else f"{bps / 100:.2f}"


def _all(courses: Sequence[Course]) -> Distribution:
    """The blocks of all pairs together."""
    whole = Distribution()
    for course in courses:
        for key, blocks in course.values.blocks_by_value.items():
            whole.blocks_by_value[key] = whole.blocks_by_value.get(key, 0) + blocks
        whole.missing += course.values.missing
    return whole


def _rises(courses: Sequence[Course]) -> Iterator[int]:
    for index in range(len(RISES_BPS)):
        yield sum(course.rises[index] for course in courses)
