"""Sends at a ladder of tips, against a new scan of every place and the block's tips one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import pytest
from msgspec import structs

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.route import Cycle
from dexarb.core.units import GWEI, MICRO_USD
from dexarb.study.backruns import Backrun
from dexarb.study.backruns_study import BackrunsStudy
from dexarb.study.map_study import MapStudy
from dexarb.study.money_map import MoneyMap, Rung, Sight
from dexarb.study.study import Died, run
from dexarb.study.walk import Moment, engine_on, moments
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.tips import bids, keeps_order
from dexarb.trading.models.value import Valuation
from tests.oracles.inside import FreshPlace, fresh_places, walked
from tests.support.scenes import RIVAL, opened_and_taken
from tests.support.worlds.random_chain import NATIVE, RandomChain
from tests.support.worlds.small_chain import CHEAP, SmallChain, keyframe, weth_pool

TIPS = tuple(tip * GWEI for tip in (0, 25, 40, 60, 100, 5_000))
BLOCKS = 20
SEEDS = range(3)


@dataclass(frozen=True)
class Looked:
    """A block, with a new scan at each of its places."""

    update: BlockUpdate
    market: Market
    valuation: Valuation
    places: list[FreshPlace]

    def place(self, tip: int, first: int) -> int:
        ahead = [bid.place + 1 for bid in bids(self.update) if bid.tip >= tip]
        own = []
        for each in self.update.transactions:
            if each.effective_gas_price:
                break
            own.append(each.index + 1)
        return max([first, *ahead, *own])

    def net(self, cycle: Cycle, place: int, tip: int) -> tuple[bool, int]:
        """Whether it is hit there, and micro-USD."""
        found = [each for each in self.places if each.index < place][-1]
        base_fee = self.update.block.base_fee_per_gas
        cost = partial(self.valuation.cost_micro_usd, NATIVE)
        for each in found.scan.opportunities:
            if each.cycle.id == cycle.id:
                gross = self.valuation.micro_usd(cycle.start_token, each.profit) or 0
                if gross > (cost(each.gas_units * base_fee) or 0):
                    return True, gross - (cost(each.gas_units * (base_fee + tip)) or 0)
        refused = REALITY.gas.before_run([found.pools[key].gas for key in cycle.pools])
        return False, -(cost(refused * (base_fee + tip)) or 0)


@dataclass(frozen=True)
class Both:
    found: MoneyMap
    looked: dict[int, Looked]
    runs: tuple[Backrun, ...]


@cache
def compared(seed: int) -> Both:
    chain = RandomChain("map", seed, noise=0.0005)
    study, backruns = MapStudy(TIPS), BackrunsStudy()
    looked = {}
    before = chain.first.block
    for seen in walked(chain, BLOCKS):
        study.add(seen)
        backruns.add(seen)
        # What it is worth is asked later.
        valuation = REALITY.value.valuation(seen.market)
        valuation.take_up(seen.valuation.state())
        dust = partial(LeastGas(REALITY.gas).dust, market=seen.market, valuation=seen.valuation)
        at_top = chain.states_at(before)
        places = list(fresh_places(seen.market, seen.update, at_top, REALITY.gas, dust))
        looked[seen.update.block.number] = Looked(seen.update, seen.market, valuation, places)
        before = seen.update.block
    return Both(study.answer(), looked, backruns.answer().runs)


def best_at_end(both: Both, spread: Backrun) -> Cycle:
    looked = both.looked[spread.block]
    for each in looked.places[-1].scan.opportunities:
        is_hit, net = looked.net(each.cycle, looked.places[-1].index + 1, 0)
        if is_hit and net == spread.at_end_micro_usd:
            return each.cycle
    raise AssertionError(spread)


@pytest.mark.parametrize("tip", TIPS)
@pytest.mark.parametrize("seed", SEEDS)
def test_sends_behind_blocks(seed: int, tip: int) -> None:
    both = compared(seed)
    nets = []
    for spread in both.runs:
        looked = both.looked.get(spread.block + 1)
        # The first block does not count, nor does what opened in it.
        if spread.at_end_micro_usd is None or looked is None:
            continue
        if keeps_order(bids(looked.update)):
            cycle = best_at_end(both, spread)
            nets.append(looked.net(cycle, looked.place(tip, 0), tip))
    sums = both.found.rungs[Rung(Sight.BLOCKS, tip)]
    assert (sums.sends, sums.hits) == (len(nets), sum(is_hit for is_hit, _ in nets))
    assert sums.net == sum(net for _, net in nets)
    assert sums.missed == -sum(net for is_hit, net in nets if not is_hit)


@pytest.mark.parametrize("tip", TIPS)
@pytest.mark.parametrize("seed", SEEDS)
def test_sends_behind_triggers(seed: int, tip: int) -> None:
    both = compared(seed)
    nets, bands = [], []
    for spread in both.runs:
        looked, fee = both.looked[spread.block], spread.trigger.priority_fee
        is_counted = spread.block > min(both.looked) and keeps_order(bids(looked.update))
        if not is_counted or fee is None or fee < 0:
            continue
        bid, first = min(tip, fee), spread.trigger.index + 1
        nets.append(looked.net(spread.cycle, looked.place(bid, first), bid))
        behind = [each.index + 1 for each in looked.places if each.index + 1 >= first]
        anywhere = [looked.net(spread.cycle, place, bid)[1] for place in behind]
        bands.append((min(0, *anywhere), max(0, *anywhere)))
    sums = both.found.rungs[Rung(Sight.TRIGGERS, tip)]
    assert (sums.sends, sums.hits) == (len(nets), sum(is_hit for is_hit, _ in nets))
    assert sums.net == sum(net for _, net in nets)
    assert (sums.low, sums.high) == (sum(low for low, _ in bands), sum(high for _, high in bands))


def test_the_random_blocks_had_hits_and_misses() -> None:
    rungs = [sums for seed in SEEDS for sums in compared(seed).found.rungs.values()]
    assert any(0 < sums.hits < sums.sends for sums in rungs)
    assert any(sums.missed for sums in rungs)


def mapped(chain: SmallChain, updates: list[BlockUpdate]) -> MoneyMap:
    return run(MapStudy((25 * GWEI, 50 * GWEI)), walk_of(chain, updates))


def walk_of(chain: SmallChain, updates: list[BlockUpdate]) -> Iterator[Moment | Died]:
    return moments(engine_on(chain.first), updates)


def test_a_full_block_includes_only_who_bids_as_much_as_its_last() -> None:
    """Of a tip of 30 gwei."""
    chain = SmallChain(keyframe())
    updates = [chain.mine(), chain.mine(weth_pool(CHEAP, 2_450))]
    last = chain.mine(weth_pool(CHEAP, 2_452))
    full = replace(last, block=replace(last.block, gas_used=last.block.gas_limit))
    found = mapped(chain, [*updates, full])
    low, high = (found.rungs[Rung(Sight.BLOCKS, tip * GWEI)] for tip in (25, 50))
    assert (low.sends, low.included, low.hits, low.net) == (1, 0, 0, 0)
    assert (high.sends, high.included, high.hits) == (1, 1, 1)


def test_who_stands_behind_the_trigger_displaces_the_rival() -> None:
    """The trigger tips 30 gwei, who takes it 30 or 20. Ties come before us."""
    chain = SmallChain(keyframe())
    quiet, taken = chain.mine(), opened_and_taken(chain, 2_450)
    trigger, taker = taken.transactions
    found = mapped(chain, [quiet, taken])
    for tip in (25, 50):
        sums = found.rungs[Rung(Sight.TRIGGERS, tip * GWEI)]
        assert (sums.sends, sums.hits, sums.place) == (1, 0, (2.0, 2.0))
    slow = structs.replace(taker, effective_gas_price=50 * GWEI, sender=RIVAL)
    found = mapped(chain, [quiet, replace(taken, transactions=(trigger, slow))])
    for tip in (25, 50):
        sums = found.rungs[Rung(Sight.TRIGGERS, tip * GWEI)]
        assert (sums.hits, sums.place, sums.missed) == (1, (1.0, 2.0), 0)
        assert sums.by_rival == {RIVAL: sums.net}
    # It bids no more than the trigger.
    dear, cheap = (found.rungs[Rung(Sight.TRIGGERS, tip * GWEI)].net for tip in (50, 25))
    gas = 5 * GWEI * run(BackrunsStudy(), walk_of(chain, [quiet, taken])).runs[0].gas_units
    assert cheap - dear == pytest.approx(gas * 0.5e-18 * MICRO_USD, abs=2)


def test_the_chains_own_are_not_seen_where_nobody_has_to_pay_either() -> None:
    chain = SmallChain(keyframe())
    quiet, opened = chain.mine(base_fee=0), chain.mine(weth_pool(CHEAP, 2_450), base_fee=0)
    (trigger,) = opened.transactions
    for price, sends in ((1, 1), (0, 0)):
        paid = structs.replace(trigger, effective_gas_price=price)
        found = mapped(chain, [quiet, replace(opened, transactions=(paid,))])
        assert found.rungs[Rung(Sight.TRIGGERS, 25 * GWEI)].sends == sends


def test_no_place_is_told_where_tips_are_out_of_order() -> None:
    chain = SmallChain(replace(keyframe(), profile=replace(keyframe().profile, ordering="unknown")))
    found = mapped(chain, [chain.mine(), chain.mine(weth_pool(CHEAP, 2_450)), chain.mine()])
    assert (found.blocks, found.counted, found.seconds) == (3, 0, 0)
    assert found.best(Sight.BLOCKS) is None
