"""Tables for people: strategies and spreads, on a screen or as text in a log."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from dexarb.apps.standing import MICRO
from dexarb.core.market import Market
from dexarb.core.pool import PIPS, Pool
from dexarb.core.token import Address
from dexarb.report.spreads import Spread
from dexarb.store.ledger_rows import Standing

LOG_WIDTH = 118


def strategy_table(rows: Sequence[Standing], title: str | None = None) -> Table:
    """Counts and net profit of each strategy; the band is what other places would have paid."""
    table = _table(title, "strategy")
    for name in ("seen", "sent", "fill", "rev", "lost", "open", "net USD", "band USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        net = row.profit_micro_usd
        low, high = row.band_low_micro_usd / MICRO, row.band_high_micro_usd / MICRO
        counts = (row.seen, row.sent, row.filled, row.reverted, row.lost, row.open)
        table.add_row(
            row.name,
            *map(str, counts),
            f"[{_color(net)}]{net / MICRO:+.2f}[/]",
            f"{low:.2f}..{high:.2f}",
        )
    return table


def spread_table(
    spreads: Mapping[tuple[Address, Address], Spread],
    market: Market,
    title: str | None = None,
) -> Table:
    """Per pair the two pools that stand best against each other, in basis points."""
    table = _table(title, "pair", "between")
    for name in ("spread bp", "needed", "after fees"):
        table.add_column(name, justify="right", no_wrap=True)
    for tokens, spread in sorted(spreads.items(), key=lambda i: -i[1].after_fees_bps):
        after = spread.after_fees_bps
        table.add_row(
            pair_name(tokens, market),
            f"{_pool(spread.buy)} > {_pool(spread.sell)}",
            f"{spread.raw_bps:.1f}",
            f"{spread.needed_bps:.1f}",
            f"[{'bold green' if after > 0 else 'dim'}]{after:+.1f}[/]",
        )
    return table


def pair_name(tokens: tuple[Address, Address], market: Market) -> str:
    """`WETH/USDC`: as people say it, the numeraire last."""
    base, quote = tokens
    if base == market.profile.numeraire:
        base, quote = quote, base
    return "/".join(market.tokens[token].symbol for token in (base, quote))


def _table(title: str | None, *columns: str) -> Table:
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


def _pool(pool: Pool) -> str:
    return f"{pool.dex} {pool.fee_pips / PIPS:.2%}"


def _color(micro_usd: int) -> str:
    return "green" if micro_usd > 0 else "red" if micro_usd < 0 else "dim"


def as_text(table: RenderableType) -> str:
    """The table without colors, for a log."""
    buffer = io.StringIO()
    Console(file=buffer, width=LOG_WIDTH, no_color=True, highlight=False).print(table)
    return buffer.getvalue().rstrip()
