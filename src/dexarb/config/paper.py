"""The paper trader's configuration (config/paper_trading.toml): general settings, strategies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StrictBool, ValidationError

from dexarb.config.alerts import (
    PAPER_KINDS,
    TABLE,
    AlertKind,
    AlertsConfig,
    AlertsTable,
    check_alerts,
)
from dexarb.config.facts import ChainFacts
from dexarb.config.grid import MAX_STRATEGIES, Grid
from dexarb.config.log_keys import LOG_MAX_MB, LogFormat, LogLevel, LogMegabytes
from dexarb.config.paths import (
    DEFAULT_LEDGER_FILE,
    DEFAULT_MAX_STATE_AGE_S,
    DEFAULT_STATE_FILE,
    base_folder,
)
from dexarb.config.plugins import StrategyTypes
from dexarb.config.probe import PROBE, ProbeConfig, ProbeTable
from dexarb.config.resolve import Listed, Resolver, place
from dexarb.config.strategy_table import EITHER_OR, StrategyTable, cautions, contradictions
from dexarb.config.toml_file import Number, TomlFile, TomlTable, Whole, explain, read_toml
from dexarb.config.toml_lines import Loc
from dexarb.core.text import as_name
from dexarb.core.token import Address
from dexarb.errors import ConfigError, ConfigErrors
from dexarb.trading.strategy import THRESHOLD, StrategySettings


class GeneralTable(TomlTable):
    """Paths are relative to the file's `base_folder`."""

    state_file: Path = DEFAULT_STATE_FILE
    ledger_file: Path = DEFAULT_LEDGER_FILE
    log_dir: Path = Path("logs")
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"
    log_max_mb: LogMegabytes = LOG_MAX_MB
    poll_interval_ms: Annotated[Whole, Field(ge=1)] = 5
    metrics_interval_secs: Annotated[Whole, Field(ge=1)] = 60
    max_state_age_secs: Annotated[Number, Field(gt=0)] = Decimal(DEFAULT_MAX_STATE_AGE_S)
    watch_config: StrictBool = False


class PaperFile(TomlTable):
    """The file before defaults are applied and grids multiplied."""

    general: GeneralTable = GeneralTable()
    defaults: Annotated[dict[str, Any], Field(default_factory=dict)]
    strategy: Annotated[list[dict[str, Any]], Field(default_factory=list)]
    grid: Annotated[list[dict[str, Any]], Field(default_factory=list)]
    alerts: AlertsTable | None = None
    probe: ProbeTable | None = None


@dataclass(frozen=True, slots=True)
class PaperConfig:
    """A checked file; `settings` needs the chain that the history describes."""

    file: TomlFile
    general: GeneralTable
    strategies: tuple[Listed, ...]
    alerts: AlertsConfig | None = None
    probe: ProbeConfig | None = None

    def settings(
        self,
        tokens: Mapping[str, Address],
        types: StrategyTypes | None = None,
        *,
        tip_floor: int = 0,
    ) -> tuple[StrategySettings, ...]:
        """Effective settings of the enabled strategies, in the order of the file.

        tokens: names to addresses on the history's chain. types: the own strategies that there
        are; those that the file names are imported. tip_floor: wei per gas below which no bid
        lands on the chain. Raises ConfigErrors.
        """
        known = StrategyTypes() if types is None else types
        return Resolver(self.file, tokens, known, tip_floor).settings(self.strategies)

    def warnings(self, facts: ChainFacts | None = None) -> list[ConfigError]:
        """What is allowed and hardly meant, one for each key of a table; nothing is raised.

        facts: what the chain has, where that is known and `settings` have been resolved with it.
        """
        grouped: dict[tuple[Loc, str], list[tuple[str, str, str]]] = {}
        for each in self.strategies:
            if each.table.enabled:
                for key, problem, remedy in cautions(each.table):
                    grouped.setdefault((each.at, key), []).append(
                        (each.table.name, problem, remedy)
                    )
        contradictory = [
            self.file.error(
                place(self.file, at, key),
                problem + (f' ("{name}", and {len(more)} more of this grid)' if more else ""),
                remedy,
            )
            for (at, key), ((name, problem, remedy), *more) in grouped.items()
        ]
        misfits = facts.misfits(self.file, self.strategies) if facts else ()
        forks = facts.coming_forks(self.file) if facts else ()
        return sorted([*forks, *contradictory, *misfits], key=lambda each: each.line or 0)


def load_paper(path: Path, *, most: int = MAX_STRATEGIES) -> PaperConfig:
    """most: how many strategies may be in it. Raises ConfigError or ConfigErrors."""
    config, problems = inspect_paper(path, most=most)
    if problems:
        raise ConfigErrors(problems)
    return config


def inspect_paper(
    path: Path, *, most: int = MAX_STRATEGIES
) -> tuple[PaperConfig, list[ConfigError]]:
    """What of a file can be used, and all that is wrong with it. Raises ConfigError for a file
    that cannot be read or is not TOML."""
    return inspect_tables(read_toml(path, secrets=(TABLE, PROBE)), most=most)


