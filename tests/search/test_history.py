"""Whatever happens to a market, the scanner that followed it equals one that starts there."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.block import Log
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from dexarb.errors import InvalidPoolState, PoolError
from dexarb.search.scan import Scanner
from tests.oracles.cycles import open_cycles
from tests.search.scanning import gas_units
from tests.support.worlds.blocks import block_after, market_of, update_of
from tests.support.worlds.events import initialize_log, position_log, state_log
from tests.support.worlds.pools import (
    RandomPools,
    address,
    rng_of,
    token,
    uninitialised,
    v2,
)

STARTS = (token(1), token(0))
UNBORN = uninitialised(21, (token(0), token(2)))
Position = tuple[Address, int, int, int]
"""Pool, lower and upper tick, liquidity."""


class History(RuleBasedStateMachine):
    """Blocks of swaps, mints and burns come and are taken back; pools are added and removed.

    The scanner hears what `apply` and `rewind` return, sometimes of several blocks at once,
    sometimes with pools that did not change or that nobody knows.
    """

    max_hops: ClassVar[int] = 4

    @initialize(seed=st.integers(0, 2**32 - 1))
    def start(self, seed: int) -> None:
        self.world = RandomPools.of(rng_of("history", seed), 4)
        self.rng = self.world.rng
        pools = self.world.pools(8, noise=0.03)
        pools += [v2(20, (token(0), token(1)), 0, 0), UNBORN]
        self.market = market_of(pools)
        self.minima: dict[Address, int] = {}
        self.scanner = self.fresh()
        self.trail = [self.market.block.hash]
        self.positions: dict[str, tuple[Position, ...]] = {self.trail[0]: ()}
        self.blocks = 0
        self.unheard: set[PoolKey] = set()
        self.away: list[Pool] = []

    def fresh(self) -> Scanner:
        return Scanner(
            self.market,
            start_tokens=STARTS,
            gas_units=gas_units,
            max_hops=self.max_hops,
            exclude_pools=[PoolKey(address(2, 7)), PoolKey(address(3, 7))],
            min_gross=lambda start: self.minima.get(start, 1),
        )

    def some_pool(self) -> Pool:
        addresses = sorted(self.market.pools)
        return self.market.pools[addresses[int(self.rng.integers(len(addresses)))]]

    def add_block(self, logs: list[Log], positions: tuple[Position, ...]) -> None:
        self.blocks += 1
        block = block_after(self.market.block, f"block {self.blocks}")
        self.unheard |= self.market.apply(update_of(block, logs))
        self.trail.append(block.hash)
        self.positions[block.hash] = positions

    @property
    def open_positions(self) -> tuple[Position, ...]:
        return self.positions[self.trail[-1]]

    @precondition(lambda self: self.market.pools)
    @rule(swaps=st.integers(0, 5), log10_value=st.floats(1, 5.5))
    def trade(self, swaps: int, log10_value: float) -> None:
        """Swaps of about this value, some of them through the same pool."""
        moved: dict[PoolKey, Pool] = {}
        logs: list[Log] = []
        for _ in range(swaps):
            pool = self.some_pool()
            pool = moved.get(pool.key, pool)
            sold = pool.tokens[int(self.rng.integers(2))]
            try:
                after = pool.swap(sold, max(1, int(10**log10_value / self.world.values[sold]))).pool
            except PoolError:
                continue
            moved[pool.key] = after
            logs.append(state_log(after, len(logs)))
        self.add_block(logs, self.open_positions)

    @rule(lower=st.integers(-40, 40), width=st.integers(1, 60), log10_share=st.floats(-2, 1))
    def mint(self, lower: int, width: int, log10_share: float) -> None:
        """New liquidity in some V3 pool, also in one that had none."""
        logs: list[Log] = []
        positions = self.open_positions
        for pool in list(self.market.pools.values()):
            if isinstance(pool, UniswapV3Pool) and pool.sqrt_price_x96 and self.rng.random() < 0.4:
                middle, spacing = pool.tick // pool.tick_spacing, pool.tick_spacing
                low, high = (middle + lower) * spacing, (middle + lower + width) * spacing
                held = max([gross for gross, _ in pool.ticks.values()], default=10**15)
                liquidity = max(1, int(held * 10**log10_share))
                logs.append(position_log(pool, low, high, liquidity, len(logs)))
                positions += ((pool.address, low, high, liquidity),)
        self.add_block(logs, positions)

    @precondition(lambda self: self.open_positions)
    @rule(which=st.integers(0, 100), whole=st.booleans())
    def burn(self, which: int, whole: bool) -> None:
        """Take a minted position away, or half of it."""
        positions = list(self.open_positions)
        pool, low, high, liquidity = positions.pop(which % len(positions))
        taken = liquidity if whole else liquidity - liquidity // 2
        if taken < liquidity:
            positions.append((pool, low, high, liquidity - taken))
        known = self.market.pools.get(PoolKey(pool))
        logs = [position_log(known, low, high, -taken, 0)] if known else []
        self.add_block(logs, tuple(positions))

    @rule(amounts=st.sampled_from([(0, 0), (10**9, 10**18), (10**21, 10**9), (1, 1)]))
    def drain_or_fund(self, amounts: tuple[int, int]) -> None:
        """A V2 pool is left empty, or filled again at some other price."""
        pools = [p for p in self.market.pools.values() if isinstance(p, UniswapV2Pool)]
        logs = []
        if pools:
            pool = pools[int(self.rng.integers(len(pools)))]
            logs = [state_log(v2(int(pool.address[4:], 16), pool.tokens, *amounts), 0)]
        self.add_block(logs, self.open_positions)

    @precondition(lambda self: UNBORN in self.market.pools.values())
    @rule()
    def initialise(self) -> None:
        self.add_block([initialize_log(UNBORN, 2**96)], self.open_positions)

    @precondition(lambda self: len(self.trail) > 1)
    @rule(blocks=st.integers(1, 6))
    def rewind(self, blocks: int) -> None:
        del self.trail[max(1, len(self.trail) - blocks) :]
        self.unheard |= self.market.rewind(self.trail[-1])

    @precondition(lambda self: len(self.market.pools) > 3)
    @rule(count=st.integers(1, 3))
    def remove_pools(self, count: int) -> None:
        for _ in range(count):
            pool = self.market.pools.pop(self.some_pool().key)
            self.away.append(pool)
            self.unheard.add(pool.key)
        self.scan("nothing")

    @precondition(lambda self: self.away)
    @rule()
    def add_pools(self) -> None:
        """Those that were there before, the first one first, so that it gets the place of another;
        not those that a rewind has brought back."""
        for pool in self.away:
            self.market.pools.setdefault(pool.key, pool)
            self.unheard.add(pool.key)
        self.away.clear()

    @rule(least=st.sampled_from([0, 1, 10**3, 10**9, 10**18]), start=st.sampled_from(STARTS))
    def ask_for_more(self, least: int, start: Address) -> None:
        self.minima[start] = least

    @precondition(lambda self: self.market.pools)
    @rule()
    def refuse_a_block(self) -> None:
        """A block that a pool cannot follow changes nothing."""
        before, pools = self.market.block, dict(self.market.pools)
        pool = self.some_pool()
        good = state_log(pool, 0)
        bad = Log(pool.address, good.topics, good.data[:-1], 1, 1)
        with pytest.raises(InvalidPoolState):
            self.market.apply(update_of(block_after(self.market.block, "refused"), [good, bad]))
        assert (self.market.block, self.market.pools) == (before, pools)

    @rule(more=st.sampled_from(["nothing", "everything", "a stranger"]))
    def scan(self, more: str) -> None:
        touched = set(self.unheard)
        if more == "everything":
            touched |= set(self.market.pools)
        elif more == "a stranger":
            touched.add(PoolKey(address(9, 9)))
        self.unheard.clear()
        followed = self.scanner.update(self.market, touched)
        assert followed is self.scanner.scan
        fresh = self.fresh().scan
        assert followed.block == fresh.block == self.market.block
        assert followed.open_cycles == fresh.open_cycles
        assert followed.opportunities == fresh.opportunities
        ids = [offer.cycle.id for offer in followed.opportunities]
        assert ids == sorted(set(ids)), "opportunities out of order"
        assert list(followed.open_cycles) == sorted(followed.open_cycles)
        assert set(ids) <= followed.open_cycles.keys()

    @invariant()
    def old_offers_stay(self) -> None:
        """What was handed out is not changed behind the strategies' backs."""
        held = getattr(self, "held", None)
        if held is not None:
            scan, offers = held
            assert scan.opportunities == offers
        if hasattr(self, "scanner"):
            self.held = self.scanner.scan, self.scanner.scan.opportunities

    def teardown(self) -> None:
        if not hasattr(self, "scanner"):
            return
        self.scan("nothing")
        pools = [p for p in self.market.pools.values() if int(p.address[4:], 16) != 7]
        expected = open_cycles(pools, STARTS, self.max_hops)
        found = self.scanner.scan.open_cycles
        near = expected.keys() ^ found.keys()
        rates = [expected[key][1] if key in expected else found[key].rate for key in near]
        assert all(rate < 1 + 1e-12 for rate in rates), "not the cycles of brute force"


QUICK = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_any_history_equals_a_scan_from_scratch() -> None:
    run_state_machine_as_test(History, settings=QUICK)


@pytest.mark.fuzz
def test_any_history_equals_a_scan_from_scratch_in_a_long_run() -> None:
    deep = settings(QUICK, max_examples=250, stateful_step_count=60)
    run_state_machine_as_test(History, settings=deep)
