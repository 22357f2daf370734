"""Tables for people: strategies and spreads, on a screen or as text in a log."""

from __future__ import annotations

import heapq
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from dexarb.core.market import Market
from dexarb.core.text import as_name
from dexarb.core.token import Address
from dexarb.core.trade import StrategyHash
from dexarb.core.units import MICRO_USD, SECONDS_PER_DAY, SECONDS_PER_HOUR
from dexarb.screens.console import plain_console
from dexarb.screens.names import names_at
from dexarb.screens.when import utc

if TYPE_CHECKING:
    from dexarb.store.ledger_rows import StrategyTotals
    from dexarb.study.performance import Performance
    from dexarb.study.spreads import Spread

LOG_WIDTH = 118
UNKNOWN = "?"
COUNTS, PERFORMANCE = "counts", "performance"
COUNTS_LEAST = ("seen", "open", "lost", "rev", "band USD", "sent", "fill")
PERFORMANCE_LEAST = (
    "since", "gas lost", "gas fill", "gas rev", "won %", "drawdown", "USD a day",
)  # fmt: skip
"""Which columns are left out first where a line is too short."""


def strategy_table(
    rows: Sequence[StrategyTotals],
    title: str | None = None,
    remarks: Mapping[StrategyHash, str] | None = None,
    performances: Sequence[Performance] = (),
    *,
    first: str = COUNTS,
) -> FittingTable:
    """Counts and net profit of each strategy; the band is what other places would have paid.

    Where the place of a fill is not known, neither is its profit: the band alone has it.
    remarks: what is told behind the name, by hash; several strategies can have the same name.
    performances: of the rows; empty: these columns are not there. first: COUNTS or PERFORMANCE,
    which of both is shown where there is not room for all.
    """
    figures: dict[str, Sequence[str | Text]] = {
        "seen": [str(row.seen) for row in rows],
        "sent": [str(row.sent) for row in rows],
        "fill": [str(row.filled) for row in rows],
        "rev": [str(row.reverted) for row in rows],
        "lost": [str(row.lost) for row in rows],
        "open": [str(row.open) for row in rows],
        "net USD": [placed_usd(row) for row in rows],
        "band USD": [band(row.band_low_micro_usd, row.band_high_micro_usd) for row in rows],
    }
    if performances:
        figures |= _performance_columns(rows, performances)
    names = [_named(row, (remarks or {}).get(row.hash)) for row in rows]
    least = (*PERFORMANCE_LEAST, *COUNTS_LEAST)
    if first == PERFORMANCE:
        least = (*COUNTS_LEAST, *PERFORMANCE_LEAST)
    return FittingTable(
        title, "strategy", names, figures, [each for each in least if each in figures]
    )


def _performance_columns(
    rows: Sequence[StrategyTotals], found: Sequence[Performance]
) -> dict[str, Sequence[str | Text]]:
    """`-` where there is nothing to tell from yet, or where it is not known."""
    return {
        "won %": [percent(each.win_rate) for each in found],
        "USD a day": [
            Text("-") if each.per_day_micro_usd is None else signed_usd(each.per_day_micro_usd)
            for each in found
        ],
        "drawdown": [
            "-" if each.drawdown_micro_usd is None else usd(each.drawdown_micro_usd)
            for each in found
        ],
        "gas fill": [usd(row.gas_filled_micro_usd) for row in rows],
        "gas rev": [usd(row.gas_reverted_micro_usd) for row in rows],
        "gas lost": [usd(row.gas_lost_micro_usd) for row in rows],
        "since": ["-" if each.since is None else utc(each.since)[5:16] for each in found],
    }


def _named(row: StrategyTotals, remark: str | None) -> Text:
    return Text.assemble(as_name(row.name), (f" ({remark})", "dim") if remark else "")


NAME_WIDTH = 16
"""With so much of a line even long names can be read, on two or three lines."""


_GAP = 2
"""Blanks between two columns of a table; of its edges there is one each."""


@dataclass(frozen=True, slots=True)
class FittingTable:
    """Names, and figures by column. Where a line is too short for the names beside the figures,
    the columns of `least` are left out, one after the other."""

    title: str | None
    heading: str
    names: Sequence[Text]
    figures: Mapping[str, Sequence[str | Text]]
    least: Sequence[str]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        yield self.table(options.max_width)

    def without(self, column: str) -> FittingTable:
        figures = {name: cells for name, cells in self.figures.items() if name != column}
        return replace(self, figures=figures, least=[each for each in self.least if each != column])

    def table(self, width: int) -> Table:
        """As it is on a line of so many characters."""
        shown = self._fitting(width)
        table = plain_table(self.title)
        table.add_column(self.heading, overflow="fold")
        for column in shown:
            table.add_column(column, justify="right", no_wrap=True)
        for name, *figures in zip(self.names, *(self.figures[each] for each in shown), strict=True):
            table.add_row(name, *figures)
        return table

    def _fitting(self, width: int) -> list[str]:
        widths = {column: max(map(len, (column, *cells))) for column, cells in self.figures.items()}
        longest = max((name.cell_len for name in self.names), default=0)
        name = min(max(longest, len(self.heading)), NAME_WIDTH)
        shown = list(self.figures)
        for column in self.least:
            if name + _GAP + sum(widths[each] + _GAP for each in shown) <= width:
                break
            shown.remove(column)
        return shown


