"""What a file's names mean on a chain: tokens, kinds, and the strategies' identities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dexarb.config.pairs import split_pair
from dexarb.config.plugins import StrategyTypes
from dexarb.config.strategy_table import StrategyTable, canonical, effective, plain
from dexarb.config.toml_file import TomlFile, did_you_mean
from dexarb.config.toml_lines import Loc
from dexarb.core.token import Address, Pair, pair_of
from dexarb.core.units import GWEI
from dexarb.errors import ConfigError, ConfigErrors
from dexarb.trading.strategy import THRESHOLD, StrategySettings


@dataclass(frozen=True, slots=True)
class Listed:
    """A strategy of the file. at: its [[strategy]], or the [[grid]] that it is one of."""

    table: StrategyTable
    at: Loc


def place(file: TomlFile, at: Loc, key: str) -> Loc:
    """Where the value of a table's key is written: in the table, or in [defaults]."""
    tables: Any = file.data[str(at[0])]
    return (*at, key) if key in tables[at[1]] else ("defaults", key)


class Resolver:
    """One resolution of a file. What serves several strategies is resolved and told once."""

    def __init__(
        self,
        file: TomlFile,
        tokens: Mapping[str, Address],
        types: StrategyTypes,
        tip_floor: int = 0,
    ) -> None:
        """tokens: names to addresses. types: those that the file names are imported. tip_floor: wei
        per gas below which no bid lands."""
        self._file, self._tokens, self._types = file, tokens, types
        self._tip_floor = tip_floor
        self._problems: dict[str, ConfigError] = {}
        self._pairs: dict[tuple[Loc, tuple[str, ...]], tuple[Pair, ...] | None] = {}
        self._codes: dict[tuple[Loc, str, str], str | None] = {}

    def settings(self, strategies: Sequence[Listed]) -> tuple[StrategySettings, ...]:
        """Of the enabled ones. Raises ConfigErrors, also for two with the same parameters."""
        found: dict[str, tuple[Listed, StrategySettings]] = {}
        twins: dict[Loc, list[tuple[str, str]]] = {}
        for each in strategies:
            pairs = self._pairs_of(each)
            if pairs is None or not each.table.enabled:
                continue
            self._require_floor(each)
            code = self._code_of(each)
            if code is None:
                continue
            made = effective(each.table, pairs, code)
            twin, _ = found.setdefault(made.hash, (each, made))
            if twin is not each:
                twins.setdefault(each.at, []).append((each.table.name, twin.table.name))
        problems = [*self._problems.values(), *self._twin_problems(twins)]
        if problems:
            raise ConfigErrors(problems)
        if not found:
            remedy = "Set enabled = true in one of them"
            raise self._file.error((), "no strategy is enabled", remedy)
        return tuple(made for _, made in found.values())

    def _pairs_of(self, listed: Listed) -> tuple[Pair, ...] | None:
        """In ascending order, each once; None where a name is unknown."""
        at, pairs = place(self._file, listed.at, "pairs"), tuple(listed.table.pairs)
        if (at, pairs) not in self._pairs:
            found = [self._pair(at, pair) for pair in pairs]
            good = {pair for pair in found if pair is not None}
            self._pairs[at, pairs] = None if None in found else tuple(sorted(good))
        return self._pairs[at, pairs]

    def _pair(self, at: Loc, pair: str) -> Pair | None:
        try:
            one, other = split_pair(self._file, self._element(at, pair), pair, self._tokens)
        except ConfigError as error:
            self._problems.setdefault(str(error), error)
            return None
        return pair_of(self._tokens[one], self._tokens[other])

    def _element(self, at: Loc, text: str) -> Loc:
        """The place of a string in a list, or in a list of lists, of the file."""
        value: Any = self._file.data
        for key in at:
            value = value[key]
        for index, each in enumerate(value):
            if each == text:
                return (*at, index)
            if isinstance(each, list) and text in each:
                return (*at, index, each.index(text))
        return at

    def _require_floor(self, listed: Listed) -> None:
        bid = listed.table.priority_fee_gwei
        if bid is not None and bid * GWEI < self._tip_floor:
            error = self._file.error(
                place(self._file, listed.at, "priority_fee_gwei"),
                f"{plain(bid)} is below the chain's floor of {self._tip_floor / GWEI:g} gwei: it"
                " never lands",
                "Raise it, or leave it out for the chain's default",
            )
            self._problems.setdefault(str(error), error)

    def _code_of(self, listed: Listed) -> str | None:
        """Which code decides, see StrategySettings; None where it cannot."""
        kind = listed.table.kind
        if kind == THRESHOLD:
            return ""
        at, parameters = place(self._file, listed.at, "kind"), canonical(listed.table.parameters)
        if (at, kind, parameters) not in self._codes:
            self._codes[at, kind, parameters] = self._code(at, kind, parameters)
        return self._codes[at, kind, parameters]

    def _code(self, at: Loc, kind: str, parameters: str) -> str | None:
        try:
            problem = self._types.check(kind, parameters)
        except KeyError:
            remedy = did_you_mean(kind, (THRESHOLD, *self._types))
            error = self._file.error(at, f'there is no kind "{kind}"', remedy)
        else:
            if problem is None:
                return self._types.code(kind)
            error = self._file.error(at, f'own strategy "{kind}" {problem}')
        self._problems.setdefault(str(error), error)
        return None

    def _twin_problems(self, twins: Mapping[Loc, list[tuple[str, str]]]) -> Iterator[ConfigError]:
        for at, ((name, twin), *more) in twins.items():
            who = f'"{name}" ' if at[0] == "grid" else ""
            rest = f" ({len(more)} more of this grid have a twin)" if more else ""
            yield self._file.error(
                at,
                f'{who}has the same parameters as "{twin}"{rest}',
                "A strategy is known by its parameters: change or remove one of the two",
            )
