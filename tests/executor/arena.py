"""Tokens, pools and executors on a chain, mirrored in dexarb, and random cycles over them."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random
from typing import NamedTuple

from dexarb.amm.abi import encode, unsigned
from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    get_sqrt_ratio_at_tick,
    get_tick_at_sqrt_ratio,
)
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import Pool, PoolKey, SwapResult
from dexarb.core.route import Cycle, Hop, run
from dexarb.core.token import Address, address_from_word
from dexarb.ends.executor_contract import deploy_data, execute_data
from dexarb.errors import PoolError
from tests.amm.evm_world import (
    ERC20,
    OWNER,
    V3_FACTORY,
    Fork,
    bytecode,
    fork_bytecode,
    selector,
    teller_bytecode,
)
from tests.executor.chains import OPERATOR, Chain, Receipt, Request

FORKS = (Fork(3, 1000), Fork(2, 1000))
V3_TIERS = {100: 1, 500: 10, 3000: 60, 10000: 200}
"""Tick spacing by fee, as on mainnet; the first has to be enabled."""
TOKENS = 4
STOCK = 1 << 120
"""What an executor with own funds holds of every token."""
FOREVER = 1 << 64
SWEEP = 1_500
"""Ticks to each side that have been crossed in a seasoned pool."""

AnyPool = UniswapV2Pool | UniswapV3Pool


class Trade(NamedTuple):
    """A cycle at one size, and what dexarb says of it: nothing where a pool refuses."""

    cycle: Cycle
    amount_in: int
    results: tuple[SwapResult, ...] | None

    @property
    def amount_out(self) -> int:
        return self.results[-1].amount_out if self.results else 0


class Arena:
    """Mutable: `pools` mirrors the contracts, by the events of every transaction sent here."""

    def __init__(self, chain: Chain, rng: Random, pools_per_pair: int = 4) -> None:
        self.chain, self.rng = chain, rng
        self.pools: dict[PoolKey, AnyPool] = {}
        self.receipts: list[Receipt] = []
        self.teller = chain.deploy(teller_bytecode())
        supply = encode(b"", 0x80, 0xC0, (1 << 256) - 1, self.teller, 1, 1 << 255, 1, 1 << 255)
        self.tokens = [chain.deploy(bytecode(ERC20) + supply) for _ in range(TOKENS)]
        # Smallest units of different worth, as decimals make them.
        self.worth = {token: 2 ** rng.uniform(-15, 15) for token in self.tokens}
        self.v2_factories = [
            (fork, chain.deploy(fork_bytecode(fork) + encode(b"", OWNER))) for fork in FORKS
        ]
        self.v3_factory = chain.deploy(bytecode(V3_FACTORY))
        self.send(OWNER, self.v3_factory, "enableFeeAmount(uint24,int24)", 100, 1)
        self.executor = chain.deploy(deploy_data(OWNER, [OPERATOR]))
        self.empty_executor = chain.deploy(deploy_data(OWNER, [OPERATOR]))
        for token in self.tokens:
            self.pay(token, self.executor, STOCK)
        for pair in combinations(sorted(self.tokens), 2):
            v2 = rng.randint(1, min(2, pools_per_pair - 1))
            for fork, factory in rng.sample(self.v2_factories, v2):
                self.new_pair(factory, fork, pair)
            for fee_pips in rng.sample(list(V3_TIERS), pools_per_pair - v2):
                self.new_pool(fee_pips, pair)

    # -- transactions ---------------------------------------------------------------------------

    def send(self, sender: Address, to: Address, signature: str, *words: int | Address) -> Receipt:
        """A transaction of its own, which has to succeed."""
        return self.sent(Request(sender, to, encode(selector(signature), *words)))

    def tell(
        self, to: Address, signature: str, *words: int | Address, tail: bytes = b""
    ) -> Receipt:
        """A call that the teller passes on."""
        return self.sent(Request(OWNER, self.teller, told(to, signature, *words, tail=tail)))

    def sent(self, request: Request) -> Receipt:
        receipt = self.chain.mine(request)[0]
        assert receipt.succeeded, (request.to, request.data[:4].hex(), receipt)
        self.follow(receipt)
        self.receipts.append(receipt)
        return receipt

    def follow(self, receipt: Receipt) -> None:
        for log in receipt.logs:
            if PoolKey(log.address) in self.pools:
                self.pools[PoolKey(log.address)] = self.pools[PoolKey(log.address)].apply(log)

    def pay(self, token: Address, to: Address, amount: int) -> None:
        self.tell(token, "transfer(address,uint256)", to, amount)

    def balance(self, token: Address, holder: Address) -> int:
        call = encode(selector("balanceOf(address)"), holder)
        return unsigned(self.chain.read(token, call), 0)

    def balances(self, holder: Address) -> dict[Address, int]:
        return {token: self.balance(token, holder) for token in self.tokens}

    # -- pools ----------------------------------------------------------------------------------

    def new_pair(self, factory: Address, fork: Fork, pair: tuple[Address, Address]) -> None:
        receipt = self.tell(factory, "createPair(address,address)", *pair)
        address = address_from_word(receipt.logs[-1].data[:32])
        self.pools[PoolKey(address)] = UniswapV2Pool(
            address=address,
            token0=pair[0],
            token1=pair[1],
            reserve0=0,
            reserve1=0,
            fee_pips=fork.fee_pips,
        )
        depth = 2 ** self.rng.uniform(62, 70)
        for token in pair:
            amount = int(depth / self.worth[token] * math.exp(self.rng.gauss(0, 0.01)))
            self.pay(token, address, amount)
        self.tell(address, "mint(address)", self.teller)

    def new_pool(self, fee_pips: int, pair: tuple[Address, Address]) -> None:
        rng = self.rng
        receipt = self.tell(self.v3_factory, "createPool(address,address,uint24)", *pair, fee_pips)
        address = address_from_word(receipt.logs[-1].data[32:])
        spacing = V3_TIERS[fee_pips]
        self.pools[PoolKey(address)] = UniswapV3Pool(
            address=address,
            token0=pair[0],
            token1=pair[1],
            fee_pips=fee_pips,
            tick_spacing=spacing,
            sqrt_price_x96=0,
            tick=0,
            liquidity=0,
            ticks={},
        )
        root = math.sqrt(self.worth[pair[0]] / self.worth[pair[1]]) * math.exp(rng.gauss(0, 0.005))
        self.tell(address, "initialize(uint160)", int(root * 2**96))
        liquidity = 2 ** rng.uniform(62, 70) / math.sqrt(self.worth[pair[0]] * self.worth[pair[1]])
        middle = get_tick_at_sqrt_ratio(int(root * 2**96)) // spacing * spacing
        wide = 12_000 // spacing * spacing
        self.mint(address, middle - wide, middle + wide, int(liquidity))
        for _ in range(rng.randint(0, 14)):
            # Ranges around the price, most of them a few hundred ticks wide.
            ends = sorted(middle + round(rng.gauss(0, 250) / spacing) * spacing for _ in range(2))
            if ends[0] < ends[1]:
                self.mint(address, ends[0], ends[1], int(liquidity * rng.uniform(0.1, 2)))

    def mint(self, address: Address, lower: int, upper: int, liquidity: int) -> None:
        pool = self.pools[PoolKey(address)]
        self.tell(
            address,
            "mint(address,int24,int24,uint128,bytes)",
            self.teller,
            lower,
            upper,
            liquidity,
            160,
            tail=encode(b"", 64, *pool.tokens),
        )

    def swap(self, address: Address, token_in: Address, amount_in: int) -> None:
        """Somebody else's swap, past the executor."""
        for data in self.swap_requests(address, token_in, amount_in):
            self.sent(Request(OWNER, self.teller, data))

    def swap_requests(self, address: Address, token_in: Address, amount_in: int) -> list[bytes]:
        """What the teller has to be sent for a swap, transaction by transaction."""
        pool = self.pools[PoolKey(address)]
        zero_for_one = token_in == pool.token0
        if isinstance(pool, UniswapV3Pool):
            limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
            return [self._v3_swap(pool, limit, amount_in)]
        amount_out = pool.swap(token_in, amount_in).amount_out
        amounts = (0, amount_out) if zero_for_one else (amount_out, 0)
        return [
            told(token_in, "transfer(address,uint256)", address, amount_in),
            told(
                address,
                "swap(uint256,uint256,address,bytes)",
                *amounts,
                self.teller,
                128,
                tail=bytes(32),
            ),
        ]

    def swap_to(self, address: Address, limit: int, amount_in: int = 1 << 127) -> None:
        """A V3 swap of as much of the amount as moves the pool to the limit."""
        pool = self.pools[PoolKey(address)]
        assert isinstance(pool, UniswapV3Pool)
        self.sent(Request(OWNER, self.teller, self._v3_swap(pool, limit, amount_in)))

    def _v3_swap(self, pool: UniswapV3Pool, limit: int, amount_in: int) -> bytes:
        return told(
            pool.address,
            "swap(address,bool,int256,uint160,bytes)",
            self.teller,
            limit < pool.sqrt_price_x96,
            amount_in,
            limit,
            160,
            tail=encode(b"", 64, *pool.tokens),
        )

    def season(self) -> None:
        """Make everything look used: storage that swaps write to has been written before.

        Prices sweep over all narrow ranges and come back, so that every tick there has been
        crossed; half of the V3 pools keep more than one observation.
        """
        for pool in list(self.pools.values()):
            if isinstance(pool, UniswapV2Pool):
                for token in pool.tokens:
                    self.swap(pool.address, token, self.depth(pool, token) // 1000)
                continue
            if self.rng.random() < 0.5:
                self.tell(pool.address, "increaseObservationCardinalityNext(uint16)", 4)
            price, tick = pool.sqrt_price_x96, pool.tick
            for goal in (tick - SWEEP, tick + SWEEP, tick - SWEEP, tick + SWEEP):
                self.swap_to(pool.address, get_sqrt_ratio_at_tick(goal))
            self.swap_to(pool.address, price)

    def shake(self) -> None:
        """A swap in one pool that moves its price by a percent or so."""
        pool = self.rng.choice(list(self.pools.values()))
        token_in = self.rng.choice(pool.tokens)
        self.swap(pool.address, token_in, self.depth(pool, token_in) // self.rng.randint(80, 400))

    def is_v3(self, address: Address) -> bool:
        return isinstance(self.pools[PoolKey(address)], UniswapV3Pool)

    # -- cycles ---------------------------------------------------------------------------------

    def depth(self, pool: Pool, token_in: Address) -> int:
        """About what doubles the price: a scale for sizes."""
        segment = next(pool.segments(token_in))
        return int(1 / segment.depth)

    def any_trade(self, hops: int) -> Trade:
        """A cycle of so many hops, turned the way that pays, at one of a few random sizes."""
        cycle = self.any_cycle(hops)
        around = Cycle(tuple(Hop(h.pool, h.token_out, h.token_in) for h in reversed(cycle.hops)))
        cycle = max(cycle, around, key=self.marginal_rate)
        trades = (self.trade(cycle, self.any_size(cycle)) for _ in range(5))
        if self.rng.random() < 0.15:
            return next(trades)
        return max(trades, key=lambda trade: trade.amount_out - trade.amount_in)

    def marginal_rate(self, cycle: Cycle) -> float:
        return math.prod(
            next(self.pools[hop.pool].segments(hop.token_in)).rate for hop in cycle.hops
        )

    def any_cycle(self, hops: int) -> Cycle:
        rng = self.rng
        while True:
            start = rng.choice(self.tokens)
            path = [start]
            for _ in range(hops - 1):
                path.append(rng.choice([token for token in self.tokens if token != path[-1]]))
            if path[-1] == start:
                continue
            picked: list[Hop] = []
            for token_in, token_out in zip(path, [*path[1:], start], strict=True):
                fitting = [
                    pool.address
                    for pool in self.pools.values()
                    if {token_in, token_out} == set(pool.tokens)
                    and pool.key not in (hop.pool for hop in picked)
                ]
                if fitting:
                    picked.append(Hop(PoolKey(rng.choice(fitting)), token_in, token_out))
            if len(picked) == hops:
                return Cycle(tuple(picked))

    def any_size(self, cycle: Cycle) -> int:
        first = self.pools[cycle.hops[0].pool]
        scale = self.depth(first, cycle.start_token)
        low, high = self.rng.choice([(-12, -4), (-12, -4), (-12, -4), (-64, -12), (-4, 20)])
        return max(1, int(scale * 2 ** self.rng.uniform(low, high)))

    def trade(self, cycle: Cycle, amount_in: int) -> Trade:
        try:
            return Trade(cycle, amount_in, run(cycle, amount_in, self.pools.__getitem__))
        except PoolError:
            return Trade(cycle, amount_in, None)

    def execution(
        self, trade: Trade, min_amount_out: int, *, flash: bool, executor: Address | None = None
    ) -> Request:
        data = execute_data(
            trade.cycle,
            self.pools.__getitem__,
            trade.amount_in,
            min_amount_out,
            FOREVER,
            flash=flash,
        )
        return Request(OPERATOR, executor or self.executor, data)


def told(to: Address, signature: str, *words: int | Address, tail: bytes = b"") -> bytes:
    """What the teller is sent, so that it makes a call."""
    return encode(b"", to) + encode(selector(signature), *words) + tail


def kinds(cycle: Cycle, pools: dict[PoolKey, AnyPool]) -> str:
    """The kinds of a cycle's pools in order, as 2s and 3s."""
    return "".join("3" if isinstance(pools[hop.pool], UniswapV3Pool) else "2" for hop in cycle.hops)
