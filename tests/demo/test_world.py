"""The world as its contracts describe it."""

from __future__ import annotations

from typing import Any

import pytest

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.chain.bootstrap.sync import PoolRequest, bootstrap
from dexarb.chain.rpc import Rpc
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.demo.artifacts import AGGREGATE3, contract
from dexarb.demo.deploy import deploy
from dexarb.demo.world import V2_FEE_PIPS, World, standard_plan
from dexarb.errors import RpcError
from tests.demo.story import fresh_chain, read, run, v2_pools, v3_pools


class Facts:
    """What the chain says right after deployment."""

    world: World
    symbols: dict[str, str]
    decimals: dict[str, int]
    names: dict[str, str]
    pools: dict[PoolKey, Any]
    aggregated: Any
    balances: dict[tuple[Address, str], int]
    block_hash: str


async def _facts() -> Facts:
    async with fresh_chain() as rpc:
        facts = Facts()
        facts.world, miner = await deploy(rpc)
        facts.block_hash = miner.head.hash
        await _read_tokens(rpc, facts)
        loaded = await bootstrap(
            rpc,
            [
                PoolRequest(
                    pool.dex,
                    pool.kind,
                    facts.world.factories[pool.dex],
                    pool.token0.address,
                    pool.token1.address,
                    (pool.fee_pips,),
                )
                for pool in facts.world.all_pools
            ],
            chain_id=137,
        )
        assert not loaded.missing
        facts.pools = {pool.key: pool for pool in loaded.pools}
        usdc = facts.world.tokens["USDC"].address
        call = (usdc, True, contract("ERC20PresetFixedSupply")["decimals"].call())
        broken = (usdc, True, b"\x01\x02\x03\x04")
        ((facts.aggregated,),) = await read(
            rpc, [(facts.world.multicall, AGGREGATE3, ([call, broken],))]
        )
        return facts


async def _read_tokens(rpc: Rpc, facts: Facts) -> None:
    erc20 = contract("ERC20PresetFixedSupply")
    tokens = facts.world.tokens

    async def all_tokens(function: str) -> dict[str, Any]:
        calls = [(token.address, erc20[function], ()) for token in tokens.values()]
        return {name: value for name, (value,) in zip(tokens, await read(rpc, calls), strict=True)}

    facts.symbols = await all_tokens("symbol")
    facts.decimals = await all_tokens("decimals")
    facts.names = await all_tokens("name")
    owners = [(trader, name) for trader in facts.world.accounts.traders for name in tokens]
    calls = [(tokens[name].address, erc20["balanceOf"], (owner,)) for owner, name in owners]
    answers = await read(rpc, calls)
    facts.balances = {owner: balance for owner, (balance,) in zip(owners, answers, strict=True)}


@pytest.fixture(scope="module")
def facts() -> Facts:
    return run(_facts())


def test_tokens_say_what_they_are(facts: Facts) -> None:
    assert facts.decimals == {"WMATIC": 18, "WETH": 18, "USDC": 6, "WBTC": 8, "LINK": 18}
    assert facts.symbols == {name: name for name in facts.world.tokens}
    assert facts.names["WMATIC"] == "Wrapped Matic"
    assert {name: token.decimals for name, token in facts.world.tokens.items()} == facts.decimals


def test_everyone_has_tokens(facts: Facts) -> None:
    for (_, name), balance in facts.balances.items():
        price = next(plan.price_usd for plan in facts.world.plan.tokens if plan.symbol == name)
        assert balance > 1_000_000 / price * 10 ** facts.decimals[name]


def test_three_dexes_have_the_pools(facts: Facts) -> None:
    dexes = {(pool.dex, pool.kind) for pool in facts.world.pools}
    assert dexes == {
        ("QuickSwap", "uniswap_v2"),
        ("SushiSwap", "uniswap_v2"),
        ("UniswapV3", "uniswap_v3"),
    }
    tiers = {pool.fee_pips for pool in facts.world.pools if pool.dex == "UniswapV3"}
    assert tiers == {500, 3000}
    for pair in (("WETH", "USDC"), ("WMATIC", "USDC"), ("WBTC", "USDC")):
        on = {p.dex for p in facts.world.pools if (p.plan.base, p.plan.quote) == pair}
        assert on == {"QuickSwap", "SushiSwap", "UniswapV3"}


