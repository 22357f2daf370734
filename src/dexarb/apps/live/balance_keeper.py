"""Between the blocks of a bot: whether what its executor and its accounts hold shrinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from queue import Empty

import structlog

from dexarb.apps.live.orders import Orders
from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Market
from dexarb.core.token import Address, Token
from dexarb.ends.executor_contract import NATIVE_COIN
from dexarb.ends.live.balance_watch import BalanceWatch, Holding, Loss
from dexarb.ends.live.sender import Sender
from dexarb.errors import OutsideError

READ_S = 30.0

_log = structlog.get_logger("dexarb-bot")


class BalanceKeeper:
    """Mutable. It asks the sender, and waits for nothing. timer: as LaneKeeper's."""

    def __init__(
        self,
        executor: Address,
        owner: Address,
        lanes: Sequence[Address],
        sender: Sender,
        orders: Orders,
        timer: Callable[[], float],
    ) -> None:
        self._executor, self._lanes = executor, lanes
        self._watch = BalanceWatch(executor, owner, lanes)
        self._sender, self._orders, self._timer = sender, orders, timer
        self._starts: Sequence[Address] = ()
        self._tokens: Mapping[Address, Token] = {}
        self._read_at = -math.inf
        self._asked: BlockHash | None = None

    def mined(self, update: BlockUpdate, market: Market) -> None:
        """A block has been traded on. Where somebody else called the executor, look at once."""
        self._starts, self._tokens = market.profile.start_tokens, market.tokens
        if self._watch.follow(update):
            self._read_at = -math.inf

    def look(self, seq: int) -> None:
        """seq: the entry of the history from which holds what follows."""
        with suppress(Empty):
            while True:
                found = self._sender.holdings.get_nowait()
                if isinstance(found, OutsideError):
                    _log.info("balances", problem=str(found))
                    self._read_at = -math.inf  # at the next block
                    continue
                at, amounts = found
                losses = self._watch.hear(at, {Holding(*key): held for key, held in amounts})
                if losses:
                    self._shout(losses, seq)
        now, at_block = self._timer(), self._watch.newest
        if at_block is None or at_block == self._asked or now - self._read_at < READ_S:
            return
        self._read_at, self._asked = now, at_block
        holdings = [(self._executor, token) for token in self._starts]
        self._sender.read(at_block, [*holdings, *((lane, NATIVE_COIN) for lane in self._lanes)])

    def executor_holds(self, token: Address) -> int | None:
        """None while nobody knows."""
        return self._watch.holds(Holding(self._executor, token))

    def _shout(self, losses: Sequence[Loss], seq: int) -> None:
        for each in losses:
            _log.error("balance", **each.holding._asdict(), missing=each.missing)
        (holder, token), missing, by_owner = losses[0]
        known = self._tokens.get(token)
        unit, decimals = (known.symbol, known.decimals) if known else ("of the chain's coin", 18)
        what = f"{Decimal(missing).scaleb(-decimals):f} {unit}"
        if holder != self._executor:
            reason = f"{what} are gone from {holder}, and nothing that it sent was that dear"
        elif by_owner:
            reason = f"its owner took {what} out of the executor"
        else:
            reason = f"{what} are gone from the executor, and no trade took them"
        self._orders.disarm(reason, seq)
