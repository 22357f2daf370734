"""Random blocks over a few V2 and V3 pools: traders, arbitrages, mixtures of both, system
transactions and failed ones. Everything that happens is what the pools themselves answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dexarb.amm.uniswap_v2 import SYNC, UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import SWAP
from dexarb.core.block import Block, BlockHash, BlockUpdate, Log, Transaction
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import ChainProfile, ReferencePool
from dexarb.core.token import Address, Token
from dexarb.errors import PoolError
from dexarb.search.result import Dust
from dexarb.search.scan import Scan, Scanner
from dexarb.trading.decide.triage import LeastGas
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Strategy
from dexarb.trading.settle.paper_executor import PaperExecutor
from tests.search.world import World, address, rng_of, token

GWEI = 10**9
BASE_FEE = 30 * GWEI
GENESIS = 1_700_000_000
USD, NATIVE, OTHER = token(0), token(1), token(2)
SENDER = address(0x5E, 1)
VALUES = {USD: 1e-6, NATIVE: 0.5e-18, OTHER: 2_000e-18}
PAIRS = ((USD, NATIVE), (USD, OTHER), (NATIVE, OTHER))
TOKENS = (
    Token(1, USD, "USD", 6),
    Token(1, NATIVE, "NATIVE", 18),
    Token(1, OTHER, "OTHER", 18),
)


class RandomChain:
    """Mutable. `mine` makes the next block, of any branch, from the states of its parent."""

    def __init__(self, *seed: object, noise: float = 0.003, ordering: str = "fee") -> None:
        self.rng = rng_of("chain", *seed)
        world = World(VALUES, self.rng)
        pools = [
            world.pool(number, pair, kind=kind, noise=noise, value=10.0 ** self.rng.uniform(5, 6))
            for number, (pair, kind) in enumerate(
                (pair, kind) for pair in PAIRS for kind in (2, 3, int(self.rng.integers(2, 4)))
            )
        ]
        references = {
            name: tuple(
                ReferencePool(pool.key, USD, 1) for pool in pools if pool.tokens == (USD, name)
            )
            for name in (NATIVE, OTHER)
        }
        profile = ChainProfile(
            chain_id=1,
            name="random",
            ordering=ordering,  # type: ignore[arg-type]
            wrapped_native=NATIVE,
            numeraire=USD,
            tokens={each.symbol: each.address for each in TOKENS},
            start_tokens=(USD, NATIVE),
            reference_pools=references,
            default_priority_fee=30 * GWEI,
        )
        self.seq = 1
        first = Block(100, BlockHash("0x100"), BlockHash("0x99"), GENESIS, BASE_FEE, 0, 30_000_000)
        self.first = Keyframe(1, first, profile, TOKENS, tuple(pools))
        self.tip = first
        self._states = {first.hash: {pool.key: pool for pool in pools}}

    def mine(
        self, *, parent: Block | None = None, base_fee: int = BASE_FEE, busy: int = 6
    ) -> BlockUpdate:
        """A block of up to `busy` transactions on top of `parent`, by default the latest block."""
        above = parent or self.tip
        self.seq += 1
        number = above.number + 1
        self.tip = Block(
            number,
            BlockHash(f"0x{number}.{self.seq}"),
            above.hash,
            GENESIS + number,
            base_fee,
            0,
            30_000_000,
            seen_at=GENESIS + number + 0.5,
        )
        pools = self._states[self.tip.hash] = dict(self._states[above.hash])
        logs: list[Log] = []
        transactions: list[Transaction] = []
        for index in range(int(self.rng.integers(0, busy + 1))):
            kind = self.rng.choice(["trade", "arbitrage", "both", "failed", "system"])
            made = self._logs(pools, str(kind), index, len(logs))
            logs += made
            price = base_fee + int(self.rng.integers(0, 8)) * 10 * GWEI
            transactions.append(
                Transaction(
                    index,
                    f"0x{number}.{self.seq}.{index}",
                    SENDER,
                    None,
                    0 if kind == "system" else price,
                    150_000,
                    succeeded=bool(made),
                )
            )
        return BlockUpdate(self.seq, self.tip, tuple(logs), tuple(transactions))

    def states_at(self, block: Block) -> Mapping[PoolKey, Pool]:
        """All pools at the end of a block."""
        return self._states[block.hash]

    def _logs(self, pools: dict[PoolKey, Pool], kind: str, index: int, first_log: int) -> list[Log]:
        """Of one transaction; moves the pools."""
        logs: list[Log] = []

        def swap(pool: Pool, token_in: Address, amount: int) -> int:
            try:
                result = pools[pool.key].swap(token_in, amount)
            except PoolError:
                return 0
            log = swap_log(pools[pool.key], token_in, result.amount_out, amount, result.pool)
            logs.append(replace(log, transaction_index=index, log_index=first_log + len(logs)))
            pools[pool.key] = result.pool
            return result.amount_out

        pair = PAIRS[int(self.rng.integers(3))]
        of_pair = [pool for pool in pools.values() if pool.tokens == pair]
        token_in = pair[int(self.rng.integers(2))]
        amount = int(10.0 ** self.rng.uniform(1.5, 3.5) / VALUES[token_in])
        if kind in ("trade", "both"):
            swap(of_pair[int(self.rng.integers(len(of_pair)))], token_in, amount)
        if kind in ("arbitrage", "both"):
            dear, cheap = sorted(of_pair, key=lambda pool: _rate(pool, token_in))[
                :: len(of_pair) - 1
            ]
            (token_out,) = set(pair) - {token_in}
            swap(dear, token_out, swap(cheap, token_in, amount))
        return logs


def _rate(pool: Pool, token_in: Address) -> float:
    return next((each.rate for each in pool.segments(token_in)), 0.0)


def swap_log(pool: Pool, token_in: Address, amount_out: int, amount_in: int, after: Pool) -> Log:
    """The event of a swap, with its amounts."""
    if isinstance(after, UniswapV2Pool):
        return Log(pool.address, (SYNC,), _words(after.reserve0, after.reserve1), 0, 0)
    assert isinstance(after, UniswapV3Pool)
    flow = (amount_in, -amount_out) if token_in == pool.tokens[0] else (-amount_out, amount_in)
    data = _words(*flow, after.sqrt_price_x96, after.liquidity, after.tick)
    return Log(pool.address, (SWAP, bytes(32), bytes(32)), data, 0, 0)


def _words(*values: int) -> bytes:
    return b"".join((value % 2**256).to_bytes(32, "big") for value in values)


def scanner(market: Market, dust: Dust) -> Scanner:
    return Scanner(
        market,
        start_tokens=market.profile.start_tokens,
        gas_units=REALITY.gas.units,
        max_hops=3,
        dust=dust,
    )


def scanned_anew(market: Market, valuation: Valuation) -> Scan:
    """What a new search finds there, with the same dust as an engine's."""
    least_gas = LeastGas(REALITY.gas)
    return scanner(market, lambda token: least_gas.dust(token, market, valuation)).scan


def engine(first: Keyframe, strategies: Sequence[Strategy]) -> Engine:
    """An engine that decides from the next block on."""
    made = Engine(first, scanner, PaperExecutor(REALITY), REALITY, max_state_age_s=10)
    made.use(strategies)
    made.deciding = True
    return made


def picked(rng: np.random.Generator, values: Sequence[int]) -> int:
    return int(rng.choice(np.array(values, dtype=object)))
