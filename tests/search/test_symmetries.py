"""What must hold between two scans, or between a size and the profit that the curve tells."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.route import run
from dexarb.core.trade import Opportunity
from tests.oracles.cycles import first_rate
from tests.search.losses import CLOSE, offers
from tests.search.markets import MARKETS, STARTS, dead_pools
from tests.search.optimiser import ExactCycle
from tests.search.scanning import content, scanner
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import rng_of, token, v2

SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(sorted(MARKETS))
EXAMPLES = settings(max_examples=40)


def random_market(kind: str, seed: int) -> Market:
    return MARKETS[kind](rng_of("symmetry", kind, seed))


def tolerance(market: Market, offer: Opportunity) -> float:
    """What a polish may leave: a grain of the coarsest token, or 1e-9."""
    return max(ExactCycle(offer.cycle, market.pools).grain(offer.amount_in), CLOSE * offer.profit)


@EXAMPLES
@given(KINDS, SEEDS, st.floats(0.0, 1.0))
def test_the_curve_gives_the_profit_of_any_smaller_size(kind: str, seed: int, share: float) -> None:
    """Integers get no more than the curve says, and less only by what they round away."""
    market = random_market(kind, seed)
    for offer in scanner(market, STARTS).scan.opportunities[:8]:
        exact = ExactCycle(offer.cycle, market.pools)
        amount_in = min(offer.amount_in, max(1, int(share * offer.amount_in)))
        out, told = exact.amount_out(amount_in), offer.curve.amount_out(amount_in)
        if not out:
            continue
        steps = len(offer.cycle.hops) + exact.crossed_ticks(amount_in)
        # A step of a swap rounds its input up, its fee up and its output down.
        grains = 3 * steps * max(out / amount for amount in exact.amounts(amount_in)[1:])
        told_of = f"{kind} {seed}: {amount_in} gives {out}, by the curve {told}"
        assert out <= told * (1 + 1e-12) + 1, told_of
        assert out >= told * (1 - 1e-11) - grains, told_of


@EXAMPLES
@given(KINDS, SEEDS)
def test_curves_are_continuous_and_concave(kind: str, seed: int) -> None:
    for offer in scanner(random_market(kind, seed), STARTS).scan.opportunities:
        pieces = offer.curve.pieces
        assert (pieces[0].input_from, pieces[0].output_from) == (0.0, 0.0)
        assert pieces[0].rate == pytest.approx(offer.rate, rel=1e-12)
        for one, following in pairwise(pieces):
            x = following.input_from - one.input_from
            growth = 1.0 + one.depth * x
            assert x > 0, (kind, seed, offer.cycle)
            ends = one.output_from + one.rate * x / growth
            assert following.output_from == pytest.approx(ends, rel=1e-12), (kind, seed)
            # A range without liquidity between the two makes the rate jump down.
            assert following.rate <= one.rate / growth**2 * (1 + 1e-9), (kind, seed)
        assert pieces[-1].rate > 1.0


def scaled(pool: Pool, factor: int) -> Pool:
    """The pool with so many times the tokens, at the same price."""
    if isinstance(pool, UniswapV2Pool):
        return replace(pool, reserve0=pool.reserve0 * factor, reserve1=pool.reserve1 * factor)
    assert isinstance(pool, UniswapV3Pool)
    ticks = {tick: (gross * factor, net * factor) for tick, (gross, net) in pool.ticks.items()}
    return replace(pool, liquidity=pool.liquidity * factor, ticks=ticks)


@EXAMPLES
@given(KINDS, SEEDS, st.integers(1, 12))
def test_larger_pools_scale_sizes_and_profits(kind: str, seed: int, doublings: int) -> None:
    """Powers of two do not touch the digits of a float, so all that is real scales exactly."""
    market = random_market(kind, seed)
    factor = 2**doublings
    larger = market_of(scaled(pool, factor) for pool in market.pools.values())
    one, other = scanner(market, STARTS).scan, scanner(larger, STARTS).scan
    assert other.open_cycles == one.open_cycles
    grown = offers(other)
    for offer in one.opportunities:
        more = grown[offer.cycle.id]
        # In larger pools less is rounded away, so nothing can be lost.
        missing = factor * offer.profit - more.profit
        assert missing <= tolerance(larger, more), f"{kind} {seed}: {offer} became {more}"
        assert len(more.curve.pieces) == len(offer.curve.pieces)
        for piece, large in zip(offer.curve.pieces, more.curve.pieces, strict=True):
            assert large.rate == piece.rate
            assert large.depth * factor == piece.depth
            assert large.input_from == piece.input_from * factor
            assert large.output_from == piece.output_from * factor


@EXAMPLES
@given(KINDS, SEEDS)
def test_idle_pools_change_nothing(kind: str, seed: int) -> None:
    """Dead ones, one between strangers, one with a fee that no gain pays."""
    market = random_market(kind, seed)
    scan = content(scanner(market, STARTS).scan)
    idle = [
        *dead_pools([token(i) for i in range(3)])[:3],
        v2(950, (token(70), token(71)), 10**20, 10**20),
        v2(951, (token(0), token(71)), 10**20, 10**20),
        *(expensive(960 + i, pool) for i, pool in enumerate(market.pools.values())),
    ]
    idling = scanner(market_of([*idle, *market.pools.values()]), STARTS).scan
    assert content(idling) == scan


def expensive(number: int, pool: Pool) -> Pool:
    """A pool of the same tokens, near the same price, whose fee no gain pays."""
    one, other = pool.tokens
    rate = first_rate(pool, one) or 1.0 / (first_rate(pool, other) or 1.0)
    reserve0 = 10**12 if rate > 1 else int(10**12 / rate)
    return v2(number, (pool.tokens[0], pool.tokens[1]), reserve0, int(reserve0 * rate), fee=999_999)


@EXAMPLES
@given(KINDS, SEEDS)
def test_the_best_size_leaves_nothing_behind(kind: str, seed: int) -> None:
    """Once an opportunity is taken its cycle offers no more than the polish may have left."""
    market = random_market(kind, seed)
    for offer in scanner(market, STARTS).scan.opportunities[:4]:
        results = run(offer.cycle, offer.amount_in, market.pools.__getitem__)
        assert results[-1].amount_out - offer.amount_in == offer.profit
        after = {result.pool.address: result.pool for result in results}
        taken = market_of(after.values())
        rest = offers(scanner(taken, [offer.cycle.start_token]).scan).get(offer.cycle.id)
        if rest:
            # One grain at either end: of the first polish, and of the second.
            left = tolerance(market, offer)
            assert rest.profit <= 2 * left, f"{kind} {seed}: {rest.profit} left by {offer}"


@EXAMPLES
@given(KINDS, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_pools_and_start_tokens_listed_twice_do_not_matter(
    kind: str, seed: int, random: st.DataObject
) -> None:
    market = random_market(kind, seed)
    pools = list(market.pools.values())
    random.shuffle(pools)  # type: ignore[attr-defined]
    shuffled = scanner(market_of(pools), [*STARTS, *STARTS]).scan
    assert content(shuffled) == content(scanner(market, STARTS).scan)
