"""What a node has said of decisions that it ran with nothing sent, and the routes barred for it."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from dexarb.core.block import BlockHash
from dexarb.core.route import Cycle, CycleId


class Probe(NamedTuple):
    """A decision as a node has run it on the state of its block; one for all strategies that
    decided the same there.

    Amounts in the start token's smallest unit. expected_out: by our pools. amount_out: None where
    it was refused, `refusal` then says why. expected_gas: the least limit that a flash-funded run
    needs, by our model; gas: by the node, None where it was refused or the node cannot tell.
    until_block: its route is not traded at the end of blocks before this one; None where it came
    out as computed.
    """

    cycle: Cycle
    block_number: int
    block_hash: BlockHash
    amount_in: int
    expected_out: int
    amount_out: int | None
    expected_gas: int
    gas: int | None = None
    refusal: str | None = None
    until_block: int | None = None

    @property
    def is_equal(self) -> bool:
        """To the wei."""
        return self.amount_out == self.expected_out

    @property
    def words(self) -> str:
        """Why its route is barred. Contracts have worded some of it."""
        if self.amount_out is None:
            return self.refusal or "refused"
        return f"comes out with {self.amount_out - self.expected_out:+d} smallest units"


class BarredRoutes:
    """Mutable. Routes that did not come out as computed, from the entry on at which that was known.

    It is an input as the history is: a replay that is given the same comes to the same.
    """

    def __init__(self) -> None:
        self._spans: dict[CycleId, list[tuple[int, int]]] = defaultdict(list)

    def add(self, seq: int, probe: Probe) -> None:
        """seq: the entry from which on it is known."""
        if probe.until_block is not None:
            self._spans[probe.cycle.id].append((seq, probe.until_block))

    def bars(self, cycle: CycleId, seq: int, block: int) -> bool:
        """Whether it was barred when entry seq, of a block of this number, was decided on."""
        spans = self._spans.get(cycle, ())
        return any(since <= seq and block < until for since, until in spans)