def best(rows: Sequence[StrategyTotals], limit: int) -> Sequence[StrategyTotals]:
    """As they are where no more than `limit`, else so many of them by profit."""
    if len(rows) <= limit:
        return rows
    return heapq.nlargest(limit, rows, key=attrgetter("placed_micro_usd"))


def spread_table(
    spreads: Mapping[tuple[Address, Address], Spread],
    market: Market,
    title: str | None = None,
    limit: int | None = None,
) -> Table:
    """Per pair the two pools that stand best against each other, in basis points.

    limit: only so many pairs, the nearest to paying.
    """
    names = names_at(market)
    table = plain_table(title, "pair", "between")
    for name in ("spread bp", "needed", "after fees"):
        table.add_column(name, justify="right", no_wrap=True)
    for tokens, spread in sorted(spreads.items(), key=lambda i: -i[1].after_fees_bps)[:limit]:
        after = spread.after_fees_bps
        table.add_row(
            names.pair(tokens),
            f"{names.pool(spread.buy.key)} > {names.pool(spread.sell.key)}",
            f"{spread.raw_bps:.1f}",
            f"{spread.needed_bps:.1f}",
            Text(f"{after:+.1f}", style="bold green" if after > 0 else "dim"),
        )
    return table


def placed_usd(row: StrategyTotals) -> Text:
    """`+3.50`, `+3.50?` where there are fills besides whose place is not known."""
    return Text.assemble(signed_usd(row.placed_micro_usd), UNKNOWN if row.unplaced else "")


CENT = MICRO_USD // 100


def usd(micro_usd: int) -> str:
    """`1,234.50`; more digits where cents would show nothing."""
    return f"{micro_usd / MICRO_USD:,.{_digits(micro_usd)}f}"


def _digits(micro_usd: int) -> int:
    size = abs(micro_usd)
    if size >= CENT or not size:
        return 2
    return 4 if size >= CENT // 100 else 6


def percent(share: float | None, digits: int = 0) -> str:
    """`12`, `-` where nobody knows."""
    return "-" if share is None else f"{100 * share:.{digits}f}"


def apart(one_micro_usd: int, other_micro_usd: int) -> tuple[str, str]:
    """Both, with digits enough to tell them apart."""
    one, other = usd(one_micro_usd), usd(other_micro_usd)
    if one == other and one_micro_usd != other_micro_usd:
        one, other = (f"{each / MICRO_USD:,.6f}" for each in (one_micro_usd, other_micro_usd))
    return one, other


def signed_usd(micro_usd: int) -> Text:
    """`+1,234.50` in its color."""
    shown = f"{micro_usd / MICRO_USD:+,.{_digits(micro_usd)}f}"
    return Text(shown, style=_color(micro_usd))


def band(low_micro_usd: int, high_micro_usd: int) -> str:
    """`-0.01..39.97`"""
    return f"{usd(low_micro_usd)}..{usd(high_micro_usd)}"


def ago(seconds: float) -> str:
    """`3 s`, `4 min`, `2 h`, `5 days`: coarse, so that it changes as seldom as it can."""
    for unit, size, until in (
        ("s", 1, 100),
        ("min", 60, 100 * 60),
        ("h", SECONDS_PER_HOUR, 48 * SECONDS_PER_HOUR),
    ):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / SECONDS_PER_DAY:.0f} days"


def bar(share: float, width: int) -> str:
    """A bar of at most `width` characters; anything above nothing is seen."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    full, rest = divmod(max(eighths, 1 if share > 0 else 0), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def plain_table(title: str | None, *columns: str) -> Table:
    """As narrow as its contents: eighty columns have to do."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _color(micro_usd: int) -> str:
    return "green" if micro_usd > 0 else "red" if micro_usd < 0 else "dim"


def as_text(table: RenderableType) -> str:
    """The table without colors, for a log."""
    buffer = io.StringIO()
    plain_console(file=buffer, width=LOG_WIDTH, no_color=True, highlight=False).print(table)
    return buffer.getvalue().rstrip()
