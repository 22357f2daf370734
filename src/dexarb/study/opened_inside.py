"""What opens inside one block, and what ends there: a block looked at place by place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dexarb.core.block import BlockHash
from dexarb.core.pool import PoolKey
from dexarb.core.route import CycleId
from dexarb.study.backruns import Backrun, End, Mover, RunKey
from dexarb.study.inside_blocks import Place, Worth, Worths
from dexarb.study.order_meter import Order, order_of
from dexarb.study.walk import Moment
from dexarb.trading.models.rivals import rivals


@dataclass(frozen=True, slots=True)
class _Live:
    """A spread that is open. moved: the pools of its best cycle that the trigger changed: where it
    lies. cycles: through which it is open."""

    key: RunKey
    net_micro_usd: int
    moved: frozenset[PoolKey]
    cycles: frozenset[CycleId]


@dataclass(frozen=True, slots=True)
class Standing:
    """At the end of a block. worths: of what is open, micro-USD. live: spreads by key."""

    block_hash: BlockHash
    worths: Mapping[CycleId, int]
    live: Mapping[RunKey, _Live]


@dataclass(frozen=True, slots=True)
class Shown:
    """Of one block. opened: inside of it. ended: those of earlier blocks."""

    opened: Mapping[RunKey, Backrun]
    ended: Mapping[RunKey, End]
    order: Order
    after: Standing


class Look:
    """Mutable: one block, transaction by transaction.

    before: what stood at the end of its parent, None where that was not looked at: then what is
    open at the top has opened nobody knows when.
    """

    def __init__(self, seen: Moment, before: Standing | None) -> None:
        self._block = seen.update.block
        self._worths: Mapping[CycleId, int] = before.worths if before else {}
        self._live: dict[RunKey, _Live] = dict(before.live) if before else {}
        self._opened: dict[RunKey, Backrun] = {}
        self._ended: dict[RunKey, End] = {}
        self._seen = seen
        self._transactions = {each.index: each for each in seen.update.transactions}
        self._arbitrages = {each.transaction_index for each in rivals(seen.market, seen.update)}

    def through(self, places: Iterable[Place]) -> Shown:
        """places: all of the block, from its top on."""
        for place in places:
            mover = None if place.index < 0 else self._mover(place.index)
            self._end(place.worths, mover)
            if mover is not None:
                self._open(place, mover)
            self._worths = {each: worth.net_micro_usd for each, worth in place.worths.items()}
            self._measure()
        for key, run in self._opened.items():
            if run.end is None:
                self._opened[key] = replace(run, at_end_micro_usd=self._worth(self._live[key]))
        after = Standing(self._block.hash, self._worths, self._live)
        return Shown(self._opened, self._ended, order_of(self._seen.update), after)

    def _end(self, now: Worths, mover: Mover | None) -> None:
        closed = self._worths.keys() - now.keys()
        if not closed:
            return
        for key, live in list(self._live.items()):
            if closed.isdisjoint(live.cycles):
                continue
            if left := live.cycles - closed:
                self._live[key] = replace(live, cycles=left)
                continue
            end = End(self._block.number, self._block.timestamp, mover, self._worth(live))
            del self._live[key]
            if key in self._opened:
                self._opened[key] = replace(self._opened[key], end=end)
            else:
                self._ended[key] = end

    def _open(self, place: Place, trigger: Mover) -> None:
        """A spread is counted once: of cycles through the same pools the best one stands for it,
        and one that is open already for those that another of its pools brings near it later."""
        new = [worth for each, worth in place.worths.items() if each not in self._worths]
        new.sort(key=lambda worth: (-worth.net_micro_usd, worth.opportunity.cycle.id))
        chosen: list[RunKey] = []
        for worth in new:
            cycle = worth.opportunity.cycle
            key = self._shared(worth, chosen)
            if key is None:
                key = RunKey(self._block.hash, place.index, cycle.id)
                chosen.append(key)
                moved = place.moved.intersection(cycle.pools)
                self._live[key] = _Live(key, worth.net_micro_usd, moved, frozenset())
                self._opened[key] = self._backrun(key, trigger, worth)
            elif key in chosen:
                self._opened[key] = replace(self._opened[key], cycles=self._opened[key].cycles + 1)
            live = self._live[key]
            self._live[key] = replace(live, cycles=live.cycles | {cycle.id})

    def _shared(self, worth: Worth, chosen: list[RunKey]) -> RunKey | None:
        """The spread that this cycle is part of."""
        pools = frozenset(worth.opportunity.cycle.pools)
        for key in chosen:
            if not pools.isdisjoint(self._opened[key].cycle.pools):
                return key
        for key, live in self._live.items():
            if live.net_micro_usd >= worth.net_micro_usd and not pools.isdisjoint(live.moved):
                return key
        return None

    def _backrun(self, key: RunKey, trigger: Mover, worth: Worth) -> Backrun:
        each, net = worth.opportunity, worth.net_micro_usd
        return Backrun(
            key,
            self._block.number,
            self._block.timestamp,
            trigger,
            each.cycle,
            each.amount_in,
            each.amount_out,
            each.gas_units,
            worth.gross_micro_usd,
            net_micro_usd=net,
            most_micro_usd=net,
            at_end_micro_usd=None,
            end=None,
            cycles=1,
        )

    def _measure(self) -> None:
        for key, run in self._opened.items():
            live = self._live.get(key)
            if live is not None and (worth := self._worth(live)) > run.most_micro_usd:
                self._opened[key] = replace(run, most_micro_usd=worth)

    def _worth(self, live: _Live) -> int:
        return max(self._worths[cycle] for cycle in live.cycles if cycle in self._worths)

    def _mover(self, index: int) -> Mover:
        transaction, is_arbitrage = self._transactions.get(index), index in self._arbitrages
        if transaction is None:
            return Mover(index, is_arbitrage)
        priority_fee = transaction.effective_gas_price - self._block.base_fee_per_gas
        return Mover(
            index,
            is_arbitrage,
            transaction.hash,
            transaction.sender,
            transaction.to,
            priority_fee,
            self._seen.valuation.native_cost_micro_usd(priority_fee * transaction.gas_used),
        )
