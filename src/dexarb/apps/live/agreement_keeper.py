"""Between the blocks of a bot: whether all endpoints have the chain that it trades on.

A proven block is what its hash says, and may stand on a branch that is dead, or that one endpoint
alone has. What is sent there is sent by all ways, so it would run on another chain than the one
that it was decided on, and its reverts would never be seen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty

import structlog

from dexarb.apps.live.orders import Orders
from dexarb.core.block import Block, BlockRef
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.ends.live.sender import Sender

COMPARE_S, AGAIN_S = 15.0, 1.0

_log = structlog.get_logger("dexarb-bot")


class AgreementKeeper:
    """Mutable. It asks the sender, and waits for nothing."""

    def __init__(
        self, most_blocks: int, sender: Sender, orders: Orders, timer: Callable[[], float]
    ) -> None:
        """most_blocks: what lies deeper has to be the same at all endpoints that answer. timer: as
        LaneKeeper's."""
        self._most, self._sender, self._orders, self._timer = most_blocks, sender, orders, timer
        self._branch: deque[BlockRef] = deque(maxlen=MAX_REORG_DEPTH + 1)
        self._asked_at = -math.inf
        self.disagreement: str | None = None
        """In words, by what was heard last; it is asked again all the time."""

    def mined(self, block: Block) -> None:
        """A block has been traded on."""
        while self._branch and self._branch[-1].hash != block.parent_hash:
            self._branch.pop()
        self._branch.append(BlockRef(block.number, block.hash))

    def look(self, seq: int) -> None:
        """seq: the entry of the history from which holds what follows."""
        with suppress(Empty):
            while True:
                block, named = self._sender.named.get_nowait()
                if named and block in self._branch:
                    self._judge(block, [each for each in named if named[each] != block.hash], seq)
        now = self._timer()
        pause_s = COMPARE_S if self.disagreement is None else AGAIN_S
        if len(self._branch) > self._most and now - self._asked_at >= pause_s:
            self._asked_at = now
            self._sender.compare(self._branch[-1 - self._most])

    def _judge(self, block: BlockRef, others: list[str], seq: int) -> None:
        self.disagreement = None
        if others:
            _log.error("disagreement", block=block.number, ours=block.hash, endpoints=others)
            self.disagreement = (
                f"max_disagreement_blocks: {', '.join(others)} had another block {block.number:,}"
                f" while {self._most:,} stood behind it"
            )
            self._orders.disarm(self.disagreement, seq)
