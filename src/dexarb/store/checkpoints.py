"""Checkpoints: the trader's state after some blocks, as bytes, in the ledger beside its books.

Whoever starts again goes on from the newest; whoever has to take back more than it remembers, from
the newest that lies deep enough. So there are many young ones and few old ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dexarb.core.block import BlockHash, BlockRef

DEEPEST = 4_096
"""Blocks. One checkpoint at least is kept that lies so deep, as soon as there is one."""


class Place(NamedTuple):
    """Where a checkpoint lies, see Checkpoint."""

    seq: int
    number: int
    format: int


class Checkpoint(NamedTuple):
    """After history entry `seq`, which is the block of this number and hash. format: of the state,
    which only who wrote it can read."""

    seq: int
    number: int
    hash: BlockHash
    format: int
    state: bytes

    @property
    def block(self) -> BlockRef:
        return BlockRef(self.number, self.hash)


class Checkpoints:
    """Those in a ledger. Every method raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def places(self) -> list[Place]:
        """Oldest first."""
        if not self._exist:
            return []
        query = "SELECT seq, number, format FROM checkpoints ORDER BY seq"
        return [Place(*row) for row in self._connection.execute(query)]

    def at(self, seq: int) -> Checkpoint:
        """Raises KeyError."""
        query = "SELECT seq, number, hash, format, state FROM checkpoints WHERE seq = ?"
        for row in self._connection.execute(query, (seq,)):
            return Checkpoint(*row)
        raise KeyError(seq)

    def add(self, checkpoint: Checkpoint) -> None:
        """And let go of those that are of no more use."""
        self._connection.execute(
            "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)", checkpoint
        )
        places = self.places()
        gone = superfluous([each.number for each in places])
        self._connection.executemany(
            "DELETE FROM checkpoints WHERE seq = ?", [(places[place].seq,) for place in gone]
        )

    def drop(self, dead_blocks: Iterable[BlockHash]) -> None:
        """Those of these blocks."""
        self._connection.executemany(
            "DELETE FROM checkpoints WHERE hash = ?", [(block_hash,) for block_hash in dead_blocks]
        )

    @property
    def _exist(self) -> bool:
        """Not in a ledger that only a program before this one has written."""
        query = "SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'"
        return bool(self._connection.execute(query).fetchall())


def superfluous(numbers: Sequence[int]) -> list[int]:
    """Places of the blocks, given oldest first, that need no checkpoint of their own: their two
    neighbours are not further apart than the younger one is deep, so that going back to where they
    lie takes at most twice as many blocks without them. Neither do those behind DEEPEST but one."""
    newest = numbers[-1] if numbers else 0
    gone = [place for place in range(len(numbers) - 1) if newest - numbers[place + 1] >= DEEPEST]
    kept = [place for place in range(len(numbers)) if place not in gone]
    at = 1
    while at < len(kept) - 1:
        older, younger = numbers[kept[at - 1]], numbers[kept[at + 1]]
        if younger - older <= newest - younger:
            gone.append(kept.pop(at))
        else:
            at += 1
    return gone
