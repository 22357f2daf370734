"""What a changed configuration means for the strategies that run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dexarb.trading.strategy import StrategySettings


@dataclass(frozen=True, slots=True)
class Difference:
    """Between the strategies that run and those of the file, by identity and by name.

    changed: (before, after, names of the parameters that differ). renamed: same parameters.
    """

    added: tuple[StrategySettings, ...]
    removed: tuple[StrategySettings, ...]
    changed: tuple[tuple[StrategySettings, StrategySettings, tuple[str, ...]], ...]
    renamed: tuple[tuple[StrategySettings, StrategySettings], ...]
    unchanged: int

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.renamed)

    def lines(self) -> list[str]:
        """The difference for people, one line a strategy."""
        told = [f'+ "{each.name}" starts with new books' for each in self.added]
        told += [f'- "{each.name}" stops; its books are kept' for each in self.removed]
        for before, after, names in self.changed:
            old, new = before.as_json(), after.as_json()
            what = ", ".join(f"{name} {old[name]} -> {new[name]}" for name in names)
            told.append(f'~ "{after.name}" starts new books: {what}')
        told += [
            f'= "{before.name}" is now called "{after.name}"; its books go on'
            for before, after in self.renamed
        ]
        return told


def compare(before: Sequence[StrategySettings], after: Sequence[StrategySettings]) -> Difference:
    """Strategies with equal parameters are the same; else those with equal names are compared."""
    old = {each.hash: each for each in before}
    new = {each.hash: each for each in after}
    gone = {each.name: each for key, each in old.items() if key not in new}
    fresh = {each.name: each for key, each in new.items() if key not in old}
    changed = tuple(
        (gone[name], fresh[name], _differing(gone[name], fresh[name]))
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
    )


def _differing(before: StrategySettings, after: StrategySettings) -> tuple[str, ...]:
    old, new = before.as_json(), after.as_json()
    return tuple(name for name in old if old[name] != new[name])
