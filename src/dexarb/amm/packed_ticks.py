"""The tick map of a Uniswap V3 pool as compiled code reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dexarb.amm.limb_swap import Rows

ROW_BYTES = 24
_LIMB = (1 << 64) - 1
_TWO_LIMBS = (1 << 128) - 1


class PackedTicks:
    """Mutable: packed when the first swap asks for it. Shared like the tick map it belongs to.

    24 bytes a tick. A mint or burn changes rows rather than pack all of them again.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows | None = None) -> None:
        self._rows = rows

    def rows(self, ticks: Mapping[int, tuple[int, int]], initialized: Sequence[int]) -> Rows:
        """A row an initialised tick, ascending: the tick and liquidity_net in two limbs."""
        if self._rows is None:
            self._rows = _from_bytes(b"".join(_row(tick, ticks[tick][1]) for tick in initialized))
        return self._rows

    def changed(
        self,
        initialized: Sequence[int],
        ticks: Mapping[int, tuple[int, int]],
        changes: Sequence[int],
    ) -> PackedTicks:
        """For `ticks`, which differ from the `initialized` that are packed here by `changes`."""
        if self._rows is None:
            return PackedTicks()
        data = self._rows.tobytes()
        for tick in sorted(changes, reverse=True):  # so that the places below stay what they are
            place = bisect_left(initialized, tick)
            is_there = place < len(initialized) and initialized[place] == tick
            row = _row(tick, ticks[tick][1]) if tick in ticks else b""
            start = place * ROW_BYTES
            data = data[:start] + row + data[start + is_there * ROW_BYTES :]
        return PackedTicks(_from_bytes(data))


def _row(tick: int, liquidity_net: int) -> bytes:
    row = (tick & _LIMB) | (liquidity_net & _TWO_LIMBS) << 64
    return row.to_bytes(ROW_BYTES, "little")


def _from_bytes(data: bytes) -> Rows:
    import numpy as np

    # Nobody writes there, but to numba what cannot be written is another type of array.
    return np.frombuffer(bytearray(data), dtype="<u8").reshape(-1, 3)
