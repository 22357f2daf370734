"""dexarb rivals: who really took the spreads of a recorded history, and what it cost them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.core.units import MICRO_USD
from dexarb.screens.answer import Answer
from dexarb.screens.by_whom import called, who_by
from dexarb.screens.output import counted
from dexarb.screens.over_blocks import span_json, span_line, span_of, studied
from dexarb.screens.tables import percent, plain_table, usd
from dexarb.screens.when import BlocksAsked
from dexarb.study.rivals import Rival
from dexarb.study.rivals_study import RivalsStudy
from dexarb.study.span import Span

SHOWN = 20
LEGEND = (
    "gain: before gas. bid: priority fee x gas used in % of the gain, median. failed: of all"
    " transactions to or of it. same: taken in the very block that opened the spread; the others"
    " after so many blocks (median)."
)


@dataclass(frozen=True, slots=True)
class Rivals(Answer):
    """opened: cycles that were first seen open at a block's end. without_receipts: blocks of
    which the node told no transactions. own: takes of ours, not among the others."""

    span: Span
    by: str
    rivals: tuple[Rival, ...]
    takes: int
    opened: int
    without_receipts: int
    own: int

    def as_json(self) -> dict[str, Any]:
        return {
            **span_json(self.span),
            "blocks": self.span.blocks,
            "blocks_without_receipts": self.without_receipts,
            "cycles_opened": self.opened,
            "takes": self.takes,
            "own_takes": self.own,
            "by": self.by,
            "rivals": [
                {
                    self.by: rival.who,
                    "senders": rival.senders,
                    "takes": rival.takes,
                    "gain_usd": rival.gain_micro_usd / MICRO_USD,
                    "bid_share_of_gain": rival.bid_share,
                    "transactions": rival.transactions,
                    "failed": rival.failed,
                    "failed_share": rival.failed_share,
                    "median_blocks_after_opening": rival.blocks_after,
                    "same_block": rival.same_block,
                    "last_block": rival.last_block,
                }
                for rival in self.rivals
            ],
        }

    def render(self) -> RenderableType:
        parts: list[RenderableType] = [span_line(self.span), Text(_sentence(self), style="bold")]
        if self.rivals:
            parts.append(_table(self))
            parts.append(Text(LEGEND, style="dim"))
        if len(self.rivals) > SHOWN:
            parts.append(Text(f"{len(self.rivals) - SHOWN} more in --json", style="dim"))
        if self.without_receipts:
            parts.append(
                Text(
                    f"{self.without_receipts} blocks came without receipts: who took their spreads,"
                    " and what was paid, is not known.",
                    style="yellow",
                )
            )
        return Group(*parts)


def answer(asked: BlocksAsked, *, by: str) -> Rivals:
    """Raises ConfigError, InputError for blocks that are not there, StoreError."""
    study = RivalsStudy(who_by(by))
    span = span_of(asked)
    found = studied(span, study)
    return Rivals(
        span, by, found.rivals, found.takes, found.opened, found.without_receipts, found.own
    )


# -- telling --------------------------------------------------------------------------------------


def _sentence(found: Rivals) -> str:
    ours = f" Not among them: {counted(found.own, 'arbitrage')} of ours." if found.own else ""
    return _of_others(found) + ours


def _of_others(found: Rivals) -> str:
    if not found.takes:
        if not found.opened:
            return "Nobody took a spread, and none was open at a block's end: nothing to take."
        return f"Nobody took a spread, though {found.opened} were open at a block's end."
    gain = sum(rival.gain_micro_usd for rival in found.rivals)
    first = found.rivals[0]
    share = first.gain_micro_usd / gain if gain else 0.0
    return (
        f"{counted(found.takes, 'arbitrage')} by {counted(len(found.rivals), found.by)} gained"
        f" {usd(gain)} USD before gas, the first of them {share:.0%} of it."
        f" {counted(found.opened, 'cycle')} stood open at a block's end."
    )


def _table(found: Rivals) -> RenderableType:
    table = plain_table(None, found.by)
    for name in ("takes", "gain USD", "bid %", "failed %", "same", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    for rival in found.rivals[:SHOWN]:
        table.add_row(
            called(rival.who),
            str(rival.takes),
            usd(rival.gain_micro_usd),
            percent(rival.bid_share, 1),
            percent(rival.failed_share, 1),
            str(rival.same_block),
            "-" if rival.blocks_after is None else f"{rival.blocks_after:g}",
        )
    return table
