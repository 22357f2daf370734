"""The ledger's columns, each once: its SQL, what of a noun it holds, and the way back.

docs/history-format.md describes the tables. Amounts of tokens and of wei can exceed 64 bits and
are decimal TEXT; micro-USD, gas, block numbers and seqs are INTEGER.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from dexarb.core.block import Block
from dexarb.core.evidence import Evidence, Mover, Outcome
from dexarb.core.pool import PoolKey
from dexarb.core.probes import Probe
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.core.trade import (
    Decision,
    Fill,
    FillStatus,
    Funding,
    Position,
    SkipCount,
    SkipReason,
)
from dexarb.store.ledger_rows import Epoch, IncidentRow, RealityRow, StrategyRow

Noun = TypeVar("Noun")
Row = tuple[Any, ...]


class Kind(NamedTuple):
    """How values of one type are kept. write, read: to and from SQLite, None for as they are."""

    sql: str
    write: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None


def _hops_text(hops: tuple[Hop, ...]) -> str:
    listed = [[hop.pool, hop.token_in, hop.token_out] for hop in hops]
    return json.dumps(listed, separators=(",", ":"))


def cycle_from(hops: str) -> Cycle:
    """From column `hops`."""
    return Cycle(
        tuple(
            Hop(PoolKey(pool), Address(token_in), Address(token_out))
            for pool, token_in, token_out in json.loads(hops)
        )
    )


def _one_of(values: type[StrEnum]) -> Kind:
    return Kind("TEXT", {each: each.value for each in values}.__getitem__, values)


INTEGER, REAL, TEXT = Kind("INTEGER"), Kind("REAL"), Kind("TEXT")
BIG = Kind("TEXT", lru_cache(maxsize=4096)(str), int)
"""An integer that can exceed 64 bits. Of thousands in a block most are the same few."""
FLAG = Kind("INTEGER", int, bool)

NEVER_NULL, OPTIONAL, PRIMARY_KEY = "NOT NULL", "", "PRIMARY KEY"


class Column(NamedTuple):
    """rule: of its values, in SQL. of: where in the noun the value is, if not in the field of this
    name.

    refers: it names a row of another table, which is joined where the noun is read.
    """

    name: str
    kind: Kind
    rule: str = NEVER_NULL
    of: str | None = None
    refers: bool = False


@dataclass(frozen=True)
class Columns(Generic[Noun]):
    """Those of a noun, in the order of its table. make: the noun, from values by column."""

    make: Callable[..., Noun]
    columns: tuple[Column, ...]

    @property
    def sql(self) -> str:
        """For CREATE TABLE."""
        return ", ".join(
            f"{each.name} {each.kind.sql} {each.rule}".rstrip() for each in self.columns
        )

    def names(self, alias: str = "") -> str:
        """For SELECT. alias: of the table."""
        return ", ".join(f"{alias}.{each.name}" if alias else each.name for each in self.columns)

    def insert(self, table: str, *more: str) -> str:
        """A statement that takes the values of `more`, the table's own columns, and the noun's."""
        names = [*more, *(each.name for each in self.columns)]
        return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"

    def values(self, noun: Noun) -> Row:
        """What SQLite is given for a noun."""
        return next(self.rows([noun]))

    def rows(self, nouns: Collection[Noun], *more: Iterable[Any]) -> Iterator[Row]:
        """The same for many: a busy block has thousands. more: columns that stand before."""
        if not nouns:
            return iter(())
        found: list[Iterable[Any]] = list(zip(*map(self._fields, nouns), strict=True))
        for place, write in self._writes:
            found[place] = [None if value is None else write(value) for value in found[place]]
        return zip(*more, *found, strict=False)  # what is before may have no end

    def take(self, values: Iterator[Any]) -> Row:
        """The next of a longer row's values, as many as there are columns."""
        return tuple(islice(values, len(self.columns)))

    def read(self, row: Row, **joined: Any) -> Noun:
        """The noun of such a row. joined: its fields that other tables hold."""
        found = list(row)
        for place, read in self._reads:
            if found[place] is not None:
                found[place] = read(found[place])
        return self.make(**{name: found[place] for place, name in self._own}, **joined)

    # A busy block has thousands of rows, so what is the same for all of them is made once.

    @cached_property
    def _fields(self) -> Callable[[Noun], Row]:
        return attrgetter(*(each.of or each.name for each in self.columns))

    @cached_property
    def _writes(self) -> list[tuple[int, Callable[[Any], Any]]]:
        kinds = enumerate(each.kind for each in self.columns)
        return [(place, kind.write) for place, kind in kinds if kind.write is not None]

    @cached_property
    def _reads(self) -> list[tuple[int, Callable[[Any], Any]]]:
        kinds = enumerate(each.kind for each in self.columns)
        return [(place, kind.read) for place, kind in kinds if kind.read is not None]

    @cached_property
    def _own(self) -> list[tuple[int, str]]:
        return [(i, each.name) for i, each in enumerate(self.columns) if not each.refers]


def _fill(*, band_low_micro_usd: int, band_high_micro_usd: int, **facts: Any) -> Fill:
    return Fill(band_micro_usd=(band_low_micro_usd, band_high_micro_usd), **facts)


def _evidence(**facts: Any) -> Evidence:
    number, *moved = [facts.pop(each.name) for each in _MOVER]
    return Evidence(mover=None if number is None else Mover(number, *moved), **facts)


