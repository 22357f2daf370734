"""What differs, and what strangers can bring about without an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from dexarb.core.sending import Difference, Outcome
from dexarb.core.trade import FillStatus
from dexarb.ends.executor_contract import withdraw_data
from dexarb.ends.live.differences import NEW_BALANCE_GAS, difference
from tests.amm.evm_world import OWNER
from tests.executor.arena import Arena, Trade
from tests.executor.chains import Request
from tests.executor.gas import Sample, execute, moves_little, seasoned_arena

FILLED, REVERTED = FillStatus.FILLED, FillStatus.REVERTED
LIMIT = 300_000


def filled(gas: int, amount_out: int = 7) -> Outcome:
    return Outcome(FILLED, amount_out, gas, 0)


def reverted(gas: int) -> Outcome:
    return Outcome(REVERTED, 0, gas, 0)


@pytest.mark.parametrize(
    ("live", "twin", "found"),
    [
        (filled(150_000), filled(150_000), Difference.NONE),
        (filled(172_500), filled(150_000), Difference.NONE),
        (filled(172_501), filled(150_000), Difference.GAS),
        (filled(127_499), filled(150_000), Difference.GAS),
        (filled(150_000, 8), filled(150_000), Difference.MODEL),
        (reverted(150_000), filled(150_000), Difference.MODEL),
        # A pool that burns all of it is no accident.
        (reverted(299_000), filled(150_000), Difference.MODEL),
        (reverted(299_000), filled(203_999), Difference.MODEL),
        # Ticks were put in front of it, which the twin knows of as well.
        (reverted(299_000), filled(204_000), Difference.UNKNOWN),
        (filled(204_000), reverted(300_000), Difference.UNKNOWN),
        (reverted(200_000), filled(290_000), Difference.MODEL),
        (filled(299_000, 8), filled(299_000), Difference.MODEL),
        (reverted(172_500 + 2 * NEW_BALANCE_GAS), reverted(150_000), Difference.NONE),
        (reverted(172_501 + 2 * NEW_BALANCE_GAS), reverted(150_000), Difference.GAS),
        (filled(150_000), None, Difference.UNKNOWN),
    ],
)
def test_what_differs(live: Outcome, twin: Outcome | None, found: Difference) -> None:
    assert difference(live, twin, hops=2, gas_limit=LIMIT, is_proven=True) is found
    of_nobody = difference(live, twin, hops=2, gas_limit=LIMIT, is_proven=False)
    assert of_nobody is Difference.UNKNOWN


def with_balances(arena: Arena, trade: Trade, left: int) -> Sample | None:
    """A run of an executor that has so much of each token in between: all else is taken out."""
    pools = dict(arena.pools)
    with arena.chain.undone():
        for token, held in arena.balances(arena.executor).items():
            if token != trade.cycle.start_token and held > left:
                take = Request(OWNER, arena.executor, withdraw_data(token, held - left))
                assert arena.chain.mine(take)[0].succeeded
        found = execute(arena, trade)
    arena.pools = pools
    return found


def poor_and_given(arena: Arena, count: int) -> Iterator[tuple[Sample, Sample]]:
    """Of the same run: where the executor has nothing, and where somebody gave it one unit."""
    made = 0
    while made < count:
        arena.shake()
        trade = arena.any_trade(arena.rng.randint(2, 4))
        if trade.amount_out <= trade.amount_in or not moves_little(arena, trade):
            continue
        seed = arena.rng.random()
        both = []
        for left in (0, 1):
            arena.rng = Random(seed)
            both.append(with_balances(arena, trade, left))
        poor, given = both
        if poor is not None and given is not None:
            made += 1
            yield poor, given


@pytest.mark.parametrize("count", [16, pytest.param(400, marks=pytest.mark.fuzz)])
def test_neither_nothing_nor_a_gift_is_gas_off_the_schedule(count: int) -> None:
    """On a real node. An executor that has nothing of a token in between pays for that where it
    reverts at its end, and every time as much."""
    status = {True: FILLED, False: REVERTED}
    dear = 0
    with seasoned_arena(8, pools_per_pair=2) as arena:
        for both in poor_and_given(arena, count):
            for each in both:
                live = Outcome(status[each.filled], 0, each.gas_used, 0)
                twin = live._replace(gas_used=each.predicted())
                hops = len(each.work)
                assert difference(live, twin, hops=hops, gas_limit=0, is_proven=True) is (
                    Difference.NONE
                ), each
            poor, given = both
            more = poor.gas_used - given.gas_used
            assert more % NEW_BALANCE_GAS == 0
            dear += more > 0
    assert dear
