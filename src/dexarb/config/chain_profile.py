"""The chain profile file: what is particular to a chain (config/polygon.toml)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from dexarb.amm import POOL_TYPES
from dexarb.config.toml_file import (
    Number,
    TomlFile,
    TomlTable,
    Whole,
    did_you_mean,
    read_toml,
    validate,
)
from dexarb.core.gas_schedule import ScheduleName
from dexarb.core.pool import PoolKey, to_pool_key
from dexarb.core.profile import (
    ETHEREUM_HEADER,
    NEEDED_FIELDS,
    ScheduleChange,
    TipFloor,
    TokenSurcharge,
    own_names,
    without_price,
)
from dexarb.core.token import Address, to_address
from dexarb.core.units import GWEI
from dexarb.errors import ConfigError, ConfigErrors, InvalidAddress


class ChainTable(TomlTable):
    """header_fields: what the chain's block hash is made of, in order, by their JSON names.
    sealed_headers: producers sign their headers at the end of extraData (clique, bor)."""

    chain_id: Whole
    name: str
    ordering: Literal["fee", "unknown"]
    wrapped_native: str
    numeraire: str
    start_tokens: list[str]
    exclude_tokens: tuple[str, ...] = ()
    exclude_pools: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    multicall3: str | None = None
    default_priority_fee_gwei: Number = Decimal(30)
    builder_cutoff_ms: Whole = 0
    l1_data_fee: StrictBool = False
    header_fields: tuple[str, ...] = ETHEREUM_HEADER
    sealed_headers: StrictBool = False


class DexTable(TomlTable):
    """A factory. fees_pips: the tiers to look for; a V2 fork has exactly one, its fee."""

    name: str
    kind: str
    factory: str
    fees_pips: list[Whole]


class ReferenceTable(TomlTable):
    """Pools that may price `token`. min_depth: whole numeraire tokens of virtual reserve."""

    token: str
    dex: str
    fees_pips: list[Whole] | None = None
    min_depth: Number


class GasScheduleTable(TomlTable):
    """From that block on the chain charges by this schedule; before the first, by Ethereum's."""

    from_block: Whole
    name: ScheduleName


class SurchargeTable(TomlTable):
    """From that block on the token takes so much more gas than a plain ERC-20, once a trade."""

    token: str
    gas: Annotated[Whole, Field(ge=0, le=1_000_000)]
    from_block: Whole = 0


class TipFloorTable(TomlTable):
    """From that block on no transaction lands that tips less."""

    from_block: Whole
    gwei: Number


class ChainFile(TomlTable):
    """aliases: other names of tokens, each to the token's own name."""

    chain: ChainTable
    tokens: dict[str, str]
    aliases: dict[str, str] = Field(default_factory=dict)
    dex: list[DexTable]
    reference: list[ReferenceTable]
    gas_schedule: list[GasScheduleTable] = Field(default=[])
    tip_floor: list[TipFloorTable] = Field(default=[])
    surcharge: list[SurchargeTable] = Field(default=[])


