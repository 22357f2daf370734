"""Arrays of rows of different length, packed so that compiled code can walk them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def grown(array: NDArray[Any], length: int, fill: float = 0) -> NDArray[Any]:
    """The array with at least `length` entries along its last axis, at least doubled if it grows.

    Amortised over many small additions this costs a constant each.
    """
    held = array.shape[-1]
    if length <= held:
        return array
    larger = np.full((*array.shape[:-1], max(length, 2 * held, 16)), fill, dtype=array.dtype)
    larger[..., :held] = array
    return larger


def longer(array: NDArray[Any], length: int, fill: float = 0) -> NDArray[Any]:
    """The same along the first axis."""
    if length <= len(array):
        return array
    room = max(length, 2 * len(array), 16)
    larger = np.full((room, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


class Rows:
    """Rows of entries of one width.

    rows[i] = (first, count): row i is data[first : first + count]. Each row has room for a power
    of two; a row that outgrows it moves to the end, and the room it leaves is lost. That wastes at
    most as much as the data itself.
    """

    def __init__(self, width: int, dtype: DTypeLike) -> None:
        self.rows: Ints = np.zeros((0, 2), dtype=np.int64)
        self.data: NDArray[Any] = np.zeros((16, width), dtype=dtype)
        self._room: list[int] = []
        self._end = 0

    def __len__(self) -> int:
        return len(self._room)

    def extend_to(self, length: int) -> None:
        """Make rows up to `length` exist; new ones are empty."""
        self.rows = longer(self.rows, length)
        self._room.extend([0] * (length - len(self._room)))

    def append(self, row: int, entry: Sequence[float] | float) -> None:
        first, count = self.rows[row]
        if count == self._room[row]:
            first = self._move(row, max(1, 2 * count))
        self.data[first + count] = entry
        self.rows[row, 1] = count + 1

    def reserve(self, row: int) -> None:
        """Give the row room for an entry, so that its first index is its own."""
        if not self._room[row]:
            self._move(row, 1)

    def replace(self, row: int, entries: NDArray[Any]) -> None:
        """Make the row consist of these entries."""
        if len(entries) > self._room[row]:
            self._move(row, 1 << (len(entries) - 1).bit_length())
        first = self.rows[row, 0]
        self.data[first : first + len(entries)] = entries
        self.rows[row, 1] = len(entries)

    def discard(self, row: int, entry: float) -> None:
        """Remove the first entry with this value in its first column, keeping the others' order."""
        first, count = self.rows[row].tolist()
        content = self.data[first : first + count]
        place = int(np.argmax(content[:, 0] == entry))
        content[place:-1] = content[place + 1 :].copy()
        self.rows[row, 1] = count - 1

    def _move(self, row: int, room: int) -> int:
        """Give the row this much room at the end; returns its new first index."""
        first, count = self.rows[row].tolist()
        start, self._end = self._end, self._end + room
        self.data = longer(self.data, self._end)
        self.data[start : start + count] = self.data[first : first + count]
        self.rows[row, 0] = start
        self._room[row] = room
        return start
