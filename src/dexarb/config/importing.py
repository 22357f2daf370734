"""What `dexarb history import` is to make of logs: which pools, and what no log tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from dexarb.config.chain_profile import LoadedChain, load_chain
from dexarb.config.collector import PoolChoice, PoolsTable, choices_of, load_collector
from dexarb.config.kinds import kind_with
from dexarb.config.pairs import split_pair
from dexarb.config.toml_file import TomlTable, Whole, did_you_mean, read_toml, validate
from dexarb.core.pool import FoundPool, to_pool_key
from dexarb.core.token import Address, pair_of
from dexarb.errors import ConfigError, ConfigErrors, InvalidAddress

MAX_DECIMALS = 77
"""Of which a whole token still fits into 256 bits."""


class ImportTable(TomlTable):
    """chain: the profile file, relative to this one. gas_limit: of the blocks, which cryo does not
    write; 0: not known."""

    chain: Path
    gas_limit: Whole = 0


class NamedPoolTable(TomlTable):
    """A pool by its address, whether or not its creation is among the logs."""

    dex: str
    address: str
    pair: str
    fee_pips: Whole | None = None


class ImportFile(TomlTable):
    """import_: called `import` in the file."""

    import_: Annotated[ImportTable, Field(alias="import")]
    decimals: dict[str, Whole] = Field(default_factory=dict)
    pools: list[PoolsTable] = Field(default=[])
    pool: list[NamedPoolTable] = Field(default=[])


@dataclass(frozen=True, slots=True)
class NamedPool:
    """found: what the file says of it, its tokens in the contract's order."""

    dex: str
    found: FoundPool


@dataclass(frozen=True, slots=True)
class ImportConfig:
    """Checked: every name resolves. choices: pools to find by their creation. decimals: by token.
    gas_limit: None where it is not known."""

    path: Path
    chain: LoadedChain
    choices: Sequence[PoolChoice]
    named: Sequence[NamedPool]
    decimals: Mapping[Address, int]
    gas_limit: int | None


def load_import(path: Path) -> ImportConfig:
    """An import's own file, or the collector's, which names pools in the same way. Raises
    ConfigError or ConfigErrors."""
    file = read_toml(path)
    if kind_with(file.data) == "collector":
        collector = load_collector(path)
        return ImportConfig(path, collector.chain, collector.choices, (), {}, None)
    tables = validate(file, ImportFile)
    chain = load_chain(path.parent / tables.import_.chain)
    choices, problems = choices_of(file, tables.pools, chain)
    decimals: dict[Address, int] = {}
    for name, number in tables.decimals.items():
        if name not in chain.tokens:
            remedy = did_you_mean(name, chain.tokens)
            problems.append(file.error(("decimals", name), f'unknown token "{name}"', remedy))
        elif number > MAX_DECIMALS:
            problem = f"{number} is more than {MAX_DECIMALS}"
            problems.append(file.error(("decimals", name), problem))
        else:
            decimals[chain.tokens[name]] = number
    named: list[NamedPool] = []
    for i, table in enumerate(tables.pool):
        if table.dex not in chain.dexes:
            remedy = did_you_mean(table.dex, chain.dexes)
            problems.append(file.error(("pool", i, "dex"), f'unknown DEX "{table.dex}"', remedy))
            continue
        try:
            names = split_pair(file, ("pool", i, "pair"), table.pair, chain.tokens)
            key = to_pool_key(table.address)
        except ConfigError as error:
            problems.append(error)
            continue
        except InvalidAddress as error:
            problems.append(file.error(("pool", i, "address"), str(error)))
            continue
        fees = chain.dexes[table.dex].fees_pips
        fee_pips = table.fee_pips if table.fee_pips is not None or len(fees) > 1 else fees[0]
        if fee_pips is None:
            remedy = f"{table.dex} has {', '.join(map(str, fees))}"
            problems.append(file.error(("pool", i), "needs its fee_pips", remedy))
            continue
        one, other = (chain.tokens[name] for name in names)
        named.append(NamedPool(table.dex, FoundPool(key, pair_of(one, other), fee_pips)))
    if not problems and not choices and not named:
        problems.append(file.error((), "names no pools", "Add [[pools]] or [[pool]]"))
    if problems:
        raise ConfigErrors(problems)
    return ImportConfig(
        path, chain, choices, tuple(named), decimals, tables.import_.gas_limit or None
    )
