"""dexarb scan: what is open now or at any block of a history, without any strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.core.pool import Pool
from dexarb.core.units import MICRO_USD, usd_or_none
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names, names_at
from dexarb.screens.output import counted
from dexarb.screens.progress import shown
from dexarb.screens.tables import plain_table
from dexarb.screens.when import When, blocks_of
from dexarb.study.open_now import Finding, OpenNow, priced, way_to
from dexarb.study.span import history_reader
from dexarb.study.study import run


@dataclass(frozen=True, slots=True)
class Findings(Answer):
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


def answer(
    history: Path | None, *, config: Path, block: When | None, min_profit_usd: float
) -> Findings:
    """Raises StoreError, InputError for a block that the history does not have."""
    reader = history_reader(history, config)
    _, number = blocks_of(reader, None, block)
    way = way_to(reader, number)
    blocks = way.number - way.first.block.number
    study = OpenNow(least_net=ceil(min_profit_usd * MICRO_USD))
    found = run(study, shown(priced(reader, way), "reading history", blocks))
    return Findings(way.number, found.findings, found.open_cycles, names_at(found.market))


def _finding_json(finding: Finding) -> dict[str, Any]:
    opportunity = finding.opportunity
    return {
        "route": list(opportunity.cycle.pools),
        "tokens": list(opportunity.cycle.tokens),
        "amount_in": str(opportunity.amount_in),
        "amount_out": str(opportunity.amount_out),
        "gross": str(opportunity.profit),
        "gross_usd": usd_or_none(finding.gross_micro_usd),
        "gas_units": opportunity.gas_units,
        "net_usd": usd_or_none(finding.net_micro_usd),
        "binding": {"pool": finding.binding.key, "impact": finding.impact},
    }


def _table(findings: Sequence[Finding], names: Names, title: str) -> Table:
    """Pools and what binds stand below the route."""
    table = plain_table(title)
    table.add_column("route, and the price moved", overflow="fold", min_width=24)
    table.add_column("size", justify="right", overflow="fold", max_width=20)
    for name in ("gross USD", "gas units", "net USD"):
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
