"""The collector's configuration (config/collector.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dexarb.apps.config.chain_profile import LoadedChain, load_chain
from dexarb.apps.config.toml_file import (
    Model,
    Number,
    TomlFile,
    Whole,
    did_you_mean,
    expand_environment,
    read_toml,
    validate,
)
from dexarb.apps.config.toml_lines import Loc
from dexarb.core.token import Address
from dexarb.errors import ConfigError, ConfigErrors

LogLevel = Literal["debug", "info", "warning", "error"]


class CollectorTable(Model):
    """chain: the profile file, relative to this one. Folders are relative to where we start."""

    chain: Path
    data_dir: Path = Path("data")
    state_file: Path = Path("data/pool_state.json")
    log_dir: Path = Path("logs")
    log_level: LogLevel = "info"
    poll_interval_ms: Annotated[Whole, Field(ge=10)] = 1000
    metrics_interval_secs: Annotated[Whole, Field(ge=1)] = 60
    segment_blocks: Annotated[Whole, Field(ge=1)] = 1000


class RpcTable(Model):
    """endpoints in order of preference; ${NAME} is taken from the environment."""

    endpoints: Annotated[list[str], Field(min_length=1)]
    timeout_s: Annotated[Number, Field(gt=0)] = Decimal(10)


class PoolsTable(Model):
    """Pools to collect: every pair on every DEX, as far as the DEX has it."""

    dexes: Annotated[list[str], Field(min_length=1)]
    pairs: Annotated[list[str], Field(min_length=1)]


class CollectorFile(Model):
    collector: CollectorTable
    rpc: RpcTable
    pools: Annotated[list[PoolsTable], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class PoolChoice:
    """One DEX and one pair of token names."""

    dex: str
    token_a: str
    token_b: str


@dataclass(frozen=True)
class CollectorConfig:
    """Checked: every name resolves. endpoints hold keys: never print them whole."""

    path: Path
    settings: CollectorTable
    endpoints: tuple[str, ...]
    timeout_s: float
    chain: LoadedChain
    choices: tuple[PoolChoice, ...]

    def __repr__(self) -> str:
        return f"CollectorConfig({self.path}, {len(self.endpoints)} endpoints)"


def load_collector(path: Path) -> CollectorConfig:
    """Raises ConfigError or ConfigErrors."""
    file = read_toml(path)
    tables = validate(file, CollectorFile)
    chain_path = path.parent / tables.collector.chain
    chain = load_chain(chain_path)
    problems: list[ConfigError] = []
    choices: dict[PoolChoice, None] = {}
    for i, pools in enumerate(tables.pools):
        for dex in pools.dexes:
            if dex not in chain.dexes:
                remedy = did_you_mean(dex, chain.dexes)
                problems.append(file.error(("pools", i, "dexes"), f'unknown DEX "{dex}"', remedy))
        for pair in pools.pairs:
            try:
                token_a, token_b = split_pair(file, ("pools", i, "pairs"), pair, chain.tokens)
            except ConfigError as error:
                problems.append(error)
                continue
            choices.update((PoolChoice(dex, token_a, token_b), None) for dex in pools.dexes)
    endpoints = []
    for i, endpoint in enumerate(tables.rpc.endpoints):
        try:
            endpoints.append(expand_environment(file, ("rpc", "endpoints", i), endpoint))
        except ConfigError as error:
            problems.append(error)
    if problems:
        raise ConfigErrors(problems)
    return CollectorConfig(
        path,
        tables.collector,
        tuple(endpoints),
        float(tables.rpc.timeout_s),
        chain,
        tuple(choices),
    )


def split_pair(
    file: TomlFile, loc: Loc, pair: str, tokens: Mapping[str, Address]
) -> tuple[str, str]:
    """`WETH/USDC` as two known token names. Raises ConfigError."""
    names = pair.split("/")
    if len(names) != 2 or not all(names):
        raise file.error(loc, f'"{pair}" is not a pair', 'Write it as "WETH/USDC"')
    for name in names:
        if name not in tokens:
            raise file.error(loc, f'unknown token "{name}" in "{pair}"', did_you_mean(name, tokens))
    if names[0] == names[1]:
        raise file.error(loc, f'"{pair}" names the same token twice')
    return names[0], names[1]
