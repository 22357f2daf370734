"""The gas model against receipts of a real node."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.core.gas_schedule import ETHEREUM, POLYGON_CHICAGO
from dexarb.core.pool import SwapGas
from dexarb.search.result import HopWork
from dexarb.trading.models.gas import GasModel
from tests.executor.gas import Sample, quantiles, samples, seasoned_arena

V2, V3 = UniswapV2Pool.gas, UniswapV3Pool.gas
PAIR_UNITS, POOL_UNITS = V2.by_schedule[ETHEREUM.place], V3.by_schedule[ETHEREUM.place]


def assert_predicted(taken: Sequence[Sample]) -> None:
    """Within 5 % at the 95th percentile and 15 % always, over everything the model knows of."""
    _, p95, greatest = quantiles(taken)
    assert p95 <= 0.05
    assert greatest <= 0.15
    few = len(taken) // 10
    assert sum(sample.flash for sample in taken) >= few
    assert sum(not sample.flash for sample in taken) >= few
    assert sum(not sample.filled and sample.started for sample in taken) >= few
    assert sum(not sample.started for sample in taken) >= few
    assert sum(any(hop.crossed_ticks for hop in sample.work) for sample in taken) >= few
    assert sum(any(hop.touched for hop in sample.work) for sample in taken) >= few
    ticked = [hop for sample in taken for hop in sample.work if hop.gas == V3]
    assert sum(hop.left_tick for hop in ticked) >= few
    assert sum(not hop.left_tick for hop in ticked) >= few
    assert any(hop.more_words for hop in ticked)
    for hops in (2, 3, 4):
        assert sum(len(sample.work) == hops for sample in taken) >= few
    # No bias: what is too much for some is too little for others.
    assert abs(sum(sample.error() for sample in taken)) / len(taken) <= 0.02


def assert_counted(taken: Sequence[Sample]) -> None:
    """What was traced comes to the receipt to the unit under the node's own schedule, and under
    Polygon's to what the model says, within 5 % at the 95th percentile and 15 % always."""
    traced = [sample for sample in taken if sample.counts]
    assert traced
    for sample in traced:
        assert sample.counts
        assert ETHEREUM.units(sample.counts) == sample.gas_used
    _, p95, greatest = quantiles(traced, POLYGON_CHICAGO)
    assert p95 <= 0.05
    assert greatest <= 0.15
    started = [sample for sample in traced if sample.started]
    for sample in started:
        assert 1.15 <= sample.real(POLYGON_CHICAGO) / sample.gas_used <= 1.45
    assert abs(sum(sample.error(POLYGON_CHICAGO) for sample in traced)) / len(traced) <= 0.03


def test_the_model_predicts_what_the_node_charges() -> None:
    with seasoned_arena(seed=51, pools_per_pair=3, tells_steps=True) as arena:
        taken = list(samples(arena, 100, traced_every=7))
    assert_predicted(taken)
    assert_counted(taken)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(60, 65))
def test_the_model_predicts_what_the_node_charges_in_long_runs(seed: int) -> None:
    with seasoned_arena(seed, tells_steps=True) as arena:
        taken = list(samples(arena, 400, traced_every=4))
    assert_predicted(taken)
    assert_counted(taken)


def test_what_is_paid_for() -> None:
    """The sum, spelled out once."""
    model = GasModel()
    base = model.transaction + model.calldata + model.executor
    pair = model.calldata_per_hop + PAIR_UNITS.swap
    pool = model.calldata_per_hop + POOL_UNITS.swap
    crossing, leaving = HopWork(V3, 3), HopWork(V3, 0, left_tick=True)
    assert model.units([HopWork(V2, 0)] * 2) == base + 2 * pair
    assert model.units([HopWork(V3, 0)] * 2) == base + 2 * pool + model.relay
    assert model.units([crossing]) == base + pool + model.crossing + 3 * model.crossed_tick
    assert model.units([leaving]) == base + pool + model.left_tick
    assert model.units([HopWork(V3, 0, more_words=2)]) == base + pool + 2 * model.bitmap_word
    pairs = [HopWork(V2, 0, touched=True)]
    assert model.units(pairs) == base + pair - PAIR_UNITS.touched_saves
    written = [leaving._replace(touched=True)]
    assert model.units(written) == base + pool + model.left_tick - model.observed


def test_a_flash_swap_that_cannot_pay_ends_early() -> None:
    """A V2 pair would have written its oracle behind that point, a V3 pool has done it before."""
    model = GasModel()
    pair, pool = HopWork(V2, 0), HopWork(V3, 0)
    for first, saved in ((pair, PAIR_UNITS.unpaid_flash), (pool, POOL_UNITS.unpaid_flash)):
        work = [first, pair]
        assert model.unpaid(work) == model.reverted(work, flash=True) - saved
    touched = [pair._replace(touched=True), pool]
    assert model.unpaid(touched) == model.unpaid([pair, pool])
    leaving = pool._replace(left_tick=True)
    touched = [leaving._replace(touched=True), pair]
    assert model.unpaid(touched) == model.unpaid([leaving, pair]) - model.observed


def test_a_run_that_a_pool_refuses_ends_there() -> None:
    model = GasModel()
    pair, pool = HopWork(V2, 0), HopWork(V3, 0)
    rest = model.calldata_per_hop + model.refused_hop
    assert model.refused([pair], [V2, V3]) == model.reverted([pair]) + rest
    assert model.refused([pool], [V3, V3], flash=True) == model.unpaid([pool]) + rest
    nothing = model.refused([pool], [V3, V2], gave_nothing=True)
    assert nothing == model.refused([pool], [V3, V2]) - model.nothing_sent
    own, flash = (model.refused([], [V2, V2, V3], flash=flash) for flash in (False, True))
    # What the pools behind it offer has been read.
    read = PAIR_UNITS.read + POOL_UNITS.read
    assert own == model.units([]) + 3 * model.calldata_per_hop + model.refused_hop + read
    assert flash - own == model.flash - model.relay


def test_a_run_that_finds_the_pools_moved_has_read_them_and_no_more() -> None:
    model = GasModel()
    spent = model.transaction + model.calldata + model.moved + 2 * model.calldata_per_hop
    assert model.before_run([V2, V3]) == spent + PAIR_UNITS.read + POOL_UNITS.read


@pytest.mark.parametrize("kinds", [*product([V2, V3], repeat=2), *product([V2, V3], repeat=3)])
def test_a_lost_race_costs_at_most_three_tenths_of_a_fill(kinds: tuple[SwapGas, ...]) -> None:
    model = GasModel()
    filled = model.units([HopWork(kind, 0) for kind in kinds])
    assert model.before_run(kinds) <= 0.3 * filled


@pytest.mark.parametrize(
    ("kinds", "own", "flash"),
    [
        ((V2, V2), 0, 1),
        ((V3, V2), 0, 0),
        ((V2, V3), 1, 1),
        ((V3, V3), 1, 1),
        ((V2, V2, V3, V2), 1, 2),
        ((V3, V2, V2, V2), 0, 0),
    ],
)
def test_inputs_that_go_through_the_executor(
    kinds: tuple[SwapGas, ...], own: int, flash: int
) -> None:
    model, work = GasModel(), [HopWork(kind, 0) for kind in kinds]
    assert model.relays(work, flash=False) == own
    assert model.relays(work, flash=True) == flash
    locks = kinds.count(V2)
    assert model.reverted(work) - model.units(work) == model.refund * (locks + own)
    more = model.units(work, flash=True) - model.units(work)
    assert more == model.flash + model.relay * (flash - own)
