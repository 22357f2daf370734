"""The results of a sweep: one Parquet file, a row for each configuration.

docs/sweep.md says what the columns are.
"""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from dexarb.errors import StoreError
from dexarb.store.files import disk_errors, sync_file, sync_folder
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.study.sweep.columns import Column, read_columns
from dexarb.study.sweep.plan import (
    BLOCKS_FOLDER,
    CONFIGS_FOLDER,
    MARKET_FOLDER,
    RESULTS_FILE,
    Plan,
    block_file,
    read_configs,
)
from dexarb.study.sweep.running import BOOKED, FOLDED, GAS_OF
from dexarb.trading.strategy import StrategySettings

_TEXTS = {"pairs", "dexes", "funding", "position", "kind", "parameters", "code"}
_PARAMETERS = [each.name for each in fields(StrategySettings) if each.init and each.name != "name"]
PARTS = ("", "_after")
"""Of what was decided before the split, or without one, and from there on."""


_GAS_COST = f"{' + '.join(GAS_OF.values())} AS gas_paid_micro_usd"
"""Under another name than in the ledger, which is that of a parameter."""
_ROW = ", ".join(each.name.replace("gas_cost", "gas_paid") for each in fields(StrategyTotals))


def write_results(folder: Path, plan: Plan) -> Path:
    """All blocks in one file, and what served to make it goes. Raises StoreError."""
    path = folder / RESULTS_FILE
    partial = path.with_suffix(".tmp")
    settings = [each for task in range(plan.tasks) for each in read_configs(folder, task)]
    found = _found(folder, plan)
    table: dict[str, Column] = {
        "name": np.array([each.name for each in settings], dtype=object),
        "hash": np.array([each.hash for each in settings], dtype=object),
        "parameters": np.array([each.canonical for each in settings], dtype=object),
    }
    table |= {name: found[name] for name in (*BOOKED, *FOLDED)}
    lists = []
    for part in range(found["net_micro_usd"].shape[0]):
        for kind in ("net_micro_usd", "trades"):
            days = []
            for day in range(len(plan.days)):
                days.append(f"{kind}_{part}_{day}")
                table[days[-1]] = found[kind][part, day]
            lists.append(f"list_value({', '.join(days)}) AS daily_{kind}{PARTS[part]}")
    known = ", ".join(_parameter(name) for name in _PARAMETERS)
    days_told = f"CAST({plan.days} AS INTEGER[]) AS days"
    counts = ", ".join((*BOOKED, *FOLDED, _GAS_COST))
    with disk_errors(path, "cannot be written"):
        try:
            with duckdb.connect() as base:
                base.register("swept", table)
                base.execute(
                    f"""COPY (SELECT name, hash, parameters, {known}, {counts}, {days_told},
                    {", ".join(lists)} FROM swept) TO '{_quoted(partial)}'
                    (FORMAT parquet, COMPRESSION zstd)"""
                )
        except duckdb.IOException as error:
            raise StoreError(path, f"cannot be written: {error}") from error
        sync_file(partial)
        partial.rename(path)
        sync_folder(folder)
        for name in (CONFIGS_FOLDER, BLOCKS_FOLDER, MARKET_FOLDER):
            shutil.rmtree(folder / name, ignore_errors=True)
    return path


def _parameter(name: str) -> str:
    kind = "VARCHAR" if name in _TEXTS else "BIGINT"
    return f"CAST(parameters->>'$.{name}' AS {kind}) AS {name}"


def _found(folder: Path, plan: Plan) -> dict[str, Column]:
    blocks = [read_columns(block_file(folder, task)) for task in range(plan.tasks)]
    return {name: np.concatenate([each[name] for each in blocks], axis=-1) for name in blocks[0]}


def best(path: Path, count: int) -> list[StrategyTotals]:
    """Those with the highest profit; where a place is not known, last. Raises StoreError."""
    query = f"""SELECT {_ROW} FROM read_parquet($path)
        ORDER BY unplaced > 0, profit_micro_usd DESC, hash LIMIT $count"""
    return [StrategyTotals(*row) for row in rows_of(path, query, count=count)]


def all_totals(path: Path) -> list[StrategyTotals]:
    """In the order of the configurations. Raises StoreError."""
    rows = rows_of(path, f"SELECT {_ROW} FROM read_parquet($path)")
    return [StrategyTotals(*row) for row in rows]


def rows_of(path: Path, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Raises StoreError."""
    try:
        with duckdb.connect() as base:
            return base.execute(query, {"path": str(path), **values}).fetchall()
    except duckdb.Error as error:
        raise StoreError(path, f"cannot be read: {error}") from error


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
