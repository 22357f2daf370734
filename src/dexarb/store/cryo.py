"""Files that cryo has written: which datasets they are of, and their rows in the chain's order.

Logs, blocks and transactions, as Parquet (binary or hex) or CSV, many files of each, in any order,
overlapping or empty. Source: cryo 0.3.2, which wrote the files that the tests read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dexarb.errors import DataError
from dexarb.store.bounds import MAX_UINT32, MAX_UINT64
from dexarb.store.codec import from_hex

AGAIN = "Freeze it again (cryo ... --overwrite)"
_ROWS_AT_A_TIME = 4096
_NAME = re.compile(r"[^_]+(?:_[^_]+)*__([a-z0-9_]+?)__(?:.+__)?(\d+)_to_(\d+)")
_LINE = re.compile(r"Line: (\d+)")


class Column(NamedTuple):
    """convert: of what DuckDB gives, an integer, bytes or text; raises ValueError. optional: may be
    NULL, and may be missing from the file."""

    name: str
    convert: Callable[[Any], Any]
    optional: bool = False


def _number(most: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        number = int(value)
        if not 0 <= number <= most:
            raise ValueError(f"{number} is not within 0 and {most}")
        return number

    return convert


def _octets(size: int | None) -> Callable[[Any], bytes]:
    def convert(value: Any) -> bytes:
        data = value if isinstance(value, bytes) else from_hex(value)
        if size is not None and len(data) != size:
            raise ValueError(f"{len(data)} bytes, not {size}")
        return data

    return convert


def _truth(value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False}.get(value)
    if known is None:
        raise ValueError(f"{value!r} is neither true nor false")
    return known


_UINT32, _UINT64 = _number(MAX_UINT32), _number(MAX_UINT64)
_WORD, _ADDRESS, _DATA = _octets(32), _octets(20), _octets(None)


class Dataset(NamedTuple):
    """order: what rows are ordered by; two with the same are the same, or one is wrong."""

    name: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]


LOGS = Dataset(
    "logs",
    (
        Column("block_number", _UINT32),
        Column("transaction_index", _UINT32),
        Column("log_index", _UINT32),
        Column("address", _ADDRESS),
        *(Column(f"topic{n}", _WORD, optional=True) for n in range(4)),
        Column("data", _DATA),
    ),
    ("block_number", "log_index"),
)
BLOCKS = Dataset(
    "blocks",
    (
        Column("block_number", _UINT32),
        Column("block_hash", _WORD),
        Column("timestamp", _UINT32),
        Column("gas_used", _UINT64),
        Column("base_fee_per_gas", _UINT64, optional=True),
        Column("parent_hash", _WORD, optional=True),
        Column("author", _ADDRESS, optional=True),
    ),
    ("block_number",),
)
TRANSACTIONS = Dataset(
    "transactions",
    (
        Column("block_number", _UINT32),
        Column("transaction_index", _UINT32),
        Column("transaction_hash", _WORD),
        Column("from_address", _ADDRESS),
        Column("to_address", _ADDRESS, optional=True),
        Column("gas_price", _UINT64),
        Column("gas_used", _UINT64),
        Column("success", _truth),
        Column("transaction_type", _UINT32, optional=True),
    ),
    ("block_number", "transaction_index"),
)
_MARKS = {LOGS: "log_index", TRANSACTIONS: "from_address", BLOCKS: "base_fee_per_gas"}
"""A column that no other of the datasets has."""


@dataclass(frozen=True, slots=True)
class CryoFile:
    """blocks: what its name says it covers, first and last; None for a name that is not cryo's.

    columns: names and DuckDB's types.
    """

    path: Path
    dataset: Dataset
    blocks: tuple[int, int] | None
    columns: dict[str, str]

    @property
    def is_csv(self) -> bool:
        return self.path.suffix == ".csv"


def find(paths: Iterable[Path]) -> list[CryoFile]:
    """The files, and those in the folders, that are of one of the three datasets; a file that is
    named and is none is an error. Raises DataError."""
    found: dict[Path, CryoFile] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix in (".parquet", ".csv"))
            files = [each for each in map(_open, inside) if each is not None]
            if not files:
                problem = "holds no Parquet or CSV file of logs, blocks or transactions"
                raise DataError(problem, file=path, remedy="Name cryo's output_dir, or its files")
            found |= {file.path: file for file in files}
        else:
            file = _open(path)
            if file is None:
                problem = "is of none of cryo's datasets logs, blocks and transactions"
                raise DataError(problem, file=path, remedy="Leave it out")
            found[path] = file
    return list(found.values())


def covered(files: Sequence[CryoFile]) -> list[tuple[int, int]] | None:
    """The blocks that the files cover by their names, as unbroken runs; None where one has a name
    that does not say."""
    runs: list[tuple[int, int]] = []
    for blocks in sorted(file.blocks or (-1, -1) for file in files):
        if blocks == (-1, -1):
            return None
        if runs and blocks[0] <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(runs[-1][1], blocks[1]))
        else:
            runs.append(blocks)
    return runs


def rows(
    files: Sequence[CryoFile],
    dataset: Dataset,
    *,
    first: int = 0,
    last: int = MAX_UINT32,
    among: Mapping[str, Sequence[bytes]] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """The rows of a dataset in order, each once, with its columns as they are declared.

    first, last: block numbers. among: values that a column of bytes may have. Raises DataError,
    which names the file, for what cannot be read or does not fit, and for two rows that say
    different things of the same.
    """
    own = [file for file in files if file.dataset is dataset]
    width, before, source = len(dataset.columns), None, ""
    places = [[each.name for each in dataset.columns].index(name) for name in dataset.order]
    for *row, name in _ordered(own, dataset, first, last, among or {}):
        if before is not None and all(row[at] == before[at] for at in places):
            if row == before:
                continue
            what = ", ".join(f"{dataset.columns[at].name} {row[at]}" for at in places)
            problem = f"says something else of {what} than {source}"
            raise DataError(problem, file=name, remedy="Leave out the wrong one of the two")
        assert len(row) == width
        before, source = row, name
        yield tuple(row)


def chain_ids(files: Sequence[CryoFile]) -> Iterator[tuple[CryoFile, int]]:
    """Each file with each chain that it has rows of. Raises DataError."""
    for file in files:
        if "chain_id" in file.columns:
            query = f"SELECT DISTINCT chain_id FROM {_source([file], 'files')}"
            with _reading([file]) as cursor:
                for (chain_id,) in cursor.execute(query, {"files": [str(file.path)]}).fetchall():
                    yield file, int(chain_id)


# -- files -------------------------------------------------------------------------------------


def _open(path: Path) -> CryoFile | None:
    """None for one of another dataset. Raises DataError."""
    if path.suffix not in (".parquet", ".csv"):
        remedy = "Let cryo write Parquet, its default, or CSV (csv=True, --csv)"
        raise DataError("is neither .parquet nor .csv", file=path, remedy=remedy)
    named = _NAME.fullmatch(path.stem)
    if not path.exists():
        raise DataError("there is no such file", file=path)
    if path.suffix == ".csv" and not path.stat().st_size:
        columns: dict[str, str] = {}
    else:
        columns = _columns(path)
    dataset = next((each for each, mark in _MARKS.items() if mark in columns), None)
    if dataset is None and named is not None:
        names = {each.name: each for each in _MARKS}
        dataset = names.get(named[1])
    if dataset is None:
        return None
    lacking = [
        each.name for each in dataset.columns if not each.optional and each.name not in columns
    ]
    if lacking and columns:
        remedy = f"Freeze {dataset.name} with cryo's default columns"
        if "data" in lacking:
            remedy += " and without event_signature, which takes them apart"
        raise DataError(f"has no column {', '.join(lacking)}", file=path, remedy=remedy)
    blocks = (int(named[2]), int(named[3])) if named is not None else None
    return CryoFile(path, dataset, blocks, columns)


def _columns(path: Path) -> dict[str, str]:
    """Names and types."""
    file = CryoFile(path, LOGS, None, {})
    query = f"DESCRIBE SELECT * EXCLUDE (filename) FROM {_source([file], 'files')}"
    with _reading([file]) as cursor:
        found = cursor.execute(query, {"files": [str(path)]}).fetchall()
    return {name: type_ for name, type_, *_ in found}


def _source(files: Sequence[CryoFile], parameter: str) -> str:
    """Files of one kind as a table."""
    if files[0].is_csv:
        return (
            f"read_csv(${parameter}, header = true, all_varchar = true, delim = ',', quote = '\"',"
            " filename = true, union_by_name = true, strict_mode = true, null_padding = false)"
        )
    return f"read_parquet(${parameter}, filename = true, union_by_name = true)"


@contextmanager
def _reading(files: Sequence[CryoFile]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own. DuckDB's complaints become DataErrors that name the file."""
    try:
        with duckdb.connect(config={"threads": 1}) as connection:
            yield connection
    except duckdb.Error as error:
        if len(files) > 1:
            for file in files:  # which one is it?
                _read_through(file)
        text = str(error).split("\n")[0]
        line = _LINE.search(str(error))
        raise DataError(
            f"cannot be read: {text}",
            file=files[0].path if len(files) == 1 else f"{len(files)} files",
            row=int(line[1]) if line else None,
            remedy=AGAIN,
        ) from error


