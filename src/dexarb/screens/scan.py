"""dexarb scan: what is open now or at any block of a history, without any strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.core.following import Kind
from dexarb.core.market import Market, PoolsChanged
from dexarb.core.pool import Pool
from dexarb.core.route import run as run_cycle
from dexarb.core.trade import Opportunity
from dexarb.core.units import MICRO_USD
from dexarb.errors import InputError, StoreError
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names, names_at
from dexarb.screens.output import counted
from dexarb.screens.tables import plain_table
from dexarb.store.follow import follow, start
from dexarb.store.history_reader import HistoryReader
from dexarb.study.searching import scanner_of
from dexarb.study.walk import history_reader
from dexarb.study.warm_up import warm_up
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation


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


@dataclass(frozen=True, slots=True)
class Scan(Answer):
    """What is open at the end of a block, the best net first. open_cycles: all of them, those that
    earn less than was asked for included."""

    block: int
    findings: Sequence[Finding]
    open_cycles: int
    names: Names

    def as_json(self) -> dict[str, Any]:
        return {"block": self.block, "opportunities": list(map(_finding_json, self.findings))}

    def render(self) -> RenderableType:
        cycles = counted(self.open_cycles, "open cycle")
        head = f"Block {self.block}: {cycles}, {len(self.findings)} shown"
        if self.findings:
            return _table(self.findings, self.names, head)
        why = (
            "None of them earns as much after gas: see --min-profit-usd."
            if self.open_cycles
            else "No cycle pays its fees here. `dexarb spreads` shows what was there in other"
            " blocks."
        )
        return Group(Text(head), Text(why, style="yellow"))


def answer(history: Path | None, *, config: Path, block: int | None, min_profit_usd: float) -> Scan:
    """Raises StoreError, InputError for a block that the history does not have."""
    reader = history_reader(history, config)
    warm_up()
    market, valuation = market_at(reader, block)
    scanner = scanner_of(market, REALITY.gas)
    wanted = [
        finding
        for finding in findings(market, valuation, scanner.scan.opportunities)
        if (finding.net_micro_usd or 0) >= min_profit_usd * MICRO_USD
    ]
    return Scan(market.block.number, wanted, len(scanner.scan.open_cycles), names_at(market))


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
    value = REALITY.value
    keyframe = start(reader, block=number, before=value.window_blocks)
    for move, market in follow(reader, keyframe, seq):
        if market is None:
            valuation = None
        elif valuation is None or move.kind is Kind.ANEW:
            valuation = value.valuation(market)
        elif move.kind is Kind.RESTATED:
            valuation = value.valuation(market, valuation, move.touched)
        elif isinstance(move.entry, PoolsChanged):
            valuation.amend(market, move.touched, move.entry.corrected)
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
    pools = market.ahead
    results = run_cycle(opportunity.cycle, opportunity.amount_in, pools.__getitem__)
    moved = []
    for hop, result in zip(opportunity.cycle.hops, results, strict=True):
        pool = pools[hop.pool]
        before, after = (
            next(iter(p.segments(hop.token_in, hop.token_out)), None) for p in (pool, result.pool)
        )
        impact = 1.0 - after.rate / before.rate if before and after else 1.0
        moved.append((impact, hop.pool, result.pool))
    impact, _, pool_after = max(moved, key=lambda each: each[:2])
    return pool_after, impact


def _finding_json(finding: Finding) -> dict[str, Any]:
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
        "binding": {"pool": finding.binding.key, "impact": finding.impact},
    }


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else micro_usd / MICRO_USD


def _table(findings: Sequence[Finding], names: Names, title: str) -> Table:
    """Pools and what binds stand below the route."""
    table = plain_table(title)
    table.add_column("route, and the price moved", overflow="fold", min_width=24)
    for name in ("size", "gross USD", "gas units", "net USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for finding in findings:
        opportunity = finding.opportunity
        table.add_row(
            _route(finding, names),
            names.amount(opportunity.cycle.start_token, opportunity.amount_in),
            _money(finding.gross_micro_usd),
            f"{opportunity.gas_units:,}",
            _money(finding.net_micro_usd),
        )
    return table


def _route(finding: Finding, names: Names) -> str:
    """`USDC > WETH > USDC`, below it the pools in order, and the one that limits the size."""
    cycle = finding.opportunity.cycle
    lines = [names.tokens_of(cycle), *(f"  {names.pool(pool)}" for pool in cycle.pools)]
    limiting = 1 + cycle.pools.index(finding.binding.key)
    lines[limiting] += f" -{finding.impact:.2%}{_tick(finding.binding)}"
    return "\n".join(lines)


def _tick(pool: Pool) -> str:
    tick = pool.summary().get("tick")
    return "" if tick is None else f" to tick {tick}"


def _money(micro_usd: int | None) -> str:
    return "no price" if micro_usd is None else f"{micro_usd / MICRO_USD:,.2f}"
