"""Back through every event of a random walk in the contracts, to before the first one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest
from msgspec import structs

from dexarb.amm.uniswap_v2 import SYNC
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import BURN, INITIALIZE, MINT, SWAP
from dexarb.core.block import Log
from dexarb.core.pool import NO_SEGMENT, Pool
from dexarb.errors import InvalidPoolState
from tests.amm.evm_world import V3_TIERS, Fork, World
from tests.amm.walk_v2 import V2Walk
from tests.amm.walk_v3 import V3Walk

STEPS = 150


class PastV2(V2Walk):
    def __init__(self, world: World, rng: Random, tally: Counter[str], fork: Fork) -> None:
        self.past: list[tuple[Pool, Log]] = []
        super().__init__(world, rng, tally, fork)

    def follow(self) -> None:
        for log in self.world.logs():
            self.past.append((self.pool, log))
            self.pool = self.pool.apply(log)


class PastV3(V3Walk):
    def __init__(self, world: World, rng: Random, tally: Counter[str], fee_pips: int) -> None:
        self.past: list[tuple[Pool, Log]] = []
        super().__init__(world, rng, tally, fee_pips)

    def follow(self) -> None:
        for log in self.world.logs():
            self.past.append((self.pool, log))
            self.pool = self.pool.apply(log)


def placed_before(past: Sequence[tuple[Pool, Log]], place: int) -> Log | None:
    """The last event before that one that says where it left the pool."""
    for pool, log in reversed(past[:place]):
        if log.address == pool.address and log.topics[0] in pool.placing_topics:
            return log
    return None


def go_back(pool: Pool, past: Sequence[tuple[Pool, Log]]) -> Counter[bytes]:
    """From a state to before all of it; returns what was undone."""
    undone: Counter[bytes] = Counter()
    for place in reversed(range(len(past))):
        before, log = past[place]
        earlier = pool.undo(log, placed_before(past, place))
        assert earlier == before
        assert earlier is not None
        assert earlier.first_segments() == before.first_segments()
        pool = earlier
        if log.address == pool.address:
            undone[log.topics[0]] += 1
    assert set(pool.first_segments()) == {NO_SEGMENT}
    return undone


@pytest.mark.parametrize("fee_pips", V3_TIERS)
@pytest.mark.parametrize("seed", range(2))
def test_a_v3_walk_is_undone_to_before_its_beginning(fee_pips: int, seed: int) -> None:
    walk = PastV3(World(), Random(f"undo {seed}"), Counter(), fee_pips)
    for _ in range(STEPS):
        walk.step()
    undone = go_back(walk.pool, walk.past)
    assert undone[INITIALIZE] == 1
    assert undone[SWAP] >= STEPS // 3
    assert undone[MINT] >= 3
    assert undone[BURN] >= 1


def test_walks_cross_ticks_and_make_and_unmake_them() -> None:
    """What the walks above are worth."""
    walk = PastV3(World(), Random("undo 0"), Counter(), 500)
    for _ in range(STEPS):
        walk.step()
    pools = [pool for pool, _ in walk.past if isinstance(pool, UniswapV3Pool)]
    steps = list(pairwise(pools))
    assert sum(before.crossed_ticks(after) > 0 for before, after in steps) >= 10
    assert any(before.ticks.keys() > after.ticks.keys() for before, after in steps)
    assert any(before.ticks.keys() < after.ticks.keys() for before, after in steps)


@pytest.mark.parametrize("seed", range(3))
def test_a_v2_walk_is_undone_to_before_its_beginning(seed: int) -> None:
    walk = PastV2(World(Fork()), Random(f"undo {seed}"), Counter(), Fork())
    for _ in range(STEPS):
        walk.step()
    assert go_back(walk.pool, walk.past)[SYNC] >= STEPS // 2


def test_an_event_that_cannot_have_led_here_is_refused() -> None:
    walk = PastV3(World(), Random("undo 1"), Counter(), 3000)
    while not walk.past or walk.past[-1][1].topics[0] != SWAP:
        walk.step()
    pool, swap = walk.pool, walk.past[-1][1]
    placed = placed_before(walk.past, len(walk.past) - 1)
    assert pool.undo(swap, placed) == walk.past[-1][0]
    words = [swap.data[at : at + 32] for at in range(0, 160, 32)]
    for place in (2, 3, 4):  # price, liquidity, tick
        other = [*words]
        other[place] = bytes(31) + b"\x07"
        with pytest.raises(InvalidPoolState):
            pool.undo(structs.replace(swap, data=b"".join(other)), placed)
    with pytest.raises(InvalidPoolState):
        pool.undo(swap, None)
    mint = next(log for _, log in walk.past if log.topics[0] == MINT)
    more = structs.replace(mint, data=mint.data[:32] + b"\x00" * 16 + b"\xff" * 16 + mint.data[64:])
    with pytest.raises(InvalidPoolState):
        pool.undo(more, None)
    pair = PastV2(World(Fork()), Random("undo 2"), Counter(), Fork())
    with pytest.raises(InvalidPoolState):
        pair.pool.undo(structs.replace(pair.past[-1][1], data=bytes(64), topics=(SYNC,)), None)
