"""[[grid]]: one table whose lists multiply into many named strategies."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dexarb.config.strategy_table import StrategyTable, canonical, plain
from dexarb.config.toml_file import TomlFile, did_you_mean, explain
from dexarb.config.toml_lines import Loc
from dexarb.errors import ConfigError, ConfigErrors

MAX_STRATEGIES = 10_000
"""In a file that is traded, those of all grids together. A sweep takes more."""

LISTS = ("pairs", "dexes")
"""Keys that hold a list in a strategy as well: in a grid a list of lists varies them."""

_VARIABLE = StrategyTable.model_fields.keys() - {"name"}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Axis:
    """A key, `window` of `parameters` as ("parameters", "window"), and the values it takes."""

    key: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        return ".".join(self.key)


class Grid:
    """A [[grid]] table with [defaults] applied; nothing is multiplied before `strategies`."""

    def __init__(
        self, file: TomlFile, at: Loc, own: Mapping[str, Any], defaults: Mapping[str, Any]
    ) -> None:
        """at: where the table stands."""
        self._file, self._at = file, at
        self._fixed = {**defaults, **own}
        axes = list(_axes(own))
        self.axes = tuple(axis for axis in axes if axis.values)
        self._problems = list(self._list_problems(axes))
        # What is wrong with these is told elsewhere: by [defaults], by their lists.
        self._elsewhere = (defaults.keys() - own.keys()) | {axis.name for axis in axes}

    def _list_problems(self, axes: Sequence[Axis]) -> Iterator[ConfigError]:
        """Lists that are empty or repeat a value."""
        for axis in axes:
            if not axis.values:
                problem = "an empty list makes no strategy"
                remedy = f"Give it a value, or leave {axis.name} out"
                yield self._file.error((*self._at, *axis.key), problem, remedy)
            seen = set()
            for index, value in enumerate(axis.values):
                text = plain(value) if len(axis.key) == 1 else repr(value)
                if text in seen:
                    problem = f"{plain(value)} stands in the list twice"
                    remedy = "The strategies would have the same parameters: remove one"
                    yield self._file.error((*self._at, *axis.key, index), problem, remedy)
                seen.add(text)

    def __len__(self) -> int:
        return math.prod(len(axis.values) for axis in self.axes)

    def product(self) -> str:
        """`min_profit_usd (20) x max_trade_size_usd (600)`: which lists multiply to its length."""
        return " x ".join(f"{axis.name} ({len(axis.values)})" for axis in self.axes)

    def strategies(self) -> list[StrategyTable]:
        """The first list varies slowest. Raises ConfigErrors, each value's once.

        The keys of a strategy do not depend on each other, so a value is validated once instead of
        once for every combination that it is part of.
        """
        problems = list(self._problems)
        base = self._validated(None, 0, problems)
        values: list[list[Any]] = []
        for axis in self.axes:
            if len(axis.key) > 1:  # a parameter may be anything
                values.append(list(axis.values))
                problems += self._unwritable(axis)
                continue
            tables = [self._validated(axis, i, problems) for i in range(len(axis.values))]
            values.append([getattr(table, axis.name) for table in tables if table is not None])
        if problems or base is None:
            raise ConfigErrors(problems)
        name = self._naming(base.name)
        return [
            self._combined(base, name, choice)
            for choice in itertools.product(*(list(enumerate(each)) for each in values))
        ]

    def _validated(
        self, varied: Axis | None, index: int, problems: list[ConfigError]
    ) -> StrategyTable | None:
        """The strategy with the first value of every list, of `varied` the one at `index`.

        Adds what is wrong to `problems`: with `varied` alone, or for None with all other keys.
        """
        raw = dict(self._fixed)
        for axis in self.axes:
            value = axis.values[index if axis is varied else 0]
            if len(axis.key) == 1:
                raw[axis.name] = value

        def place(loc: Loc) -> Loc | None:
            if varied is not None:
                return (*self._at, loc[0], index, *loc[1:]) if loc[:1] == varied.key else None
            return None if loc[0] in self._elsewhere else (*self._at, *loc)

        try:
            return StrategyTable.model_validate(raw)
        except ValidationError as invalid:
            problems += explain(self._file, StrategyTable, invalid, place)
            return None

    def _unwritable(self, axis: Axis) -> Iterator[ConfigError]:
        for index, value in enumerate(axis.values):
            try:
                canonical(value)
            except ValueError as error:
                loc = (*self._at, *axis.key, index)
                yield self._file.error(loc, f"{plain(value)}: {error}")

    def _combined(
        self, base: StrategyTable, name: Sequence[str | int], choice: Sequence[tuple[int, Any]]
    ) -> StrategyTable:
        """choice: for each list the index and the checked value."""
        texts = [
            part if isinstance(part, str) else plain(self.axes[part].values[choice[part][0]])
            for part in name
        ]
        changes: dict[str, Any] = {"name": "".join(texts)}
        parameters = dict(base.parameters)
        for axis, (_, value) in zip(self.axes, choice, strict=True):
            if len(axis.key) == 1:
                changes[axis.name] = value
            else:
                parameters[axis.key[1]] = value
        if parameters:
            changes["parameters"] = parameters
        return base.model_copy(update=changes)

    def _naming(self, template: str) -> list[str | int]:
        """The name in pieces: text, or the index of a list whose value stands there.

        Lists that the template does not mention are appended as ` key=value`, so that names
        differ. Raises ConfigError for a placeholder that is no key.
        """
        indices = {axis.name: index for index, axis in enumerate(self.axes)}
        pieces: list[str | int] = []
        for number, part in enumerate(_PLACEHOLDER.split(template)):
            if number % 2 == 0:
                pieces.append(part)
            elif part in indices:
                pieces.append(indices[part])
            elif part in self._fixed and part != "name":
                pieces.append(plain(self._fixed[part]))
            else:
                known = (*indices, *(key for key in self._fixed if key != "name"))
                raise self._file.error(
                    (*self._at, "name"),
                    f"{{{part}}} is no key of this grid",
                    did_you_mean(part, dict.fromkeys(known)),
                )
        for index, axis in enumerate(self.axes):
            if index not in pieces and len(axis.values) > 1:
                pieces += [f" {axis.name}=", index]
        return pieces


def _axes(own: Mapping[str, Any]) -> Iterator[Axis]:
    for key, value in own.items():
        if key == "parameters" and isinstance(value, Mapping):
            for name, values in value.items():
                if isinstance(values, list):
                    yield Axis((key, name), tuple(values))
        elif isinstance(value, list) and key in _VARIABLE and _varies(key, value):
            yield Axis((key,), tuple(value))


def _varies(key: str, value: Sequence[Any]) -> bool:
    """Whether a list holds the values of a key, rather than being one."""
    return key not in LISTS or (bool(value) and all(isinstance(each, list) for each in value))
