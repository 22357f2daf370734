"""Random blocks over a few V2 and V3 pools: traders, arbitrages, mixtures of both, system
transactions and failed ones. Everything that happens is what the pools themselves answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import structs

from dexarb.core.block import Block, BlockUpdate, Log, Transaction
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.token import Address, Token
from dexarb.errors import PoolError
from tests.support.worlds.blocks import GENESIS, GWEI, Chain, block, profile, transaction
from tests.support.worlds.events import swap_log
from tests.support.worlds.pools import RandomPools, address, rng_of, token

BASE_FEE = 30 * GWEI
USD, NATIVE, OTHER = token(0), token(1), token(2)
SENDER = address(0x5E, 1)
VALUES = {USD: 1e-6, NATIVE: 0.5e-18, OTHER: 2_000e-18}
PAIRS = ((USD, NATIVE), (USD, OTHER), (NATIVE, OTHER))
TOKENS = (
    Token(1, USD, "USD", 6),
    Token(1, NATIVE, "NATIVE", 18),
    Token(1, OTHER, "OTHER", 18),
)


class RandomChain(Chain):
    """Mutable. `mine` makes the next block, of any branch, from the states of its parent."""

    def __init__(self, *seed: object, noise: float = 0.003, ordering: str = "fee") -> None:
        self.rng = rng_of("chain", *seed)
        world = RandomPools(VALUES, self.rng)
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
        known = profile(
            "random",
            TOKENS,
            native=NATIVE,
            numeraire=USD,
            starts=(USD, NATIVE),
            references=references,
            ordering=ordering,
        )
        super().__init__(Keyframe(1, block(100, "0x0100", "0x0099"), known, TOKENS, tuple(pools)))
        self._states = {self.tip.hash: {pool.key: pool for pool in pools}}

    def mine(
        self, *, parent: Block | None = None, base_fee: int = BASE_FEE, busy: int = 6
    ) -> BlockUpdate:
        """A block of up to `busy` transactions on top of `parent`, by default the latest block."""
        above = parent or self.tip
        name = f"0x{above.number + 1:08x}{self.seq + 1:08x}"
        pools = dict(self._states[above.hash])
        logs: list[Log] = []
        transactions: list[Transaction] = []
        for index in range(int(self.rng.integers(0, busy + 1))):
            kind = self.rng.choice(["trade", "arbitrage", "both", "failed", "system"])
            made = self._logs(pools, str(kind), index, len(logs))
            logs += made
            price = base_fee + int(self.rng.integers(0, 8)) * 10 * GWEI
            transactions.append(
                transaction(
                    index,
                    hash=f"{name}{index:04x}",
                    sender=SENDER,
                    effective_gas_price=0 if kind == "system" else price,
                    gas_used=150_000,
                    succeeded=bool(made),
                )
            )
        update = self.add(
            name,
            logs,
            transactions,
            parent=above,
            base_fee_per_gas=base_fee,
            seen_at=GENESIS + above.number + 1.5,
        )
        self._states[update.block.hash] = pools
        return update

    def forget(self, block: Block) -> None:
        """Nothing will be mined on top of it any more."""
        del self._states[block.hash]

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
            log = swap_log(token_in, amount, result.amount_out, result.pool)
            logs.append(
                structs.replace(log, transaction_index=index, log_index=first_log + len(logs))
            )
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


def picked(rng: np.random.Generator, values: Sequence[int]) -> int:
    return int(rng.choice(np.array(values, dtype=object)))
