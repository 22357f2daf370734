"""The collector's configuration (config/collector.toml)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema

from dexarb.config.alerts import (
    COLLECTOR_KINDS,
    TABLE,
    AlertsConfig,
    AlertsTable,
    check_alerts,
)
from dexarb.config.chain_profile import LoadedChain, load_chain
from dexarb.config.log_keys import LOG_MAX_MB, LogFormat, LogLevel, LogMegabytes
from dexarb.config.pairs import split_pair
from dexarb.config.paths import DEFAULT_STATE_FILE, base_folder
from dexarb.config.toml_file import (
    Number,
    TomlFile,
    TomlTable,
    Whole,
    did_you_mean,
    expand_environment,
    read_toml,
    validate,
)
from dexarb.errors import ConfigError, ConfigErrors


class CollectorTable(TomlTable):
    """chain: the profile file, relative to this one; the others to its `base_folder`."""

    chain: Path
    data_dir: Path = Path("data")
    state_file: Path = DEFAULT_STATE_FILE
    log_dir: Path = Path("logs")
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"
    log_max_mb: LogMegabytes = LOG_MAX_MB
    poll_interval_ms: Annotated[Whole, Field(ge=10)] = 1000
    metrics_interval_secs: Annotated[Whole, Field(ge=1)] = 60
    segment_blocks: Annotated[Whole, Field(ge=1)] = 1000
    keep_calls: StrictBool = False


def _limits(value: object) -> object:
    """A number holds for each endpoint; a list has one for each."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, bool) or not isinstance(each, int) or each < 0 for each in values):
        raise ValueError("expected a whole number, or a list with one for each endpoint")
    return tuple(values)


_LIMIT = {"type": "integer", "minimum": 0}
Limits = Annotated[
    tuple[int, ...],
    BeforeValidator(_limits),
    WithJsonSchema({"anyOf": [_LIMIT, {"type": "array", "items": _LIMIT}]}),
]


class RpcTable(TomlTable):
    """endpoints in order of preference; ${NAME} is taken from the environment.

    daily_requests, monthly_compute_units: budgets, 0 for none. compute_units: by method, where
    the provider counts otherwise than Alchemy.
    """

    endpoints: Annotated[list[str], Field(min_length=1, repr=False)]
    timeout_s: Annotated[Number, Field(gt=0)] = Decimal(10)
    daily_requests: Limits = (0,)
    monthly_compute_units: Limits = (0,)
    compute_units: dict[str, Annotated[Whole, Field(ge=0)]] = Field(default_factory=dict)


class PoolsTable(TomlTable):
    """Pools to collect: every pair on every DEX, as far as the DEX has it."""

    dexes: Annotated[list[str], Field(min_length=1)]
    pairs: Annotated[list[str], Field(min_length=1)]


class CollectorFile(TomlTable):
    collector: CollectorTable
    rpc: RpcTable
    pools: Annotated[list[PoolsTable], Field(min_length=1)]
    alerts: AlertsTable | None = None


@dataclass(frozen=True, slots=True)
class PoolChoice:
    """One DEX and one pair of tokens by their own names, no aliases."""

    dex: str
    token_a: str
    token_b: str


class EndpointBudget(NamedTuple):
    """What an endpoint may be asked; None: without end."""

    daily_requests: int | None = None
    monthly_compute_units: int | None = None


@dataclass(frozen=True)
class CollectorConfig:
    """Checked: every name resolves. endpoints hold keys: never print them whole.

    budgets: one for each endpoint. compute_units: by method, where they differ from the default.
    """

    path: Path
    settings: CollectorTable
    endpoints: tuple[str, ...]
    timeout_s: float
    budgets: tuple[EndpointBudget, ...]
    compute_units: Mapping[str, int]
    chain: LoadedChain
    choices: tuple[PoolChoice, ...]
    alerts: AlertsConfig | None = None

    @property
    def history(self) -> Path:
        """Its folder."""
        return self.settings.data_dir / "history" / str(self.chain.chain.chain_id)

    def __repr__(self) -> str:
        return f"CollectorConfig({self.path}, {len(self.endpoints)} endpoints)"


def load_collector(path: Path) -> CollectorConfig:
    """Raises ConfigError or ConfigErrors."""
    file = read_toml(path, secrets=("rpc", TABLE), wary=True)
    tables = validate(file, CollectorFile)
    chain = load_chain(path.parent / tables.collector.chain)
    choices, problems = choices_of(file, tables.pools, chain)
    endpoints = []
    for i, endpoint in enumerate(tables.rpc.endpoints):
        try:
            endpoints.append(expand_environment(file, ("rpc", "endpoints", i), endpoint))
        except ConfigError as error:
            problems.append(error)
    problems += _wrong_limits(file, tables.rpc)
    alerts, wrong = check_alerts(file, tables.alerts, COLLECTOR_KINDS)
    problems += wrong
    if problems:
        raise ConfigErrors(problems)
    return CollectorConfig(
        path,
        tables.collector.placed(base_folder(path), "data_dir", "state_file", "log_dir"),
        tuple(endpoints),
        float(tables.rpc.timeout_s),
        _budgets(tables.rpc),
        tables.rpc.compute_units,
        chain,
        choices,
        alerts,
    )


def choices_of(
    file: TomlFile, tables: Sequence[PoolsTable], chain: LoadedChain
) -> tuple[tuple[PoolChoice, ...], list[ConfigError]]:
    """What the [[pools]] of a file choose, and what is wrong with them."""
    problems: list[ConfigError] = []
    choices: dict[PoolChoice, None] = {}
    for i, pools in enumerate(tables):
        for place, dex in enumerate(pools.dexes):
            if dex not in chain.dexes:
                loc, remedy = ("pools", i, "dexes", place), did_you_mean(dex, chain.dexes)
                problems.append(file.error(loc, f'unknown DEX "{dex}"', remedy))
        for place, pair in enumerate(pools.pairs):
            try:
                names = split_pair(file, ("pools", i, "pairs", place), pair, chain.tokens)
            except ConfigError as error:
                problems.append(error)
                continue
            token_a, token_b = map(chain.own_name, names)
            choices.update((PoolChoice(dex, token_a, token_b), None) for dex in pools.dexes)
    return tuple(choices), problems


def _wrong_limits(file: TomlFile, rpc: RpcTable) -> Iterator[ConfigError]:
    for key in ("daily_requests", "monthly_compute_units"):
        if len(getattr(rpc, key)) not in (1, len(rpc.endpoints)):
            problem = f"a list needs one number for each of the {len(rpc.endpoints)} endpoints"
            yield file.error(("rpc", key), problem, "0 stands for no limit")


def _budgets(rpc: RpcTable) -> tuple[EndpointBudget, ...]:
    def of_each(limits: tuple[int, ...]) -> tuple[int, ...]:
        return limits * len(rpc.endpoints) if len(limits) == 1 else limits

    return tuple(
        EndpointBudget(requests or None, units or None)
        for requests, units in zip(
            of_each(rpc.daily_requests), of_each(rpc.monthly_compute_units), strict=True
        )
    )
