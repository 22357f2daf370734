"""The paper executor: holds what was sent, and settles it on what the chain became.

A decision of block N is included in block M > N. When M can be is the latency model's business,
whether M has room that of the room model, and what it comes to there is Settlement's. What is under
way, and what a reorganisation does to it, is told here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass

import msgspec

from dexarb.core.block import Block, BlockHash, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Market
from dexarb.core.pool import PoolKey
from dexarb.core.saved import NounReader, NounWriter, SavedDecision
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, Fill
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.settle.settlement import Prices, Settlement


@dataclass(slots=True)
class _Sent:
    """A decision under way.

    number: the how many-th it is. prices: those it was decided at, for where there are none when
    it settles. earliest: the first block it can be included in as far as is known; it only grows,
    also over reorganisations: a block of the same number on another branch may have been built
    just as early. in_time: `earliest` is final.
    """

    decision: Decision
    number: int
    prices: Prices
    earliest: int
    in_time: bool = False


class SavedSent(msgspec.Struct, array_like=True):
    """As _Sent."""

    decision: SavedDecision
    number: int
    prices: Prices
    earliest: int
    in_time: bool


class PaperState(msgspec.Struct):
    """How many were sent so far, and what is under way."""

    sent: int
    open: list[SavedSent]


class PaperExecutor:
    """Mutable: the open decisions, and those of the last blocks that are settled."""

    def __init__(self, reality: Reality) -> None:
        self._reality = reality
        self._open: dict[DecisionId, _Sent] = {}
        self._sent = 0
        self._settled: deque[tuple[BlockHash, list[_Sent]]] = deque(maxlen=MAX_REORG_DEPTH + 1)

    def state(self, nouns: NounWriter) -> bytes:
        saved = [
            SavedSent(
                nouns.decision(sent.decision), sent.number, sent.prices, sent.earliest, sent.in_time
            )
            for sent in self._open.values()
        ]
        return msgspec.json.encode(PaperState(self._sent, saved))

    def resume(self, state: bytes | None, nouns: NounReader) -> None:
        saved = msgspec.json.decode(state, type=PaperState) if state else PaperState(0, [])
        under_way = [
            _Sent(
                nouns.decision(each.decision), each.number, each.prices, each.earliest, each.in_time
            )
            for each in saved.open
        ]
        self._sent, self._open = saved.sent, {sent.decision.id: sent for sent in under_way}
        self._settled.clear()

    def remember(self, blocks: int) -> None:
        self._settled = deque(self._settled, maxlen=blocks + 1)

    def submit(self, decisions: Sequence[Decision], valuation: Valuation) -> None:
        quotes = TokenPrices(valuation)
        for decision in decisions:
            prices = quotes.of(decision)
            if prices is None:
                raise ValueError(f"decision {decision.id} has no price, so nobody can value it")
            self._sent += 1
            self._open[decision.id] = _Sent(decision, self._sent, prices, decision.first_block)

    def holds(self, decision: DecisionId) -> bool:
        """Whether it is under way."""
        return decision in self._open

    def restart(self) -> None:
        self._settled.clear()

    def withdraw(self, pools: Container[PoolKey] = ()) -> list[Decision]:
        gone = [
            sent.decision
            for sent in self._open.values()
            if not all(pool in pools for pool in sent.decision.cycle.pools)
        ]
        for decision in gone:
            del self._open[decision.id]
        return gone

    def settle(self, market: Market, update: BlockUpdate, valuation: Valuation) -> list[Fill]:
        block = update.block
        cutoff_ms = market.profile.builder_cutoff_ms
        due = [sent for sent in self._open.values() if self._reaches(sent, block, cutoff_ms)]
        settled: list[_Sent] = []
        self._settled.append((block.hash, settled))
        if not due:
            return []
        settlement = Settlement(market, update, valuation, self._reality)
        tip_floor = market.profile.tip_floor(block.number)
        room, gas = self._reality.room.room(update, tip_floor), self._reality.gas
        quotes = TokenPrices(valuation)
        fills: list[Fill] = []
        for sent in due:
            decision = sent.decision
            last_block = decision.deadline_block + sent.earliest - decision.first_block
            if (
                block.number <= last_block
                and block.base_fee_per_gas <= decision.max_base_fee
                and room.includes(decision.priority_fee, gas.limit(decision.gas_units))
            ):
                prices = quotes.of(decision) or sent.prices
                fills.append(settlement.fill(decision, prices))
            elif block.number >= last_block:
                fills.append(settlement.expired(decision))
            else:
                continue  # it waits for a lower base fee, or for room
            settled.append(sent)
            del self._open[decision.id]
        return fills

    def recall(self, block: Block, fills: Sequence[Fill]) -> None:
        settled = [self._open.pop(fill.decision.id) for fill in fills]
        self._settled.append((block.hash, settled))

    def _reaches(self, sent: _Sent, block: Block, cutoff_ms: int) -> bool:
        if block.number < sent.earliest:
            return False
        if not sent.in_time:
            sent.in_time = self._reality.latency.reaches(sent.decision, block, cutoff_ms)
            if not sent.in_time:
                sent.earliest = block.number + 1
        return sent.in_time

    def rewind(self, block_hash: BlockHash) -> None:
        reopened: list[_Sent] = []
        while self._settled and self._settled[-1][0] != block_hash:
            reopened += self._settled.pop()[1]
        if reopened:
            under_way = sorted((*self._open.values(), *reopened), key=lambda sent: sent.number)
            self._open = {sent.decision.id: sent for sent in under_way}


class TokenPrices:
    """Prices of one moment, by start token; both at once, so that they are of the same block."""

    def __init__(self, valuation: Valuation) -> None:
        self._valuation = valuation
        self._native = valuation.native_price
        self._known: dict[Address, Prices | None] = {}

    def of(self, decision: Decision) -> Prices | None:
        """None unless the start token and gas both have a price."""
        token = decision.cycle.start_token
        if token not in self._known:
            price, native = self._valuation.price(token), self._native
            self._known[token] = None if price is None or native is None else Prices(price, native)
        return self._known[token]
