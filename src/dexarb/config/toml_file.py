"""A TOML file that remembers its lines, and its validation against a pydantic model."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dexarb.config import veil
from dexarb.config.toml_lines import Loc, locate
from dexarb.errors import ConfigError, ConfigErrors

_PLAIN = {
    "model_type": "expected a table",
    "dict_type": "expected a table",
    "list_type": "expected a list",
    "path_type": "expected a path, in quotes",
    "string_type": "expected text, in quotes",
}
"""What pydantic says in terms of Python, by its type of error."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class TomlTable(BaseModel):
    """Base of all tables: unknown keys are errors, values keep their type. What checks them is made
    for the file that is read, and not for every table in it by itself as well."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    def placed(self, base: Path, *keys: str) -> Self:
        """With these paths, where they are relative, in the folder `base`."""
        return self.model_copy(update={key: base / getattr(self, key) for key in keys})


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("expected a number, without quotes")
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("expected a finite number")
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expected a whole number, without quotes")
    return value


Number = Annotated[Decimal, BeforeValidator(_number)]
Whole = Annotated[int, BeforeValidator(_whole)]
M = TypeVar("M", bound=TomlTable)


@dataclass(frozen=True)
class TomlFile:
    """The parsed tables, and for each key, table and array element the line on which it stands.

    secrets: tables whose values are never shown; none of the file's URLs is shown whole. wary:
    nor is what looks like a key, wherever it stands.
    """

    path: Path
    text: str = field(repr=False)
    data: dict[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = ()
    wary: bool = False

    @cached_property
    def lines(self) -> dict[Loc, int]:
        """Looked up for messages alone, so that a good file does not wait for it."""
        return locate(self.text)

    def line(self, loc: Loc) -> int | None:
        """The line of `loc`, or of the nearest table around it that has one."""
        known = next((loc[:n] for n in range(len(loc), 0, -1) if loc[:n] in self.lines), None)
        return self.lines[known] if known else None

    def error(self, loc: Loc, problem: str, remedy: str | None = None) -> ConfigError:
        """A ConfigError at the nearest line known for `loc`."""
        return ConfigError(
            self.shown(problem, loc),
            file=veil.without_urls(str(self.path)),
            line=self.line(loc),
            where=self.shown(self.describe(loc), loc),
            remedy=veil.without_urls(remedy) if remedy else None,
        )

    def shown(self, text: str, loc: Loc) -> str:
        """A text about what stands there, without what it must not quote."""
        is_secret = self.wary or self.hides(loc)
        return veil.without_secrets(text) if is_secret else veil.without_urls(text)

    def hides(self, loc: Loc) -> bool:
        """Whether the values there are never shown."""
        return bool(loc) and loc[0] in self.secrets

    def describe(self, loc: Loc) -> str:
        """`strategy "Moderate": min_profit_usd` rather than `strategy.1.min_profit_usd`."""
        parts: list[str] = []
        value: Any = self.data
        for key in loc:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                value = None
            if isinstance(key, int):
                named = isinstance(value, dict) and not self.hides(loc)
                name = value.get("name") if named else None
                which = f'"{name}"' if name and isinstance(name, str) else f"#{key + 1}"
                parts[-1:] = [f"{parts[-1]} {which}"]
            else:
                parts.append(veil.name(key) if self.hides(loc) else key)
        return ": ".join(parts)


def read_toml(path: Path, *, secrets: tuple[str, ...] = (), wary: bool = False) -> TomlFile:
    """secrets, wary: as in TomlFile.

    Raises ConfigError if the file cannot be read or is not TOML.
    """
    shown = veil.without_urls(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark in front
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file", file=shown, remedy="Check the path given with --config"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=shown) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=shown, remedy="Save it as UTF-8") from None
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+)", str(error))
        line = int(match[1]) if match else text.count("\n") + 1
        problem = re.sub(r" \(at .*\)$", "", str(error))
        problem = re.sub(r"\('.*\)", "a key or table", problem)  # as tomllib quotes keys
        raise ConfigError(
            f"not valid TOML: {problem}", file=shown, line=line, remedy="Mend this line"
        ) from None
    except RecursionError:
        raise ConfigError(
            "not valid TOML: nested too deeply", file=shown, remedy="Mend the brackets"
        ) from None
    return TomlFile(path, text, data, secrets, wary)


def validate(file: TomlFile, model: type[M]) -> M:
    """The file as a model. Raises ConfigErrors that lists every problem found."""
    try:
        return model.model_validate(file.data)
    except ValidationError as invalid:
        raise ConfigErrors(explain(file, model, invalid, lambda loc: loc)) from None


def explain(
    file: TomlFile,
    model: type[BaseModel],
    invalid: ValidationError,
    place: Callable[[Loc], Loc | None],
) -> list[ConfigError]:
    """Every problem of what was to be a `model`.

    place: where in the file that stands which the model has at a path; None for what is told
    elsewhere. What is missing is told at the table it is missing from.
    """
    problems = (_explain(file, model, each, place) for each in invalid.errors(include_url=False))
    return [error for error in problems if error is not None]


def _explain(
    file: TomlFile,
    model: type[BaseModel],
    error: ErrorDetails,
    place: Callable[[Loc], Loc | None],
) -> ConfigError | None:
    loc = tuple(part for part in error["loc"] if not str(part).startswith("function-"))
    name = str(loc[-1]) if loc else ""
    is_missing = error["type"] == "missing"
    at = place(loc)
    if at is None:
        return None
    if is_missing:
        added = f"Add {name} = ..." if len(at) > 1 else f"Add {_header(model, name)}"
        return file.error(at[:-1], f"{name} is missing", added)
    if error["type"] == "extra_forbidden":
        return file.error(
            at, "unknown key", did_you_mean(name, _keys(model, loc[:-1])) or "Remove it"
        )
    problem = _PLAIN.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    problem = problem[:1].lower() + problem[1:]
    value = error["input"]
    shown = f"{value!r}" if not isinstance(value, Decimal) else str(value)
    return file.error(at, f"{shown}: {problem}" if loc and not file.hides(at) else problem)


def _header(model: type[BaseModel], table: str) -> str:
    """`[rpc]`, or `[[pools]]` for a list of tables."""
    is_list = typing.get_origin(model.model_fields[table].annotation) in (list, tuple)
    return f"[[{table}]]" if is_list else f"[{table}]"


def _keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the table at `loc` may have."""
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if hasattr(current, "model_fields") else None
        if field is None:
            return []
        current = field.annotation
        while getattr(current, "__args__", None):
            models = [arg for arg in current.__args__ if hasattr(arg, "model_fields")]
            current = models[0] if models else current.__args__[-1]
    return list(getattr(current, "model_fields", {}))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """`Did you mean "x"?` or the list of what is known; None if nothing is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near:
        by_case = [each for each in names if each.lower() == name.lower()]
        near = by_case[:1]
    if near:
        return f'Did you mean "{near[0]}"?'
    return f"Known: {', '.join(names)}" if names else None


def expand_environment(file: TomlFile, loc: Loc, text: str) -> str:
    """Replace ${NAME} by the environment's value. Raises ConfigError for an unset name."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            shown = veil.variable(name)
            raise file.error(
                loc, f"the environment variable {shown} is not set", f"export {shown}=..."
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)
