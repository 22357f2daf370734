"""V3 swaps on 256-bit limbs against the same swaps in Python's integers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import ROUNDS, Action, Row, compared, figure, timed
from dexarb.amm import v3_swap, warm_up
from dexarb.amm.limb_math import compute_swap_step as compiled_step
from dexarb.amm.packed_ticks import PackedTicks
from dexarb.amm.swap_math import compute_swap_step
from dexarb.amm.tick_math import get_sqrt_ratio_at_tick
from dexarb.amm.uniswap_v3 import INT256_MAX, UniswapV3Pool
from dexarb.compiled import kernel
from dexarb.core.pool import SwapResult
from dexarb.limbs import N0, Limb
from tests.support.worlds.pools import token, v3

FEE_PIPS, SPACING = 500, 10
STEPS = 200
PAIRS = 100
TICKS_CROSSED = {0: 1.0, 1: 1.0, 5: 2.0, 20: 4.0, 100: 4.0}
"""And the goal: at worst no slower where objects, not arithmetic, take the time."""

A, B = token(1), token(2)


def rows() -> list[Row]:
    warm_up()
    return [*steps(), *whole_swaps(), *packing()]


def interleaved(name: str, ours: Action, in_python: Action, each: int, goal: float) -> Row:
    """Call by call in turn: a busy machine interrupts long rounds all alike."""
    rounds = []
    for _ in range(ROUNDS):
        pairs = [(timed(ours) / each, timed(in_python) / each) for _ in range(PAIRS)]
        rounds.append(([pair[0] for pair in pairs], [pair[1] for pair in pairs]))
    return compared(name, rounds, goal=goal)


# -- one step ------------------------------------------------------------------------------------


@kernel
def run_steps(cases: NDArray[np.uint64], fee_pips: Limb) -> Limb:
    """cases: price, target, liquidity and amount, four limbs each."""
    total = N0
    for c in cases:
        step = compiled_step(
            (c[0], c[1], c[2], c[3]),
            (c[4], c[5], c[6], c[7]),
            (c[8], c[9], c[10], c[11]),
            (c[12], c[13], c[14], c[15]),
            True,
            fee_pips,
        )
        total += step[2][0]
    return total


def steps() -> list[Row]:
    return [
        _step_row("V3 step that ends in its range", lambda whole, rng: whole // rng.randint(2, 99)),
        _step_row("V3 step to the next tick", lambda whole, rng: whole * rng.randint(2, 99)),
    ]


def _step_row(name: str, amount_of: Callable[[int, Random], int]) -> Row:
    rng = Random(name)
    cases = []
    for _ in range(STEPS):
        tick = rng.randint(-300_000, 300_000)
        price, target = (get_sqrt_ratio_at_tick(tick + rng.randint(-60, 60)) for _ in range(2))
        liquidity = rng.randint(10**16, 10**24)
        _, whole, _, _ = compute_swap_step(price, target, liquidity, INT256_MAX, FEE_PIPS)
        cases.append((price, target, liquidity, 1 + amount_of(whole, rng)))
    packed = np.frombuffer(
        b"".join(number.to_bytes(32, "little") for case in cases for number in case), dtype=Limb
    ).reshape(-1, 16)

    def in_python() -> int:
        return sum(compute_swap_step(*case, FEE_PIPS)[2] for case in cases) & (2**64 - 1)

    assert run_steps(packed, Limb(FEE_PIPS)) == in_python()
    return interleaved(name, lambda: run_steps(packed, Limb(FEE_PIPS)), in_python, STEPS, 4.0)


# -- a whole swap --------------------------------------------------------------------------------


def pool_of(ranges: int) -> UniswapV3Pool:
    """Ranges of one to three tick spacings on both sides of the price, and one over all of it."""
    positions = [(-8_800, 8_800, 10**20)]
    for place in range(-ranges // 2, ranges // 2):
        positions.append((place, place + 1 + place % 3, 10**18 + place))
    return v3(1, (A, B), 1.00055, positions, FEE_PIPS)


def swap_in_python(pool: UniswapV3Pool, amount_in: int) -> SwapResult:
    """What UniswapV3Pool.swap of token0 does, by the loop in Python."""
    price, tick, liquidity, remaining, amount_out = v3_swap.swap(
        pool.ticks, pool._initialized, SPACING, FEE_PIPS,
        pool.sqrt_price_x96, pool.tick, pool.liquidity,
        pool._sells_token0(A), True, amount_in, pool._effective_limit(True, None),
    )  # fmt: skip
    return SwapResult(amount_in - remaining, amount_out, pool._at(price, tick, liquidity))


def whole_swaps() -> list[Row]:
    pool = pool_of(600)
    found = []
    for crossed, goal in TICKS_CROSSED.items():
        end = get_sqrt_ratio_at_tick(SPACING - crossed * SPACING - 5)
        amount = pool.swap(A, INT256_MAX, sqrt_price_limit_x96=end).amount_in if crossed else 10**12
        result = pool.swap(A, amount)
        assert result == swap_in_python(pool, amount)
        assert pool.crossed_ticks(result.pool) == crossed
        calls = range(max(2, 50 // (crossed + 1)))
        found.append(
            interleaved(
                f"V3 swap over {crossed} ticks, pool to pool",
                lambda: [pool.swap(A, amount) for _ in calls],  # noqa: B023
                lambda: [swap_in_python(pool, amount) for _ in calls],  # noqa: B023
                len(calls),
                goal,
            )
        )
    return found


def packing() -> list[Row]:
    """Once a pool, then two rows a mint or burn."""
    pool = pool_of(1_000)
    ticks, initialized = pool.ticks, pool._initialized
    packed = PackedTicks()
    packed.rows(ticks, initialized)
    whole = min(timed(lambda: PackedTicks().rows(ticks, initialized)) for _ in range(100))
    change = min(timed(lambda: packed.changed(initialized, ticks, (0, 10))) for _ in range(1_000))
    return [
        figure("1,000 ticks packed", whole * 1e6, "us", goal=None, met=None),
        figure("a mint in 1,000 packed ticks", change * 1e6, "us", goal=None, met=None),
    ]
