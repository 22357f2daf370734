"""Near misses are counted as one by one, in crowded markets, through reorganisations and reloads;
and what a block costs does not depend on what lies around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Keyframe, Market
from dexarb.core.token import Address
from dexarb.core.trade import StrategyHash
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.decide.triage import NOBODY
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View
from dexarb.trading.strategy import StrategySettings
from tests.oracles.near_misses import near_misses
from tests.support.worlds import engines
from tests.support.worlds.blocks import GWEI, next_block
from tests.support.worlds.engines import searching
from tests.support.worlds.pools import rng_of, token
from tests.support.worlds.random_trading import (
    PAIRS,
    keyframe,
    random_block,
    random_pools,
    settings_drawn,
)


def crowded(seed: int, pools: int) -> Keyframe:
    """Next to a few deep pools many that hold next to nothing, at prices of their own."""
    first, rng = keyframe(seed, pools=6), rng_of("crowd", seed)
    made = random_pools(rng)
    dead = [
        made.pool(
            1000 + number,
            PAIRS[int(rng.integers(len(PAIRS)))],
            kind=int(rng.choice([2, 2, 3])),
            noise=0.02,
            value=float(10.0 ** rng.uniform(-3, 1)),
        )
        for number in range(pools)
    ]
    return replace(first, pools=(*first.pools, *dead))


class Compared:
    """Near misses of strategies, one by one and by columns; nobody wants anything."""

    def __init__(self, settings: Sequence[StrategySettings], every: int) -> None:
        """every: which blocks are compared."""
        self.settings = list(settings)
        self._every = every
        self.columns = ThresholdStrategies(settings, REALITY)
        self.most_open = 0

    @property
    def hashes(self) -> Sequence[StrategyHash]:
        return self.columns.hashes

    def least_gross(self, _token: Address, _market: Market, _valuation: Valuation) -> int:
        return NOBODY

    def decide(self, view: View, skips: SkipTally) -> Decided:  # noqa: ARG002
        counted = SkipTally()
        assert not self.columns.decide(view, counted).decisions
        if not view.stale and view.market.block.number % self._every == 0:
            missed = near_misses(view, whole(view.market).scan, self.settings)
            assert {
                (each.strategy, each.reason): (each.times, each.best)
                for each in counted.drain(hour=0)
            } == missed
        self.most_open = max(self.most_open, len(view.scan.table))
        return Decided()


whole = partial(searching, min_gross=lambda _: NOBODY)
"""A new search that keeps the curves of all, and offers nothing."""


def engine(first: Keyframe) -> Engine:
    return engines.engine(first, (), scanner=whole, max_state_age_s=1e9)


def on_branch(update: BlockUpdate, branch: str) -> BlockUpdate:
    return replace(update, block=replace(update.block, hash=BlockHash(update.block.hash + branch)))


def lived_through(
    first: Keyframe,
    before: Sequence[StrategySettings],
    after: Sequence[StrategySettings],
    every: int = 1,
) -> int:
    """Blocks, a reload, a reorganisation; returns how many cycles were open at most."""
    rng, made = rng_of("lived", first.block.hash), engine(first)
    one, other = Compared(before, every), Compared(after, every)
    made.use([one])
    other_branch = Market(first)
    for number in range(5):
        update = random_block(made.market, rng, moved=int(rng.integers(0, 6)))
        made.step(update)
        if number < 2:
            other_branch.apply(update)
        if number == 3:
            made.use([other])
    for _ in range(2):
        update = on_branch(random_block(other_branch, rng, moved=4), ".b")
        other_branch.apply(update)
        assert made.step(update).block == update.block
    assert made.episodes.by_id().keys() == made.scan.open_cycles.keys()
    return max(one.most_open, other.most_open)


some_settings = st.lists(settings_drawn, min_size=1, max_size=5, unique_by=lambda each: each.hash)


@settings(max_examples=12)
@given(st.integers(0, 10**6), some_settings, some_settings)
def test_near_misses_are_those_of_one_by_one(
    seed: int, before: list[StrategySettings], after: list[StrategySettings]
) -> None:
    lived_through(crowded(seed, 30), before, after)


def strategy(name: str, **changes: object) -> StrategySettings:
    plain = StrategySettings(
        name=name,
        pairs=PAIRS,
        min_profit_micro_usd=50_000,
        max_trade_size_micro_usd=10**9,
        max_slippage_ppm=5_000,
        max_gas_price=10**12,
        competition_rate_ppm=0,
        max_daily_trades=None,
        daily_loss_limit_micro_usd=None,
        max_consecutive_losses=None,
        cooldown_blocks=0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_near_misses_are_those_of_one_by_one_where_tens_of_thousands_are_open() -> None:
    wide = strategy("wide", min_spread_ppm=3_000)
    small = strategy("small", max_trade_size_micro_usd=20_000, gas_cost_micro_usd=500)
    few = strategy("few", pairs=PAIRS[:5], max_hops=2, bid_ppm=300_000)
    assert lived_through(crowded(1, 130), [wide, few], [small, wide], every=2) > 20_000


def rows_looked_at(parallel: int) -> tuple[int, int]:
    """In blocks that touch a pool which no cycle through the parallel ones passes; and how many
    cycles are open. Gas prices move as they do, by an eighth."""
    first, made = keyframe(2, pools=0), random_pools(rng_of("beside"))
    crowd = random_pools(rng_of("crowd"))
    dead = [
        crowd.pool(1000 + number, (token(0), token(2)), noise=0.02, value=0.1)
        for number in range(parallel)
    ]
    beside = [made.pool(900 + number, (token(1), token(3)), noise=0.02) for number in range(2)]
    running = engine(replace(first, pools=(*first.pools, *beside, *dead)))
    running.use([ThresholdStrategies([strategy("plain")], REALITY)])
    steps = []
    for number in range(20):
        update = next_block(running.market, [beside[0], made.pool(901, (token(1), token(3)))])
        base_fee = 10 * GWEI * (16 + number % 3) // 16
        running.step(replace(update, block=replace(update.block, base_fee_per_gas=base_fee)))
        steps.append(running.scan.table.steps)
    # The first block has to find out what is dust.
    return steps[-1] - steps[0], len(running.scan.table)


def test_a_block_costs_what_it_touches() -> None:
    """As many rows are looked at where thousands lie around as where nothing does."""
    steps, few = rows_looked_at(0)
    assert steps > 0
    same, many = rows_looked_at(150)
    assert many > 5_000 > 100 * few
    assert same == steps
