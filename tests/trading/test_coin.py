"""The classic coin: one toss for an episode, the same for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dexarb.core.route import CycleId
from dexarb.core.trade import Decision, FillStatus, StrategyHash
from dexarb.core.units import PPM
from dexarb.trading.models.competition import CompetitionModel, toss_ppm
from tests.support.scripted import Change, Scripted
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool

COIN = CompetitionModel()
EPISODES = st.tuples(
    st.integers(1, 10**6),
    st.text("0123456789abcdef", min_size=16, max_size=16).map(CycleId),
    st.integers(0),
)


@given(st.lists(EPISODES, max_size=50), st.integers(0, PPM), st.integers(0, PPM))
def test_a_higher_rate_loses_a_superset(
    episodes: list[tuple[int, CycleId, int]], one: int, other: int
) -> None:
    low, high = sorted((one, other))
    assert all(0 <= toss_ppm(*episode) < PPM for episode in episodes)
    assert all(COIN.is_lost(*each, high) for each in episodes if COIN.is_lost(*each, low))
    assert not any(COIN.is_lost(*episode, 0) for episode in episodes)
    assert all(COIN.is_lost(*episode, PPM) for episode in episodes)


def test_the_rate_is_the_share_that_is_lost_and_each_part_of_the_seed_counts() -> None:
    numbers = range(4_000)
    by_part = (
        [(number, CycleId("00" * 8), 1) for number in numbers],
        [(1, CycleId(f"{number:016x}"), 1) for number in numbers],
        [(1, CycleId("00" * 8), number) for number in numbers],
    )
    for rate in (100_000, 300_000, 700_000):
        for found in by_part:
            lost = sum(COIN.is_lost(*episode, rate) for episode in found)
            assert abs(lost / 4_000 - rate / PPM) < 0.03


def test_the_coin_changes_nothing_but_what_it_loses() -> None:
    """Strategies that differ in the rate alone send the same, and a lost trade costs a revert."""
    rates = (0, 200_000, 500_000, 800_000, PPM)

    def at(rate: int) -> Change:
        def change(made: Decision) -> Decision:
            is_lost = COIN.is_lost(CHAIN_ID, made.cycle.id, made.block.number, rate)
            return made._replace(competition_lost=is_lost)

        return change

    rows: Mapping[str, Change] = {str(rate): at(rate) for rate in rates}
    first = keyframe()
    chain = SmallChain(first)
    made = engine(first, [Scripted(rows)], scanner=plain)
    lost: dict[str, set[int]] = {name: set() for name in rows}
    for number in range(20):
        price = 2_450 if number % 2 else 2_500
        for fill in made.step(chain.mine(weth_pool(CHEAP, price))).fills:
            if fill.status is FillStatus.LOST:
                lost[fill.decision.strategy].add(fill.decision.block.number)
                assert fill.net_micro_usd == -fill.gas_cost_micro_usd < 0
                assert fill.gas_used < fill.decision.gas_units * 1.1
    sent = {made.ledger.value(StrategyHash(name), "sent") for name in rows}
    assert len(sent) == 1
    in_order = [lost[str(rate)] for rate in rates]
    assert all(low <= high for low, high in pairwise(in_order))
    assert not in_order[0]
    assert len(in_order[-1]) >= 9
    assert len(in_order[0]) < len(in_order[2]) < len(in_order[-1])
