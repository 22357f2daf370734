"""dexarb map: net USD a day against the tip, from what was open at each place of the blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.paths import bot_paths
from dexarb.core.token import short
from dexarb.core.units import GWEI, MICRO_USD, usd_or_none
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names, names_at
from dexarb.screens.output import counted
from dexarb.screens.over_blocks import span_json, span_line, span_of, studied
from dexarb.screens.tables import ago, bar, percent, plain_table, usd
from dexarb.screens.when import BlocksAsked
from dexarb.study.lived import Lived, lived
from dexarb.study.map_study import MapStudy
from dexarb.study.money_map import LADDER, MoneyMap, RungSums, Sight
from dexarb.study.span import Span

Row = tuple[str | Text, ...]
CURVE = 10
THOUSAND = 1_000 * MICRO_USD
TITLES = {
    Sight.BLOCKS: "Who sees ends of blocks, and sends for the next one",
    Sight.TRIGGERS: "Who sees the transaction that opens it, and stands behind that one",
}
LEGEND = (
    "One send per spread, at its best size at its place. place: transactions before it, of those in"
    " the block, on average. misses: gas of refused runs. a day: net USD; band: at the worst and"
    " the best places of the same blocks. Everybody else does as he did: a rival who answers a bid"
    " is not in it, so it is the most that could be hoped for."
)


@dataclass(frozen=True, slots=True)
class Map(Answer):
    """live: of a bot of ours in the same blocks, None where there is none."""

    span: Span
    found: MoneyMap
    names: Names
    live: Lived | None = None

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            **span_json(self.span),
            "blocks": found.blocks,
            "blocks_counted": found.counted,
            "seconds_counted": found.seconds,
            "rivals": "frozen",
            "order": found.order.as_json(),
            "live": None if self.live is None else self._live_json(self.live),
            **{sight.value: self._sight_json(sight) for sight in Sight},
        }

    def _sight_json(self, sight: Sight) -> dict[str, Any]:
        best = self.found.best(sight)
        return {
            "best_tip_gwei": None if best is None else best[0] / GWEI,
            "tips": [_rung_json(self.found, tip, sums) for tip, sums in self.found.of(sight)],
        }

    def _live_json(self, live: Lived) -> dict[str, Any]:
        return {
            "tip_gwei": None if live.tip is None else live.tip / GWEI,
            "sends": live.sends,
            "included": live.included,
            "hits": live.hits,
            "place": live.place,
            "misses_usd": live.missed / MICRO_USD,
            "net_usd": live.net / MICRO_USD,
            "net_usd_a_day": usd_or_none(self._a_day(live.net)),
        }

    def _a_day(self, micro_usd: int) -> int | None:
        """Of all blocks of the span, also those in which no place can be told by tip."""
        found = self.found
        return found.a_day(micro_usd * found.counted // found.blocks) if found.blocks else None

    def render(self) -> RenderableType:
        found = self.found
        told = f"; a place by tip can be told in {found.counted:,}, of {ago(found.seconds)}"
        parts: list[RenderableType] = [span_line(self.span, told)]
        parts += [Text(_sentence(found, sight), style="bold") for sight in Sight]
        for sight in Sight:
            best = found.best(sight)
            if best is not None:
                parts.append(Text(f"\n{TITLES[sight]}"))
                ours = self._our_row() if sight is Sight.BLOCKS else None
                parts.append(_table(found, sight, ours))
                parts.append(Text(_most(best[0], best[1], self.names)))
        if self.live is not None:
            parts.append(Text(self._our_sentence(self.live), style="bold"))
        if any(found.best(sight) for sight in Sight):
            parts.append(Text(f"\n{LEGEND}", style="dim"))
        elif not found.counted:
            parts.append(Text(_why_none(found), style="yellow"))
        return Group(*parts)

    def _our_row(self) -> tuple[int, Row] | None:
        """Where it belongs among the rungs, and its cells."""
        live = self.live
        if live is None or live.tip is None:
            return None
        a_day = self._a_day(live.net)
        return live.tip, (
            f"us {_gwei(live.tip)}",
            f"{live.place}",
            f"{live.sends:,}",
            percent(live.hits / live.sends),
            _money(self._a_day(live.missed)),
            Text("-") if a_day is None else Text(_money(a_day), style=_color(a_day)),
            "",
            Text("<- the bot"),
        )

    def _our_sentence(self, live: Lived) -> str:
        sent = f"Our bot in these blocks: {live.sends} sent, {live.included} included"
        if live.tip is None:
            return f"{sent}."
        return (
            f"{sent}, {live.hits} filled; {_gwei(live.tip)} gwei in the middle, misses cost"
            f" {_money(self._a_day(live.missed))}, net {_signed(self._a_day(live.net))} USD a day."
        )


def answer(asked: BlocksAsked, *, tips_gwei: Sequence[float]) -> Map:
    """Raises ConfigError, InputError for blocks that are not there, StoreError."""
    span = span_of(asked)
    tips = sorted({round(each * GWEI) for each in tips_gwei}) or LADDER
    found = studied(span, MapStudy(tips))
    bot = bot_paths(asked.config).ledger_file
    return Map(span, found, names_at(found.market), lived(bot, span.first, span.last))


# -- for machines ---------------------------------------------------------------------------------


def _rung_json(found: MoneyMap, tip: int, sums: RungSums) -> dict[str, Any]:
    place, a_day = sums.place, found.a_day
    low, high = a_day(sums.low), a_day(sums.high)
    return {
        "tip_gwei": tip / GWEI,
        "sends": sums.sends,
        "included": sums.included,
        "hits": sums.hits,
        "hit_rate": sums.hit_rate,
        "place": None if place is None else place[0],
        "place_of": None if place is None else place[1],
        "misses_usd": sums.missed / MICRO_USD,
        "net_usd": sums.net / MICRO_USD,
        "net_usd_a_day": usd_or_none(a_day(sums.net)),
        "band_usd": [sums.low / MICRO_USD, sums.high / MICRO_USD],
        "band_usd_a_day": [usd_or_none(low), usd_or_none(high)],
        "pairs": [
            {"tokens": list(tokens), "net_usd": net / MICRO_USD}
            for tokens, net in _ranked(sums.by_tokens)
        ],
        "hours": [
            {"hour": hour, "net_usd": net / MICRO_USD} for hour, net in _ranked(sums.by_hour)
        ],
        "rivals": [
            {"target": target, "net_usd": net / MICRO_USD} for target, net in _ranked(sums.by_rival)
        ],
    }


def _ranked(nets: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(nets.items(), key=lambda each: (-each[1], each[0]))


# -- for people -----------------------------------------------------------------------------------


def _sentence(found: MoneyMap, sight: Sight) -> str:
    """`One send per spread, without seeing its trigger: at 30 gwei place 140 of 153, hit rate 1%,
    misses cost 6.00, net -4.00 USD a day; at 900 gwei, the best, ... net +11.00.`"""
    best = found.best(sight)
    seeing = {Sight.BLOCKS: "without seeing its trigger", Sight.TRIGGERS: "seeing its trigger"}
    head = f"One send per spread, {seeing[sight]}"
    if best is None:
        return f"{head}: there was nothing to send."
    rungs = found.of(sight)
    default = found.market.profile.default_priority_fee
    usual = min(rungs, key=lambda rung: (abs(rung[0] - default), rung[0]))
    if usual[0] == best[0]:
        return f"{head}: at {_gwei(best[0])} gwei, the best, {_came_to(found, best[1])}."
    return (
        f"{head}: at {_gwei(usual[0])} gwei {_came_to(found, usual[1])}; at {_gwei(best[0])} gwei,"
        f" the best, {_came_to(found, best[1])}."
    )


def _came_to(found: MoneyMap, sums: RungSums) -> str:
    place = "not included"
    if sums.place is not None:
        place = f"place {sums.place[0]:.0f} of {sums.place[1]:.0f}"
    parts = (
        f"{place}, hit rate {sums.hit_rate or 0.0:.0%}",
        f"misses cost {_money(found.a_day(sums.missed))}",
        f"net {_signed(found.a_day(sums.net))} USD a day",
    )
    return ", ".join(parts)


def _signed(micro_usd: int | None) -> str:
    return f"{'+' if (micro_usd or 0) > 0 else ''}{_money(micro_usd)}"


def _table(found: MoneyMap, sight: Sight, ours: tuple[int, Row] | None) -> RenderableType:
    rows = found.of(sight)
    days = [(found.a_day(sums.net), sums) for _, sums in rows]
    most = max((abs(net or 0) for net, _ in days), default=0)
    table = plain_table(None)
    for name in ("gwei", "place", "sends", "hit %", "misses", "a day", "band"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for (tip, sums), (a_day, _) in zip(rows, days, strict=True):
        if ours is not None and ours[0] < tip:
            table.add_row(*ours[1])
            ours = None
        low, high = found.a_day(sums.low), found.a_day(sums.high)
        table.add_row(
            _gwei(tip),
            "-" if sums.place is None else f"{sums.place[0]:.0f}/{sums.place[1]:.0f}",
            f"{sums.sends:,}",
            percent(sums.hit_rate or 0.0),
            _money(found.a_day(sums.missed)),
            Text("-") if a_day is None else Text(_money(a_day), style=_color(a_day)),
            "-" if low is None or high is None else f"{_money(low)}..{_money(high)}",
            _curve(a_day or 0, most),
        )
    if ours is not None:
        table.add_row(*ours[1])
    return table


def _money(micro_usd: int | None) -> str:
    """Without cents where there are thousands."""
    if micro_usd is None:
        return "-"
    return usd(micro_usd) if abs(micro_usd) < THOUSAND else f"{micro_usd / MICRO_USD:,.0f}"


def _color(micro_usd: int) -> str:
    return "green" if micro_usd >= 0 else "red"


def _curve(net: int, most: int) -> Text:
    drawn = bar(abs(net) / most if most else 0.0, CURVE)
    return Text(drawn if net >= 0 else f"-{drawn}", style=_color(net))


def _most(tip: int, sums: RungSums, names: Names) -> str:
    """Of the best tip: which pair, hour and rival made it."""
    if not sums.hits:
        return f"At {_gwei(tip)} gwei nothing was hit."
    (tokens, by_pair), (hour, by_hour) = _ranked(sums.by_tokens)[0], _ranked(sums.by_hour)[0]
    parts = [
        f"{names.traded(tokens)} ({usd(by_pair)} USD)",
        f"{hour:02}:00 UTC ({usd(by_hour)})",
    ]
    if sums.by_rival:
        rival, lost = _ranked(sums.by_rival)[0]
        parts.append(f"taken from {short(rival)} ({usd(lost)})")
    hits = counted(sums.hits, "hit")
    return f"At {_gwei(tip)} gwei, {hits}: most by {', '.join(parts)}."


def _gwei(tip: int) -> str:
    return f"{tip / GWEI:,.6g}" if tip < 1_000 * GWEI else f"{tip / GWEI:,.0f}"


def _why_none(found: MoneyMap) -> str:
    whole = found.order.whole
    if found.market.profile.ordering != "fee":
        return "The chain's profile does not say that blocks are ordered by fee."
    return (
        f"{whole.kept:,} of {whole.blocks:,} blocks stand in the order of their tips,"
        f" {found.order.without_receipts:,} came without receipts."
    )
