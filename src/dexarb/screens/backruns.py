"""dexarb backruns: what opened inside the blocks of a history, and who ended it at which bid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.core.token import short
from dexarb.core.units import GWEI, MICRO_USD, SECONDS_PER_DAY, usd_or_none
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names, names_at
from dexarb.screens.output import counted
from dexarb.screens.over_blocks import span_json, span_line, span_of, studied
from dexarb.screens.tables import plain_table, usd
from dexarb.screens.when import BlocksAsked, utc
from dexarb.study.backruns import (
    Backrun,
    BackrunsFound,
    End,
    Had,
    Mover,
    PairDay,
    ToBeHad,
    by_pair,
    to_be_had,
)
from dexarb.study.backruns_study import BackrunsStudy
from dexarb.study.span import Span

SHOWN = 12
LEGEND = (
    "USD after gas at the base fee, before any bid. behind: right behind the transaction that"
    " opened it. rival: right before the arbitrage that took it in the same block. end: at the end"
    " of that block. A spread is counted once, as the best of the cycles through it."
)
BEST_LEGEND = (
    "block:index of the trigger. ended: by which transaction of the same block (+), or how many"
    " blocks later (b); * by an arbitrage. bid: its priority fee in gwei."
)


@dataclass(frozen=True, slots=True)
class Backruns(Answer):
    span: Span
    found: BackrunsFound
    names: Names

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            **span_json(self.span),
            "blocks": self.span.blocks,
            **_had_json(to_be_had(found.runs)),
            "pairs": [_pair_json(each) for each in by_pair(found.runs, daily=True)],
            "order": found.order.as_json(),
            "backruns": [_backrun_json(each) for each in found.runs],
        }

    def render(self) -> RenderableType:
        found = self.found
        parts: list[RenderableType] = [span_line(self.span)]
        parts.append(Text(_sentence(to_be_had(found.runs)), style="bold"))
        if found.runs:
            parts.append(Text(_fate(found.runs)))
            parts.append(_pairs(found.runs, self.names))
            parts.append(Text(LEGEND, style="dim"))
            parts.append(_best(found, self.names))
            parts.append(Text(BEST_LEGEND, style="dim"))
        if len(found.runs) > SHOWN:
            parts.append(Text(f"{len(found.runs) - SHOWN:,} more in --json", style="dim"))
        parts.append(_order(self))
        return Group(*parts)


def answer(asked: BlocksAsked) -> Backruns:
    """Raises ConfigError, InputError for blocks that are not there, StoreError."""
    span = span_of(asked)
    found = studied(span, BackrunsStudy())
    return Backruns(span, found, names_at(found.market))


# -- for machines ---------------------------------------------------------------------------------


def _had_json(had: ToBeHad) -> dict[str, Any]:
    return {
        "opened": _count_json(had.opened),
        "behind_trigger": _count_json(had.behind_trigger),
        "before_rival": _count_json(had.before_rival),
        "at_block_end": _count_json(had.at_block_end),
    }


def _count_json(had: Had) -> dict[str, Any]:
    return {"count": had.count, "usd": had.micro_usd / MICRO_USD}


def _pair_json(each: PairDay) -> dict[str, Any]:
    return {"tokens": list(each.tokens), "day": _day(each.day), **_had_json(each.had)}


def _day(day: int | None) -> str | None:
    return None if day is None else utc(day * SECONDS_PER_DAY)[:10]


def _backrun_json(each: Backrun) -> dict[str, Any]:
    return {
        "block": each.block,
        "block_hash": each.key.block_hash,
        "timestamp": each.timestamp,
        "trigger": _mover_json(each.trigger),
        "route": list(each.cycle.pools),
        "tokens": list(each.cycle.tokens),
        "amount_in": str(each.amount_in),
        "amount_out": str(each.amount_out),
        "gas_units": each.gas_units,
        "gross_usd": each.gross_micro_usd / MICRO_USD,
        "net_usd": each.net_micro_usd / MICRO_USD,
        "most_usd": each.most_micro_usd / MICRO_USD,
        "at_block_end_usd": usd_or_none(each.at_end_micro_usd),
        "cycles": each.cycles,
        "ended": None if each.end is None else _end_json(each.end),
        "transactions_between": each.transactions_between,
        "blocks_lived": each.blocks_lived,
    }


def _end_json(end: End) -> dict[str, Any]:
    return {
        "block": end.block,
        "timestamp": end.timestamp,
        "by": None if end.mover is None else _mover_json(end.mover),
        "usd_before": end.before_micro_usd / MICRO_USD,
    }


def _mover_json(mover: Mover) -> dict[str, Any]:
    return {
        "index": mover.index,
        "hash": mover.hash,
        "sender": mover.sender,
        "target": mover.to,
        "priority_fee": None if mover.priority_fee is None else str(mover.priority_fee),
        "bid_usd": usd_or_none(mover.bid_micro_usd),
        "arbitrage": mover.is_arbitrage,
    }


# -- for people -----------------------------------------------------------------------------------


def _sentence(had: ToBeHad) -> str:
    if not had.opened.count:
        return "Nothing that pays for its gas opened inside a block."
    return (
        f"Of {usd(had.opened.micro_usd)} USD that opened, {usd(had.at_block_end.micro_usd)} were"
        " still there at a block's end."
    )


def _fate(runs: Sequence[Backrun]) -> str:
    inside = [each for each in runs if each.ended_inside is not None]
    taken = [each for each in inside if each.taken_inside is not None]
    said = (
        f"{counted(len(runs), 'spread')} opened: {len(inside):,} ended in the same block,"
        f" {len(taken):,} of them by an arbitrage"
    )
    gaps = [each.transactions_between or 0 for each in taken]
    if not gaps:
        return f"{said}."
    return (
        f"{said}, {sum(not gap for gap in gaps):,} right behind the trigger"
        f" (median {median(gaps):g} transactions between)."
    )


def _pairs(runs: Sequence[Backrun], names: Names) -> RenderableType:
    daily = len({each.day for each in runs}) > 1
    rows = by_pair(runs, daily=daily)
    table = plain_table(None)
    if daily:
        table.add_column("day", no_wrap=True)
    table.add_column("tokens", overflow="fold")
    for name in ("opened", "USD", "behind", "taken", "rival", "stood", "end"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in rows[:SHOWN]:
        had = each.had
        table.add_row(
            *([_day(each.day) or ""] if daily else []),
            names.traded(each.tokens),
            f"{had.opened.count:,}",
            usd(had.opened.micro_usd),
            usd(had.behind_trigger.micro_usd),
            f"{had.before_rival.count:,}",
            usd(had.before_rival.micro_usd),
            f"{had.at_block_end.count:,}",
            usd(had.at_block_end.micro_usd),
        )
    if len(rows) <= SHOWN:
        return table
    return Group(table, Text(f"{len(rows) - SHOWN:,} more rows in --json", style="dim"))


def _best(found: BackrunsFound, names: Names) -> RenderableType:
    table = plain_table(None, "trigger")
    table.add_column("best cycle", overflow="fold", min_width=20)
    table.add_column("behind", justify="right", no_wrap=True)
    table.add_column("ended", justify="right", no_wrap=True)
    table.add_column("bid", justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True)
    for each in islice(found.best(), SHOWN):
        mover = each.end.mover if each.end else None
        table.add_row(
            f"{each.block}:{each.trigger.index}",
            f"{names.tokens_of(each.cycle)}\n  {names.pools_of(each.cycle)}",
            usd(each.net_micro_usd),
            _ended(each),
            "-" if mover is None or mover.priority_fee is None else _gwei(mover.priority_fee),
            short(mover.to) if mover and mover.to else "-",
        )
    return table


def _gwei(wei: int) -> str:
    return f"{wei / GWEI:,.4g}" if wei < 1_000 * GWEI else f"{wei / GWEI:,.0f}"


def _ended(each: Backrun) -> str:
    if each.end is None:
        return "open"
    star = "*" if each.end.mover and each.end.mover.is_arbitrage else ""
    if each.transactions_between is not None:
        return f"+{each.transactions_between + 1}{star}"
    return f"{each.blocks_lived}b{star}"


def _order(told: Backruns) -> Text:
    whole, unknown = told.found.order.whole, told.found.order.without_receipts
    said = (
        f"{whole.kept:,} of {whole.blocks:,} blocks stand in the order of their tips"
        f" ({whole.inversions:,} inversions): elsewhere no bid buys the place behind a trigger."
    )
    if unknown:
        said += f" {counted(unknown, 'block')} came without receipts: who moved what is not known."
    return Text(said, style="dim" if whole.kept == whole.blocks and not unknown else "yellow")
