"""dexarb config check of the paper trader's file: what it means, and what a reload would change."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.config.chain_profile import load_chain
from dexarb.config.difference import Difference, compare
from dexarb.config.facts import ChainFacts
from dexarb.config.paper import PaperConfig, inspect_paper
from dexarb.config.resolve import Listed
from dexarb.config.strategy_table import StrategyTable, plain
from dexarb.core.profile import own_names
from dexarb.core.text import as_name
from dexarb.core.token import Address
from dexarb.errors import ConfigError, ConfigErrors, StoreError
from dexarb.screens.answer import Answer
from dexarb.screens.bid_places import BidPlace, bid_lines, bid_places, bids_json, too_low
from dexarb.screens.output import problem_lines
from dexarb.screens.tables import plain_table
from dexarb.store.follow import start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import trader_of
from dexarb.store.ledger_reader import read_only
from dexarb.store.snapshot import read_state
from dexarb.study.blockspace import BLOCKSPACE
from dexarb.trading.strategy import StrategySettings

ROWS = 50
WRONG = 2


@dataclass(frozen=True, slots=True)
class CheckedConfig(Answer):
    """A file that has been looked at. unchecked: why its names could not be. difference: against
    the strategies of the ledger, None where there is no ledger. trader: the process that trades.
    bids: where they would stand among what landed in so many seen_blocks."""

    config: PaperConfig
    settings: Mapping[str, StrategySettings]
    tokens: Mapping[str, Address]
    errors: Sequence[ConfigError]
    warnings: Sequence[ConfigError]
    unchecked: str | None
    difference: Difference | None
    trader: int | None
    bids: Sequence[BidPlace]
    seen_blocks: int

    @property
    def exit_code(self) -> int:
        """2 for a file that cannot be used."""
        return WRONG if self.errors else 0

    def problems(self) -> Iterator[str]:
        yield from problem_lines(self.errors, self.warnings)
        if self.unchecked:
            yield f"not checked: {self.unchecked}"

    def as_json(self) -> dict[str, Any]:
        difference = self.difference
        return {
            "file": str(self.config.file.path),
            "ok": not self.errors,
            "errors": [problem_json(each) for each in self.errors],
            "warnings": [problem_json(each) for each in self.warnings],
            "not_checked": self.unchecked,
            "trader": self.trader,
            "bids": bids_json(self.bids),
            "general": {key: json_value(value) for key, value in self.config.general},
            "strategies": list(map(self._strategy_json, self.config.strategies)),
            "reload": None
            if difference is None
            else {**difference.counts(), "changes": difference.lines(own_names(self.tokens))},
        }

    def _strategy_json(self, listed: Listed) -> dict[str, Any]:
        settings = self.settings.get(listed.table.name)
        return {
            "hash": settings.hash if settings else None,
            "line": self.config.file.line(listed.at),
            **{key: json_value(value) for key, value in listed.table},
        }

    def render(self) -> RenderableType:
        """Of a file that cannot be used, the problems say it all."""
        if self.errors:
            return Group()
        listed = self.config.strategies
        parts: list[RenderableType] = [_values(listed[:ROWS], listed)]
        if len(listed) > ROWS:
            parts.append(Text(f"and {len(listed) - ROWS:,} more; --json lists all"))
        enabled = sum(each.table.enabled for each in listed)
        parts += [Text(f"{enabled:,} strategies are enabled"), *self._bids(), *self._changes()]
        return Group(*parts)

    def _bids(self) -> Iterator[Text]:
        return map(Text, bid_lines(self.bids, self.seen_blocks))

    def _changes(self) -> Iterator[Text]:
        """By a reload."""
        difference = self.difference
        if difference is None:
            return
        who = f"process {self.trader}" if self.trader else "paper-trading (not running now)"
        if difference.is_empty:
            yield Text(f"A reload changes nothing for {who}")
            return
        yield Text(f"A reload changes for {who}", style="bold")
        for line in difference.lines(own_names(self.tokens)):
            yield Text(f"  {line}")
        yield Text(", ".join(f"{count:,} {name}" for name, count in difference.counts().items()))


def answer(path: Path, *, chain: Path | None) -> CheckedConfig:
    """chain: the profile to take names from instead of the history.

    Raises ConfigError for a file that is no TOML, and StoreError for a ledger that cannot be read.
    """
    config, problems = inspect_paper(path)
    facts, unchecked = None, None
    blockspace: Mapping[str, Any] = {}
    names: Mapping[str, Address] = _believed(config)
    try:
        facts, blockspace = _facts(config, chain)
        names = facts.tokens
    except StoreError as error:
        unchecked = f"names of tokens and DEXes, and what a reload would change: {error}"
    except (ConfigError, ConfigErrors) as error:  # the chain's file is wrong
        problems = [*problems, *error.errors]
    settings, errors = _resolved(config, names, facts.tip_floor if facts else 0)
    errors = [*problems, *errors]
    if errors or facts is None:
        settings = ()
    bids = bid_places(config.strategies, facts.default_bid, blockspace) if facts else []
    warnings = [
        *config.warnings(facts if settings else None),
        *too_low(config.file, bids, blockspace),
    ]
    return CheckedConfig(
        config,
        {each.name: each for each in settings},
        names,
        sorted(errors, key=lambda each: each.line or 0),
        sorted(warnings, key=lambda each: each.line or 0),
        unchecked,
        _difference(config, settings) if settings else None,
        trader_of(config.general.ledger_file),
        bids,
        blockspace.get("blocks", 0),
    )


def _resolved(
    config: PaperConfig, tokens: Mapping[str, Address], tip_floor: int
) -> tuple[Sequence[StrategySettings], Sequence[ConfigError]]:
    try:
        return config.settings(tokens, tip_floor=tip_floor) if config.strategies else (), ()
    except (ConfigError, ConfigErrors) as error:
        return (), error.errors


def _believed(config: PaperConfig) -> dict[str, Address]:
    """Addresses for all names: what can be found wrong without a chain is found with them."""
    pairs = {pair for each in config.strategies for pair in each.table.pairs}
    names = sorted({name for pair in pairs for name in pair.split("/")})
    return {name: Address(f"0x{number:040x}") for number, name in enumerate(names, start=1)}


def _facts(config: PaperConfig, chain: Path | None) -> tuple[ChainFacts, Mapping[str, Any]]:
    """From the profile given; else from the history that is traded on; else from the profile that
    the collector's file beside this one names. Beside it what the collector saw landing; empty
    where it has not. Raises StoreError where there is none of them."""
    blockspace: Mapping[str, Any] = {}
    if chain is not None:
        return ChainFacts.of_profile(load_chain(chain)), blockspace
    try:
        state = read_state(config.general.state_file)
        blockspace = state.metrics.get(BLOCKSPACE) or {}
        keyframe = start(HistoryReader(state.history), before=0)
        facts = ChainFacts.of_pools(keyframe.profile, keyframe.pools, state.block.number)
    except StoreError as error:
        beside = _profile_beside(config.file.path)
        if beside is not None:
            return ChainFacts.of_profile(load_chain(beside)), blockspace
        raise StoreError(
            error.path, error.problem, "Name the chain's file, as in --chain config/polygon.toml"
        ) from None
    return facts, blockspace


def _profile_beside(path: Path) -> Path | None:
    """What `chain` in collector.toml of the same folder names."""
    try:
        text = path.with_name("collector.toml").read_text(encoding="utf-8")
        named = path.parent / tomllib.loads(text)["collector"]["chain"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return named if named.is_file() else None


def _difference(config: PaperConfig, settings: Sequence[StrategySettings]) -> Difference | None:
    """Against the strategies that take part now. None before the first ledger."""
    path = config.general.ledger_file
    if not path.exists():
        return None
    with read_only(path) as ledger, ledger.at_one_moment():
        rows = {row.hash: row for row in ledger.strategies()}
        active = ledger.active()
    running = [StrategySettings.from_canonical(rows[key].name, rows[key].config) for key in active]
    return compare(running, settings, rows.keys())


# -- showing -----------------------------------------------------------------------------------


def problem_json(error: ConfigError) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "where": error.where,
        "problem": error.problem,
        "remedy": error.remedy,
    }


def json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    if isinstance(value, dict):
        return {key: json_value(each) for key, each in value.items()}
    return value


def _values(shown: Sequence[Listed], listed: Sequence[Listed]) -> Table:
    """What all strategies have in common once, what differs for each of those shown."""
    texts = {key: [_shown(each, key) for each in listed] for key in StrategyTable.model_fields}
    common = {key: column[0] for key, column in texts.items() if len(set(column)) == 1}
    different = [key for key in texts if key not in common and key != "name"]
    table = plain_table(None)
    for column in ("strategy", "effective values"):
        table.add_column(column)
    for index, each in enumerate(shown):
        values = ", ".join(f"{key} {texts[key][index]}" for key in different)
        table.add_row(Text(as_name(each.table.name)), Text(values or "those of all"))
    table.add_row("all", Text(", ".join(f"{key} {text}" for key, text in common.items())))
    return table


def _shown(listed: Listed, key: str) -> str:
    value = getattr(listed.table, key)
    return "none" if value is None else plain(value) or "all"
