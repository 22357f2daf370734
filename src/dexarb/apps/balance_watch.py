"""Whether the bot's money is where its trades say. Asks now and then, and waits for nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty

from dexarb.apps.live_orders import Orders
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.ends.live.balances import Balances, Missing, Reading
from dexarb.ends.live.sender import Sender

EVERY_S = 30.0
WAITING = 8
"""Readings whose block the history has not brought yet."""


class BalanceWatch:
    """Mutable. What is missing disarms the bot, once; what is there without a reason is a gift."""

    def __init__(
        self,
        sender: Sender,
        orders: Orders,
        executor: Address,
        lanes: Sequence[Address],
        timer: Callable[[], float],
    ) -> None:
        """timer: seconds that no clock setter moves."""
        self._sender, self._orders, self._timer = sender, orders, timer
        self._executor, self._lanes = executor, lanes
        self._balances = Balances(executor, lanes)
        self._waiting: deque[Reading] = deque(maxlen=WAITING)
        self._tokens: Sequence[Address] = ()
        self._asked_at = -math.inf

    def stepped(self, update: BlockUpdate, market: Market, seq: int) -> None:
        """seq: the entry from which holds what follows from it."""
        self._tokens = market.profile.start_tokens
        self._balances.follow(update)
        self._compare(market, seq)

    def look(self, market: Market, seq: int) -> None:
        """Between entries."""
        with suppress(Empty):
            while True:
                self._waiting.append(self._sender.readings.get_nowait())
        self._compare(market, seq)
        now = self._timer()
        if self._tokens and now - self._asked_at >= EVERY_S:
            self._asked_at = now
            self._sender.weigh(self._executor, self._tokens, self._lanes)

    def _compare(self, market: Market, seq: int) -> None:
        for reading in list(self._waiting):
            found = self._balances.compare(reading)
            if found is None:
                continue
            self._waiting.remove(reading)
            for each in found:
                self._orders.disarm(_said(each, market), seq)


def _said(missing: Missing, market: Market) -> str:
    token = market.tokens.get(missing.token)
    what = "wei" if token is None else f"of the smallest unit of {missing.token}"
    return (
        f"balance: {missing.account} has {missing.amount} {what} less than its trades explain. Was"
        " it you? Then arm it again"
    )
