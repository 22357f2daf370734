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
from dexarb.study.recent import Recent
from dexarb.study.walk import Moment


@dataclass(frozen=True, slots=True)
class _After:
    """The end of a block. to_send: what a sender who sees ends of blocks sends for the next one."""

    standing: Standing
    to_send: Sequence[Opportunity]


@dataclass(frozen=True, slots=True)
class _Block:
    """What one block showed. seconds: from its parent on, 0 where it does not count."""

    sends: Sequence[Send]
    is_counted: bool
    seconds: int
    order: Order
    after: _After


@dataclass(slots=True)
class _Sums:
    """Mutable."""

    blocks: int = 0
    counted: int = 0
    seconds: int = 0
    order: Order = field(default_factory=Order)
    rungs: dict[Rung, RungSums] = field(default_factory=dict)

    def add(self, shown: _Block) -> None:
        self.blocks += 1
        self.counted += shown.is_counted
        self.seconds += shown.seconds
        self.order.fold(shown.order)
        for send in shown.sends:
            self.rungs[send.rung].add(send)


class MapStudy:
    """A study of a walk's moments. tips: wei per gas.

    One send per spread that opens: of those that stand at a block's end for the next block, of
    those that a transaction opens inside a block for the place behind it.
    """

    def __init__(self, tips: Sequence[int] = LADDER) -> None:
        self._rungs = [Rung(sight, tip) for sight in Sight for tip in tips]
        self._search = BlockSearch()
        self._settled = self._nothing()
        self._settled_after: _After | None = None
        self._recent = Recent[_Block]()
        self._market: Market | None = None

    def add(self, seen: Moment) -> None:
        block, self._market = seen.update.block, seen.market
        newest = self._recent.newest
        before = newest.after if newest is not None else self._settled_after
        if before is not None and before.standing.block_hash != block.parent_hash:
            before = None
        settled = self._recent.add(block.hash, self._look(seen, before))
        if settled is not None:
            self._settled.add(settled)
            self._settled_after = settled.after

    def rewind(self, block_hash: BlockHash) -> None:
        self._recent.rewind(block_hash)

    def answer(self) -> MoneyMap:
        """Raises MarketError before the first block."""
        if self._market is None:
            raise MarketError("no block has been looked at yet")
        sums = self._nothing()
        settled = self._settled
        sums.blocks, sums.counted, sums.seconds = settled.blocks, settled.counted, settled.seconds
        sums.order.fold(settled.order)
        for rung, each in settled.rungs.items():
            sums.rungs[rung].fold(each)
        for shown in self._recent:
            sums.add(shown)
        return MoneyMap(
            sums.blocks, sums.counted, sums.seconds, sums.order, sums.rungs, self._market
        )

    def _nothing(self) -> _Sums:
        return _Sums(rungs={rung: RungSums() for rung in self._rungs})

    def _look(self, seen: Moment, before: _After | None) -> _Block:
        places = list(self._search.places(seen))
        shown = Look(seen, before.standing if before else None).through(places)
        block = MapBlock(seen, places)
        # Of the first block nobody knows what was open before it.
        is_counted = before is not None and block.is_ordered
        after = _After(shown.after, _to_send(shown, places[-1].worths))
        if before is None or not is_counted:
            return _Block((), False, 0, shown.order, after)
        sends = [
            *self._behind_blocks(block, before.to_send, seen.market),
            *self._behind_triggers(block, shown),
        ]
        return _Block(sends, True, seen.market.pace, shown.order, after)

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
            if run.trigger.priority_fee is not None and run.trigger.priority_fee >= 0
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
