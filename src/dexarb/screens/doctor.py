"""dexarb doctor: what is well, and what to do about what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from dexarb.core.text import in_a_line
from dexarb.screens.answer import Answer


class Health(StrEnum):
    """note: it works, and could be better. wrong: it does not work."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


MOST = 600
"""Characters of what was found: nodes and files word some of it."""
STYLES = {Health.OK: "green", Health.NOTE: "yellow", Health.WRONG: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is about, how it is, what was found, and what to do where it is not ok."""

    subject: str
    health: Health
    found: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis(Answer):
    """endpoints: what was found of each, for machines."""

    findings: Sequence[Finding]
    endpoints: Sequence[Mapping[str, Any]] = ()

    @property
    def exit_code(self) -> int:
        """1 where something is wrong."""
        return 1 if self._count(Health.WRONG) else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": not self.exit_code,
            "findings": [asdict(each) for each in self.findings],
            "endpoints": list(self.endpoints),
        }

    def render(self) -> RenderableType:
        table = Table.grid(
            Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0), expand=False
        )
        for each in self.findings:
            text = Text(in_a_line(f"{each.subject}: {each.found}", MOST))
            if each.remedy:
                text.append(f". {in_a_line(each.remedy, MOST)}")
            table.add_row(Text(each.health.value, style=STYLES[each.health]), text)
        return Group(table, Text(self._verdict(), style="bold"))

    def _verdict(self) -> str:
        wrong, notes = self._count(Health.WRONG), self._count(Health.NOTE)
        if wrong:
            return f"{wrong:,} of {len(self.findings):,} wrong, {notes:,} to be noted"
        return f"All well, {notes:,} to be noted" if notes else "All well"

    def _count(self, health: Health) -> int:
        return sum(each.health is health for each in self.findings)


def ok(subject: str, found: str) -> Finding:
    return Finding(subject, Health.OK, found)


def note(subject: str, found: str, remedy: str | None = None) -> Finding:
    return Finding(subject, Health.NOTE, found, remedy)


def wrong(subject: str, found: str, remedy: str | None = None) -> Finding:
    return Finding(subject, Health.WRONG, found, remedy)
