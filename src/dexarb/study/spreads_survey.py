"""What a market offered over a span of blocks, against what each strategy needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dexarb.core.block import BlockHash
from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.core.units import BPS, MICRO_USD
from dexarb.errors import MarketError
from dexarb.search.result import HopWork
from dexarb.study.distribution import Course
from dexarb.study.ladder import Best
from dexarb.study.needs import Need, needs
from dexarb.study.recent import Recent
from dexarb.study.spread_courses import PairCourse, SpreadCourses
from dexarb.study.spreads_seen import Sight, SpreadsSeen
from dexarb.study.walk import Moment
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.strategy import StrategySettings

MAX_SIZES = 6
USUAL_SIZE = 1_000 * MICRO_USD
"""Where neither a strategy nor anybody else says how large."""


@dataclass(frozen=True, slots=True)
class Survey:
    """All of it. blocks: those that were seen. size: index of the size at which spreads are
    executed. gas: micro-USD of a trade through two pools at the last block, None without a price.
    best_raw and best_executable: of each token pair the pool pair that stood best, block by
    block."""

    blocks: int
    market: Market
    sizes_micro_usd: tuple[int, ...]
    size: int
    gas_micro_usd: int | None
    pairs: tuple[PairCourse, ...]
    best_raw: tuple[Course, ...]
    best_executable: tuple[Course, ...]
    episodes: tuple[Best, ...]
    needs: tuple[Need, ...]

    @property
    def nearest(self) -> PairCourse | None:
        """The two pools whose raw spread came nearest to their own fees, or most above them."""
        known = [pair for pair in self.pairs if pair.raw.values.greatest is not None]
        return max(known, key=_above_fees, default=None)

    def is_searched(self, pair: PairCourse) -> bool:
        """Whether trades may begin and end in one of its tokens, and pass through its pools."""
        profile = self.market.profile
        tokens = {token for pool in pair.pools for token in _tokens(self.market, pool)}
        return (
            not set(pair.tokens).isdisjoint(profile.start_tokens)
            and tokens.isdisjoint(profile.exclude_tokens)
            and set(pair.pools).isdisjoint(profile.exclude_pools)
        )


def _above_fees(pair: PairCourse) -> float:
    """Basis points of a trade of size zero after fees, at its best."""
    return (1 + (pair.raw.values.greatest or 0.0) / BPS) / (1 + pair.fees_bps / BPS) - 1


def _tokens(market: Market, key: PoolKey) -> tuple[Address, ...]:
    pool = market.pools.get(key)
    return pool.tokens if pool else ()


def chosen_sizes(
    settings: Sequence[StrategySettings], size_micro_usd: int | None
) -> tuple[tuple[int, ...], int]:
    """Sizes to look at in micro-USD, ascending, and the index of the one to execute spreads at:
    the one asked for, else the strategies' middle one, else USUAL_SIZE.

    Of more than MAX_SIZES distinct ones, evenly spread ones with the smallest and the greatest.
    """
    own = sorted({each.max_trade_size_micro_usd for each in settings})
    if len(own) > MAX_SIZES:
        steps = (round(i * (len(own) - 1) / (MAX_SIZES - 1)) for i in range(MAX_SIZES))
        own = [own[step] for step in steps]
    middle = own[(len(own) - 1) // 2] if own else USUAL_SIZE
    size = middle if size_micro_usd is None else size_micro_usd
    sizes = tuple(sorted({*own, size}))
    return sizes, sizes.index(size)


class SpreadsStudy:
    """A study of a walk's moments. Looks at every block once, and in it at what has changed."""

    def __init__(
        self, sizes: tuple[int, ...], size: int, settings: Sequence[StrategySettings] = ()
    ) -> None:
        self._sizes, self._size, self._settings = sizes, size, settings
        self._sight = Sight(sizes, size)
        self._settled = SpreadCourses(len(sizes))
        self._recent = Recent[SpreadsSeen]()
        self._tip: BlockHash | None = None
        self._now: tuple[Market, Valuation] | None = None

    def add(self, seen: Moment) -> None:
        block = seen.update.block
        shown = self._sight.look(seen, goes_on=block.parent_hash == self._tip)
        settled = self._recent.add(block.hash, shown)
        if settled is not None:
            self._settled.fold(settled)
        self._tip = block.hash
        self._now = (seen.market, seen.valuation)

    def rewind(self, block_hash: BlockHash) -> None:
        """Market and prices have been taken back already, by whoever walks."""
        self._recent.rewind(block_hash)
        # Where nothing is left, the next block is the first one.
        self._tip = block_hash if self._recent or self._settled.blocks else None

    def answer(self) -> Survey:
        """Raises MarketError before the first block."""
        if self._now is None:
            raise MarketError("no block has been looked at yet")
        market, valuation = self._now
        courses = self._settled.copy()
        for shown in self._recent:
            courses.fold(shown)
        courses.close()
        gas = _gas_of_two_pools(market, valuation)
        episodes = tuple(courses.book.episodes())
        asked = needs(
            self._settings,
            episodes,
            sizes=self._sizes,
            gas_micro_usd=gas or 0,
            dexes=courses.dexes,
        )
        return Survey(
            courses.blocks,
            market,
            self._sizes,
            self._size,
            gas,
            tuple(courses.pairs.values()),
            tuple(raw for raw, _ in courses.best.values()),
            tuple(executable for _, executable in courses.best.values()),
            episodes,
            tuple(asked),
        )


def _gas_of_two_pools(market: Market, valuation: Valuation) -> int | None:
    gas = REALITY.gas.under(market.next_gas_schedule)
    units = max(gas.units([HopWork(each, 0)] * 2) for each in market.swap_gas)
    gas_price = market.block.base_fee_per_gas + market.profile.default_priority_fee
    return valuation.native_cost_micro_usd(units * gas_price)
