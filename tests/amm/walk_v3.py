"""A random walk of one V3 pool, in the contract and in dexarb at once: every step must agree."""

from __future__ import annotations

from collections import Counter
from random import Random

from dexarb.amm.abi import signed
from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    get_sqrt_ratio_at_tick,
)
from dexarb.amm.uniswap_v3 import INT256_MAX, UniswapV3Pool
from dexarb.amm.v3_events import SWAP
from dexarb.core.pool import FoundPool, PoolKey, SwapResult
from dexarb.errors import InsufficientLiquidity, InvalidAmount, PoolError
from tests.amm.evm_world import OWNER, V3_TIERS, Reverted, World

SWAP_CALL = "swap(address,bool,int256,uint160,bytes)"
MINT_CALL = "mint(address,int24,int24,uint128,bytes)"

FAR_WORDS, FAR_CHANCE = 60, 0.05
"""Swaps over that many words of the bitmap take the contract milliseconds: only some are made."""


def log_uniform(rng: Random, low_bits: float, high_bits: float) -> int:
    """An integer whose magnitude is as likely in any power of two as in any other."""
    return max(1, int(2 ** rng.uniform(low_bits, high_bits)))


class V3Walk:
    """Mutable. `tally` counts swaps by what they were."""

    def __init__(self, world: World, rng: Random, tally: Counter[str], fee_pips: int) -> None:
        self.world, self.rng, self.tally, self.fee_pips = world, rng, tally, fee_pips
        self.spacing = V3_TIERS[fee_pips]
        self.address = world.new_pool(fee_pips)
        self.positions: list[tuple[int, int, int]] = []
        self.pool = UniswapV3Pool(
            address=self.address,
            token0=world.token0,
            token1=world.token1,
            fee_pips=fee_pips,
            tick_spacing=self.spacing,
            sqrt_price_x96=0,
            tick=0,
            liquidity=0,
            ticks={},
        )
        style = rng.random()
        # Most pools live around a price as pairs of tokens have it, some at the very ends.
        ticks = 300_000 if style < 0.85 else MAX_TICK
        self.centre = rng.randint(-ticks, ticks - 1)
        # How far positions lie around it: narrow ones make many initialised ticks in reach.
        self.width = self.spacing * log_uniform(rng, 1, 11)
        self.liquidity_bits = rng.choice([(1, 30), (40, 70), (60, 90), (70, 115)])
        if self.steps_are_long and rng.random() < 0.5:
            # Where amount · price exceeds 256 bits, and the contract divides first.
            self.centre, self.liquidity_bits = rng.randint(700_000, 870_000), (105, 118)
        price = get_sqrt_ratio_at_tick(self.centre)
        if rng.random() < 0.8:
            price += rng.randrange(get_sqrt_ratio_at_tick(self.centre + 1) - price)
        world.send(self.address, "initialize(uint160)", price)
        self.follow()
        if rng.random() < 0.3:
            world.send(
                self.address,
                "setFeeProtocol(uint8,uint8)",
                rng.randint(4, 10),
                rng.randint(4, 10),
                sender=OWNER,
            )
            self.follow()
        if rng.random() < 0.5:
            self.mint(-self.edge, self.edge)
        for _ in range(log_uniform(rng, 0, 7)):
            self.mint(*self.any_range())

    @property
    def steps_are_long(self) -> bool:
        return self.spacing > 1000

    @property
    def edge(self) -> int:
        return MAX_TICK // self.spacing * self.spacing

    def loaded(self) -> UniswapV3Pool:
        """The contract's whole state, read by the pool's own loader."""
        world = self.world
        return world.answer(
            UniswapV3Pool.load(
                FoundPool(PoolKey(self.address), (world.token0, world.token1), self.fee_pips),
                dex="",
            )
        )

    def follow(self) -> None:
        """Apply the events of the last transaction."""
        for log in self.world.logs():
            self.pool = self.pool.apply(log)

    def check(self) -> None:
        assert self.pool == self.loaded()
        assert UniswapV3Pool.from_state(self.pool.state()) == self.pool

    def step(self) -> None:
        """One swap, sometimes with a mint or burn before it."""
        chance = self.rng.random()
        if chance < 0.06:
            self.mint(*self.any_range())
        elif chance < 0.11:
            self.burn()
        self.swap()

    def any_range(self) -> tuple[int, int]:
        middle = self.pool.tick if self.rng.random() < 0.3 else self.centre
        lower, upper = sorted(self.usable(self.rng.gauss(middle, self.width)) for _ in range(2))
        if self.rng.random() < 0.3:  # an island, with no liquidity around it where there are few
            upper = min(self.edge, lower + self.spacing * log_uniform(self.rng, 0, 5))
        if lower < upper:
            return lower, upper
        return (lower, lower + self.spacing) if lower < self.edge else (lower - self.spacing, lower)

    def usable(self, near: float) -> int:
        """A tick that positions may use; often the first or last of a word of the bitmap."""
        compressed = int(near) // self.spacing
        chance = self.rng.random()
        if chance < 0.15:
            compressed = compressed >> 8 << 8
        elif chance < 0.3:
            compressed |= 255
        return max(-self.edge, min(self.edge, compressed * self.spacing))

    def mint(self, lower: int, upper: int) -> None:
        amount = log_uniform(self.rng, *self.liquidity_bits)
        teller = self.world.teller
        try:
            self.world.send_paying(self.address, MINT_CALL, teller, lower, upper, amount)
        except Reverted:  # the tick would hold more than maxLiquidityPerTick
            self.tally["mints refused"] += 1
            return
        self.tally["mints"] += 1
        self.positions.append((lower, upper, amount))
        self.follow()

    def burn(self) -> None:
        if not self.positions:
            return
        lower, upper, amount = self.positions.pop(self.rng.randrange(len(self.positions)))
        part = amount if self.rng.random() < 0.6 else self.rng.randrange(amount)
        self.world.send(self.address, "burn(int24,int24,uint128)", lower, upper, part)
        self.tally["burns"] += 1
        self.follow()
        if part < amount:
            self.positions.append((lower, upper, amount - part))

    def swap(self) -> None:
        zero_for_one = self.rng.random() < self.downward_bias()
        exact_in = self.rng.random() < 0.6
        limit = self.any_limit(zero_for_one)
        amount = self.any_amount(zero_for_one, exact_in, limit)
        self.agree(zero_for_one, exact_in, amount, limit)

    def downward_bias(self) -> float:
        """Walk back to where the liquidity is."""
        distance = (self.pool.tick - self.centre) / self.width
        return min(0.97, max(0.03, 0.5 + 0.2 * distance))

    def any_limit(self, zero_for_one: bool) -> int | None:
        rng, pool = self.rng, self.pool
        chance = rng.random()
        away = -1 if zero_for_one else 1
        far_out = abs(pool.tick - self.centre) > 4 * self.width
        if far_out and (pool.tick > self.centre) == zero_for_one:
            # Out of all liquidity: come back to somewhere near the centre, rarely without limit.
            if chance < 0.9:
                return self.ratio(self.centre + int(rng.gauss(0, self.width)))
            return None
        if chance < 0.6:
            return None
        if chance < 0.72:
            return pool.sqrt_price_x96 + away * log_uniform(
                rng, 0, pool.sqrt_price_x96.bit_length()
            )
        if chance < 0.82:
            ahead = [t for t in pool.ticks if (t <= pool.tick) == zero_for_one]
            if ahead:
                return self.ratio(rng.choice(ahead)) + rng.choice([-1, 0, 0, 0, 1])
        if chance < 0.9:
            span = self.spacing << 8
            word_end = (pool.tick // span + rng.randint(-3, 4)) * span
            return self.ratio(word_end - rng.choice([0, self.spacing])) + rng.choice([-1, 0, 0, 1])
        if chance < 0.97:
            return self.ratio(pool.tick + away * log_uniform(rng, 0, 12))
        ends = (0, MIN_SQRT_RATIO, MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1, MAX_SQRT_RATIO)
        return rng.choice([*ends, pool.sqrt_price_x96, (1 << 160) - 1])

    @staticmethod
    def ratio(tick: int) -> int:
        return get_sqrt_ratio_at_tick(max(-MAX_TICK, min(MAX_TICK, tick)))

    def any_amount(self, zero_for_one: bool, exact_in: bool, limit: int | None) -> int:
        rng, pool = self.rng, self.pool
        chance = rng.random()
        if chance < 0.08:
            return rng.randint(1, 5)
        if chance < (0.18 if self.steps_are_long else 0.1):
            return rng.choice([INT256_MAX, *(log_uniform(rng, 96, 255) - 1 for _ in range(3))])
        if chance < 0.3:
            # To the unit what reaches a tick (or the limit), and one unit on either side.
            reach = 20 if self.steps_are_long else 13
            tick = pool.tick + (-1 if zero_for_one else 1) * log_uniform(rng, 0, reach)
            goal = self.ratio(tick) if limit is None or rng.random() < 0.5 else limit
            try:
                reached = self.ours(zero_for_one, exact_in, INT256_MAX, goal)
            except PoolError:
                return 1
            amount = reached.amount_in if exact_in else reached.amount_out
            return max(1, amount + rng.choice([-1, 0, 0, 1]))
        # Relative to the range around the price: from dust to many ranges.
        root = pool.sqrt_price_x96 / 2**96
        in_token0 = zero_for_one == exact_in
        reserve = max(1.0, pool.liquidity / root if in_token0 else pool.liquidity * root)
        return max(1, min(INT256_MAX, int(reserve * 2 ** rng.uniform(-24, 3))))

    def ours(
        self, zero_for_one: bool, exact_in: bool, amount: int, limit: int | None
    ) -> SwapResult:
        token0, token1 = self.pool.tokens
        if exact_in:
            return self.pool.swap(
                token0 if zero_for_one else token1, amount, sqrt_price_limit_x96=limit
            )
        return self.pool.swap_exact_out(
            token1 if zero_for_one else token0, amount, sqrt_price_limit_x96=limit
        )

    def agree(self, zero_for_one: bool, exact_in: bool, amount: int, limit: int | None) -> None:
        """Swap in dexarb and in the contract; amounts, price, tick and liquidity must be equal."""
        world, before = self.world, self.pool
        case = (before, zero_for_one, exact_in, amount, limit)
        ours: SwapResult | PoolError
        try:
            ours = self.ours(zero_for_one, exact_in, amount, limit)
        except PoolError as error:
            ours = error
        if self.words_passed(zero_for_one, ours) > FAR_WORDS and self.rng.random() > FAR_CHANCE:
            return
        self.count(zero_for_one, exact_in, amount, limit)
        default = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
        signed_amount = amount if exact_in else -amount
        price_limit = default if limit is None else limit
        try:
            world.send_paying(
                self.address, SWAP_CALL, world.teller, zero_for_one, signed_amount, price_limit
            )
        except Reverted:
            self.tally["reverts"] += 1
            if isinstance(ours, InsufficientLiquidity):
                assert (ours.amount_in, ours.amount_out) == (0, 0), case
            else:
                assert isinstance(ours, InvalidAmount), case
                assert limit is not None, case
            return
        self.follow()
        (log,) = (log for log in world.logs() if log.topics[0] == SWAP)
        deltas = signed(log.data, 0), signed(log.data, 1)
        their_in, their_out = (deltas[0], -deltas[1]) if zero_for_one else (deltas[1], -deltas[0])
        filled = their_in if exact_in else their_out
        if isinstance(ours, InsufficientLiquidity):
            # The contract fills what it can and stops at the end of all prices.
            self.tally["partial fills"] += 1
            assert limit is None, case
            assert self.pool.sqrt_price_x96 == default, case
            assert (ours.amount_in, ours.amount_out) == (their_in, their_out), case
            assert filled < amount, case
            return
        assert isinstance(ours, SwapResult), case
        assert (ours.amount_in, ours.amount_out) == (their_in, their_out), case
        assert ours.pool == self.pool, case
        crossed = before.crossed_ticks(self.pool)
        self.tally["most ticks crossed"] = max(self.tally["most ticks crossed"], crossed)
        self.tally["ten ticks crossed or more"] += crossed >= 10
        self.tally["stopped by limit"] += filled < amount

    def words_passed(self, zero_for_one: bool, ours: SwapResult | PoolError) -> int:
        end = self.pool.tick
        if isinstance(ours, InsufficientLiquidity):
            end = -MAX_TICK if zero_for_one else MAX_TICK
        elif isinstance(ours, SwapResult) and isinstance(ours.pool, UniswapV3Pool):
            end = ours.pool.tick
        return abs(end - self.pool.tick) // (self.spacing << 8)

    def count(self, zero_for_one: bool, exact_in: bool, amount: int, limit: int | None) -> None:
        tally = self.tally
        tally["swaps"] += 1
        tally[f"fee {self.fee_pips}"] += 1
        tally["token0 in" if zero_for_one else "token1 in"] += 1
        tally["exact in" if exact_in else "exact out"] += 1
        tally["dust"] += amount <= 5
        tally["huge"] += amount >= 1 << 112
        tally["with limit"] += limit is not None
