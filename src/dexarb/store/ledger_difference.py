"""Where two ledgers part that should be the same: the first row of their digests that differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dexarb.store.ledger_columns import Row
from dexarb.store.ledger_queries import DIGESTED
from dexarb.store.ledger_reader import LedgerReader

_KEYS = {"strategies": 1, "decisions": 3, "fills": 3, "skips": 3, "evidence": 3}
"""How many columns a row is known by; the rows are in their order."""
_BY_BLOCK = ("decisions", "fills", "evidence")
"""What stands at a block, in the order in which one comes of the other."""
_DECISION = "SELECT strategy FROM decisions WHERE id = :id LIMIT 1"
_CALLED = "SELECT name FROM strategies WHERE hash = :hash"


class Difference(NamedTuple):
    """table: of the two ledgers. block: its number, None for counters. strategy: the name, None for
    what belongs to none. key: of the row. column: the first that differs, None where only one
    ledger has the row. one, other: its values; of a row, whether that ledger has it."""

    table: str
    block: int | None
    strategy: str | None
    key: tuple[Any, ...]
    column: str | None
    one: Any
    other: Any


def first_difference(one: LedgerReader, other: LedgerReader) -> Difference | None:
    """The earliest block at which anything differs comes first, then counters. None: nothing
    does. Raises StoreError."""
    found = {table: each for table, query in DIGESTED if (each := _first(table, query, one, other))}
    dated = [found[table] for table in _BY_BLOCK if table in found]
    if dated:
        return min(dated, key=lambda each: each.block or 0)
    return found.get("skips") or found.get("strategies")


def _first(table: str, query: str, one: LedgerReader, other: LedgerReader) -> Difference | None:
    names, rows = one.stream(query)
    for mine, theirs in _differing(_KEYS[table], rows, other.stream(query)[1]):
        key = (mine or theirs or ())[: _KEYS[table]]
        columns = zip(names, mine or (), theirs or (), strict=False)
        name, *values = next((each for each in columns if each[1] != each[2]), (None, mine, theirs))
        if name is None:
            values = [mine is not None, theirs is not None]
        block = key[0] if table in _BY_BLOCK else None
        return Difference(table, block, _strategy(table, key, one, other), key, name, *values)
    return None


def _differing(
    width: int, rows: Iterator[Row], others: Iterator[Row]
) -> Iterator[tuple[Row | None, Row | None]]:
    """The first pair; None for one whose row is missing."""
    for mine in rows:
        theirs = next(others, None)
        if mine == theirs:
            continue
        if theirs is None or mine[:width] < theirs[:width]:
            yield mine, None
        elif mine[:width] > theirs[:width]:
            yield None, theirs
        else:
            yield mine, theirs
        return
    theirs = next(others, None)
    if theirs is not None:
        yield None, theirs


def _strategy(
    table: str, key: tuple[Any, ...], one: LedgerReader, other: LedgerReader
) -> str | None:
    if table == "evidence":
        return None
    for ledger in (one, other):
        known = key[:1]
        if table in ("decisions", "fills"):
            known = next(iter(ledger.rows(_DECISION, {"id": key[2]})), ())
        for (name,) in ledger.rows(_CALLED, {"hash": known[0]}) if known else ():
            return str(name)
    return None
