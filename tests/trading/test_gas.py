"""Gas of every way a run can end, in figures: what the model says, and that settling asks it right.

The figures are those of docs/executor.md added up by hand: 21,000 for the transaction, 1,160 and
1,025 a hop for its data, 14,200 for the executor, 53,500 a V2 pool, 61,100 a V3 pool, and so on.
In brackets behind them, those of Polygon since Chicago: 3,360 more for each cold read, 840 less for
each reset and for each refund of one, as core/gas_schedule.py has them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.gas_schedule import ETHEREUM, POLYGON_CHICAGO
from dexarb.core.pool import SwapGas
from dexarb.search.result import HopWork
from dexarb.trading.models.gas import GasModel

MODEL = GasModel()
CHICAGO = MODEL.under(POLYGON_CHICAGO)
Both = tuple[int, int]
"""Under Ethereum's schedule and Polygon's."""

V2, V3 = UniswapV2Pool.gas, UniswapV3Pool.gas
PAIR, TICKED = HopWork(V2, 0), HopWork(V3, 0)
TOUCHED_PAIR, TOUCHED_TICKED = HopWork(V2, 0, touched=True), HopWork(V3, 0, touched=True)


@pytest.mark.parametrize(
    ("work", "own", "flash"),
    [
        # A flash swap relays what no pool collects itself.
        ([PAIR, PAIR], (145_410, 193_290), (158_910, 210_150)),
        ([TOUCHED_PAIR, PAIR], (135_010, 177_850), (148_510, 194_710)),
        ([TICKED, PAIR], (153_010, 198_370), (158_810, 207_530)),
        # What a later V3 pool collects is relayed.
        ([PAIR, TICKED], (160_710, 206_070), (166_510, 215_230)),
        ([PAIR, HopWork(V3, 1)], (194_510, 256_670), (200_310, 265_830)),
        ([PAIR, HopWork(V3, 3)], (243_510, 327_510), (249_310, 336_670)),
        ([TICKED, TICKED, PAIR], (222_835, 288_355), (228_635, 297_515)),
    ],
)
def test_a_run_that_fills(work: Sequence[HopWork], own: Both, flash: Both) -> None:
    assert (MODEL.units(work), CHICAGO.units(work)) == own
    assert (MODEL.units(work, flash=True), CHICAGO.units(work, flash=True)) == flash


@pytest.mark.parametrize(
    ("work", "own", "flash"),
    [
        # Two locks; by flash swap a relay as well.
        ([PAIR, PAIR], (151_010, 197_210), (167_310, 216_030)),
        ([TICKED, PAIR], (155_810, 200_330), (161_610, 209_490)),
        ([PAIR, TICKED], (166_310, 209_990), (172_110, 219_150)),
    ],
)
def test_a_run_that_finds_too_little_at_its_end(
    work: Sequence[HopWork], own: Both, flash: Both
) -> None:
    assert (MODEL.reverted(work), CHICAGO.reverted(work)) == own
    assert (MODEL.reverted(work, flash=True), CHICAGO.reverted(work, flash=True)) == flash


@pytest.mark.parametrize(
    ("work", "gas"),
    [
        ([PAIR, PAIR], (135_510, 177_510)),
        # What a write would have saved was never written.
        ([TOUCHED_PAIR, PAIR], (135_510, 177_510)),
        ([TICKED, PAIR], (150_810, 199_530)),
        ([TOUCHED_TICKED, PAIR], (147_310, 196_870)),
        ([PAIR, TICKED], (140_310, 180_630)),
    ],
)
def test_a_flash_swap_that_cannot_pay(work: Sequence[HopWork], gas: Both) -> None:
    assert (MODEL.unpaid(work), CHICAGO.unpaid(work)) == gas


@pytest.mark.parametrize(
    ("pools", "gas"),
    [
        ([V2, V2], (38_210, 44_930)),
        ([V3, V2], (41_560, 51_640)),
        ([V2, V2, V3], (48_835, 62_275)),
    ],
)
def test_pools_that_have_moved_too_far_to_start(pools: Sequence[SwapGas], gas: Both) -> None:
    assert (MODEL.before_run(pools), CHICAGO.before_run(pools)) == gas


@pytest.mark.parametrize(
    ("work", "pools", "own", "flash"),
    [
        # The second pool is read, and never used.
        ([], [V2, V2], (61_660, 73_420), (59_760, 74_880)),
        ([], [V2, V3, V2], (72_285, 90_765), (70_385, 92_225)),
        ([PAIR], [V2, V2], (111_710, 141_950), (96_210, 122_250)),
        ([PAIR], [V2, V2, V3], (122_335, 159_295), (106_835, 139_595)),
        ([TICKED], [V3, V2], (116_510, 145_070), (111_510, 144_270)),
    ],
)
def test_a_pool_that_says_no(
    work: Sequence[HopWork], pools: Sequence[SwapGas], own: Both, flash: Both
) -> None:
    for place, model, less in ((0, MODEL, 21_000), (1, CHICAGO, 26_040)):
        assert model.refused(work, pools) == own[place]
        assert model.refused(work, pools, flash=True) == flash[place]
        if work:
            nothing = model.refused(work, pools, gave_nothing=True)
            assert nothing == own[place] - less
            nothing = model.refused(work, pools, flash=True, gave_nothing=True)
            assert nothing == flash[place] - less


def test_the_gas_limit_is_twice_what_was_expected() -> None:
    assert MODEL.limit(145_410) == CHICAGO.limit(145_410) == 290_820


def test_a_schedule_is_reckoned_from_whatever_schedule_and_once() -> None:
    assert MODEL.under(POLYGON_CHICAGO) is CHICAGO
    assert CHICAGO.under(ETHEREUM) == MODEL
    dearer = GasModel(executor=14_201).under(POLYGON_CHICAGO)
    assert dearer.executor == CHICAGO.executor + 1