def inspect_tables(
    file: TomlFile,
    *,
    most: int = MAX_STRATEGIES,
    alert_kinds: Collection[AlertKind] = PAPER_KINDS,
) -> tuple[PaperConfig, list[ConfigError]]:
    """The same of a file that has been read, of which these are all tables. alert_kinds: that its
    program knows of."""
    return _Reading(file, most, alert_kinds).result()


class _Reading:
    """One pass over a file that collects strategies and problems."""

    def __init__(self, file: TomlFile, most: int, alert_kinds: Collection[AlertKind]) -> None:
        self._file = file
        self._most = most
        self._alert_kinds = alert_kinds
        self._problems: list[ConfigError] = []
        self._defaults: dict[str, Any] = {}
        self._listed: list[Listed] = []
        self._names: dict[str, Loc] = {}

    def result(self) -> tuple[PaperConfig, list[ConfigError]]:
        raw = self._tables()
        self._read_defaults(raw.defaults)
        for index, own in enumerate(raw.strategy):
            self._read_strategy(("strategy", index), own)
        self._read_grids(raw.grid)
        if not raw.strategy and not raw.grid and not self._problems:
            self._problems.append(
                self._file.error((), "there is no [[strategy]] and no [[grid]]", "Add one")
            )
        base = base_folder(self._file.path)
        general = raw.general.placed(base, "state_file", "ledger_file", "log_dir")
        alerts, wrong = check_alerts(self._file, raw.alerts, self._alert_kinds)
        self._problems += wrong
        listed = tuple(self._listed)
        probe = None if raw.probe is None else ProbeConfig(self._file, raw.probe)
        return PaperConfig(self._file, general, listed, alerts, probe), self._problems

    def _tables(self) -> PaperFile:
        """Keys that are wrong are told and left out."""
        data = self._file.data
        try:
            return PaperFile.model_validate(data)
        except ValidationError as invalid:
            self._problems += explain(self._file, PaperFile, invalid, lambda loc: loc)
            wrong = {error["loc"][0] for error in invalid.errors(include_url=False)}
            return PaperFile.model_validate({k: v for k, v in data.items() if k not in wrong})

    def _read_defaults(self, defaults: dict[str, Any]) -> None:
        if "name" in defaults:
            self._problems.append(
                self._file.error(("defaults", "name"), "every strategy has its own", "Remove it")
            )
        self._defaults = {key: value for key, value in defaults.items() if key != "name"}
        try:
            StrategyTable.model_validate(self._defaults)
        except ValidationError as invalid:
            self._problems += explain(
                self._file,
                StrategyTable,
                invalid,
                lambda loc: ("defaults", *loc) if loc[0] in self._defaults else None,
            )

    def _inherited(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults that hold for a table."""
        kind = self._defaults.get("kind", THRESHOLD)
        return {
            key: value
            for key, value in self._defaults.items()
            if EITHER_OR.get(key) not in own
            and not (key == "parameters" and own.get("kind", kind) != kind)
        }

    def _read_strategy(self, at: Loc, own: Mapping[str, Any]) -> None:
        inherited = {key: value for key, value in self._inherited(own).items() if key not in own}
        try:
            table = StrategyTable.model_validate({**inherited, **own})
        except ValidationError as invalid:
            self._problems += explain(
                self._file,
                StrategyTable,
                invalid,
                lambda loc: None if loc[0] in inherited else (*at, *loc),
            )
            return
        self._take(at, [table])

    def _read_grids(self, tables: Sequence[Mapping[str, Any]]) -> None:
        """All are counted before any is multiplied."""
        grids: list[tuple[Loc, Grid]] = []
        total = len(self._listed)
        for index, own in enumerate(tables):
            at: Loc = ("grid", index)
            grid = Grid(self._file, at, own, self._inherited(own))
            total += len(grid)
            if total > self._most:
                self._problems.append(
                    self._file.error(
                        at,
                        f"makes {len(grid):,} strategies, {grid.product()}, and with those before"
                        f" it {total:,}; a file may have {self._most:,}",
                        "Shorten a list",
                    )
                )
                return
            grids.append((at, grid))
        for at, grid in grids:
            try:
                self._take(at, grid.strategies())
            except (ConfigError, ConfigErrors) as error:
                self._problems += error.errors

    def _take(self, at: Loc, tables: Iterable[StrategyTable]) -> None:
        reported, mine = set(), set()
        for table in tables:
            shown = as_name(table.name)
            first = self._names.setdefault(shown, at)
            if (first is not at or shown in mine) and "name" not in reported:
                reported.add("name")
                self._problems.append(self._name_taken(at, shown, first))
            mine.add(shown)
            for key, problem, remedy in contradictions(table):
                if key not in reported:
                    reported.add(key)
                    self._problems.append(self._file.error((*at, key), problem, remedy))
            self._listed.append(Listed(table, at))

    def _name_taken(self, at: Loc, name: str, first: Loc) -> ConfigError:
        if first is at:
            return self._file.error(
                (*at, "name"),
                f'two of its strategies would be called "{name}"',
                'Put something between the values: "{a} {b}" instead of "{a}{b}"',
            )
        return self._file.error(
            at,
            f'the name "{name}" is taken by the {first[0]} on line {self._file.line(first)}',
            "Give every strategy a name of its own",
        )
