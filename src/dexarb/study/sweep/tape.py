"""What a scanner found on a history, kept as columns: files of updates, read from the start.

An update is a row of counts, and takes as many from each of the other columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dexarb.core.pool import PoolKey
from dexarb.search.found import Floor, Found, Polished, Sized
from dexarb.store.files import disk_errors
from dexarb.study.sweep.columns import Column, read_columns, write_columns

UPDATES_A_FILE = 2048
_AMOUNT_BYTES = 32
"""No pool holds more than 2**256."""

JOINED, GONE, FLOORS, SLOTS, CYCLES, POLISHED, OFFERED = range(7)

Columns = Mapping[str, Column]


class TapeWriter:
    """Mutable: `add` every update, `close` at the end. folder: is there, and empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[Found] = []
        self._files = 0
        self.bytes = 0

    def add(self, found: Found) -> None:
        """Raises StoreError."""
        self._waiting.append(found)
        if len(self._waiting) == UPDATES_A_FILE:
            self.close()

    def restart(self) -> None:
        """As if nothing had been added. Raises StoreError."""
        self._waiting.clear()
        with disk_errors(self._folder, "cannot be emptied"):
            for path in self._folder.glob("*.npz"):
                path.unlink()
        self._files = self.bytes = 0

    def close(self) -> None:
        """Raises StoreError."""
        if not self._waiting:
            return
        path = self._folder / f"{self._files:06}.npz"
        self.bytes += write_columns(path, _columns_of(self._waiting))
        self._waiting.clear()
        self._files += 1


def read_tape(folder: Path) -> Iterator[Found]:
    """All updates in order. Raises StoreError."""
    for path in sorted(folder.glob("*.npz")):
        yield from _found_in(read_columns(path))


def _columns_of(updates: Sequence[Found]) -> Columns:
    floors = [floor for each in updates for floor in each.floors]
    polished = [row for each in updates for row in each.polished]
    amounts = b"".join(
        amount.to_bytes(_AMOUNT_BYTES, "big") for row in polished for amount in row[1:3]
    )
    return {
        "counts": np.array(
            [
                (
                    len(each.joined),
                    len(each.gone),
                    len(each.floors),
                    len(each.slots),
                    len(each.rates),
                    len(each.polished),
                    len(each.offered),
                )
                for each in updates
            ],
            dtype=np.int32,
        ),
        "keys": np.array(
            [key for each in updates for key in (*each.joined, *each.gone)], dtype=str
        ),
        "floor_start": np.array([each.start for each in floors], dtype=np.int32),
        "floor": np.array([each.floor for each in floors], dtype=np.float64),
        "floor_woken": np.array([len(each.woken.profit) for each in floors], dtype=np.int32),
        **_sized("woken", [each.woken for each in floors]),
        "slots": _joined([each.slots for each in updates], np.int32),
        "routes": _joined([each.routes for each in updates], np.int32, 4),
        "rates": _joined([each.rates for each in updates], np.float64),
        **_sized("cycles", [each.cycles for each in updates]),
        "polished_row": np.array([row.row for row in polished], dtype=np.int32),
        "polished_gas": np.array([row.gas_units for row in polished], dtype=np.int64),
        "polished_amounts": np.frombuffer(amounts, dtype=np.uint8),
        "offered": _joined([each.offered for each in updates], np.int32),
    }


def _sized(name: str, found: Sequence[Sized]) -> Columns:
    return {
        f"{name}_amount_in": _joined([each.amount_in for each in found], np.float64),
        f"{name}_profit": _joined([each.profit for each in found], np.float64),
        f"{name}_number": _joined([each.number for each in found], np.int32),
        f"{name}_pieces": _joined([each.pieces for each in found], np.float64, 4),
    }


def _joined(arrays: Sequence[Column], kind: npt.DTypeLike, wide: int | None = None) -> Column:
    shape = (0,) if wide is None else (0, wide)
    return np.concatenate([np.zeros(shape, dtype=kind), *arrays]).astype(kind)


class _Cutter:
    """Mutable: takes the next so many of columns, each in turn."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._at = dict.fromkeys(columns, 0)

    def next(self, name: str, count: int) -> Column:
        begin = self._at[name]
        self._at[name] = begin + count
        return self._columns[name][begin : begin + count]

    def sized(self, name: str, count: int) -> Sized:
        number = self.next(f"{name}_number", count)
        return Sized(
            self.next(f"{name}_amount_in", count),
            self.next(f"{name}_profit", count),
            number,
            self.next(f"{name}_pieces", int(number.sum())),
        )


_WIDE = ("slots", "cycles_number", "woken_number", "offered")
"""What the search wants with 64 bits."""


def _found_in(columns: Columns) -> Iterator[Found]:
    cut = _Cutter({**columns, **{name: columns[name].astype(np.int64) for name in _WIDE}})
    for counts in columns["counts"].tolist():
        joined = [PoolKey(str(key)) for key in cut.next("keys", counts[JOINED])]
        gone = [PoolKey(str(key)) for key in cut.next("keys", counts[GONE])]
        rows = zip(
            cut.next("floor_start", counts[FLOORS]).tolist(),
            cut.next("floor", counts[FLOORS]).tolist(),
            cut.next("floor_woken", counts[FLOORS]).tolist(),
            strict=True,
        )
        floors = [Floor(start, floor, cut.sized("woken", woken)) for start, floor, woken in rows]
        yield Found(
            joined,
            gone,
            floors,
            cut.next("slots", counts[SLOTS]),
            cut.next("routes", counts[CYCLES]),
            cut.next("rates", counts[CYCLES]),
            cut.sized("cycles", counts[CYCLES]),
            _polished(cut, counts[POLISHED]),
            cut.next("offered", counts[OFFERED]),
        )


def _polished(cut: _Cutter, count: int) -> list[Polished]:
    rows, gas = cut.next("polished_row", count).tolist(), cut.next("polished_gas", count).tolist()
    amounts = cut.next("polished_amounts", 2 * _AMOUNT_BYTES * count).tobytes()
    integers = [
        int.from_bytes(amounts[at : at + _AMOUNT_BYTES], "big")
        for at in range(0, len(amounts), _AMOUNT_BYTES)
    ]
    found = zip(rows, integers[::2], integers[1::2], gas, strict=True)
    return [Polished(*row) for row in found]
