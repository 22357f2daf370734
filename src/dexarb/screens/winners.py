"""dexarb winners: who earns what by arbitrage, through which pools and at which places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.core.text import in_a_line
from dexarb.core.token import short
from dexarb.core.units import MICRO_USD, usd_or_none
from dexarb.screens.answer import Answer
from dexarb.screens.by_whom import called, who_by
from dexarb.screens.output import counted
from dexarb.screens.over_blocks import span_json, span_line, span_of, studied
from dexarb.screens.tables import percent, plain_table, usd
from dexarb.screens.when import BlocksAsked
from dexarb.study.span import Span
from dexarb.study.winners import Winner, WinnersFound, WinnersStudy

SHOWN, SHOWN_THROUGH, MANY = 20, 8, 3
KIND_LENGTH = 24
LEGEND = (
    "net: gain - gas - tip of its arbitrages. hit: arbitrages in % of all transactions to or of it."
    " tip: priority fees in % of the gain. place: median in % of the block, 0 the top. ours:"
    " through collected pools alone."
)


@dataclass(frozen=True, slots=True)
class Winners(Answer):
    span: Span
    by: str
    found: WinnersFound

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            **span_json(self.span),
            "blocks": found.blocks,
            "blocks_without_traffic": found.without_traffic,
            "seconds": found.seconds,
            "arbitrages": sum(each.arbitrages for each in found.winners),
            "net_usd": _net(found) / MICRO_USD,
            "net_usd_per_day": usd_or_none(found.per_day(_net(found))),
            "by": self.by,
            "winners": [self._winner(each) for each in found.winners],
        }

    def _winner(self, each: Winner) -> dict[str, Any]:
        return {
            self.by: each.who,
            "senders": each.senders,
            "targets": each.targets,
            "arbitrages": each.arbitrages,
            "unvalued": each.unvalued,
            "gain_usd": each.gain_micro_usd / MICRO_USD,
            "gas_usd": each.gas_micro_usd / MICRO_USD,
            "tip_usd": each.tip_micro_usd / MICRO_USD,
            "net_usd": each.net_micro_usd / MICRO_USD,
            "net_usd_per_day": usd_or_none(self.found.per_day(each.net_micro_usd)),
            "transactions": each.transactions,
            "failed": each.failed,
            "failed_cost_usd": each.failed_cost_micro_usd / MICRO_USD,
            "hit_rate": each.hit_rate,
            "median_place": each.place,
            "median_place_share": each.place_share,
            "kinds": dict(each.kinds),
            "pools": dict(each.pools),
            "arbitrages_collected": each.all_collected,
            "last_block": each.last_block,
            "us": each.is_ours,
        }

    def render(self) -> RenderableType:
        found = self.found
        parts: list[RenderableType] = [span_line(self.span), Text(_sentence(self), style="bold")]
        if found.winners:
            parts += [_table(self), Text(LEGEND, style="dim"), _through(self)]
        if len(found.winners) > SHOWN:
            parts.append(Text(f"{len(found.winners) - SHOWN} more in --json", style="dim"))
        return Group(*parts, *without_traffic(found.without_traffic))


def answer(asked: BlocksAsked, *, by: str) -> Winners:
    """Raises ConfigError, InputError for blocks that are not there, StoreError."""
    study = WinnersStudy(who_by(by))
    span = span_of(asked)
    return Winners(span, by, studied(span, study))


def without_traffic(blocks: int) -> list[Text]:
    """The remark about blocks of which nothing is known but the collected pools."""
    if not blocks:
        return []
    text = (
        f"{counted(blocks, 'block')} came without receipts, or before history format 4: who swapped"
        " in other pools is not known there."
    )
    return [Text(text, style="yellow")]


# -- telling --------------------------------------------------------------------------------------


def _net(found: WinnersFound) -> int:
    return sum(each.net_micro_usd for each in found.winners)


def _sentence(told: Winners) -> str:
    found = told.found
    if not found.winners:
        if not found.blocks:
            return "The history does not say what was swapped in these blocks."
        return "Nobody gained by an arbitrage, through whichever pools."
    count = sum(each.arbitrages for each in found.winners)
    daily = found.per_day(_net(found))
    per_day = "" if daily is None else f", {usd(daily)} a day"
    ours = sum(each.all_collected for each in found.winners)
    unvalued = sum(each.unvalued for each in found.winners)
    unpriced = f" {unvalued} gained what has no price here." if unvalued else ""
    return (
        f"{counted(count, 'arbitrage')} by {counted(len(found.winners), told.by)} earned"
        f" {usd(_net(found))} USD net of gas and tips{per_day}; {ours} of them through collected"
        f" pools alone.{unpriced}"
    )


def _called(each: Winner) -> str:
    return f"us: {called(each.who)}" if each.is_ours else called(each.who)


def _table(told: Winners) -> Table:
    table = plain_table(None, told.by)
    for name in ("arb", "hit %", "net USD", "a day", "tip %", "place", "ours"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in told.found.winners[:SHOWN]:
        daily = told.found.per_day(each.net_micro_usd)
        gain = each.gain_micro_usd
        table.add_row(
            _called(each),
            str(each.arbitrages),
            percent(each.hit_rate, 1),
            usd(each.net_micro_usd),
            "-" if daily is None else usd(daily),
            percent(each.tip_micro_usd / gain if gain else None, 1),
            percent(each.place_share),
            str(each.all_collected),
        )
    return table


def _through(told: Winners) -> Table:
    table = plain_table(None, told.by)
    table.add_column("through (arbitrages)")
    for each in told.found.winners[:SHOWN_THROUGH]:
        kinds = [f"{in_a_line(kind, KIND_LENGTH)} {count}" for kind, count in each.kinds[:MANY]]
        pools = [f"{short(pool)} {count}" for pool, count in each.pools[:MANY]]
        table.add_row(_called(each), Text(f"{', '.join(kinds)}; {', '.join(pools)}"))
    return table