def _read_through(file: CryoFile) -> None:
    query = f"SELECT count(COLUMNS(*)) FROM {_source([file], 'files')}"
    with _reading([file]) as cursor:
        cursor.execute(query, {"files": [str(file.path)]}).fetchall()


# -- rows --------------------------------------------------------------------------------------


def _ordered(
    files: Sequence[CryoFile],
    dataset: Dataset,
    first: int,
    last: int,
    among: Mapping[str, Sequence[bytes]],
) -> Iterator[list[Any]]:
    """Rows with the name of their file behind them, those of all files in one order."""
    files = [file for file in files if file.columns]
    parts, groups = list[str](), dict[str, list[str]]()

    def shape(file: CryoFile) -> tuple[bool, list[tuple[str, str | None]]]:
        return file.is_csv, [(each.name, file.columns.get(each.name)) for each in dataset.columns]

    for (is_csv, columns), same in groupby(sorted(files, key=lambda f: str(shape(f))), shape):
        together = list(same)
        parameter = f"files{len(parts)}"
        groups[parameter] = [str(file.path) for file in together]
        names = [name if type_ else f"NULL AS {name}" for name, type_ in columns]
        types = dict(columns)
        number = "TRY_CAST(block_number AS UBIGINT)" if is_csv else "block_number"
        wanted = [f"{number} BETWEEN {first} AND {last}"]
        wanted += [_one_of(name, types[name] == "BLOB", values) for name, values in among.items()]
        # What is no number and no address is let through, to be told of where it stands.
        odd = [f"{number} IS NULL"]
        odd += [_is_odd(name, types[name] == "BLOB", values) for name, values in among.items()]
        order = [f"TRY_CAST({name} AS UBIGINT) AS order{n}" for n, name in enumerate(dataset.order)]
        parts.append(
            f"SELECT {', '.join([*names, 'filename', *order])} FROM {_source(together, parameter)}"
            f" WHERE ({' AND '.join(wanted)}) OR {' OR '.join(odd)}"
        )
    if not parts:
        return
    orders = ", ".join(f"order{n}" for n in range(len(dataset.order)))
    query = f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY {orders} NULLS FIRST, filename"
    with _reading(files) as cursor:
        cursor.execute(query, groups)
        while found := cursor.fetchmany(_ROWS_AT_A_TIME):
            *columns_found, names_found = list(zip(*found, strict=True))[: len(dataset.columns) + 1]
            try:
                made = [
                    _converted(column, values)
                    for column, values in zip(dataset.columns, columns_found, strict=True)
                ]
            except (ValueError, TypeError):
                _tell_where(found, dataset, {str(file.path): file for file in files})
                raise
            yield from map(list, zip(*made, names_found, strict=True))


