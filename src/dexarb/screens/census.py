"""dexarb census: how much of the swaps and the profits passes collected pools, and what lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.core.text import in_a_line
from dexarb.core.token import short
from dexarb.core.units import MICRO_USD
from dexarb.screens.answer import Answer
from dexarb.screens.output import counted
from dexarb.screens.over_blocks import span_json, span_line, span_of, studied
from dexarb.screens.tables import percent, plain_table, usd
from dexarb.screens.when import BlocksAsked
from dexarb.screens.winners import KIND_LENGTH, without_traffic
from dexarb.study.census import CensusFound, CensusStudy
from dexarb.study.span import Span

SHOWN = 15
LEGEND = (
    "kind: whose swap event it emits; forks emit those of the original. worth: gain before gas of"
    " arbitrages through it, shared among the pools that each of them lacks. alone: arbitrages that"
    " lack nothing else. Whole addresses are in --json."
)


@dataclass(frozen=True, slots=True)
class Census(Answer):
    span: Span
    found: CensusFound

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            **span_json(self.span),
            "blocks": found.blocks,
            "blocks_without_traffic": found.without_traffic,
            "swaps": found.swaps,
            "swaps_collected": found.swaps_collected,
            "collected_share": _share(found.swaps_collected, found.swaps),
            "arbitrages": found.arbitrages,
            "arbitrages_unvalued": found.unvalued,
            "arbitrages_collected_share": _share(found.arbitrages_collected, found.arbitrages),
            "gain_usd": found.gain_micro_usd / MICRO_USD,
            "gain_collected_share": _share(found.gain_collected_micro_usd, found.gain_micro_usd),
            "kinds": [
                {
                    "kind": each.kind,
                    "swaps": each.swaps,
                    "collected_share": _share(each.collected, each.swaps),
                    "missing_worth_usd": each.missing_worth_micro_usd / MICRO_USD,
                }
                for each in found.kinds
            ],
            "missing": [
                {
                    "emitter": each.emitter,
                    "kind": each.kind,
                    "swaps": each.swaps,
                    "arbitrages": each.arbitrages,
                    "arbitrages_alone": each.alone,
                    "worth_usd": each.worth_micro_usd / MICRO_USD,
                }
                for each in found.missing
            ],
        }

    def render(self) -> RenderableType:
        found = self.found
        parts: list[RenderableType] = [
            span_line(self.span),
            Text(_sentence(found), style="bold"),
        ]
        if found.swaps:
            parts.append(_kinds(found))
        if found.missing:
            parts += [_missing(found), Text(LEGEND, style="dim")]
        if len(found.missing) > SHOWN:
            parts.append(Text(f"{len(found.missing) - SHOWN:,} more in --json", style="dim"))
        return Group(*parts, *without_traffic(found.without_traffic))


def answer(asked: BlocksAsked) -> Census:
    """Raises ConfigError, InputError for blocks that are not there, StoreError."""
    span = span_of(asked)
    return Census(span, studied(span, CensusStudy()))


# -- telling --------------------------------------------------------------------------------------


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _sentence(found: CensusFound) -> str:
    if not found.blocks:
        return "The history does not say what was swapped in these blocks."
    if not found.swaps:
        return "Nobody swapped, in whichever pool."
    swaps = f"{found.swaps_collected / found.swaps:.0%} of {counted(found.swaps, 'swap')}"
    if not found.arbitrages:
        return f"{swaps} passed collected pools; nobody gained by an arbitrage."
    gain = ""
    if found.gain_micro_usd:
        share = found.gain_collected_micro_usd / found.gain_micro_usd
        gain = f", with {share:.0%} of the {usd(found.gain_micro_usd)} USD gained"
    count = counted(found.arbitrages, "arbitrage")
    return (
        f"{swaps} passed collected pools. {found.arbitrages_collected} of {count} passed them"
        f" alone{gain}."
    )


def _kinds(found: CensusFound) -> Table:
    table = plain_table(None, "kind")
    for name in ("swaps", "collected %", "missing worth USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found.kinds[:SHOWN]:
        table.add_row(
            Text(in_a_line(each.kind, KIND_LENGTH)),
            f"{each.swaps:,}",
            percent(_share(each.collected, each.swaps), 1),
            usd(each.missing_worth_micro_usd),
        )
    return table


def _missing(found: CensusFound) -> Table:
    table = plain_table(None, "not collected", "kind")
    for name in ("swaps", "arb", "alone", "worth USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found.missing[:SHOWN]:
        table.add_row(
            Text(short(each.emitter)),
            Text(in_a_line(each.kind, KIND_LENGTH)),
            f"{each.swaps:,}",
            str(each.arbitrages),
            str(each.alone),
            usd(each.worth_micro_usd),
        )
    return table
