"""Gas of every way a run can end, in figures: what the model says, and that settling asks it right.

The figures are those of docs/executor.md added up by hand: 21,000 for the transaction, 1,160 and
1,025 a hop for its data, 14,200 for the executor, 53,500 a V2 pool, 61,100 a V3 pool, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import SwapGas
from dexarb.search.result import HopWork
from dexarb.trading.models.gas import GasModel

MODEL = GasModel()
V2, V3 = UniswapV2Pool.gas, UniswapV3Pool.gas
PAIR, TICKED = HopWork(V2, 0), HopWork(V3, 0)
TOUCHED_PAIR, TOUCHED_TICKED = HopWork(V2, 0, touched=True), HopWork(V3, 0, touched=True)


@pytest.mark.parametrize(
    ("work", "own", "flash"),
    [
        ([PAIR, PAIR], 145_410, 158_910),  # a flash swap relays what no pool collects itself
        ([TOUCHED_PAIR, PAIR], 135_010, 148_510),
        ([TICKED, PAIR], 153_010, 158_810),
        ([PAIR, TICKED], 160_710, 166_510),  # what a later V3 pool collects is relayed
        ([PAIR, HopWork(V3, 1)], 194_510, 200_310),
        ([PAIR, HopWork(V3, 3)], 243_510, 249_310),
        ([TICKED, TICKED, PAIR], 222_835, 228_635),
    ],
)
def test_a_run_that_fills(work: Sequence[HopWork], own: int, flash: int) -> None:
    assert MODEL.units(work) == own
    assert MODEL.units(work, flash=True) == flash


@pytest.mark.parametrize(
    ("work", "own", "flash"),
    [
        ([PAIR, PAIR], 151_010, 167_310),  # two locks; by flash swap a relay as well
        ([TICKED, PAIR], 155_810, 161_610),
        ([PAIR, TICKED], 166_310, 172_110),
    ],
)
def test_a_run_that_finds_too_little_at_its_end(
    work: Sequence[HopWork], own: int, flash: int
) -> None:
    assert MODEL.reverted(work) == own
    assert MODEL.reverted(work, flash=True) == flash


@pytest.mark.parametrize(
    ("work", "gas"),
    [
        ([PAIR, PAIR], 135_510),
        ([TOUCHED_PAIR, PAIR], 135_510),  # what a write would have saved was never written
        ([TICKED, PAIR], 150_810),
        ([TOUCHED_TICKED, PAIR], 147_310),
        ([PAIR, TICKED], 140_310),
    ],
)
def test_a_flash_swap_that_cannot_pay(work: Sequence[HopWork], gas: int) -> None:
    assert MODEL.unpaid(work) == gas


@pytest.mark.parametrize(
    ("pools", "gas"), [([V2, V2], 38_210), ([V3, V2], 41_560), ([V2, V2, V3], 48_835)]
)
def test_pools_that_have_moved_too_far_to_start(pools: Sequence[SwapGas], gas: int) -> None:
    assert MODEL.before_run(pools) == gas


@pytest.mark.parametrize(
    ("work", "pools", "own", "flash"),
    [
        ([], [V2, V2], 61_660, 59_760),  # the second pool is read, and never used
        ([], [V2, V3, V2], 72_285, 70_385),
        ([PAIR], [V2, V2], 111_710, 96_210),
        ([PAIR], [V2, V2, V3], 122_335, 106_835),
        ([TICKED], [V3, V2], 116_510, 111_510),
    ],
)
def test_a_pool_that_says_no(
    work: Sequence[HopWork], pools: Sequence[SwapGas], own: int, flash: int
) -> None:
    assert MODEL.refused(work, pools) == own
    assert MODEL.refused(work, pools, flash=True) == flash
    if work:
        assert MODEL.refused(work, pools, gave_nothing=True) == own - 21_000
        assert MODEL.refused(work, pools, flash=True, gave_nothing=True) == flash - 21_000


def test_the_gas_limit_is_twice_what_was_expected() -> None:
    assert MODEL.limit(145_410) == 290_820