class LoadedChain:
    """A checked chain file: every name in it resolves.

    tokens: addresses by all their names, aliases behind the own ones. Whatever else names a token
    here has its own name, whichever of them the file used.
    """

    def __init__(self, file: TomlFile, tables: ChainFile) -> None:
        self.path = file.path
        self.aliases = tables.aliases
        self.chain = self._with_own_names(tables.chain)
        self.dexes = {dex.name: dex for dex in tables.dex}
        self.references = [
            each.model_copy(update={"token": self.own_name(each.token)})
            for each in tables.reference
        ]
        problems = []
        self.tokens: dict[str, Address] = {}
        for name, text in tables.tokens.items():
            try:
                self.tokens[name] = to_address(text)
            except InvalidAddress as error:
                problems.append(file.error(("tokens", name), str(error)))
        problems += [*self._wrong_names(file), *self._wrong_own(file)]
        named = [
            (("chain", "wrapped_native"), tables.chain.wrapped_native),
            (("chain", "numeraire"), tables.chain.numeraire),
            *((("chain", "start_tokens"), name) for name in tables.chain.start_tokens),
            *((("chain", "exclude_tokens"), name) for name in tables.chain.exclude_tokens),
            *((("reference", i, "token"), r.token) for i, r in enumerate(tables.reference)),
            *((("surcharge", i, "token"), s.token) for i, s in enumerate(tables.surcharge)),
        ]
        for loc, name in named:
            if name not in tables.tokens and name not in tables.aliases:
                remedy = did_you_mean(name, (*tables.tokens, *tables.aliases))
                problems.append(file.error(loc, f'unknown token "{name}"', remedy))
        priced = {self.chain.numeraire, *(each.token for each in self.references)}
        native, starts = self.chain.wrapped_native, self.chain.start_tokens
        self.unpriced = tuple(without_price(native, starts, priced))
        self.exclude_pools: list[PoolKey] = []
        for text in tables.chain.exclude_pools:
            try:
                self.exclude_pools.append(to_pool_key(text))
            except InvalidAddress as error:
                problems.append(file.error(("chain", "exclude_pools"), str(error)))
        for i, dex in enumerate(tables.dex):
            if dex.kind not in POOL_TYPES:
                remedy = did_you_mean(dex.kind, POOL_TYPES)
                problems.append(
                    file.error(("dex", i, "kind"), f'unknown kind of pool "{dex.kind}"', remedy)
                )
            try:
                to_address(dex.factory)
            except InvalidAddress as error:
                problems.append(file.error(("dex", i, "factory"), str(error)))
        for i, reference in enumerate(tables.reference):
            if reference.dex not in self.dexes:
                remedy = did_you_mean(reference.dex, self.dexes)
                problems.append(
                    file.error(("reference", i, "dex"), f'unknown DEX "{reference.dex}"', remedy)
                )
        self.gas_schedules = tuple(
            ScheduleChange(each.from_block, each.name) for each in tables.gas_schedule
        )
        problems += _disorder(file, "gas_schedule", self.gas_schedules, "gas schedules")
        lacking = [name for name in NEEDED_FIELDS if name not in tables.chain.header_fields]
        if lacking:
            problem = f"lacks {', '.join(lacking)}"
            remedy = "Name all that the block hash is made of, in order, as nodes call them"
            problems.append(file.error(("chain", "header_fields"), problem, remedy))
        if tables.chain.l1_data_fee:
            problems.append(
                file.error(
                    ("chain", "l1_data_fee"),
                    "chains that charge an L1 data fee are refused: it is not recorded yet,"
                    " so no result on them would be true",
                )
            )
        self.tip_floors = tuple(
            TipFloor(each.from_block, int(each.gwei * GWEI)) for each in tables.tip_floor
        )
        problems += self._floor_problems(file)
        if problems:
            raise ConfigErrors(problems)
        surcharges = [
            TokenSurcharge(each.from_block, self.tokens[self.own_name(each.token)], each.gas)
            for each in tables.surcharge
        ]
        self.surcharges = tuple(sorted(surcharges, key=lambda each: each.from_block))
        self.tokens |= {alias: self.tokens[name] for alias, name in self.aliases.items()}

    def own_name(self, name: str) -> str:
        """What a token is called that may have been called by an alias."""
        return self.aliases.get(name, name)

    def _with_own_names(self, table: ChainTable) -> ChainTable:
        return table.model_copy(
            update={
                "wrapped_native": self.own_name(table.wrapped_native),
                "numeraire": self.own_name(table.numeraire),
                "start_tokens": list(dict.fromkeys(map(self.own_name, table.start_tokens))),
                "exclude_tokens": tuple(dict.fromkeys(map(self.own_name, table.exclude_tokens))),
            }
        )

    @property
    def own(self) -> tuple[Address, ...]:
        """Executors and operators of ours."""
        return tuple(dict.fromkeys(map(to_address, self.chain.own)))

    def _wrong_own(self, file: TomlFile) -> Iterator[ConfigError]:
        for i, text in enumerate(self.chain.own):
            try:
                to_address(text)
            except InvalidAddress as error:
                yield file.error(("chain", "own", i), str(error))

    def _wrong_names(self, file: TomlFile) -> Iterator[ConfigError]:
        """Of two tokens with one address one would never be shown, so which is which is said."""
        own = own_names(self.tokens)
        for name, address in self.tokens.items():
            if own[address] != name:
                problem = f'has the same address as "{own[address]}"'
                remedy = f'If it is another name of that token: [aliases] {name} = "{own[address]}"'
                yield file.error(("tokens", name), problem, remedy)
        for alias, name in self.aliases.items():
            if alias in self.tokens:
                problem = f'"{alias}" is a token of [tokens] already'
                yield file.error(("aliases", alias), problem, "Remove one of the two")
            elif name not in self.tokens:
                problem = f'unknown token "{name}"'
                yield file.error(("aliases", alias), problem, did_you_mean(name, self.tokens))

    def _floor_problems(self, file: TomlFile) -> Iterator[ConfigError]:
        floors = self.tip_floors
        yield from _disorder(file, "tip_floor", floors, "floors")
        if floors and self.default_priority_fee < floors[-1].wei:
            bid, floor = self.default_priority_fee / GWEI, floors[-1].wei / GWEI
            yield file.error(
                ("chain", "default_priority_fee_gwei"),
                f"{bid:g} is below the chain's floor of {floor:g} gwei: it never lands",
                "Raise it",
            )

    @property
    def multicall3(self) -> Address | None:
        return to_address(self.chain.multicall3) if self.chain.multicall3 else None

    @property
    def default_priority_fee(self) -> int:
        """Wei per gas."""
        return int(self.chain.default_priority_fee_gwei * GWEI)


def _disorder(
    file: TomlFile, table: str, changes: Sequence[ScheduleChange | TipFloor], called: str
) -> Iterator[ConfigError]:
    """Each holds from its block on, until the next one."""
    for i, (before, after) in enumerate(pairwise(changes), start=1):
        if after.from_block <= before.from_block:
            yield file.error(
                (table, i, "from_block"),
                f"{after.from_block} is not behind {before.from_block}, where the one above it"
                " begins",
                f"List the {called} by ascending block",
            )


def load_chain(path: Path) -> LoadedChain:
    """Raises ConfigError or ConfigErrors."""
    file = read_toml(path)
    return LoadedChain(file, validate(file, ChainFile))
