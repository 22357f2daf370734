"""Pools find and load themselves from real contracts, and follow every kind of event."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import pytest

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.amm.tick_math import MAX_TICK, MIN_SQRT_RATIO
from dexarb.core.pool import Call, FoundPool, PoolKey, Replies
from dexarb.core.token import Address
from dexarb.errors import InsufficientLiquidity, InvalidPoolState
from tests.amm.evm_world import OWNER, V3_TIERS, Reverted, World

MINT_CALL = "mint(address,int24,int24,uint128,bytes)"
SWAP_CALL = "swap(address,bool,int256,uint160,bytes)"


@pytest.fixture
def world() -> World:
    return World()


def v3_reader(
    world: World, address: Address, fee_pips: int, token0: Address | None = None
) -> Generator[Sequence[Call], Replies, UniswapV3Pool]:
    return UniswapV3Pool.load(
        FoundPool(PoolKey(address), (token0 or world.token0, world.token1), fee_pips), dex="uniswap"
    )


def v2_reader(world: World, address: Address) -> Generator[Sequence[Call], Replies, UniswapV2Pool]:
    return UniswapV2Pool.load(
        FoundPool(PoolKey(address), (world.token0, world.token1), 3000), dex="quickswap"
    )


def test_finding_pools(world: World) -> None:
    """Either order of the tokens; what a factory does not have is not returned."""
    for pool_type, factory in (
        (UniswapV2Pool, world.v2_factory),
        (UniswapV3Pool, world.v3_factory),
    ):
        assert not world.answer(
            pool_type.find(
                factory=factory, token_a=world.token0, token_b=world.token1, fees_pips=[3000]
            )
        )
    pair, tokens = world.new_pair(), (world.token0, world.token1)
    pools = {fee: world.new_pool(fee) for fee in (500, 10000)}
    for token_a, token_b in ((world.token0, world.token1), (world.token1, world.token0)):
        assert world.answer(
            UniswapV2Pool.find(
                factory=world.v2_factory, token_a=token_a, token_b=token_b, fees_pips=[2500]
            )
        ) == (FoundPool(PoolKey(pair), tokens, 2500),)
        assert world.answer(
            UniswapV3Pool.find(
                factory=world.v3_factory,
                token_a=token_a,
                token_b=token_b,
                fees_pips=[100, 500, 3000, 10000, 12345],
            )
        ) == tuple(FoundPool(PoolKey(address), tokens, fee) for fee, address in pools.items())


def test_what_is_no_factory_is_told(world: World) -> None:
    for pool_type in (UniswapV2Pool, UniswapV3Pool):
        for address in (world.token0, OWNER):
            with pytest.raises(InvalidPoolState) as error:
                world.answer(
                    pool_type.find(
                        factory=address,
                        token_a=world.token0,
                        token_b=world.token1,
                        fees_pips=[3000],
                    )
                )
            assert error.value.pool == address


@pytest.mark.parametrize("fee_pips", V3_TIERS)
def test_loading_v3(world: World, fee_pips: int) -> None:
    """The whole range of words is read, both ends included; three rounds of calls do."""
    spacing = V3_TIERS[fee_pips]
    address = world.new_pool(fee_pips)
    empty = world.answer(v3_reader(world, address, fee_pips))
    assert (empty.sqrt_price_x96, empty.tick, empty.liquidity, dict(empty.ticks)) == (0, 0, 0, {})

    edge = MAX_TICK // spacing * spacing
    world.send(address, "initialize(uint160)", 1 << 96)
    (initialize,) = world.logs()
    followed = empty.apply(initialize)
    for lower, upper in ((-edge, edge), (-edge, -edge + spacing), (0, spacing), (-spacing, edge)):
        world.send_paying(address, MINT_CALL, world.teller, lower, upper, 10**6)
        for log in world.logs():
            followed = followed.apply(log)
    reader = v3_reader(world, address, fee_pips)
    rounds, replies = 0, None
    try:
        while True:
            calls = reader.send(replies)  # type: ignore[arg-type]
            rounds, replies = rounds + 1, [world.read(call) for call in calls]
    except StopIteration as done:
        loaded = done.value
    assert rounds == 3
    assert set(loaded.ticks) == {-edge, -edge + spacing, -spacing, 0, spacing, edge}
    assert loaded.liquidity == 3 * 10**6
    assert loaded == followed
    assert loaded.tick_spacing == spacing


def test_loading_v2(world: World) -> None:
    address = world.new_pair()
    world.pay(world.token0, address, 5000)
    world.pay(world.token1, address, 7000)
    world.send(address, "mint(address)", world.teller)
    pool = world.answer(v2_reader(world, address))
    assert (pool.reserve0, pool.reserve1, pool.dex) == (5000, 7000, "quickswap")


def test_what_is_another_contract_is_told(world: World) -> None:
    pair, pool = world.new_pair(), world.new_pool(3000)
    for reader in (
        v2_reader(world, pool),
        v2_reader(world, world.token0),
        v2_reader(world, OWNER),
        v3_reader(world, pair, 3000),
        v3_reader(world, OWNER, 3000),
        v3_reader(world, pool, 500),
        v3_reader(world, pool, 3000, token0=world.token1),
    ):
        with pytest.raises(InvalidPoolState):
            world.answer(reader)


def test_every_event_of_a_pool(world: World) -> None:
    """Fees, flash loans and oracle slots come with events, too, and change nothing of ours."""
    address = world.new_pool(3000)
    pool = world.answer(v3_reader(world, address, 3000))
    steps: list[Callable[[], bytes]] = [
        lambda: world.send(address, "initialize(uint160)", 3 << 95),
        lambda: world.send_paying(address, MINT_CALL, world.teller, -60000, 60000, 10**20),
        lambda: world.send_paying(address, SWAP_CALL, world.teller, 1, 10**18, MIN_SQRT_RATIO + 1),
        lambda: world.send(address, "setFeeProtocol(uint8,uint8)", 4, 10, sender=OWNER),
        lambda: world.send_paying(address, SWAP_CALL, world.teller, 1, 10**18, MIN_SQRT_RATIO + 1),
        lambda: world.send(address, "burn(int24,int24,uint128)", -60000, 60000, 0),
        lambda: world.send(
            address,
            "collect(address,int24,int24,uint128,uint128)",
            *(world.teller, -60000, 60000, 10**30, 10**30),
        ),
        lambda: world.send(
            address,
            "collectProtocol(address,uint128,uint128)",
            *(world.teller, 10**30, 10**30),
            sender=OWNER,
        ),
        lambda: world.send_paying(
            address, "flash(address,uint256,uint256,bytes)", address, 10**6, 10**7
        ),
        lambda: world.send(address, "increaseObservationCardinalityNext(uint16)", 7),
        lambda: world.send(address, "burn(int24,int24,uint128)", -60000, 60000, 10**19),
    ]
    topics = set()
    for step in steps:
        step()
        for log in world.logs():
            pool = pool.apply(log)
            topics |= {log.topics[0]} if log.address == address else set()
        assert pool == world.answer(v3_reader(world, address, 3000))
    assert topics > UniswapV3Pool.topics


def test_a_swap_before_initialisation_reverts(world: World) -> None:
    address = world.new_pool(3000)
    with pytest.raises(Reverted):
        world.send_paying(address, SWAP_CALL, world.teller, 1, 1, MIN_SQRT_RATIO + 1)
    pool = world.answer(v3_reader(world, address, 3000))
    with pytest.raises(InsufficientLiquidity):
        pool.swap(world.token0, 1)
