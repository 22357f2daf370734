"""dexarb probe: what a node says of the open cycles when it runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.core.route import Cycle
from dexarb.core.text import in_a_line
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names
from dexarb.screens.output import counted
from dexarb.screens.tables import plain_table

MOST = 400
"""Characters of what was refused: contracts word some of it."""


@dataclass(frozen=True, slots=True)
class Probed:
    """One open cycle, as we have it and as a node ran it.

    Amounts in the start token's smallest unit. chain_out: None where the node's run was refused,
    `refusal` then says why. gas: the least limit that a flash-funded run needs before refunds, by
    our model; chain_gas: the node's, where it estimates. skipped: why no node could be asked.
    """

    cycle: Cycle
    amount_in: int
    amount_out: int
    gas: int
    chain_out: int | None = None
    chain_gas: int | None = None
    refusal: str | None = None
    skipped: str | None = None

    @property
    def is_equal(self) -> bool:
        return self.chain_out == self.amount_out

    @property
    def differs(self) -> bool:
        return self.skipped is None and not self.is_equal


@dataclass(frozen=True, slots=True)
class ProbedCycles(Answer):
    """open_cycles: all that were open at the block. endpoint: who ran them, by name; None where
    nothing was to be run. estimates: whether he estimates gas."""

    block: int
    open_cycles: int
    probed: Sequence[Probed]
    names: Names
    endpoint: str | None
    estimates: bool

    @property
    def exit_code(self) -> int:
        """1 where one does not come out as we say."""
        return 1 if any(each.differs for each in self.probed) else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": not self.exit_code,
            "block": self.block,
            "open_cycles": self.open_cycles,
            "endpoint": self.endpoint,
            "estimates_gas": self.estimates,
            "probed": list(map(_as_json, self.probed)),
        }

    def render(self) -> RenderableType:
        head = f"Block {self.block}: {counted(self.open_cycles, 'open cycle')}"
        if not self.probed:
            return Text(f"{head}, so nothing to run")
        lines: list[RenderableType] = [
            self._table(f"{head}, {len(self.probed)} run by {self.endpoint}")
        ]
        if not self.estimates:
            lines.append(Text("The endpoint estimates no gas with overrides.", style="yellow"))
        lines.append(Text(self._verdict(), style="bold"))
        return Group(*lines)

    def _verdict(self) -> str:
        ran = [each for each in self.probed if each.skipped is None]
        equal = sum(each.is_equal for each in ran)
        return f"{equal} of {len(ran)} come out on the chain as we say, to the wei"

    def _table(self, title: str) -> Table:
        """What was refused stands below the route."""
        table = plain_table(in_a_line(title, MOST))
        table.add_column("route", overflow="fold", min_width=24)
        for name in ("ours", "chain's", "gas", "node's gas"):
            table.add_column(name, justify="right", overflow="fold")
        for each in self.probed:
            table.add_row(self._route(each), *self._figures(each))
        return table

    def _route(self, each: Probed) -> Text:
        names = self.names
        size = names.amount(each.cycle.start_token, each.amount_in)
        text = Text(f"{names.tokens_of(each.cycle)}, {size}")
        for pool in each.cycle.pools:
            text.append(f"\n  {names.pool(pool)}")
        if each.refusal is not None:
            text.append(f"\n{in_a_line(f'refused: {each.refusal}', MOST)}", style="bold red")
        if each.skipped is not None:
            text.append(f"\n{in_a_line(f'not run: {each.skipped}', MOST)}", style="yellow")
        return text

    def _figures(self, each: Probed) -> tuple[Text, ...]:
        token = each.cycle.start_token
        if each.chain_out is None:
            chain = Text("-")
        elif each.is_equal:
            chain = Text("equal", style="green")
        else:
            chain = Text(f"{each.chain_out - each.amount_out:+d} smallest units", style="bold red")
        difference = "-"
        if each.chain_gas is not None:
            difference = f"{each.chain_gas:,} ({each.chain_gas / each.gas - 1:+.0%})"
        ours = self.names.amount(token, each.amount_out)
        return Text(ours), chain, Text(f"{each.gas:,}"), Text(difference)


def _as_json(each: Probed) -> dict[str, Any]:
    return {
        "route": list(each.cycle.pools),
        "tokens": list(each.cycle.tokens),
        "amount_in": str(each.amount_in),
        "amount_out": str(each.amount_out),
        "chain_amount_out": None if each.chain_out is None else str(each.chain_out),
        "equal": None if each.skipped is not None else each.is_equal,
        "gas_limit_needed": each.gas,
        "chain_gas_limit_needed": each.chain_gas,
        "refusal": each.refusal,
        "skipped": each.skipped,
    }
