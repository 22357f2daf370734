"""dexarb why A B: the same opportunities side by side.

What both took stands in the ledger. Why one of them let an opportunity pass, the ledger only
counts; that is found by deciding again over the recorded history, and checked against the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.paths import ConfigPaths
from dexarb.core.text import as_name
from dexarb.core.trade import DecisionId, StrategyHash
from dexarb.core.units import MICRO_USD, usd_or_none
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.explanation import (
    Explanation,
    in_units,
    quantities,
    sentence,
    unit_of,
    wants,
)
from dexarb.screens.names import Names
from dexarb.screens.progress import shown
from dexarb.screens.tables import plain_table
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_notes import FIRST_SEQ, STATE_AGES, StateAge
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import Epoch, StrategyRow
from dexarb.study.redecide import redecided
from dexarb.study.side_by_side import Episode, Furthest, SideBySide, counts
from dexarb.study.study import run
from dexarb.trading.strategy import THRESHOLD, StrategySettings, weighs_misses

SHOWN = 30
BETTER_FIRST = "another trade of the same block came first"


@dataclass(frozen=True, slots=True)
class Comparison(Answer):
    """explanations: of the two strategies. episodes: those within the scope of either, on the
    blocks that stand, oldest first. differing: decisions that deciding again gave and the ledger
    does not have, or the other way round. died: decisions made on blocks that died."""

    explanations: tuple[Explanation, Explanation]
    names: Names
    episodes: tuple[Episode, ...]
    differing: int
    died: int
    outcomes: Mapping[DecisionId, str]
    nets: Mapping[DecisionId, int]

    @property
    def keys(self) -> list[StrategyHash]:
        return [each.strategy.hash for each in self.explanations]

    def problems(self) -> Iterator[str]:
        if self.differing:
            yield (
                f"warning: deciding again differs from the ledger in {self.differing} decisions;"
                " the program has changed since"
            )

    def as_json(self) -> dict[str, Any]:
        rows = [each.strategy for each in self.explanations]
        return {
            "strategies": [{"name": each.name, "hash": each.hash} for each in rows],
            **asdict(counts(self.keys, self.episodes)),
            "decisions_differing_from_ledger": self.differing,
            "decisions_on_blocks_that_died": self.died,
            "episodes": [
                {
                    "cycle": each.cycle.id,
                    "route": list(each.cycle.pools),
                    "tokens": list(each.cycle.tokens),
                    "opened_block": each.opened,
                    "stands": [_stand_json(each.stands[key], self) for key in self.keys],
                }
                for each in self.episodes
            ],
        }

    def render(self) -> RenderableType:
        one, other = (as_name(each.strategy.name) for each in self.explanations)
        took = counts(self.keys, self.episodes)
        parts: list[RenderableType] = []
        for each in self.explanations:
            parts.append(
                Text.assemble((as_name(each.strategy.name), "bold"), f"  {each.strategy.hash}")
            )
            parts.append(Text(wants(each.settings, self.names), style="dim"))
            parts.append(Text(sentence(each), style="yellow"))
        parts.append(Text(""))
        parts.append(
            Text(
                f"{len(self.episodes)} episodes: both took {took.both}, {one} alone"
                f" {took.first_alone}, {other} alone {took.second_alone}, neither {took.neither}",
                style="bold",
            )
        )
        if self.episodes:
            parts.append(_table((one, other), self))
        if len(self.episodes) > SHOWN:
            parts.append(Text(f"the newest {SHOWN}; --json has all", style="dim"))
        return Group(*parts)


def compare(
    files: ConfigPaths, explanations: tuple[Explanation, Explanation], names: Names
) -> Comparison:
    """Decide again, with both strategies, all that the ledger has.

    Raises InputError for what cannot be compared, StoreError where the history is gone.
    """
    settings = [each.settings for each in explanations]
    if settings[0].hash == settings[1].hash:
        raise InputError(f'"{settings[0].name}" is the same strategy twice')
    for each in settings:
        if each.kind != THRESHOLD:
            raise InputError(
                f'"{each.name}" has code of its own ({each.kind}), which may not be run twice.'
                f' `dexarb why "{each.name}"` shows what the ledger knows about it'
            )
    keys = [each.hash for each in settings]
    with read_only(files.ledger_file) as reader, reader.at_one_moment():
        history = HistoryReader(reader.history)
        noted, last = reader.note(FIRST_SEQ), reader.seq
        first = 0 if noted is None else noted
        epochs, state_ages = reader.epochs(), reader.note(STATE_AGES) or ()
        weighing_from = _weighing_from(reader.strategies(), epochs)
        probes = reader.probes(barring=True)
        in_ledger = {row.decision.id for key in keys for row in reader.decisions(key)}
        fills = [row.fill for key in keys for row in reader.fills(key) if row.reorged_seq is None]
    feed = redecided(
        history,
        settings,
        epochs,
        from_seq=first,
        to_seq=last,
        state_ages=state_ages or (StateAge(first, files.max_state_age_s),),
        weighing_from=weighing_from,
        probes=probes,
    )
    found = run(SideBySide(keys), shown(feed, "deciding again", last - first))
    return Comparison(
        explanations,
        names,
        found.episodes,
        len(found.made ^ in_ledger),
        len(found.died),
        {fill.decision.id: fill.status.value for fill in fills},
        {fill.decision.id: fill.net_micro_usd for fill in fills},
    )


def _weighing_from(rows: Sequence[StrategyRow], epochs: Sequence[Epoch]) -> int | None:
    """The entry from which on chances have been counted: they are the same for all strategies."""
    weighing = {
        row.hash
        for row in rows
        if weighs_misses([StrategySettings.from_canonical(row.name, row.config)])
    }
    return min((each.from_seq for each in epochs if each.strategy in weighing), default=None)


def _outcome(stand: Furthest, found: Comparison) -> str:
    """`filled +3.10`, `profit: 0.41 of 5.00 USD`, `pair`"""
    if stand.sent:
        last = stand.sent[-1]
        status = found.outcomes.get(last, "open")
        net = found.nets.get(last)
        return status if net is None else f"{status} {net / MICRO_USD:+,.2f}"
    if stand.reason is None:
        return BETTER_FIRST if stand.blocks else "took no part"
    text = stand.reason.value
    if stand.needed is None or stand.best is None:
        return text
    needed, best = quantities(stand.reason, stand.needed, stand.best)
    return f"{text}: {best} of {needed} {unit_of(stand.reason)}"


def _stand_json(stand: Furthest, found: Comparison) -> dict[str, Any]:
    last = stand.sent[-1] if stand.sent else None
    net = found.nets.get(last) if last else None
    return {
        "sent": last is not None,
        "outcome": found.outcomes.get(last, "open") if last else None,
        "net_usd": usd_or_none(net),
        "reason": None if last or stand.reason is None else stand.reason.value,
    } | (in_units(stand.reason, stand.needed, stand.best) if stand.reason and not last else {})


def _table(titles: tuple[str, str], found: Comparison) -> RenderableType:
    keys, names = found.keys, found.names
    table = plain_table(None)
    table.add_column("opened", justify="right")
    table.add_column("route", overflow="fold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for each in found.episodes[-SHOWN:]:
        stands = [each.stands[key] for key in keys]
        styles = ["green" if stand.sent else "" for stand in stands]
        cells = [
            Text(_outcome(s, found), style=style) for s, style in zip(stands, styles, strict=True)
        ]
        route = Text(f"{names.tokens_of(each.cycle)}\n")
        route.append(names.pools_of(each.cycle), style="dim")
        table.add_row(str(each.opened), route, *cells)
    return table
