"""dexarb scan: what is open now or at any block of a history, without any strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.core.following import Kind
from dexarb.core.market import Market
from dexarb.core.pool import PIPS, Pool
from dexarb.core.route import run as run_cycle
from dexarb.core.trade import Opportunity
from dexarb.core.units import MICRO_USD
from dexarb.errors import InputError, StoreError
from dexarb.screens.console import plain_console
from dexarb.screens.output import counted, print_json
from dexarb.store.follow import follow, start
from dexarb.store.history_reader import HistoryReader
from dexarb.study.searching import scanner_of
from dexarb.study.walk import history_reader
from dexarb.study.warm_up import warm_up
from dexarb.trading.costs import GasModel
from dexarb.trading.valuation import WINDOW_BLOCKS, Valuation


@dataclass(frozen=True, slots=True)
class Finding:
    """An opportunity with its worth. Money in micro-USD, None without a price.

    binding: the pool whose price the trade moves most, which is what limits its size.
    """

    opportunity: Opportunity
    gross_micro_usd: int | None
    net_micro_usd: int | None
    binding: Pool
    impact: float


def run(
    history: Path | None,
    *,
    config: Path,
    block: int | None,
    min_profit_usd: float,
    as_json: bool,
) -> int:
    """Returns 0. Raises StoreError, InputError for a block that the history does not have."""
    reader = history_reader(history, config)
    warm_up()
    market, valuation = market_at(reader, block)
    scanner = scanner_of(market, GasModel())
    wanted = [
        finding
        for finding in findings(market, valuation, scanner.scan.opportunities)
        if (finding.net_micro_usd or 0) >= min_profit_usd * MICRO_USD
    ]
    if as_json:
        told = [_as_json(finding) for finding in wanted]
        print_json({"block": market.block.number, "opportunities": told})
    else:
        plain_console(highlight=False).print(_screen(market, wanted, len(scanner.scan.open_cycles)))
    return 0


def market_at(reader: HistoryReader, block: int | None) -> tuple[Market, Valuation]:
    """The market at the end of a block of the branch, the newest if None, and its prices."""
    tip = reader.branch(1).tip
    if tip is None:
        raise StoreError(reader.folder, "has no blocks yet")
    number = tip.number if block is None else block
    branch = reader.branch(max(1, tip.number - number + 1))
    seq = next((header.seq for header in branch if header.number == number), None)
    if seq is None:
        raise InputError(f"block {number} is not in {reader.folder}, which ends at {tip.number}")
    market: Market | None = None
    valuation: Valuation | None = None
    for move, market in follow(reader, start(reader, block=number, before=WINDOW_BLOCKS), seq):
        if market is None:
            valuation = None
        elif valuation is None or move.kind is Kind.ANEW:
            valuation = Valuation(market)
        elif move.kind is Kind.RESTATED:
            valuation = Valuation(market, valuation, move.touched)
        else:
            if move.rewound_to is not None:
                valuation.rewind(move.rewound_to)
            if move.kind is Kind.APPLIED:
                valuation.observe(market, move.touched)
    if market is None or valuation is None or market.block.number != number:
        raise StoreError(reader.folder, f"does not lead to a market at block {number}")
    return market, valuation


def findings(
    market: Market, valuation: Valuation, opportunities: Sequence[Opportunity]
) -> list[Finding]:
    """The opportunities with what they are worth, the best net first."""
    gas_price = market.block.base_fee_per_gas + market.profile.default_priority_fee
    native = market.profile.wrapped_native
    found = []
    for opportunity in opportunities:
        gross = valuation.micro_usd(opportunity.cycle.start_token, opportunity.profit)
        gas = valuation.cost_micro_usd(native, opportunity.gas_units * gas_price)
        net = gross - gas if gross is not None and gas is not None else None
        found.append(Finding(opportunity, gross, net, *_binding(market, opportunity)))
    return sorted(found, key=lambda each: (-(each.net_micro_usd or 0), each.opportunity.cycle.id))


def _binding(market: Market, opportunity: Opportunity) -> tuple[Pool, float]:
    """The pool that the trade moves most, and by which share its marginal rate falls."""
    results = run_cycle(opportunity.cycle, opportunity.amount_in, market.pools.__getitem__)
    moved = []
    for hop, result in zip(opportunity.cycle.hops, results, strict=True):
        pool = market.pools[hop.pool]
        before, after = (next(iter(p.segments(hop.token_in)), None) for p in (pool, result.pool))
        impact = 1.0 - after.rate / before.rate if before and after else 1.0
        moved.append((impact, hop.pool, result.pool))
    impact, _, pool_after = max(moved, key=lambda each: each[:2])
    return pool_after, impact


def _as_json(finding: Finding) -> dict[str, Any]:
    opportunity = finding.opportunity
    return {
        "route": list(opportunity.cycle.pools),
        "tokens": list(opportunity.cycle.tokens),
        "amount_in": str(opportunity.amount_in),
        "amount_out": str(opportunity.amount_out),
        "gross": str(opportunity.profit),
        "gross_usd": _usd(finding.gross_micro_usd),
        "gas_units": opportunity.gas_units,
        "net_usd": _usd(finding.net_micro_usd),
        "binding": {"pool": finding.binding.address, "impact": finding.impact},
    }


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else micro_usd / MICRO_USD


def _screen(market: Market, wanted: Sequence[Finding], open_cycles: int) -> RenderableType:
    head = f"Block {market.block.number}: {counted(open_cycles, 'open cycle')}, {len(wanted)} shown"
    if wanted:
        return _table(market, wanted, head)
    why = (
        "None of them earns as much after gas: see --min-profit-usd."
        if open_cycles
        else "No cycle pays its fees here. `dexarb spreads` shows what was there in other blocks."
    )
    return Group(Text(head), Text(why, style="yellow"))


def _table(market: Market, wanted: Sequence[Finding], title: str) -> Table:
    """Eighty columns have to do: pools and what binds stand below the route."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("route, and the price moved", overflow="fold", min_width=24)
    for name in ("size", "gross USD", "gas units", "net USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for finding in wanted:
        opportunity = finding.opportunity
        start = market.tokens[opportunity.cycle.start_token]
        size = opportunity.amount_in / 10**start.decimals
        table.add_row(
            _route(market, finding),
            f"{size:,.2f} {start.symbol}",
            _money(finding.gross_micro_usd),
            f"{opportunity.gas_units:,}",
            _money(finding.net_micro_usd),
        )
    return table


def _route(market: Market, finding: Finding) -> str:
    """`USDC > WETH > USDC`, below it the pools in order, and the one that limits the size."""
    cycle = finding.opportunity.cycle
    symbols = [market.tokens[token].symbol for token in (*cycle.tokens, cycle.start_token)]
    lines = [
        " > ".join(symbols),
        *(f"  {_pool(market.pools[pool])}" for pool in cycle.pools),
    ]
    limiting = 1 + cycle.pools.index(finding.binding.address)
    lines[limiting] += f" -{finding.impact:.2%}{_tick(finding.binding)}"
    return "\n".join(lines)


def _pool(pool: Pool) -> str:
    return f"{pool.dex} {pool.fee_pips / PIPS:.2%}"


def _tick(pool: Pool) -> str:
    tick = pool.summary().get("tick")
    return "" if tick is None else f" to tick {tick}"


def _money(micro_usd: int | None) -> str:
    return "no price" if micro_usd is None else f"{micro_usd / MICRO_USD:,.2f}"
