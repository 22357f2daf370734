"""Nouns as plain values, for state that is kept: each block and each cycle once, then its number.

What a fold keeps of itself is made of such values: numbers, text, bytes and lists of them. Whoever
writes the bytes needs to know no more.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dexarb.core.block import Block
from dexarb.core.route import Cycle, Hop
from dexarb.core.trade import Decision, Funding, Position

SavedDecision = tuple[Any, ...]
"""A decision's fields, its block and its cycle as numbers."""

_BLOCK, _CYCLE = Decision._fields.index("block"), Decision._fields.index("cycle")
_POSITION, _FUNDING = Decision._fields.index("position"), Decision._fields.index("funding")


class Nouns(msgspec.Struct):
    """By number."""

    blocks: list[Block]
    cycles: list[tuple[Hop, ...]]


class NounWriter:
    """Mutable: numbers the nouns in the order in which they come."""

    def __init__(self) -> None:
        self._blocks: dict[Block, int] = {}
        self._cycles: dict[Cycle, int] = {}

    def block(self, block: Block) -> int:
        return self._blocks.setdefault(block, len(self._blocks))

    def cycle(self, cycle: Cycle) -> int:
        return self._cycles.setdefault(cycle, len(self._cycles))

    def decision(self, decision: Decision) -> SavedDecision:
        fields: list[Any] = list(decision)
        fields[_BLOCK] = self.block(decision.block)
        fields[_CYCLE] = self.cycle(decision.cycle)
        return tuple(fields)

    @property
    def nouns(self) -> Nouns:
        """All so far."""
        return Nouns(list(self._blocks), [cycle.hops for cycle in self._cycles])


class NounReader:
    """The same object for the same number. Raises IndexError, ValueError or TypeError for values
    that no writer has given."""

    def __init__(self, nouns: Nouns) -> None:
        self._blocks = nouns.blocks
        self._cycles = [Cycle(hops) for hops in nouns.cycles]

    def block(self, number: int) -> Block:
        return self._blocks[number]

    def cycle(self, number: int) -> Cycle:
        return self._cycles[number]

    def decision(self, saved: SavedDecision) -> Decision:
        fields = list(saved)
        fields[_BLOCK], fields[_CYCLE] = self.block(fields[_BLOCK]), self.cycle(fields[_CYCLE])
        fields[_POSITION] = Position(fields[_POSITION])
        fields[_FUNDING] = Funding(fields[_FUNDING])
        return Decision(*fields)


NO_NOUNS = NounReader(Nouns([], []))
