"""Gas of every way a run can end, in figures: what the model says, and that settling asks it right.

The figures are those of docs/executor.md added up by hand: 21,000 for the transaction, 1,160 and
1,025 a hop for its data, 14,200 for the executor, 53,500 a V2 pool, 55,700 a V3 pool, and so on.
In brackets behind them, those of Polygon since Chicago: 3,360 more for each cold read, 840 less for
each reset and for each refund of one, as core/gas_schedule.py has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

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
TOUCHED_PAIR, TOUCHED_TICKED = HopWork(V2, 0, touched=True), HopWork(V3, 0, True, touched=True)


@pytest.mark.parametrize(
    ("work", "own", "flash"),
    [
        # A flash swap relays what no pool collects itself.
        ([PAIR, PAIR], (145_410, 193_290), (158_910, 210_150)),
        ([TOUCHED_PAIR, PAIR], (135_010, 177_850), (148_510, 194_710)),
        ([TICKED, PAIR], (147_610, 189_610), (153_410, 198_770)),
        # What a later V3 pool collects is relayed.
        ([PAIR, TICKED], (155_310, 197_310), (161_110, 206_470)),
        # A tick that is left, and not if that was done in the block before; words of the bitmap.
        ([PAIR, HopWork(V3, 0, True)], (162_860, 207_380), (168_660, 216_540)),
        ([PAIR, TOUCHED_TICKED], (158_110, 203_470), (163_910, 212_630)),
        ([PAIR, TICKED._replace(touched=True)], (155_310, 197_310), (161_110, 206_470)),
        ([PAIR, HopWork(V3, 1, True)], (192_660, 250_620), (198_460, 259_780)),
        ([PAIR, HopWork(V3, 3, True, 2)], (255_060, 341_580), (260_860, 350_740)),
        ([TICKED, TICKED, PAIR], (212_035, 270_835), (217_835, 279_995)),
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
        ([TICKED, PAIR], (150_410, 191_570), (156_210, 200_730)),
        ([PAIR, TICKED], (160_910, 201_230), (166_710, 210_390)),
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
        ([TICKED, PAIR], (145_410, 190_770)),
        # Not so a pool with ticks: it writes its observation before it pays.
        ([TOUCHED_TICKED, PAIR], (148_210, 196_930)),
        ([PAIR, TICKED], (134_910, 171_870)),
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
        ([TICKED], [V3, V2], (111_110, 136_310), (106_110, 135_510)),
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


@pytest.mark.parametrize("model", [MODEL, CHICAGO])
def test_a_hop_of_which_nothing_is_known_asks_for_the_least(model: GasModel) -> None:
    """Triage and the price list stand on that."""
    for ticks, left, words, touched in product((0, 1, 3), (False, True), (0, 2), (False, True)):
        hop = HopWork(V3, ticks, left, words, touched=touched)
        for flash in (False, True):
            least = model.units([TICKED, TICKED], flash=flash)
            assert model.units([TICKED, hop], flash=flash) >= least
