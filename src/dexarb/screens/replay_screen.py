"""What a replay came to: strategies ranked, with bands, and what it cannot know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.core.text import as_name, in_a_line
from dexarb.core.units import SECONDS_PER_HOUR
from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.screens.output import counted, listed
from dexarb.screens.status import ACTIVE, SORTS, UNPLACED
from dexarb.screens.tables import ago, strategy_table
from dexarb.store.ledger_difference import Difference
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.study.replay import Tally
from dexarb.study.totals import Totals

NAMES = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """With the ledger whose epochs were traded again. unlike: models of reality, and own
    strategies, that are other ones in this program: what they were, and what they are."""

    ledger: Path
    digest: str
    difference: Difference | None
    unlike: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ReplayedHistory(Answer):
    """ledger: None where it is not kept. latency_ms: names of strategies that have one. took_s:
    seconds that it took."""

    history: Path
    ledger: Path | None
    digest: str
    tally: Tally
    totals: Totals
    opportunities: int
    latency_ms: Sequence[str]
    compared: Compared | None
    took_s: float

    @property
    def is_equal(self) -> bool:
        return self.compared is None or self.compared.digest == self.digest

    @property
    def exit_code(self) -> int:
        """1 where a live ledger says otherwise."""
        return 0 if self.is_equal else 1

    def ranked(self) -> list[StrategyTotals]:
        return sorted(self.totals.rows, key=SORTS["profit"])

    def as_json(self) -> dict[str, Any]:
        tally, compared = self.tally, self.compared
        return {
            "blocks": tally.blocks,
            "first_block": tally.first,
            "last_block": tally.last,
            "hours": round(tally.hours, 3),
            "pools": len(tally.pools),
            "opportunities": self.opportunities,
            "ledger_digest": self.digest,
            "strategies": [self.totals.as_json(row) for row in self.ranked()],
            "history": str(self.history),
            "ledger": None if self.ledger is None else str(self.ledger),
            "not_known": {
                "blocks_without_receipts": tally.without_receipts,
                "blocks_nobody_saw_live": tally.unseen,
                "blocks_fetched_later": tally.backfilled,
                "latency_ms_not_held": list(self.latency_ms) if tally.unseen else [],
            },
            "blocks_died": tally.died,
            "took_s": round(self.took_s, 3),
            "live": None if compared is None else _compared_json(compared, equal=self.is_equal),
        }

    def problems(self) -> Iterator[str]:
        compared = self.compared
        if compared is None:
            return
        for model, (there, here) in compared.unlike.items():
            yield f"warning: {model} was {there} in {compared.ledger}, and is {here} here"
        if not self.is_equal:
            yield f"error: {_difference_text(compared)}"

    def render(self) -> RenderableType:
        tally, rows = self.tally, self.ranked()
        states = {row.hash: self.totals.state(row) for row in rows}
        idle = {key: state for key, state in states.items() if state != ACTIVE}
        done = [self.totals.performance(row) for row in rows]
        blocks = counted(tally.blocks, "block")
        ends = (
            f"Blocks {tally.first} to {tally.last}: {blocks}, {ago(tally.hours * SECONDS_PER_HOUR)}"
        )
        found = (
            f"{counted(len(tally.pools), 'pool')}, {self.opportunities:,} opportunities x blocks"
        )
        parts: list[RenderableType] = [
            Text(f"{ends}; {found}"),
            strategy_table(rows, remarks=idle, performances=done),
            Text(f"A replay ranks, it does not prove: {_worth(tally)}", style="dim"),
        ]
        parts += [Text(line, style="yellow") for line in self._not_known()]
        if self.compared is not None and self.is_equal:
            parts.append(Text(f"The same as {from_here(self.compared.ledger)}: live equals replay"))
        parts.append(Text(f"Ledger {self.digest}", style="dim"))
        if self.ledger is not None:
            parts.append(unbroken(from_here(self.ledger)))
        return Group(*parts)

    def _not_known(self) -> Iterator[str]:
        tally = self.tally
        received = tally.blocks + tally.died
        if not self.totals.rows:
            yield "No strategy took part."
        if tally.without_receipts:
            blocks = f"{tally.without_receipts:,} of {received:,} blocks"
            yield f"{blocks} have no receipts: places in them are not known."
        if any(row.unplaced for row in self.totals.rows):
            yield UNPLACED
        if tally.unseen:
            names = listed([as_name(each) for each in self.latency_ms], NAMES)
            held = f"; latency_ms of {names} is not held there" if self.latency_ms else ""
            yield (
                f"{tally.unseen:,} of {received:,} blocks do not tell when they were seen: none of"
                f" them counts as late, and latency is counted in blocks alone{held}."
            )
        if tally.backfilled:
            yield (
                f"{tally.backfilled:,} of {received:,} blocks were fetched after their time:"
                " nobody could have traded on them, so nothing is sent there."
            )


def from_here(path: Path) -> str:
    """As short as it can be told."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _worth(tally: Tally) -> str:
    """In a sentence, what so many blocks can tell."""
    return (
        f"{_stretch(tally)} are one stretch of one market, and the best of several on it is partly"
        " luck."
    )


def _stretch(tally: Tally) -> str:
    """`1,000 blocks in 33 min`"""
    return f"{counted(tally.blocks, 'block')} in {ago(tally.hours * SECONDS_PER_HOUR)}"


def _compared_json(compared: Compared, *, equal: bool) -> dict[str, Any]:
    found = compared.difference
    return {
        "ledger": str(compared.ledger),
        "digest": compared.digest,
        "equal": equal,
        "unlike": {name: list(pair) for name, pair in compared.unlike.items()},
        "difference": None
        if found is None
        else {
            "table": found.table,
            "block": found.block,
            "strategy": found.strategy,
            "key": list(found.key),
            "column": found.column,
            "live": found.one,
            "replay": found.other,
        },
    }


def _difference_text(compared: Compared) -> str:
    found = compared.difference
    if found is None:
        return f"{compared.ledger} has another digest"
    where = f"block {found.block}: " if found.block is not None else ""
    who = f'"{as_name(found.strategy)}": ' if found.strategy is not None else ""
    key = in_a_line(" ".join(map(str, found.key[-1:])), 80)
    what = f"{found.table} {key}"
    if found.column is None:
        has = "the live ledger alone has it" if found.one else "only the replay has it"
        return f"{where}{who}{what}: {has}"
    values = in_a_line(f"{found.one} live, {found.other} in the replay", 200)
    return f"{where}{who}{what}: {found.column} is {values}"
