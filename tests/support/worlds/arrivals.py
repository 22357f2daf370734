"""A small chain of real pools whose blocks depend on nothing but a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from msgspec import structs

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.block import Block, BlockUpdate, Log
from dexarb.core.market import Keyframe, Market, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.token import Address, Token
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from tests.support.worlds.blocks import GENESIS, block, profile, ref_of, transaction
from tests.support.worlds.events import position_log, state_log
from tests.support.worlds.pools import v2_pool, v3_pool

CHAIN_ID = 137
START_BLOCK = 5_000
WETH, USDC, WBTC = (Address("0x" + byte * 20) for byte in ("01", "02", "03"))
TOKENS = (
    Token(CHAIN_ID, WETH, "WETH", 18),
    Token(CHAIN_ID, USDC, "USDC", 6),
    Token(CHAIN_ID, WBTC, "WBTC", 8),
)
V2_ONE, V2_TWO, V3 = (PoolKey("0x" + byte * 20) for byte in ("a1", "a2", "a3"))
PROFILE = profile(
    "testnet",
    TOKENS,
    native=WETH,
    numeraire=USDC,
    starts=(USDC, WETH),
    references={WETH: (ReferencePool(V2_ONE, USDC, 10**24),)},
)


def first_keyframe() -> Keyframe:
    return Keyframe(0, _block(START_BLOCK, "0x" + "00" * 32, "genesis"), PROFILE, TOKENS, pools())


def pools() -> tuple[Pool, ...]:
    wide = (-100_000, 100_000, 10**20)
    return (
        v2_pool(V2_ONE, (WETH, USDC), 10**21, 2 * 10**12, dex="A"),
        v2_pool(V2_TWO, (USDC, WBTC), 10**12, 10**9, dex="B"),
        v3_pool(V3, (WETH, USDC), 1 << 96, 0, [wide], fee=500, dex="C"),
    )


def updates(seed: int = 1, *, logs: int = 3, reorgs: bool = True) -> Iterator[BlockUpdate]:
    """Blocks after `first_keyframe` in order of arrival, dead branches included, without end."""
    random_ = random.Random(seed)
    market = Market(first_keyframe())
    branch = [market.block]
    for count in range(1_000_000_000):
        if reorgs and random_.random() < 0.08:
            depth = min(random_.randint(1, 6), len(branch) - 1)
            branch = branch[: len(branch) - depth]
            market.rewind(branch[-1].hash)
        update = _update(market, random_, f"{seed}:{count}", random_.randint(0, 2 * logs))
        market.apply(update)
        branch = [*branch[-10:], update.block]
        yield update


def first_updates(count: int, seed: int = 1, *, logs: int = 3) -> list[BlockUpdate]:
    return list(islice(updates(seed, logs=logs), count))


def with_changes(
    count: int, seed: int = 1, *, corrections: bool = False
) -> list[BlockUpdate | PoolsChanged]:
    """`count` blocks as from `first_updates`, and between them pools that leave and come back.

    corrections: some were in a wrong state before, of which nobody knows until it is put right.
    """
    random_ = random.Random(f"changes {seed}")
    chain, ours = Market(first_keyframe()), Market(first_keyframe())
    made: list[BlockUpdate | PoolsChanged] = []
    for update in first_updates(count, seed):
        for market in (chain, ours):
            market.rewind(update.block.parent_hash)
        chain.apply(update)
        logs = tuple(log for log in update.logs if ours.key_of(log) is not None)
        made.append(replace(update, logs=logs))
        ours.apply(made[-1])  # type: ignore[arg-type]
        if random_.random() < 0.3:
            there = sorted(ours.pools)
            left = tuple(random_.sample(there, random_.randint(0, max(0, len(there) - 1))))
            absent = sorted(chain.pools.keys() - (ours.pools.keys() - left * corrections))
            joined = tuple(chain.pools[address] for address in absent if random_.random() < 0.5)
            entry = PoolsChanged(0, ref_of(ours), (), joined, left)
            ours.change(entry)
            made.append(entry)
    return made


def with_traffic(updates: Sequence[BlockUpdate]) -> list[BlockUpdate]:
    """The same with all that schema 4 brought."""
    made = []
    for number, update in enumerate(updates):
        traffic = Traffic(
            (SwapCount(Address(V2_ONE), "uniswap_v2", 2), SwapCount(WBTC, "curve", number + 1)),
            (Flow(1, (0, 1), number % 2 == 0, (), (Change(USDC, str((-3) ** number)),)),),
        )
        made.append(
            replace(
                update,
                transactions=tuple(
                    structs.replace(each, type=each.index % 5) for each in update.transactions
                ),
                producer=None if number % 5 == 0 else WETH,
                traffic=traffic if update.has_receipts else None,
            )
        )
    return made


def fork_behind(number: int, count: int) -> list[BlockUpdate]:
    """`count` blocks in a row, of which the one that is `number` above the start came twice: it was
    replaced as soon as it had come."""
    random_ = random.Random(number)
    market = Market(first_keyframe())
    made: list[BlockUpdate] = []
    for above in range(1, count + 1):
        parent = market.block.hash
        made.append(_update(market, random_, f"main:{above}", 3))
        market.apply(made[-1])
        if above == number:
            market.rewind(parent)
            made.append(_update(market, random_, "fork", 3))
            market.apply(made[-1])
    return made


def market_after(applied: Sequence[BlockUpdate | PoolsChanged]) -> Market:
    """The market that these lead to from `first_keyframe`."""
    market = Market(first_keyframe())
    for entry in applied:
        if isinstance(entry, PoolsChanged):
            market.change(entry)
        else:
            market.rewind(entry.block.parent_hash)
            market.apply(entry)
    return market


def _update(market: Market, random_: random.Random, name: str, logs: int) -> BlockUpdate:
    own = _block(market.block.number + 1, market.block.hash, name)
    pools = dict(market.pools)
    entries = []
    for index in range(logs):
        pool = random_.choice(list(pools.values()))
        # Hashes have no order, so neither transactions nor logs are numbered without holes.
        event = _event(pool, random_)
        log = structs.replace(event, transaction_index=2 * index, log_index=5 * index + 1)
        pools[pool.key] = pool.apply(log)
        entries.append(log)
    transactions = tuple(
        transaction(
            index,
            hash=_hash(f"{name}:{index}"),
            to=None if random_.random() < 0.2 else Address(V2_ONE),
            effective_gas_price=random_.randint(30 * 10**9, 40 * 10**9),
            gas_used=random_.randint(21_000, 500_000),
            succeeded=random_.random() < 0.9,
        )
        for index in range(2 * logs + 1)
    )
    has_receipts = random_.random() < 0.9
    return BlockUpdate(
        0,
        own,
        tuple(entries),
        transactions if has_receipts else (),
        has_receipts,
        witnesses=(None, 0, 1, 2)[own.number % 4],
        backfilled=own.seen_at is None,
    )


def _event(pool: Pool, random_: random.Random) -> Log:
    if isinstance(pool, UniswapV2Pool):
        amount = random_.randint(pool.reserve0 // 1000, pool.reserve0 // 100)
        return state_log(pool.swap(pool.token0, amount).pool)
    assert isinstance(pool, UniswapV3Pool)
    if random_.random() < 0.3:
        lower = pool.tick // 10 * 10 - 10 * random_.randint(1, 50)
        return position_log(pool, lower, lower + 1000, random_.randint(1, 10**18))
    token_in = random_.choice(pool.tokens)
    return state_log(pool.swap(token_in, random_.randint(10**15, 10**18)).pool, flow=(-1, 1))


def _block(number: int, parent_hash: str, name: str) -> Block:
    return block(
        number,
        _hash(name),
        parent_hash,
        timestamp=GENESIS + 2 * number,
        base_fee_per_gas=30 * 10**9 + number,
        gas_used=12_000_000,
        seen_at=None if number % 7 == 0 else GENESIS + 0.125 + 2 * number,
    )


def _hash(name: str) -> str:
    return "0x" + hashlib.sha256(name.encode()).hexdigest()
