"""The live executor: what was sent, until the chain has said what became of it.

It sends nothing. Decisions become intents, which the program takes, writes into the journal and
sends; outcomes are found in the blocks that the history brings, by the transactions' hashes. So
history and journal say all, and a replay of both comes to the same. Every trade has a twin on
paper, at the very place where it stood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import msgspec

from dexarb.core.block import NO_ENTRY, Block, BlockHash, BlockRef, BlockUpdate, Transaction
from dexarb.core.market import MAX_REORG_DEPTH, Market
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle
from dexarb.core.saved import NounReader, NounWriter, SavedDecision
from dexarb.core.sending import (
    Intent,
    Outcome,
    Paper,
    Signed,
    Surprise,
    TransactionHash,
    Twin,
)
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, Fill, FillStatus
from dexarb.core.units import PPM
from dexarb.ends.live.differences import difference
from dexarb.ends.live.records import Records
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation, rounded_up
from dexarb.trading.seams import View
from dexarb.trading.settle.chances import Footing
from dexarb.trading.settle.paper_executor import PaperExecutor, TokenPrices
from dexarb.trading.settle.settlement import Prices, Settlement, worth


@dataclass(slots=True)
class _Sent:
    """A decision under way. number: the how many-th it is. prices: those it was decided at."""

    decision: Decision
    number: int
    prices: Prices
    lane: Address


class SavedSent(msgspec.Struct, array_like=True):
    """As _Sent."""

    decision: SavedDecision
    number: int
    prices: Prices
    lane: Address


class LiveState(msgspec.Struct):
    """sent: how many so far. nonces: the last that each lane has used, where that is known.
    included: block and place of the trades that may still have a paper outcome before them."""

    sent: int
    open: list[SavedSent]
    nonces: dict[Address, int]
    included: dict[DecisionId, tuple[BlockRef, int]]
    paper: bytes


@dataclass(slots=True)
class _Settled:
    """What a block has changed, to be taken back with it."""

    block_hash: BlockHash
    nonces: dict[Address, int]
    included: dict[DecisionId, tuple[BlockRef, int]]
    sent: list[_Sent] = field(default_factory=list)


@dataclass(slots=True)
class Results:
    """What has come out since somebody looked last."""

    intents: list[Intent] = field(default_factory=list)
    twins: list[Twin] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)
    surprises: list[Surprise] = field(default_factory=list)


class LiveExecutor:
    """Mutable. Also the Door of `OneBot`: it knows what is still under way.

    A decision is open until the nonce of its transaction has been used, by that transaction or by
    another; or until the journal says that nobody will ever send it.
    """

    def __init__(self, reality: Reality, records: Records, lanes: Sequence[Address]) -> None:
        """lanes: the operators' accounts. records: the journal's, which whoever sends adds to."""
        self._reality = reality
        self._records = records
        self._lanes = tuple(lanes)
        self._paper = PaperExecutor(reality)
        self._open: dict[DecisionId, _Sent] = {}
        self._sent = 0
        self._nonces: dict[Address, int] = {}
        self._included: dict[DecisionId, tuple[BlockRef, int]] = {}
        self._settled: deque[_Settled] = deque(maxlen=MAX_REORG_DEPTH + 1)
        self._seq = self._block = 0
        self._results = Results()

    def take_results(self) -> Results:
        """Everything since the last time. A replay has no use for the intents."""
        results, self._results = self._results, Results()
        return results

    @property
    def open_decisions(self) -> tuple[Decision, ...]:
        return tuple(sent.decision for sent in self._open.values())

    @property
    def nonces(self) -> Mapping[Address, int]:
        """The last that each lane has used, where a block has told."""
        return self._nonces

    # -- the door -----------------------------------------------------------------------------

    @property
    def is_armed(self) -> bool:
        return self._records.disarmed_by(self._seq) is None

    @property
    def free_lanes(self) -> int:
        return len(self._free())

    @property
    def busy_pools(self) -> Set[PoolKey]:
        return {pool for sent in self._in_time() for pool in sent.decision.cycle.pools}

    def avoids(self, cycle: Cycle) -> bool:
        return self._records.avoids(cycle, self._seq, self._block)

    @property
    def least_expected(self) -> int:
        terms = self._records.terms(self._seq)
        return terms.least_expected if terms else 0

    def expected(self, decision: Decision, view: View) -> int | None:
        """p x gain - (1 - p) x cost of a miss, less what the ways charge; p by what became of such
        spreads so far. A miss is a run that the executor does not start."""
        terms, native = self._records.terms(self._seq), view.valuation.native_price
        if terms is None or native is None:
            return None
        market, cycle = view.market, decision.cycle
        chance = decision.p_fill_ppm
        if chance is None:
            footing = Footing(decision.position, decision.first_block - decision.block.number, 0)
            age = market.block.number - view.episodes.opened(cycle)
            ordered = market.profile.ordering == "fee"
            bid = decision.priority_fee
            chance = view.chances.p_fill_ppm(cycle, age, footing, bid, ordered=ordered)
        gas = self._reality.gas.under(market.next_gas_schedule)
        moved = gas.before_run([market.pools[pool].gas for pool in cycle.pools])
        price = market.block.base_fee_per_gas + decision.priority_fee
        miss = rounded_up(moved * price * native) + terms.per_missed
        gain = decision.expected_net_micro_usd - terms.per_landed
        return (chance * gain - (PPM - chance) * miss) // PPM

    def _free(self) -> list[Address]:
        """A lane whose trade comes too late from now on is free: the next one takes its nonce."""
        busy = {sent.lane for sent in self._in_time()}
        return [lane for lane in self._lanes if lane not in busy]

    def _in_time(self) -> Iterator[_Sent]:
        return (sent for sent in self._open.values() if sent.decision.deadline_block > self._block)

    # -- the executor -------------------------------------------------------------------------

    def submit(self, decisions: Sequence[Decision], valuation: Valuation) -> None:
        free, quotes = self._free(), TokenPrices(valuation)
        for lane, decision in zip(free, decisions, strict=False):
            prices = quotes.of(decision)
            if prices is None:
                raise ValueError(f"decision {decision.id} has no price, so nobody can value it")
            self._sent += 1
            self._open[decision.id] = _Sent(decision, self._sent, prices, lane)
            self._results.intents.append(Intent(decision, self._seq, lane))
        if len(decisions) > len(free):
            raise ValueError(f"{len(decisions)} decisions for {len(free)} free lanes")
        self._paper.submit(decisions, valuation)

    def settle(self, market: Market, update: BlockUpdate, valuation: Valuation) -> list[Fill]:
        self._seq, self._block = update.seq, update.block.number
        settled = _Settled(update.block.hash, dict(self._nonces), dict(self._included))
        self._settled.append(settled)
        fills = self._drop(update.block, settled)
        ours = [each for each in update.transactions if each.sender in self._lanes]
        if ours:
            settlement = Settlement(market, update, valuation, self._reality)
            quotes = TokenPrices(valuation)
            for transaction in ours:
                fills += self._used(transaction, update, settlement, quotes, settled)
        self._settle_paper(market, _without(update, ours), valuation)
        numbers = {sent.decision.id: sent.number for sent in settled.sent}
        return sorted(fills, key=lambda fill: numbers[fill.decision.id])

    def _drop(self, block: Block, settled: _Settled) -> list[Fill]:
        """Those that nobody will ever send."""
        return [
            self._close(sent, settled, expired(sent.decision, block))
            for sent in list(self._open.values())
            if self._records.is_dropped(sent.decision.id, self._seq)
        ]

    def _close(self, sent: _Sent, settled: _Settled, fill: Fill) -> Fill:
        settled.sent.append(sent)
        del self._open[sent.decision.id]
        return fill

    def _used(
        self,
        transaction: Transaction,
        update: BlockUpdate,
        settlement: Settlement,
        quotes: TokenPrices,
        settled: _Settled,
    ) -> Iterator[Fill]:
        """A transaction of one of our accounts is in the block, and its nonce used."""
        lane, here = transaction.sender, BlockRef(update.block.number, update.block.hash)
        signed = self._records.signed(transaction.hash)
        if signed is None:
            hash_ = TransactionHash(transaction.hash)
            self._results.surprises.append(Surprise(here, hash_, lane))
            known = self._nonces.get(lane)
            if known is None:
                return  # of our own we shall know it by the next one of which we know the nonce
            nonce = known + 1
        else:
            nonce = signed.nonce
        self._nonces[lane] = nonce
        for sent in list(self._open.values()):
            name = sent.decision.id
            if signed is not None and signed.decision == name:
                fill = self._fill(sent, transaction, update, settlement, quotes, signed)
                if transaction.succeeded and self._paper.holds(name):
                    self._included[name] = here, transaction.index
                yield self._close(sent, settled, fill)
            elif any(at == lane and n <= nonce for at, n in self._records.nonces(name)):
                yield self._close(sent, settled, expired(sent.decision, update.block))

    def _fill(
        self,
        sent: _Sent,
        transaction: Transaction,
        update: BlockUpdate,
        settlement: Settlement,
        quotes: TokenPrices,
        signed: Signed,
    ) -> Fill:
        """What the chain says of a trade, and what paper says of it at that very place."""
        decision, block = sent.decision, update.block
        prices = quotes.of(decision) or sent.prices
        gain = _gain(transaction, update, decision.cycle.start_token)
        amounts = (
            (decision.amount_in, decision.amount_in + gain) if transaction.succeeded else (0, 0)
        )
        cost, net = worth(*amounts, transaction.gas_used, transaction.effective_gas_price, prices)
        status = FillStatus.FILLED if transaction.succeeded else FillStatus.REVERTED
        fill = Fill(
            decision, block, transaction.index, status, *amounts,
            transaction.gas_used, transaction.effective_gas_price, cost, net, (net, net),
        )  # fmt: skip
        live = _outcome(fill)
        twin = self._twin(sent, fill, prices, settlement)
        is_proven, hops = bool(update.witnesses), len(decision.cycle.hops)
        found = difference(live, twin, hops=hops, gas_limit=signed.gas_limit, is_proven=is_proven)
        here = BlockRef(block.number, block.hash)
        self._results.twins.append(
            Twin(decision, signed.hash, here, transaction.index, live, twin, found)
        )
        return fill

    def _twin(
        self, sent: _Sent, fill: Fill, prices: Prices, settlement: Settlement
    ) -> Outcome | None:
        decision = sent.decision
        if fill.block.number > decision.deadline_block:
            # The contract looks at the number before anything else.
            return Outcome(FillStatus.REVERTED, 0, fill.gas_used, fill.net_micro_usd)
        try:
            return _outcome(settlement.at(decision, prices, fill.place, fill.gas_price))
        except KeyError:
            return None

    def _settle_paper(self, market: Market, update: BlockUpdate, valuation: Valuation) -> None:
        for fill in self._paper.settle(market, update, valuation):
            name, here = fill.decision.id, BlockRef(fill.block.number, fill.block.hash)
            at = self._included.pop(name, None)
            own_effect = at is not None and (at[0].number, at[1]) < (here.number, fill.place)
            paper = _outcome(fill), own_effect, fill.band_micro_usd
            self._results.papers.append(Paper(name, here, fill.place, *paper))

    def recall(self, block: Block, fills: Sequence[Fill]) -> None:
        settled = _Settled(block.hash, dict(self._nonces), dict(self._included))
        settled.sent = [self._open.pop(fill.decision.id) for fill in fills]
        self._settled.append(settled)
        self.withdraw()

    def rewind(self, block_hash: BlockHash) -> None:
        reopened: list[_Sent] = []
        while self._settled and self._settled[-1].block_hash != block_hash:
            last = self._settled.pop()
            reopened += last.sent
            self._nonces, self._included = last.nonces, last.included
        if reopened:
            under_way = sorted((*self._open.values(), *reopened), key=lambda sent: sent.number)
            self._open = {sent.decision.id: sent for sent in under_way}
        self._paper.rewind(block_hash)

    def withdraw(self, pools: Container[PoolKey] = ()) -> list[Decision]:
        """What is out there stays out there, whatever pools the history still tells of."""
        for decision in self._paper.withdraw(pools):
            self._included.pop(decision.id, None)
        return []

    def restart(self) -> None:
        self._settled.clear()
        self._paper.restart()

    def remember(self, blocks: int) -> None:
        self._settled = deque(self._settled, maxlen=blocks + 1)
        self._paper.remember(blocks)

    def state(self, nouns: NounWriter) -> bytes:
        under_way = [
            SavedSent(nouns.decision(sent.decision), sent.number, sent.prices, sent.lane)
            for sent in self._open.values()
        ]
        paper = self._paper.state(nouns)
        return msgspec.json.encode(
            LiveState(self._sent, under_way, self._nonces, self._included, paper)
        )

    def resume(self, state: bytes | None, nouns: NounReader) -> None:
        self._settled.clear()
        self._results = Results()
        if state is None:
            self._sent, self._open, self._nonces, self._included = 0, {}, {}, {}
            self._paper.resume(None, nouns)
            return
        saved = msgspec.json.decode(state, type=LiveState)
        under_way = [
            _Sent(nouns.decision(each.decision), each.number, each.prices, each.lane)
            for each in saved.open
        ]
        self._sent, self._open = saved.sent, {sent.decision.id: sent for sent in under_way}
        # Of those that the journal does not know nobody else would ever say that they are not sent.
        self._results.intents = [Intent(sent.decision, NO_ENTRY, sent.lane) for sent in under_way]
        self._nonces, self._included = saved.nonces, saved.included
        self._paper.resume(saved.paper, nouns)


def _without(update: BlockUpdate, ours: Sequence[Transaction]) -> BlockUpdate:
    """The block as paper is placed in it: nobody stands behind himself, or outbids himself."""
    if not ours:
        return update
    others = tuple(each for each in update.transactions if each not in ours)
    return replace(update, transactions=others)


def expired(decision: Decision, block: Block) -> Fill:
    """Never included: another transaction has used its nonce, or it was never sent."""
    return Fill(decision, block, 0, FillStatus.EXPIRED, 0, 0, 0, 0, 0, 0, (0, 0))


def _gain(transaction: Transaction, update: BlockUpdate, token: Address) -> int:
    """What the executor had more of a token afterwards, by all transfers of the transaction."""
    for flow in update.traffic.flows if update.traffic else ():
        if flow.transaction_index == transaction.index:
            return sum(each.amount for each in flow.target if each.token == token)
    return 0


def _outcome(fill: Fill) -> Outcome:
    return Outcome(fill.status, fill.amount_out, fill.gas_used, fill.net_micro_usd)