def test_pools_stand_at_the_fair_price(facts: Facts) -> None:
    prices = {plan.symbol: plan.price_usd for plan in facts.world.plan.tokens}
    for deployed in facts.world.all_pools:
        pool = facts.pools[deployed.key]
        sold, bought = deployed.token0, deployed.token1
        rate = next(pool.segments(sold.address)).rate / (1 - deployed.fee_pips / 1e6)
        price = rate * 10.0 ** (sold.decimals - bought.decimals)
        assert price == pytest.approx(prices[sold.symbol] / prices[bought.symbol], rel=1e-6)


def test_pools_are_deep_and_shallow(facts: Facts) -> None:
    """What a sale of 1,000 USD costs beyond the fee, in basis points: from below 1 to above 10."""
    prices = {plan.symbol: plan.price_usd for plan in facts.world.plan.tokens}
    impacts = []
    for deployed in facts.world.pools:
        sold = deployed.token0
        amount = int(1_000 / prices[sold.symbol] * 10**sold.decimals)
        pool = facts.pools[deployed.key]
        first = next(pool.segments(sold.address)).rate
        out = pool.swap(sold.address, amount).amount_out
        impacts.append((1 - out / amount / first) * 1e4)
    assert min(impacts) < 3
    assert max(impacts) > 10


def test_v3_pools_have_dozens_of_ticks(facts: Facts) -> None:
    assert v3_pools(facts.world)
    for address in v3_pools(facts.world):
        pool = facts.pools[PoolKey(address)]
        assert isinstance(pool, UniswapV3Pool)
        assert len(pool.ticks) >= 24


def test_both_token_orders_occur(facts: Facts) -> None:
    assert len({pool.token0.symbol == pool.plan.base for pool in facts.world.pools}) == 2


def test_v2_pools_have_the_usual_fee(facts: Facts) -> None:
    for address in v2_pools(facts.world):
        pool = facts.pools[PoolKey(address)]
        assert isinstance(pool, UniswapV2Pool)
        assert pool.fee_pips == V2_FEE_PIPS


def test_multicall_answers_at_its_address(facts: Facts) -> None:
    assert facts.world.multicall == "0xca11bde05977b3631167028862be2a173976ca11"
    (worked, data), (failed, _) = facts.aggregated
    assert worked
    assert int.from_bytes(data, "big") == 6
    assert not failed


def test_profile(facts: Facts) -> None:
    profile = facts.world.profile()
    tokens = facts.world.tokens
    assert profile.chain_id == 137
    assert profile.ordering == "fee"
    assert profile.numeraire == tokens["USDC"].address
    assert profile.wrapped_native == tokens["WMATIC"].address
    assert set(profile.tokens) == set(tokens) - {"LINK"}, "no collected pool has it"
    priced = {tokens[name].address for name in ("WETH", "WMATIC", "WBTC")}
    assert set(profile.reference_pools) == priced
    for token, references in profile.reference_pools.items():
        assert len(references) >= 2
        for reference in references:
            pool = facts.pools[reference.pool]
            assert set(pool.tokens) == {token, reference.quote}
            segment = next(pool.segments(token))
            assert segment.rate / segment.depth > reference.min_depth, "deep enough to be used"


def test_deployment_is_the_same_every_time(facts: Facts) -> None:
    async def again() -> str:
        async with fresh_chain() as rpc:
            _, miner = await deploy(rpc)
            return miner.head.hash

    assert run(again()) == facts.block_hash


def test_larger_worlds() -> None:
    async def symbols() -> tuple[int, list[str]]:
        async with fresh_chain() as rpc:
            world, _ = await deploy(rpc, standard_plan(extra_tokens=3))
            ask = contract("ERC20PresetFixedSupply")["symbol"]
            calls = [(token.address, ask, ()) for token in world.tokens.values()]
            return len(world.pools), [symbol for (symbol,) in await read(rpc, calls)]

    pools, found = run(symbols())
    assert pools == 14 + 9
    assert found[-3:] == ["T001", "T002", "T003"]


def test_a_failed_deployment_is_told() -> None:
    async def twice() -> None:
        async with fresh_chain() as rpc:
            await deploy(rpc)
            await deploy(rpc)

    with pytest.raises(RpcError, match="nonce"):
        run(twice())
