"""A recorded history block by block, with what was open: the engine without any strategy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import Entry, Keyframe, Market, PoolsChanged
from dexarb.core.route import Cycle
from dexarb.core.trade import Opportunity
from dexarb.search.result import Dust
from dexarb.search.scan import Scan, Scanner
from dexarb.study.searching import scanner_of
from dexarb.study.span import Span, first_market
from dexarb.study.study import Died
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.settle.paper_executor import PaperExecutor


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of a block. market and valuation move on with the next one.

    opened: the number of the block at whose end an open cycle was first seen open. opened_before:
    the same at the end of the block before. Both are to be asked before the walk goes on. began:
    how many have opened at this one. has_other_pools: pools have
    joined, left or been put right since the moment before, or the market is another one.
    """

    update: BlockUpdate
    market: Market
    valuation: Valuation
    scan: Scan
    opened_before: Callable[[Cycle], int | None]
    opened: Callable[[Cycle], int]
    began: int
    has_other_pools: bool

    @property
    def opportunities(self) -> Sequence[Opportunity]:
        """Found when they are asked for, before the walk goes on."""
        return self.scan.opportunities


def engine_on(keyframe: Keyframe, *, max_state_age_s: float = math.inf) -> Engine:
    """An engine as the paper trader's, without strategies, which offers what is asked for."""

    def scanner(market: Market, dust: Dust) -> Scanner:
        return scanner_of(market, REALITY.gas, dust=dust)

    executor = PaperExecutor(REALITY)
    return Engine(
        keyframe, scanner, executor, REALITY, max_state_age_s=max_state_age_s, sizes_all=False
    )


def moments(engine: Engine, entries: Iterable[Entry]) -> Iterator[Moment | Died]:
    """What the entries bring that come after where the engine stands: blocks, and what died.

    A break behind which more than 128 blocks are dead tells of the last 128 alone; whoever keeps a
    study running begins another one there. Raises what reading them raises.
    """
    has_other_pools = True
    for entry in entries:
        market, pools = engine.market, len(engine.market.pools)
        if isinstance(entry, PoolsChanged):
            entry = _on_the_branch(entry, market)
        step = engine.step(entry)
        # What joined on a branch that died has gone with it.
        has_other_pools |= (
            isinstance(entry, PoolsChanged)
            or engine.market is not market
            or len(market.pools) != pools
        )
        if step.rewound_to is not None:
            yield Died(step.rewound_to)
        if isinstance(entry, BlockUpdate) and step.block is entry.block and not engine.is_lost:
            yield Moment(
                entry,
                engine.market,
                engine.valuation,
                engine.scan,
                engine.episodes.opened_before,
                engine.episodes.opened,
                len(engine.episodes.began),
                has_other_pools,
            )
            has_other_pools = False


def _on_the_branch(entry: PoolsChanged, market: Market) -> PoolsChanged:
    """What is left of a change at a dead block that was left out: what joined is gone with it, what
    left is gone."""
    here = BlockRef(market.block.number, market.block.hash)
    if entry.block == here:
        return entry
    left = tuple(pool for pool in entry.left if pool in market.pools)
    return replace(entry, block=here, joined=(), left=left)


def walk(asked: Span) -> Iterator[Moment]:
    """Every block of the span once, dead branches left out, prices warmed up before it.

    Raises StoreError.
    """
    reader, keyframe = asked.reader, first_market(asked)
    branch = reader.branch_down_to(keyframe.block.number)
    wanted = {header.seq for header in branch}
    last_seq = max(header.seq for header in branch if header.number == asked.last)
    standing = (
        entry
        for entry in reader.entries(keyframe.seq + 1, last_seq)
        if not isinstance(entry, BlockUpdate) or entry.seq in wanted
    )
    for each in moments(engine_on(keyframe), standing):
        # What died has been left out.
        if isinstance(each, Moment) and asked.first <= each.update.block.number <= asked.last:
            yield each
