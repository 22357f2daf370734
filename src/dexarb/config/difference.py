"""What a changed configuration means for the strategies that run."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dexarb.config.strategy_table import SCALED, Scaled
from dexarb.core.token import Address
from dexarb.errors import ConfigErrors, InputError
from dexarb.trading.strategy import StrategySettings

MAX_LINES = 100
"""Of a difference in a log or a note; the rest is counted."""

_SCALED = {each.field: each for each in SCALED}


@dataclass(frozen=True, slots=True)
class Change:
    """A strategy under its old name with other parameters."""

    before: StrategySettings
    after: StrategySettings
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Between the strategies that run and those of the file, by identity and by name.

    renamed: same parameters. known: identities that have books already, whose books go on when
    they come back.
    """

    added: tuple[StrategySettings, ...]
    removed: tuple[StrategySettings, ...]
    changed: tuple[Change, ...]
    renamed: tuple[tuple[StrategySettings, StrategySettings], ...]
    unchanged: int
    known: Collection[str] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.renamed)

    def counts(self) -> dict[str, int]:
        """How many strategies are unchanged, changed, new, closed, renamed."""
        return {
            "unchanged": self.unchanged - len(self.renamed),
            "changed": len(self.changed),
            "new": len(self.added),
            "closed": len(self.removed),
            "renamed": len(self.renamed),
        }

    def lines(self, names: Mapping[Address, str]) -> list[str]:
        """The difference for people, one line a strategy, at most MAX_LINES and one that counts
        the rest. names: of the tokens."""
        total = len(self.added) + len(self.removed) + len(self.changed) + len(self.renamed)
        lines = list(itertools.islice(self._lines(names), MAX_LINES))
        return [*lines, f"and {total - MAX_LINES:,} more"] if total > MAX_LINES else lines

    def _lines(self, names: Mapping[Address, str]) -> Iterator[str]:
        for each in self.added:
            yield f'+ "{each.name}" starts; {self._books(each)}'
        for each in self.removed:
            yield f'- "{each.name}" stops; its books are kept'
        for change in self.changed:
            shown = (_shown(name, change.before, change.after, names) for name in change.parameters)
            what = ", ".join(f"{key} {old} -> {new}" for key, old, new in shown)
            yield f'~ "{change.after.name}" changes: {what}; {self._books(change.after)}'
        for before, after in self.renamed:
            yield f'= "{before.name}" is now called "{after.name}"; its books go on'

    def _books(self, settings: StrategySettings) -> str:
        return "its earlier books go on" if settings.hash in self.known else "new books"


def compare(
    before: Sequence[StrategySettings],
    after: Sequence[StrategySettings],
    known: Collection[str] = (),
) -> Difference:
    """Strategies with equal parameters are the same; else those with equal names are compared."""
    old = {each.hash: each for each in before}
    new = {each.hash: each for each in after}
    gone = {each.name: each for key, each in old.items() if key not in new}
    fresh = {each.name: each for key, each in new.items() if key not in old}
    changed = tuple(
        Change(gone[name], fresh[name], _differing(gone[name], fresh[name]))
        for name in fresh
        if name in gone
    )
    return Difference(
        added=tuple(each for name, each in fresh.items() if name not in gone),
        removed=tuple(each for name, each in gone.items() if name not in fresh),
        changed=changed,
        renamed=tuple(
            (old[key], each)
            for key, each in new.items()
            if key in old and old[key].name != each.name
        ),
        unchanged=len(old.keys() & new.keys()),
        known=known,
    )


def _differing(before: StrategySettings, after: StrategySettings) -> tuple[str, ...]:
    old, new = before.as_json(), after.as_json()
    return tuple(name for name in old if old[name] != new[name])


def _shown(
    name: str, before: StrategySettings, after: StrategySettings, names: Mapping[Address, str]
) -> tuple[str, str, str]:
    """Key, old and new value as the file would state them."""
    key, _, scale = _SCALED.get(name, Scaled(name, name, 1))
    old, new = (_text(getattr(each, name), scale, names) for each in (before, after))
    return key, old, new


def _text(value: Any, scale: int, names: Mapping[Address, str]) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        parts = (
            "/".join(names.get(token, token) for token in part) if isinstance(part, tuple) else part
            for part in value
        )
        return "+".join(parts) or "all"
    if scale > 1:
        return f"{value / scale:.9f}".rstrip("0").rstrip(".")
    return str(value)


def reasons(error: InputError) -> tuple[str, ...]:
    """All that an error says, one text for each thing that is wrong."""
    return tuple(map(str, error.errors if isinstance(error, ConfigErrors) else (error,)))
