"""A driver whose newest blocks can be taken back, with everything that it knows of them."""

from __future__ import annotations

from collections import deque

from dexarb.core.block import Block
from dexarb.core.token import Address
from dexarb.demo.driver import Driver

DEEPEST = 8


class Forks:
    """Mutable. Call `remember` behind every block."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._behind: deque[tuple[Block, dict[Address, int]]] = deque(maxlen=DEEPEST + 1)
        self.remember()

    def remember(self) -> None:
        miner = self._driver._miner
        self._behind.append((miner.head, dict(miner._nonces)))

    @property
    def deepest(self) -> int:
        return len(self._behind) - 1

    async def take_back(self, depth: int) -> None:
        """The next block will stand beside the first of these."""
        driver, miner = self._driver, self._driver._miner
        await miner.rpc.call("anvil_rollback", depth)
        for _ in range(depth):
            self._behind.pop()
        miner.head, nonces = self._behind[-1]
        miner._nonces = dict(nonces)
        for market in (driver.market, driver.everywhere):
            market.rewind(miner.head.hash)
        driver._waiting = []
