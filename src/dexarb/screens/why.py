"""dexarb why: the funnels of strategies, nearest misses, and what stands in their way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.paths import config_paths
from dexarb.core.text import as_name
from dexarb.core.units import MICRO_USD, PPM_PER_PERCENT
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.collector_health import trading_remarks
from dexarb.screens.explanation import (
    Explanation,
    explanations,
    in_units,
    nearly,
    sentence,
    state,
    wants,
)
from dexarb.screens.names import Names, find_strategy, names_of, state_beside
from dexarb.screens.output import in_lines
from dexarb.screens.probe_lines import barred_as_json, barred_lines
from dexarb.screens.tables import band, bar, placed_usd, plain_table
from dexarb.store.ledger_figures import Foreseen
from dexarb.store.ledger_reader import read_only
from dexarb.study.funnel import EXPLAINED, Funnel
from dexarb.study.stops import stop_as_json
from dexarb.study.totals import as_json

BAR = 20
SHOWN = 30
NAME_WIDTH = 20
FAILED_ITSELF = "It failed in its own code and is stopped."


@dataclass(frozen=True, slots=True)
class AllInBrief(Answer):
    """All strategies that take part, in the order of the configuration."""

    explanations: Sequence[Explanation]
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"strategies": [_explanation_json(each) for each in self.explanations]}

    def render(self) -> RenderableType:
        found = self.explanations
        if not found:
            hint = "No strategies yet: paper-trading takes them up with the next block it sees"
            return Text(hint, style="yellow")
        table = plain_table(None)
        table.add_column("strategy", overflow="fold", max_width=NAME_WIDTH)
        for name in ("offered", "sent", "fill"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("what stands most in the way")
        for each in found[:SHOWN]:
            counts = (each.funnel.offered, each.funnel.sent, each.totals.filled)
            why = FAILED_ITSELF if each.problem else sentence(each)
            table.add_row(Text(as_name(each.strategy.name)), *map(str, counts), Text(why))
        rest = len(found) - SHOWN
        more = [f"{rest:,} more: --json has all"] if rest > 0 else []
        hint = "`dexarb why NAME` has the whole funnel, `dexarb why A B` two side by side."
        return Group(
            *(Text(remark, style="bold red") for remark in self.remarks),
            table,
            *(Text(line, style="dim") for line in (*more, hint)),
        )


@dataclass(frozen=True, slots=True)
class OneInFull(Answer):
    """One strategy with its funnel, its nearest misses and its books."""

    explanation: Explanation
    names: Names
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return _explanation_json(self.explanation)

    def render(self) -> RenderableType:
        found = self.explanation
        head = f"  {found.strategy.hash}, {state(found)}"
        misses = (f"Nearest miss by {each.reason.value}: {nearly(each)}" for each in found.misses)
        return Group(
            Text.assemble((as_name(found.strategy.name), "bold"), head),
            Text(wants(found.settings, self.names), style="dim"),
            Text(""),
            *(Text(remark, style="bold red") for remark in self.remarks),
            Text(sentence(found), style="bold yellow"),
            _table(found.funnel),
            *map(Text, misses),
            *map(Text, barred_lines(found.barred, self.names)),
            *_foreseen(found),
            *_books(found),
        )


def answer(config: Path, names: Sequence[str]) -> Answer:
    """All strategies in brief, one in full, or two side by side.

    Raises ConfigError, InputError, StoreError.
    """
    if len(names) > 2:
        raise InputError(f"{len(names)} names were given; why explains one strategy, or two")
    files = config_paths(config)
    with read_only(files.ledger_file) as reader, reader.at_one_moment():
        active = reader.active()
        known = reader.strategies()
        rows = [find_strategy(name, known, active) for name in names]
        asked = rows or [row for row in known if row.hash in active]
        state = state_beside(files.state_file)
        found = explanations(reader, known, asked, state.block if state else None)
    remarks = tuple(trading_remarks(state.metrics)) if state else ()
    if not names:
        return AllInBrief(found, remarks)
    if len(found) == 1:
        return OneInFull(found[0], names_of(state), remarks)
    from dexarb.screens.side_by_side import compare  # brings the search with it

    return compare(files, (found[0], found[1]), names_of(state))


def _explanation_json(found: Explanation) -> dict[str, Any]:
    obstacle = found.obstacle
    return as_json(found.totals) | {
        "won_over_taker_usd": found.won_over_taker_micro_usd / MICRO_USD,
        "state": state(found),
        **stop_as_json(found.stop),
        "block": found.last_block,
        "offered": found.funnel.offered,
        "stopped": {stage.reason.value: stage.stopped for stage in found.funnel.stages},
        "nearest_misses": [
            {"reason": miss.reason.value, "block": miss.block}
            | in_units(miss.reason, miss.needed, miss.best)
            for miss in found.misses
        ],
        "refused_net_usd": found.refused_net_micro_usd / MICRO_USD,
        "not_executable": list(map(barred_as_json, found.barred)),
        "p_fill": _foreseen_json(found.foreseen),
        "bound": {
            "reverted": found.bounded.reverted,
            "gain_usd": found.bounded.micro_usd / MICRO_USD,
        },
        "obstacle": None if obstacle is None else asdict(obstacle),
        "sentence": sentence(found),
        "earlier": list(found.earlier),
        "problem": found.problem,
    }


def _foreseen_json(foreseen: Sequence[Foreseen]) -> dict[str, Any] | None:
    """None of a strategy that does not weigh misses, or has not sent anything that is settled."""
    if not foreseen:
        return None
    return {
        **_told_json(foreseen),
        "bands": [
            {"from_percent": each.tenth * 10, "to_percent": each.tenth * 10 + 10}
            | _told_json([each])
            for each in foreseen
        ],
    }


def _told_json(foreseen: Sequence[Foreseen]) -> dict[str, float]:
    settled = sum(each.settled for each in foreseen)
    return {
        "settled": settled,
        "predicted_percent": sum(each.sum_ppm for each in foreseen) / settled / PPM_PER_PERCENT,
        "came_percent": 100 * sum(each.filled for each in foreseen) / settled,
    }


def _foreseen(found: Explanation) -> Iterator[RenderableType]:
    """Chances of a fill against what came."""
    told = _foreseen_json(found.foreseen)
    if told is None:
        return
    table = plain_table(None, "chance given")
    for name in ("settled", "predicted", "came"):
        table.add_column(name, justify="right")
    for each in [*told["bands"], told]:
        band = f"{each['from_percent']} to {each['to_percent']} %" if each is not told else "all"
        shares = (f"{each[key]:.1f} %" for key in ("predicted_percent", "came_percent"))
        table.add_row(band, str(each["settled"]), *shares)
    yield table


def _table(found: Funnel) -> RenderableType:
    table = plain_table(None, "opportunity x block")
    table.add_column("count", justify="right")
    table.add_column("")
    table.add_column("why it ended here")
    whole = max(found.offered, 1)
    table.add_row("offered", str(found.offered), bar(found.offered / whole, BAR), "")
    for stage in found.stages:
        share = bar(stage.stopped / whole, BAR)
        reason = stage.reason.value
        table.add_row(
            f"  {reason}", f"-{stage.stopped}", Text(share, style="red"), EXPLAINED[stage.reason]
        )
    table.add_row("sent", str(found.sent), bar(found.sent / whole, BAR), "", style="bold")
    for key, count in found.outcomes.items():
        if count:
            color = "green" if key == "filled" else "red"
            table.add_row(f"  {key}", str(count), Text(bar(count / whole, BAR), style=color), "")
    return table


def _books(found: Explanation) -> Iterator[Text]:
    """What came of it, and what else there is to know."""
    row = found.totals
    if row.sent:
        net = placed_usd(row)
        other = band(row.band_low_micro_usd, row.band_high_micro_usd)
        yield Text.assemble("Net ", net, f" USD; at other places in the blocks {other} USD")
    if row.unplaced:
        yield Text(
            f"?: without {row.unplaced} whose place is not known: of these only the band is true."
        )
    if found.bounded.reverted:
        count, gain = found.bounded.reverted, found.bounded.micro_usd / MICRO_USD
        yield Text(
            f"{count:,} of {row.reverted:,} reverted by the bound though they would have gained:"
            f" {gain:+,.2f} USD. The bound is max_slippage_percent and min_profit_onchain_usd."
        )
    if found.won_over_taker_micro_usd:
        won = found.won_over_taker_micro_usd / MICRO_USD
        yield Text(f"Of this {won:+,.2f} USD were won over a taker who was really there.")
    if found.refused_net_micro_usd:
        refused = found.refused_net_micro_usd / MICRO_USD
        yield Text(f"Of this {refused:+,.2f} USD came of routes that a node refuses to run.")
    if found.earlier:
        yield Text(f"Earlier under this name: {', '.join(found.earlier)}", style="dim")
    if found.problem:
        yield Text(in_lines(found.problem), style="red")
    if not row.sent and not found.funnel.in_scope:
        yield Text("Next: `dexarb spreads` shows how far the market was from paying.", style="dim")
