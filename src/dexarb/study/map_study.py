"""Net money a day against the tip, from what was open at each place of recorded blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dexarb.core.block import BlockHash
from dexarb.core.market import Market
from dexarb.core.trade import Opportunity
from dexarb.errors import MarketError
from dexarb.study.inside_blocks import BlockSearch, Worths
from dexarb.study.map_sends import MapBlock
from dexarb.study.money_map import LADDER, MoneyMap, Rung, RungSums, Send, Sight
from dexarb.study.opened_inside import Look, Shown, Standing
from dexarb.study.order_meter import Order
from dexarb.study.recent import RunningSums
from dexarb.study.walk import Moment


@dataclass(frozen=True, slots=True)
class _After:
    """The end of a block. to_send: what a sender who sees ends of blocks sends for the next one."""

    standing: Standing
    to_send: Sequence[Opportunity]


@dataclass(slots=True)
class _Sums:
    """Mutable. seconds: of the blocks that count, each from its parent on. after: the newest."""

    rungs: dict[Rung, RungSums]
    blocks: int = 0
    counted: int = 0
    seconds: int = 0
    order: Order = field(default_factory=Order)
    after: _After | None = None

    def fold(self, other: _Sums) -> None:
        self.blocks += other.blocks
        self.counted += other.counted
        self.seconds += other.seconds
        self.order.fold(other.order)
        for rung, each in other.rungs.items():
            self.rungs[rung].fold(each)
        self.after = other.after


class MapStudy:
    """A study of a walk's moments. tips: wei per gas.

    One send per spread that opens: of those that stand at a block's end for the next block, of
    those that a transaction opens inside a block for the place behind it.
    """

    def __init__(self, tips: Sequence[int] = LADDER) -> None:
        self._rungs = [Rung(sight, tip) for sight in Sight for tip in tips]
        self._search = BlockSearch()
        self._sums = RunningSums(self._nothing)
        self._market: Market | None = None

    def add(self, seen: Moment) -> None:
        block, self._market = seen.update.block, seen.market
        before = self._sums.newest.after
        if before is not None and before.standing.block_hash != block.parent_hash:
            before = None
        self._sums.add(block.hash, self._look(seen, before))

    def rewind(self, block_hash: BlockHash) -> None:
        self._sums.rewind(block_hash)

    def answer(self) -> MoneyMap:
        """Raises MarketError before the first block."""
        if self._market is None:
            raise MarketError("no block has been looked at yet")
        sums = self._sums.total()
        return MoneyMap(
            sums.blocks, sums.counted, sums.seconds, sums.order, sums.rungs, self._market
        )

    def _nothing(self) -> _Sums:
        return _Sums({rung: RungSums() for rung in self._rungs})

    def _look(self, seen: Moment, before: _After | None) -> _Sums:
        places = list(self._search.places(seen))
        shown = Look(seen, before.standing if before else None).through(places)
        block = MapBlock(seen, places)
        sums = self._nothing()
        sums.blocks, sums.order = 1, shown.order
        sums.after = _After(shown.after, _to_send(shown, places[-1].worths))
        # Of the first block nobody knows what was open before it.
        if before is not None and block.is_ordered:
            sums.counted, sums.seconds = 1, seen.market.pace
            for send in self._behind_blocks(block, before.to_send, seen.market):
                sums.rungs[send.rung].add(send)
            for send in self._behind_triggers(block, shown):
                sums.rungs[send.rung].add(send)
        return sums

    def _behind_blocks(
        self, block: MapBlock, to_send: Sequence[Opportunity], market: Market
    ) -> list[Send]:
        return [
            block.send(each.cycle, rung, each.gas_units, None)
            for each in to_send
            if all(pool in market.pools for pool in each.cycle.pools)
            for rung in self._rungs
            if rung.sight is Sight.BLOCKS
        ]

    def _behind_triggers(self, block: MapBlock, shown: Shown) -> list[Send]:
        return [
            block.send(
                run.cycle, rung, run.gas_units, (run.trigger.index, run.trigger.priority_fee)
            )
            for run in shown.opened.values()
            # The chain's own transactions nobody sees coming.
            if run.trigger.priority_fee is not None and not block.is_own(run.trigger.index)
            for rung in self._rungs
            if rung.sight is Sight.TRIGGERS
        ]


def _to_send(shown: Shown, at_end: Worths) -> list[Opportunity]:
    """Of each spread that opened in the block and still stands, what is best at its end."""
    found = []
    for key in shown.opened:
        live = shown.after.live.get(key)
        if live is not None:
            worths = [at_end[cycle] for cycle in sorted(live.cycles)]
            found.append(max(worths, key=lambda worth: worth.net_micro_usd).opportunity)
    return found
