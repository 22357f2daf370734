"""Chances of a fill: counted from what became of spreads, asked by place and bid, and weighed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import inf

import pytest
from msgspec import structs

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, Hop
from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.trade import Position, SkipReason
from dexarb.core.units import PPM
from dexarb.trading.engine import Engine
from dexarb.trading.models.rivals import rivals
from dexarb.trading.settle.chances import AGES, ENOUGH, PRIOR_PPM, Chances, Footing
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds.blocks import GWEI, next_block, transaction
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.events import state_log
from tests.support.worlds.pools import address
from tests.support.worlds.random_chain import RandomChain
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    play,
    settings,
    threshold_engine,
    weth_pool,
)

CYCLE = Cycle((Hop(CHEAP, USDC, WETH), Hop(DEAR, WETH, USDC)))
OTHER = Cycle((Hop(DEAR, USDC, WETH), Hop(CHEAP, WETH, USDC)))
BASE_FEE = 30 * GWEI


class Story:
    """One spread after the other, each a case: it stays, or somebody among ten bids takes it."""

    def __init__(self) -> None:
        self.market = Market(keyframe())
        self.chances = Chances()
        self.chances.begun = True
        self._step({CYCLE: 0})

    def stays(self, times: int = 1, age: int = 0) -> None:
        for _ in range(times):
            self._step({CYCLE: age})

    def is_taken(self, bidder: int, *, by_arbitrage: bool = False) -> None:
        """Ten transactions bid 0 to 9 gwei; this one moves the pools first."""
        moved: list[Pool]
        if by_arbitrage:
            bought = self.market.pools[CHEAP].swap(USDC, 10**9)
            moved = [bought.pool, self.market.pools[DEAR].swap(WETH, bought.amount_out).pool]
        else:
            moved = [self.market.pools[CHEAP].swap(USDC, 10**9).pool]
        self._step({}, moved, 9 - bidder)
        self._step({CYCLE: 0})

    def _step(self, worth: dict[Cycle, int], moved: Sequence[Pool] = (), by: int = 0) -> None:
        update = next_block(self.market)
        logs = tuple(
            structs.replace(state_log(pool), transaction_index=by, log_index=number)
            for number, pool in enumerate(moved)
        )
        bids = tuple(
            transaction(place, effective_gas_price=BASE_FEE + bid * GWEI, sender=address(7, place))
            for place, bid in enumerate(range(9, -1, -1))
        )
        update = replace(update, logs=logs, transactions=bids)
        self.market.apply(update)
        self.chances.observe(self.market, update, worth)

    def p(
        self,
        position: Position = Position.FEE,
        gwei: float = 0,
        *,
        cycle: Cycle = CYCLE,
        latency: int = 1,
        competition_ppm: int = 0,
        ordered: bool = True,
        age: int = 0,
    ) -> int:
        footing = Footing(position, latency, competition_ppm)
        return self.chances.p_fill_ppm(cycle, age, footing, int(gwei * GWEI), ordered=ordered)


def pooled(came: int, cases: int, otherwise: int) -> int:
    return (came * PPM + max(0, ENOUGH - cases) * otherwise) // max(cases, ENOUGH)


def test_without_a_case_most_is_missed_whatever_is_bid() -> None:
    story = Story()
    assert {story.p(position, gwei) for position in Position for gwei in (0, 99)} == {PRIOR_PPM}


def test_few_cases_are_filled_up_from_other_routes_and_those_from_the_prior() -> None:
    story = Story()
    story.stays(10)
    of_hops = pooled(10, 10, PRIOR_PPM)
    assert story.p() == pooled(10, 10, of_hops)
    assert story.p(cycle=OTHER) == of_hops
    assert story.p(age=1) == PRIOR_PPM, "how long it was open counts apart"
    story.stays(ENOUGH - 10)
    assert story.p() == PPM


def test_what_was_taken_was_to_be_had_by_whoever_bid_more() -> None:
    story = Story()
    for _ in range(ENOUGH):
        story.is_taken(4)
    assert [story.p(gwei=each) for each in (0, 4, 4.5, 5, 9.5)] == [0, 0, PPM, PPM, PPM]
    assert story.p(Position.CONTESTED, 5) == PPM, "it was no arbitrage"
    assert (story.p(Position.TOP), story.p(Position.BOTTOM, 99)) == (PPM, 0)
    assert story.p(gwei=99, ordered=False) == 0, "no bid buys a place there"


def test_no_bid_comes_before_an_arbitrage_that_is_contested() -> None:
    story = Story()
    story.market = Market(keyframe(cheap=2_000))
    story._step({CYCLE: 0})
    for _ in range(ENOUGH):
        story.is_taken(4, by_arbitrage=True)
    assert (story.p(Position.FEE, 5), story.p(Position.CONTESTED, 99)) == (PPM, 0)


def test_the_coin_and_every_block_of_latency_take_their_share() -> None:
    story = Story()
    story.stays(3 * ENOUGH // 2)
    for _ in range(ENOUGH // 2):
        story.is_taken(0)
    once = story.p()
    assert once == 750_000
    assert story.p(competition_ppm=400_000) == 450_000
    story.stays(ENOUGH, age=1)
    story.stays(1)
    later = story.p(age=1)
    assert story.p(latency=2) == story.p(Position.BOTTOM) * later // PPM


def state(made: Engine) -> object:
    return made.chances.state(NounWriter())


def weighing_engine(first: Keyframe) -> Engine:
    made = engine(first, [], scanner=plain)
    made.weighing = True
    return made


def test_dead_blocks_are_taken_back() -> None:
    chain = RandomChain("chances", 3)
    made, straight = weighing_engine(chain.first), weighing_engine(chain.first)
    for number in range(12):
        stands = chain.tip
        if number % 3 == 2:
            play(made, [chain.mine(), chain.mine()])  # these die
        update: BlockUpdate = chain.mine(parent=stands)
        play(made, [update])
        play(straight, [update])
        assert state(made) == state(straight)
    assert straight.chances._by_route


def test_it_goes_on_from_its_state() -> None:
    story = Story()
    story.stays(5)
    story.is_taken(4)
    nouns = NounWriter()
    saved = story.chances.state(nouns)
    here = story.market.block.hash
    told = (story.p(gwei=5), story.p(gwei=4))
    story.chances = Chances.from_state(saved, NounReader(nouns.nouns), here)
    assert (story.p(gwei=5), story.p(gwei=4)) == told
    story.stays(1)
    assert story.chances._by_hops[2, 0][0] == 6, "what was watched is counted"
    assert Chances.from_state(None, NounReader(nouns.nouns), BlockHash("")).begun is False


def test_counts_are_those_of_a_plain_recount() -> None:
    """Over a random chain, for every open cycle, place and bid: shares of cases in fractions."""
    chain = RandomChain("recount", 5)
    made = weighing_engine(chain.first)
    cases: list[tuple[Cycle, int, float, bool]] = []
    before: dict[Cycle, int] = {}
    for _ in range(60):
        update = chain.mine()
        made.step(update)
        rows, starts = made.scan.table.rows, made.scan.table.index.start_tokens
        now = {
            cycle: update.block.number - made.episodes.opened(cycle)
            for row, cycle in made.scan.table.cycles()
            if rows.profit[row] >= made._dust(starts[rows.start[row]])
        }
        for cycle, age in before.items():
            took = {
                log.transaction_index for log in update.logs if PoolKey(log.address) in cycle.pools
            }
            needed, by_rival = 0.0, False
            if cycle not in now and took:
                needed = stands(update, min(took)) + 1
                found = rivals(made.market, update)
                by_rival = min(took) in {each.transaction_index for each in found}
            cases.append((cycle, bisect_right(AGES, age), needed, by_rival))
        before = now
    bids = [0, BASE_FEE, 2 * BASE_FEE, 10 * BASE_FEE]
    paid = waited_for(update).values()
    assert paid
    for cycle, position, bid in product(before, (Position.FEE, Position.CONTESTED), bids):
        tenth = 10 * sum(each < bid for each in paid) // len(paid)
        for group in range(len(AGES) + 1):
            wanted = PRIOR_PPM
            for route in (None, cycle):
                became = [
                    needed <= tenth and not (by_rival and position is Position.CONTESTED)
                    for other, age, needed, by_rival in cases
                    if age == group and route in (None, other)
                ]
                wanted = pooled(sum(became), len(became), wanted)
            age = (0, *AGES)[group]
            footing = Footing(position, 1, 0)
            assert made.chances.p_fill_ppm(cycle, age, footing, bid, ordered=True) == wanted
    assert len({needed for _, _, needed, _ in cases}) > 3
    assert any(by_rival for *_, by_rival in cases)


def waited_for(update: BlockUpdate) -> dict[int, int]:
    """Tips by place: all are of one sender, whose transactions wait for each other."""
    tips: dict[int, int] = {}
    for each in update.transactions:
        if each.effective_gas_price:
            tips[each.index] = min([each.effective_gas_price - BASE_FEE, *tips.values()])
    return tips


def stands(update: BlockUpdate, place: int) -> float:
    """How many tenths of the block's tips are below this transaction's; beyond all of the chain's
    own, which has none."""
    tips = waited_for(update)
    if place not in tips:
        return inf
    return 10 * sum(each < tips[place] for each in tips.values()) // len(tips)


# -- weighed ----------------------------------------------------------------------------------


def decided_after(cases: int, weighed: StrategySettings) -> tuple[Engine, int, int | None]:
    """A spread that has stayed for so many blocks; how many decisions, and the best that missed."""
    first = keyframe()
    chain = SmallChain(first)
    made = threshold_engine(first, weighed)
    made.weighing, made.deciding = True, False
    play(made, [chain.mine(weth_pool(CHEAP, 2_450)), *(chain.mine() for _ in range(cases))])
    made.deciding = True
    decisions = made.step(chain.mine()).decisions
    skips = {each.reason: each for each in made.skips.drain(0)}
    missed = skips.get(SkipReason.EXPECTED)
    assert missed is None or missed.needed == weighed.min_expected_micro_usd
    for each in decisions:
        assert (each.p_fill_ppm is None) == (weighed.min_expected_micro_usd is None)
    return made, len(decisions), missed.best if missed else None


def test_what_is_mostly_missed_is_not_sent_until_it_is_known_to_come() -> None:
    weighed = settings(min_expected_micro_usd=2_000_000, gas_cost_micro_usd=500_000)
    plain_made, sent, _ = decided_after(0, settings(gas_cost_micro_usd=500_000))
    net = plain_made._executor._open  # type: ignore[attr-defined]
    assert sent == len(net) == 1
    (gain,) = (each.decision.expected_net_micro_usd for each in net.values())
    made, sent, best = decided_after(0, weighed)
    p = made.chances.p_fill_ppm(CYCLE, 1, Footing(weighed.position, 1, 0), 0, ordered=True)
    assert sent == 0
    assert best == (p * gain - (PPM - p) * 500_000) // PPM
    _, sent, best = decided_after(60, weighed)
    assert (sent, best) == (1, None)


def test_a_strategy_that_does_not_weigh_keeps_its_identity() -> None:
    one = settings()
    assert "min_expected" not in one.canonical
    weighed = replace(one, min_expected_micro_usd=0)
    assert weighed.hash != one.hash
    for each in (one, weighed):
        assert StrategySettings.from_canonical(each.name, each.canonical) == each


@pytest.mark.parametrize("asked", [-(10**9), 10**9])
def test_a_threshold_out_of_reach_decides_for_itself(asked: int) -> None:
    weighed = settings(min_expected_micro_usd=asked)
    assert decided_after(0, weighed)[1] == (asked < 0)