def _of_mover(field: str, kind: Kind) -> Column:
    """NULL as well where nobody moved."""

    def write(mover: Mover) -> Any:
        value = getattr(mover, field)
        return value if value is None or kind.write is None else kind.write(value)

    return Column(f"mover_{field}", Kind(kind.sql, write, kind.read), OPTIONAL, of="mover")


# A cycle uses no pool twice, so its id and first pool say where it starts.
_ROUTE_KEY = (
    Column("cycle", TEXT, of="cycle.id", refers=True),
    Column("start_pool", TEXT, of="cycle.start_pool", refers=True),
)
_MOVER = (
    _of_mover("block_number", INTEGER),
    _of_mover("block_hash", TEXT),
    _of_mover("place", INTEGER),
    _of_mover("transaction", TEXT),
    _of_mover("sender", TEXT),
    _of_mover("to", TEXT),
    _of_mover("paid", BIG),
)

STRATEGY = Columns(
    StrategyRow,
    (
        Column("hash", TEXT, PRIMARY_KEY),
        Column("name", TEXT),
        Column("config", TEXT),
        Column("ordinal", INTEGER),
    ),
)
"""Without `seen`, which changes with the blocks."""

REALITY = Columns(
    RealityRow,
    (
        Column("hash", TEXT, PRIMARY_KEY),
        Column("spec", TEXT),
    ),
)

EPOCH = Columns(
    Epoch,
    (
        Column("strategy", TEXT),
        Column("from_seq", INTEGER),
        Column("to_seq", INTEGER, OPTIONAL),
        Column("reality", TEXT, OPTIONAL),
    ),
)

BLOCK = Columns(
    Block,
    (
        Column("number", INTEGER),
        Column("hash", TEXT),
        Column("parent_hash", TEXT),
        Column("timestamp", INTEGER),
        Column("base_fee_per_gas", BIG),
        Column("gas_used", INTEGER),
        Column("gas_limit", INTEGER),
        Column("seen_at", REAL, OPTIONAL),
    ),
)

ROUTE = Columns(
    cycle_from,
    (
        Column("cycle", TEXT, of="id", refers=True),
        Column("start_pool", TEXT, refers=True),
        Column("hops", Kind("TEXT", _hops_text)),
    ),
)

DECISION = Columns(
    Decision,
    (
        Column("id", TEXT),
        Column("strategy", TEXT),
        *_ROUTE_KEY,
        Column("amount_in", BIG),
        Column("amount_out", BIG),
        Column("min_amount_out", BIG),
        Column("gas_units", INTEGER),
        Column("expected_net_micro_usd", INTEGER),
        Column("capital_micro_usd", INTEGER),
        Column("priority_fee", BIG),
        Column("max_base_fee", BIG),
        Column("first_block", INTEGER),
        Column("deadline_block", INTEGER),
        Column("position", _one_of(Position)),
        Column("funding", _one_of(Funding)),
        Column("latency_ms", INTEGER, OPTIONAL),
        Column("gas_reserve_micro_usd", INTEGER),
        Column("fixed_gas_cost_micro_usd", INTEGER, OPTIONAL),
        Column("competition_lost", FLAG),
    ),
)

FILL = Columns(
    _fill,
    (
        Column("place", INTEGER),
        Column("status", _one_of(FillStatus)),
        Column("amount_in", BIG),
        Column("amount_out", BIG),
        Column("gas_used", INTEGER),
        Column("gas_price", BIG),
        Column("gas_cost_micro_usd", INTEGER),
        Column("net_micro_usd", INTEGER),
        Column("band_low_micro_usd", Kind("INTEGER", itemgetter(0)), of="band_micro_usd"),
        Column("band_high_micro_usd", Kind("INTEGER", itemgetter(1)), of="band_micro_usd"),
        Column("place_known", FLAG),
    ),
)

SKIP = Columns(
    SkipCount,
    (
        Column("strategy", TEXT),
        Column("hour", INTEGER),
        Column("reason", _one_of(SkipReason)),
        Column("times", INTEGER),
        Column("needed", INTEGER, OPTIONAL),
        Column("best", INTEGER, OPTIONAL),
        Column("block", INTEGER, OPTIONAL),
    ),
)

EVIDENCE = Columns(
    _evidence,
    (
        *_ROUTE_KEY,
        Column("block_number", INTEGER),
        Column("block_hash", TEXT),
        Column("outcome", _one_of(Outcome)),
        Column("closed_after", INTEGER, OPTIONAL),
        *_MOVER,
        Column("gain_token", TEXT, OPTIONAL),
        Column("gain", BIG, OPTIONAL),
    ),
)

PROBE = Columns(
    Probe,
    (
        *_ROUTE_KEY,
        Column("block_number", INTEGER),
        Column("block_hash", TEXT),
        Column("amount_in", BIG),
        Column("expected_out", BIG),
        Column("amount_out", BIG, OPTIONAL),
        Column("expected_gas", INTEGER),
        Column("gas", INTEGER, OPTIONAL),
        Column("refusal", TEXT, OPTIONAL),
        Column("until_block", INTEGER, OPTIONAL),
    ),
)

INCIDENT = Columns(
    IncidentRow,
    (
        Column("seq", INTEGER),
        Column("strategy", TEXT),
        Column("problem", TEXT),
    ),
)