def _converted(column: Column, values: Sequence[Any]) -> list[Any]:
    convert = column.convert
    if column.optional:
        return [None if value is None else convert(value) for value in values]
    return [convert(value) for value in values]


def _one_of(name: str, is_binary: bool, values: Sequence[bytes]) -> str:
    before, after = ("unhex('", "')") if is_binary else ("'0x", "'")
    wanted = ", ".join(f"{before}{each.hex()}{after}" for each in values)
    return f"{name if is_binary else f'lower({name})'} IN ({wanted})"


def _is_odd(name: str, is_binary: bool, values: Sequence[bytes]) -> str:
    """Whether it is there and cannot be one of such values."""
    size = len(values[0])
    if is_binary:
        return f"octet_length({name}) <> {size}"
    return f"NOT regexp_full_match({name}, '0x[0-9a-fA-F]{{{2 * size}}}')"


def _tell_where(
    found: Iterable[Sequence[Any]], dataset: Dataset, files: dict[str, CryoFile]
) -> None:
    """Raises the DataError of the first of these rows that does not convert."""
    for row in found:
        for column, value in zip(dataset.columns, row, strict=False):
            try:
                _converted(column, [value])
            except (ValueError, TypeError) as error:
                file = files[row[len(dataset.columns)]]
                what = "is empty" if value is None else str(error)
                raise DataError(
                    f"{column.name}: {what}",
                    file=file.path,
                    row=_number_of(file, dataset, row),
                    remedy=AGAIN,
                ) from None


def _number_of(file: CryoFile, dataset: Dataset, wanted: Sequence[Any]) -> int | None:
    """Which row of its file this is, counted from 1, a header not counted."""
    names = [each.name for each in dataset.columns if each.name in file.columns]
    kept = [
        value
        for each, value in zip(dataset.columns, wanted, strict=False)
        if each.name in file.columns
    ]
    query = f"SELECT {', '.join(names)} FROM {_source([file], 'files')}"
    with _reading([file]) as cursor:
        cursor.execute(query, {"files": [str(file.path)]})
        number = 0
        while found := cursor.fetchmany(_ROWS_AT_A_TIME):
            for row in found:
                number += 1
                if list(row) == kept:
                    return number
    return None
