"""A random walk of one V2 pair, in the contract and in dexarb at once: every step must agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from dexarb.amm.abi import encode, unsigned
from dexarb.amm.uniswap_v2 import UINT112_MAX, UniswapV2Pool
from dexarb.core.pool import Call, FoundPool, PoolKey, SwapResult
from dexarb.core.token import Address
from dexarb.errors import InsufficientLiquidity, InvalidAmount, PoolError, PoolOverflow
from tests.amm.evm_world import Fork, Reverted, World, selector
from tests.amm.walk_v3 import log_uniform

SWAP_CALL = "swap(uint256,uint256,address,bytes)"


class V2Walk:
    """Mutable. `tally` counts swaps by what they were."""

    def __init__(self, world: World, rng: Random, tally: Counter[str], fork: Fork) -> None:
        self.world, self.rng, self.tally, self.fork = world, rng, tally, fork
        self.address = world.new_pair()
        self.pool = self.loaded()
        assert self.pool.reserve0 == self.pool.reserve1 == 0
        self.reserve_bits = rng.choice([(6, 20), (30, 60), (50, 90), (80, 111), (110, 112)])
        self.add_liquidity()

    def loaded(self) -> UniswapV2Pool:
        world = self.world
        return world.answer(
            UniswapV2Pool.load(
                FoundPool(PoolKey(self.address), (world.token0, world.token1), self.fork.fee_pips),
                dex="",
            )
        )

    def follow(self) -> None:
        """Apply the events of the last transaction."""
        for log in self.world.logs():
            self.pool = self.pool.apply(log)

    def check(self) -> None:
        assert self.pool == self.loaded()
        assert UniswapV2Pool.from_state(self.pool.state()) == self.pool

    def step(self) -> None:
        """One swap, sometimes with a change of the reserves before it."""
        rng = self.rng
        chance = rng.random()
        if chance < 0.04 or not self.pool.reserve0:
            self.add_liquidity()
        elif chance < 0.08:
            self.remove_liquidity()
        elif chance < 0.1:
            self.world.pay(rng.choice(self.pool.tokens), self.address, log_uniform(rng, 0, 60))
            if not self.accepts("sync()"):
                self.take_back()
        zero_for_one = rng.random() < 0.5
        exact_in = rng.random() < 0.6
        amount = self.any_amount(zero_for_one, exact_in)
        self.count(zero_for_one, exact_in, amount)
        if exact_in:
            self.sell(zero_for_one, amount)
        else:
            self.buy(zero_for_one, amount)
        assert self.balances() == (self.pool.reserve0, self.pool.reserve1)

    def any_amount(self, zero_for_one: bool, exact_in: bool) -> int:
        rng = self.rng
        token0_amount = zero_for_one == exact_in
        reserve = max(1, self.pool.reserve0 if token0_amount else self.pool.reserve1)
        chance = rng.random()
        if chance < 0.08:
            return rng.randint(1, 5)
        if chance < 0.12:
            return log_uniform(rng, 100, 200)
        if chance < 0.2:
            return max(1, rng.choice([reserve, UINT112_MAX - reserve]) + rng.randint(-2, 2))
        return max(1, int(reserve * 2 ** rng.uniform(-40, 1)))

    def sell(self, zero_for_one: bool, amount_in: int) -> None:
        """What we say is paid, and not one unit more."""
        token_in = self.pool.tokens[not zero_for_one]
        ours = outcome(lambda: self.pool.swap(token_in, amount_in))
        self.world.pay(token_in, self.address, amount_in)
        if isinstance(ours, SwapResult):
            assert not self.swaps(zero_for_one, ours.amount_out + 1), (self.pool, ours)
            assert self.swaps(zero_for_one, ours.amount_out), (self.pool, ours)
            assert self.pool == ours.pool
            return
        assert isinstance(ours, InvalidAmount | PoolOverflow | InsufficientLiquidity)
        self.tally["reverts"] += 1
        assert not self.swaps(zero_for_one, 1), (self.pool, amount_in, ours)
        assert not self.swaps(zero_for_one, 0)
        self.take_back()

    def buy(self, zero_for_one: bool, amount_out: int) -> None:
        """What we ask is enough, and two units less are not (see the pool on the one between)."""
        token_in, token_out = self.pool.tokens[:: 1 if zero_for_one else -1]
        ours = outcome(lambda: self.pool.swap_exact_out(token_out, amount_out))
        if isinstance(ours, SwapResult):
            most_too_little = max(0, ours.amount_in - 2)
            self.world.pay(token_in, self.address, most_too_little)
            assert not self.swaps(zero_for_one, amount_out), (self.pool, ours)
            self.world.pay(token_in, self.address, ours.amount_in - most_too_little)
            assert self.swaps(zero_for_one, amount_out), (self.pool, ours)
            assert self.pool == ours.pool
            return
        self.tally["reverts"] += 1
        if isinstance(ours, InsufficientLiquidity):
            self.world.pay(token_in, self.address, ours.amount_in)
            assert not self.swaps(zero_for_one, amount_out), (self.pool, ours)
            if ours.amount_out:
                self.tally["partial fills"] += 1
                assert self.swaps(zero_for_one, ours.amount_out), (self.pool, ours)
            return
        assert isinstance(ours, PoolOverflow)
        reserve_in = self.pool.reserve0 if zero_for_one else self.pool.reserve1
        self.world.pay(token_in, self.address, UINT112_MAX - reserve_in)
        assert not self.swaps(zero_for_one, amount_out), (self.pool, ours)
        self.world.pay(token_in, self.address, 1 << 200)
        assert not self.swaps(zero_for_one, amount_out), (self.pool, ours)
        self.take_back()

    def swaps(self, zero_for_one: bool, amount_out: int) -> bool:
        """Whether the pair pays that much for what it has been sent."""
        amounts = (0, amount_out) if zero_for_one else (amount_out, 0)
        try:
            self.world.send(
                self.address, SWAP_CALL, *amounts, self.world.teller, 128, tail=bytes(32)
            )
        except Reverted:
            return False
        self.follow()
        return True

    def accepts(self, signature: str, *arguments: int | Address) -> bool:
        try:
            self.world.send(self.address, signature, *arguments)
        except Reverted:
            return False
        self.follow()
        return True

    def take_back(self) -> None:
        assert self.accepts("skim(address)", self.world.teller)

    def add_liquidity(self) -> None:
        for token in self.pool.tokens:
            amount = min(UINT112_MAX, log_uniform(self.rng, *self.reserve_bits))
            self.world.pay(token, self.address, amount)
        if self.accepts("mint(address)", self.world.teller):
            self.tally["mints"] += 1
        else:
            self.take_back()

    def remove_liquidity(self) -> None:
        shares = self.balance(self.address, self.world.teller)
        part = int(shares * self.rng.random())
        self.world.send(self.address, "transfer(address,uint256)", self.address, part)
        self.tally["burns"] += self.accepts("burn(address)", self.world.teller)

    def balance(self, token: Address, holder: Address) -> int:
        reply = self.world.read(Call(token, encode(selector("balanceOf(address)"), holder)))
        assert reply is not None
        return unsigned(reply, 0)

    def balances(self) -> tuple[int, int]:
        token0, token1 = self.pool.tokens
        return self.balance(token0, self.address), self.balance(token1, self.address)

    def count(self, zero_for_one: bool, exact_in: bool, amount: int) -> None:
        tally = self.tally
        tally["swaps"] += 1
        tally[f"V2 fee {self.fork.fee_pips}"] += 1
        tally["token0 in" if zero_for_one else "token1 in"] += 1
        tally["exact in" if exact_in else "exact out"] += 1
        tally["dust"] += amount <= 5
        tally["huge"] += amount >= 1 << 100


def outcome(swap: Callable[[], SwapResult]) -> SwapResult | PoolError:
    try:
        return swap()
    except PoolError as error:
        return error
