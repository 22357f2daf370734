"""The paper executor: holds what was sent, and settles it on what the chain became.

A decision of block N is included in block M > N. What it comes to there is Settlement's business;
when M is, and what a reorganisation does to it, is told here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass

from dexarb.core.block import Block, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Market
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, Fill
from dexarb.trading.models.gas import GasModel
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
    in_time: bool


class PaperExecutor:
    """Mutable: the open decisions, and those of the last blocks that are settled."""

    def __init__(self, gas: GasModel) -> None:
        self._gas = gas
        self._open: dict[DecisionId, _Sent] = {}
        self._sent = 0
        self._settled: deque[tuple[str, list[_Sent]]] = deque(maxlen=MAX_REORG_DEPTH + 1)

    def submit(self, decisions: Sequence[Decision], valuation: Valuation) -> None:
        quotes = _Quotes(valuation)
        for decision in decisions:
            prices = quotes.of(decision)
            if prices is None:
                raise ValueError(f"decision {decision.id} has no price, so nobody can value it")
            self._sent += 1
            self._open[decision.id] = _Sent(
                decision,
                self._sent,
                prices,
                earliest=decision.first_block,
                in_time=decision.latency_ms is None,
            )

    def restart(self) -> None:
        self._settled.clear()

    def withdraw(self, pools: Container[Address] = ()) -> list[Decision]:
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
        due = [sent for sent in self._open.values() if reaches(sent, block, cutoff_ms)]
        settled: list[_Sent] = []
        self._settled.append((block.hash, settled))
        if not due:
            return []
        settlement = Settlement(market, update, valuation, self._gas)
        quotes = _Quotes(valuation)
        fills: list[Fill] = []
        for sent in due:
            decision = sent.decision
            last_block = decision.deadline_block + sent.earliest - decision.first_block
            if block.base_fee_per_gas <= decision.max_base_fee and block.number <= last_block:
                prices = quotes.of(decision) or sent.prices
                fills.append(settlement.fill(decision, prices))
            elif block.number >= last_block:
                fills.append(settlement.expired(decision))
            else:
                continue  # it waits for a lower base fee
            settled.append(sent)
            del self._open[decision.id]
        return fills

    def rewind(self, block_hash: str) -> None:
        reopened: list[_Sent] = []
        while self._settled and self._settled[-1][0] != block_hash:
            reopened += self._settled.pop()[1]
        if reopened:
            under_way = sorted((*self._open.values(), *reopened), key=lambda sent: sent.number)
            self._open = {sent.decision.id: sent for sent in under_way}


class _Quotes:
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


def reaches(sent: _Sent, block: Block, cutoff_ms: int) -> bool:
    """Whether the decision was sent in time for a block, latency_blocks and latency_ms both."""
    if block.number < sent.earliest:
        return False
    if not sent.in_time:
        latency_ms, decided = sent.decision.latency_ms, sent.decision.block.seen_at
        assert latency_ms is not None
        # Blocks that nobody saw live tell no time: there latency_blocks alone count. Nor do they
        # if the clock was set back between them.
        if block.seen_at is not None and decided is not None and block.seen_at >= decided:
            left_ms = (block.seen_at - decided) * 1000 - cutoff_ms
            if left_ms <= latency_ms:
                sent.earliest = block.number + 1
                return False
        sent.in_time = True
    return True
