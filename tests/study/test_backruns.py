"""What opened inside blocks, against a new scan at every place of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.inside import InsideBlock
from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.core.route import CycleId
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.study.backruns import Backrun, BackrunsFound, by_pair, to_be_had
from dexarb.study.backruns_study import BackrunsStudy
from dexarb.study.searching import scanner_of
from dexarb.study.study import run as study_run
from dexarb.study.walk import engine_on, moments
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import REALITY
from tests.oracles.inside import FreshPlace, fresh_places, net_of, walked
from tests.search.scanning import content
from tests.support.worlds.random_chain import RandomChain
from tests.support.worlds.small_chain import CHEAP, DEAR, USDC, SmallChain, keyframe, weth_pool

SEEDS = range(3)
BLOCKS = 24


@dataclass(frozen=True)
class Looked:
    """A block and what a new scan finds worth its gas at each place, by cycle."""

    update: BlockUpdate
    places: list[tuple[FreshPlace, dict[CycleId, int]]]

    def before(self, index: int) -> dict[CycleId, int]:
        return next(nets for place, nets in reversed(self.places) if place.index < index)

    def behind(self, index: int) -> dict[CycleId, int]:
        return next(nets for place, nets in self.places if place.index == index)


@dataclass(frozen=True)
class Both:
    found: BackrunsFound
    looked: dict[int, Looked]


@cache
def compared(seed: int) -> Both:
    chain = RandomChain("backruns", seed, noise=0.0005)
    study = BackrunsStudy()
    looked = {}
    before = chain.first.block
    for seen in walked(chain, BLOCKS):
        study.add(seen)
        update = seen.update
        dust = partial(LeastGas(REALITY.gas).dust, market=seen.market, valuation=seen.valuation)
        fresh = fresh_places(seen.market, update, chain.states_at(before), REALITY.gas, dust)
        places = [(place, net_of(place, seen.market, update, seen.valuation)) for place in fresh]
        looked[update.block.number] = Looked(update, places)
        before = update.block
    return Both(study.answer(), looked)


@pytest.fixture(params=SEEDS)
def both(request: pytest.FixtureRequest) -> Both:
    return compared(request.param)


def sized_anew(looked: Looked, run: Backrun) -> Opportunity:
    """The cycle as a new scan behind the trigger sizes it."""
    place = next(place for place, _ in looked.places if place.index == run.trigger.index)
    return next(each for each in place.scan.opportunities if each.cycle.id == run.cycle.id)


def test_worth_and_size_right_behind_the_trigger(both: Both) -> None:
    assert both.found.runs
    for run in both.found.runs:
        looked = both.looked[run.block]
        assert run.cycle.id not in looked.before(run.trigger.index)
        assert run.net_micro_usd == looked.behind(run.trigger.index)[run.cycle.id]
        expected = sized_anew(looked, run)
        assert (run.amount_in, run.amount_out) == (expected.amount_in, expected.amount_out)
        assert run.gas_units == expected.gas_units


def test_nothing_that_opened_is_left_out(both: Both) -> None:
    """What opens is a spread of its own, or shares a pool with one that is open then."""
    for number, looked in both.looked.items():
        before = looked.behind(-1)
        for place, nets in looked.places[1:]:
            opened = [run for run in both.found.runs if run.block == number]
            here = [run for run in opened if run.trigger.index == place.index]
            for cycle_id in nets.keys() - before.keys():
                cycle = next(
                    each.cycle for each in place.scan.opportunities if each.cycle.id == cycle_id
                )
                assert any(
                    not set(cycle.pools).isdisjoint(run.cycle.pools)
                    for run in both.found.runs
                    if run in here or (run.block, run.trigger.index) < (number, place.index)
                )
            if nets.keys() - before.keys() and here:
                best = max(nets[each] for each in nets.keys() - before.keys())
                assert max(run.net_micro_usd for run in here) <= best
            before = nets


def test_spreads_of_one_transaction_share_no_pool(both: Both) -> None:
    for run in both.found.runs:
        for other in both.found.runs:
            if other is not run and other.key.block_hash == run.key.block_hash:
                apart = set(run.cycle.pools).isdisjoint(other.cycle.pools)
                assert apart or other.trigger.index != run.trigger.index


def test_what_ended_had_closed_by_then_and_was_worth_that_before(both: Both) -> None:
    """Its best cycle can have closed sooner: who takes another one of them leaves some of it."""
    for run in both.found.runs:
        closed = first_closed(both, run)
        if run.end is None:
            continue
        index = -1 if run.end.mover is None else run.end.mover.index
        assert closed is not None
        assert closed <= (run.end.block, index)
        assert run.end.before_micro_usd in both.looked[run.end.block].before(index).values()
        if closed == (run.end.block, index) and run.cycles == 1:
            was = both.looked[run.end.block].before(index)[run.cycle.id]
            assert run.end.before_micro_usd >= was


def test_the_random_blocks_had_all_kinds_of_ends() -> None:
    runs = [run for seed in SEEDS for run in compared(seed).found.runs]
    assert any(run.taken_inside for run in runs)
    assert any(run.ended_inside and not run.taken_inside for run in runs)
    assert any(run.blocks_lived for run in runs)
    assert any(run.end is None for run in runs)


def first_closed(both: Both, run: Backrun) -> tuple[int, int] | None:
    """Block and transaction behind which its best cycle is no longer worth its gas."""
    for number, looked in both.looked.items():
        for place, nets in looked.places:
            is_behind = (number, place.index) > (run.block, run.trigger.index)
            if is_behind and run.cycle.id not in nets:
                return number, place.index
    return None


def test_what_still_stood_at_the_end_of_its_block(both: Both) -> None:
    for run in both.found.runs:
        at_end = both.looked[run.block].places[-1][1]
        assert (run.at_end_micro_usd is None) == (run.ended_inside is not None)
        if run.at_end_micro_usd is not None:
            assert run.at_end_micro_usd in at_end.values()
            assert run.most_micro_usd >= run.at_end_micro_usd
        assert run.most_micro_usd >= run.net_micro_usd


def test_sums_are_those_of_the_runs(both: Both) -> None:
    runs = both.found.runs
    had = to_be_had(runs)
    assert had.behind_trigger.micro_usd == sum(run.net_micro_usd for run in runs)
    assert had.opened.count == len(runs)
    assert had.at_block_end.count == sum(
        run.end is None or run.ended_inside is None for run in runs
    )
    pairs = by_pair(runs, daily=True)
    assert sum(each.had.opened.micro_usd for each in pairs) == had.opened.micro_usd


@pytest.mark.parametrize("seed", SEEDS)
def test_a_search_inside_a_block_equals_a_new_one_at_each_place(seed: int) -> None:
    """And at its top, once it has gone back there."""
    chain = RandomChain("inside", seed, noise=0.006)
    market = Market(chain.first)
    scanner = scanner_of(market, REALITY.gas)
    for _ in range(4):
        at_top = dict(market.pools)
        update = chain.mine(busy=8)
        market.apply(update)
        inside = InsideBlock(market)
        places = list(fresh_places(market, update, at_top, REALITY.gas))
        assert content(scanner.update(inside, ())) == content(places[0].scan)
        for place, (index, moved) in zip(places[1:], inside.transactions(), strict=True):
            assert index == place.index
            assert content(scanner.update(inside, moved)) == content(place.scan)
        assert content(scanner.update(inside, inside.back())) == content(places[0].scan)
        assert content(scanner.update(market, inside.back())) == content(places[-1].scan)


THIRD = PoolKey("0x" + "a4" * 20)


def beside_a_third(price: int) -> tuple[Backrun, ...]:
    """Block 102 makes WETH dear in one pool, so that it pays to buy it in another one, then brings
    a third pool from 2,512 to a price; block 103 closes it all."""
    first = keyframe()
    chain = SmallChain(replace(first, pools=(*first.pools, weth_pool(THIRD, 2_512))))
    updates = [
        chain.mine(),
        chain.mine(weth_pool(DEAR, 2_520), weth_pool(THIRD, price)),
        chain.mine(weth_pool(DEAR, 2_500), weth_pool(THIRD, 2_500)),
    ]
    return study_run(BackrunsStudy(), moments(engine_on(chain.first), updates)).runs


def test_a_cycle_that_opens_later_where_an_open_spread_lies_is_part_of_it() -> None:
    """The third pool against the dear one: less than what lies there already."""
    alone, with_third = beside_a_third(2_512), beside_a_third(2_504)
    assert len(alone) == len(with_third) == 1
    assert set(with_third[0].cycle.pools) == {CHEAP, DEAR}
    assert with_third[0].at_end_micro_usd == alone[0].at_end_micro_usd


def test_a_cycle_that_is_worth_more_is_a_spread_of_its_own() -> None:
    """What it opens beside that one through the same pools is part of it."""
    first, second = beside_a_third(2_480)
    assert (first.trigger.index, second.trigger.index) == (0, 1)
    assert second.net_micro_usd > first.net_micro_usd
    assert set(second.cycle.pools) == {THIRD, DEAR}
    assert second.cycles == 2
    assert [each.end.mover.index for each in (first, second) if each.end and each.end.mover] == [
        0,
        1,
    ]


def test_who_closes_it_through_a_pool_that_is_not_collected_takes_it_by_his_flow() -> None:
    chain = SmallChain(keyframe())
    updates = [chain.mine(), chain.mine(weth_pool(CHEAP, 2_450), weth_pool(CHEAP, 2_500))]
    swaps = SwapCount(Address(CHEAP), "uniswap_v2", 2), SwapCount(Address("0xe1"), "curve", 1)
    flow = Flow(1, (0, 1), True, (), (Change(USDC, "60000000"),))
    (untold,) = study_run(BackrunsStudy(), moments(engine_on(chain.first), updates)).runs
    updates[1] = replace(updates[1], traffic=Traffic(swaps, (flow,)))
    (told,) = study_run(BackrunsStudy(), moments(engine_on(chain.first), updates)).runs
    assert untold.taken_inside is None
    assert told.taken_inside is not None
    assert untold.ended_inside is not None
    assert (told.ended_inside, told.transactions_between) == (told.taken_inside, 0)
    assert told.taken_inside.before_micro_usd == untold.ended_inside.before_micro_usd
