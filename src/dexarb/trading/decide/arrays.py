"""What columns of strategies hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Rows = npt.NDArray[np.intp] | slice
"""Of a ledger. Those that stand there side by side, as a rule all, are looked at without a copy."""

LARGEST = 2**62
"""Stands for no limit. Sums of two amounts below it stay within 64 bits."""

TAKEN = -1
"""In place of a reason code: nothing speaks against it."""


def rows_of(places: Sequence[int]) -> Rows:
    first = places[0] if places else 0
    if list(places) == list(range(first, first + len(places))):
        return slice(first, first + len(places))
    return np.array(places, dtype=np.intp)


def as_column(values: Iterable[int | None]) -> Ints:
    """None, and what no amount can reach, becomes LARGEST."""
    return np.array(
        [LARGEST if v is None else min(max(v, -LARGEST), LARGEST) for v in values], dtype=np.int64
    )
