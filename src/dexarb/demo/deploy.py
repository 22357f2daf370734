"""Builds the world on an empty node: the contracts, the pools, the liquidity, the allowances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from dexarb.chain.rpc import Rpc
from dexarb.core.token import Address, Token, to_address
from dexarb.core.units import MICRO_USD
from dexarb.demo.anvil import CHAIN_ID, GAS_LIMIT
from dexarb.demo.artifacts import AGGREGATE3, MULTICALL3, contract, multicall3_code
from dexarb.demo.claims import distributor_creation
from dexarb.demo.mining import Mined, Miner, TransactionRequest, head_of
from dexarb.demo.world import (
    NO_DEADLINE,
    UNISWAP_V3,
    V2,
    V2_DEXES,
    V3,
    V3_TIERS,
    WRAPPED_NATIVE,
    Accounts,
    DeployedPool,
    Plan,
    TokenPlan,
    World,
    standard_plan,
)
from dexarb.errors import RpcError, TransportError

MAX_UINT256 = 2**256 - 1

SUPPLY_USD = 10_000_000_000
TRADER_USD = 20_000_000
"""What every trader gets of every token."""

ZERO = "0x" + "00" * 20

POSITIONS = (
    # Ticks below and above the price, and the share of the pool's money in percent. The narrow
    # ones make the pool deep at the price, the wide ones keep it alive after long walks, and the
    # one-sided ones are what remains of earlier prices.
    (-100, 100, 4),
    (-200, 200, 6),
    (-400, 300, 8),
    (-300, 500, 8),
    (-1_000, 1_000, 14),
    (-2_000, 1_500, 10),
    (-1_500, 2_500, 10),
    (-5_000, 5_000, 12),
    (-12_000, 12_000, 8),
    (-887_272, 887_272, 8),
    (70, 190, 2),
    (-190, -70, 2),
    (600, 1_200, 4),
    (-1_200, -600, 4),
)

_GAS_CONTRACT = 6_500_000
_GAS_V2_PAIR = 3_000_000
_GAS_V3_POOL = 5_500_000
_GAS_LIQUIDITY = 700_000
_GAS_SMALL = 80_000


async def deploy(rpc: Rpc, plan: Plan | None = None) -> tuple[World, Miner]:
    """Build the world on a fresh node and return it with the miner that knows all nonces.

    Takes about two seconds and a dozen blocks, one second apart in the chain's time. Raises
    MissingTool, RpcError, TransportError.
    """
    plan = plan or standard_plan()
    accounts = Accounts.cast(map(to_address, await rpc.call("eth_accounts")))
    return await _Deployment(rpc, plan, accounts, Miner(rpc, await head_of(rpc))).run()


class _Deployment:
    def __init__(self, rpc: Rpc, plan: Plan, accounts: Accounts, miner: Miner) -> None:
        self.rpc, self.plan, self.accounts, self.miner = rpc, plan, accounts, miner
        self.prices = {token.symbol: token.price_usd for token in plan.tokens}
        self.tokens: dict[str, Token] = {}
        self.factories: dict[str, Address] = {}
        self.routers: dict[str, Address] = {}

    async def run(self) -> tuple[World, Miner]:
        await self._multicall()
        await self._tokens_and_factories()
        quoter, position_manager, tick_lens, distributor = await self._periphery()
        await self._create_pools()
        pools = await self._find_pools()
        await self._fund(position_manager, pools)
        await self._add_liquidity(position_manager, pools)
        collected = tuple(pool for pool in pools if pool.plan.collected)
        self.miner.collected = frozenset(pool.address for pool in collected)
        self.miner.pools = frozenset(pool.address for pool in pools)
        world = World(
            chain_id=CHAIN_ID,
            plan=self.plan,
            tokens=self.tokens,
            factories=self.factories,
            routers=self.routers,
            quoter=quoter,
            position_manager=position_manager,
            tick_lens=tick_lens,
            multicall=MULTICALL3,
            distributor=distributor,
            pools=collected,
            uncollected=tuple(pool for pool in pools if not pool.plan.collected),
            accounts=self.accounts,
        )
        return world, self.miner

    async def _multicall(self) -> None:
        """Multicall3 stands at its address on every chain, so it is put there, not deployed."""
        if await self.rpc.call("eth_getCode", MULTICALL3, "latest") == "0x":
            await self.rpc.call("anvil_setCode", MULTICALL3, "0x" + multicall3_code().hex())

    async def _tokens_and_factories(self) -> None:
        deployer = self.accounts.deployer
        native = [token for token in self.plan.tokens if token.symbol == WRAPPED_NATIVE]
        others = [token for token in self.plan.tokens if token.symbol != WRAPPED_NATIVE]
        mined = await self._mine(
            [self._create("WETH9") for _ in native]
            + [
                self._create(
                    "ERC20PresetFixedSupply",
                    token.name,
                    token.symbol,
                    self._amount(token, SUPPLY_USD),
                    deployer,
                )
                for token in others
            ]
            + [self._create("UniswapV2Factory", deployer) for _ in V2_DEXES]
            + [self._create("UniswapV3Factory")]
        )
        created = iter(_created(mined))
        for plan in (*native, *others):
            address = next(created)
            self.tokens[plan.symbol] = Token(CHAIN_ID, address, plan.symbol, plan.decimals)
            await self._describe(plan, address)
        for dex in (*V2_DEXES, UNISWAP_V3):
            self.factories[dex] = next(created)

    async def _describe(self, plan: TokenPlan, address: Address) -> None:
        """Write what the published bytecode does not let a constructor set.

        The ERC-20 preset always has 18 decimals (storage slot 5). WETH9, which every chain uses
        for its own coin, is always called WETH (slots 0 name, 1 symbol).
        """
        if plan.symbol == WRAPPED_NATIVE:
            slots = {0: _short_string(plan.name), 1: _short_string(plan.symbol)}
        else:
            slots = {5: plan.decimals.to_bytes(32, "big")}
        for slot, word in slots.items():
            await self.rpc.call("anvil_setStorageAt", address, f"0x{slot:064x}", "0x" + word.hex())

    async def _periphery(self) -> tuple[Address, Address, Address, Address]:
        native = self.tokens[WRAPPED_NATIVE].address
        v3 = self.factories[UNISWAP_V3]
        mined = await self._mine(
            [
                *(
                    self._create("UniswapV2Router02", self.factories[dex], native)
                    for dex in V2_DEXES
                ),
                self._create("SwapRouter", v3, native),
                self._create("QuoterV2", v3, native),
                # The third argument draws the pictures of position tokens, which nobody looks at.
                self._create("NonfungiblePositionManager", v3, native, ZERO),
                self._create("TickLens"),
                self._request(None, distributor_creation(), _GAS_CONTRACT),
            ]
        )
        created = iter(_created(mined))
        for dex in (*V2_DEXES, UNISWAP_V3):
            self.routers[dex] = next(created)
        return next(created), next(created), next(created), next(created)

    async def _create_pools(self) -> None:
        requests = []
        for pool in self.plan.pools:
            pair = (self.tokens[pool.base].address, self.tokens[pool.quote].address)
            factory = self.factories[pool.dex]
            if pool.dex == UNISWAP_V3:
                data = contract("UniswapV3Factory")["createPool"].call(*pair, pool.fee_pips)
                requests.append(self._request(factory, data, _GAS_V3_POOL))
            else:
                data = contract("UniswapV2Factory")["createPair"].call(*pair)
                requests.append(self._request(factory, data, _GAS_V2_PAIR))
        await self._mine(requests)

    async def _find_pools(self) -> tuple[DeployedPool, ...]:
        calls = []
        for pool in self.plan.pools:
            pair = (self.tokens[pool.base].address, self.tokens[pool.quote].address)
            if pool.dex == UNISWAP_V3:
                data = contract("UniswapV3Factory")["getPool"].call(*pair, pool.fee_pips)
            else:
                data = contract("UniswapV2Factory")["getPair"].call(*pair)
            request = {"to": self.factories[pool.dex], "data": "0x" + data.hex()}
            calls.append(("eth_call", [request, "latest"]))
        found = []
        for pool, reply in zip(self.plan.pools, await self.rpc.batch(calls), strict=True):
            if isinstance(reply, RpcError):
                raise reply
            pair_tokens = (self.tokens[pool.base], self.tokens[pool.quote])
            token0, token1 = sorted(pair_tokens, key=lambda token: token.address)
            kind = V3 if pool.dex == UNISWAP_V3 else V2
            address = to_address("0x" + reply[-40:])
            found.append(DeployedPool(kind, pool.dex, address, token0, token1, pool.fee_pips, pool))
        return tuple(found)

    async def _fund(self, position_manager: Address, pools: Sequence[DeployedPool]) -> None:
        """Tokens and allowances for everyone, and the price of every V3 pool."""
        erc20, wrapped = contract("ERC20PresetFixedSupply"), contract("WETH9")
        accounts = self.accounts
        everyone = (accounts.deployer, *accounts.traders)
        requests = []
        for plan in self.plan.tokens:
            token = self.tokens[plan.symbol].address
            amount = self._amount(plan, TRADER_USD)
            for owner in everyone:
                if plan.symbol == WRAPPED_NATIVE:
                    share = amount * (10 if owner == accounts.deployer else 1)
                    requests.append(
                        self._request(
                            token, wrapped["deposit"].call(), _GAS_SMALL, owner, value=share
                        )
                    )
                elif owner != accounts.deployer:
                    data = erc20["transfer"].call(owner, amount)
                    requests.append(self._request(token, data, _GAS_SMALL))
                spenders = list(self.routers.values())
                if owner in accounts.providers:
                    spenders.append(position_manager)
                if owner in accounts.arbitrageurs:
                    # On a public chain this would give the tokens to everybody. Here it makes
                    # Multicall3 an executor whose transactions are atomic.
                    spenders.append(MULTICALL3)
                requests += [self._approval(token, spender, owner) for spender in spenders]
        allowances = [
            (token.address, False, erc20["approve"].call(self.routers[UNISWAP_V3], MAX_UINT256))
            for token in self.tokens.values()
        ]
        requests.append(
            self._request(
                MULTICALL3, AGGREGATE3.call(allowances), _GAS_SMALL * (1 + len(allowances))
            )
        )
        for pool in pools:
            if pool.kind == V3:
                data = contract("UniswapV3Pool")["initialize"].call(self._sqrt_price_x96(pool))
                requests.append(self._request(pool.address, data, 2 * _GAS_SMALL))
            else:
                requests += [
                    self._approval(pool.address, self.routers[pool.dex], provider)
                    for provider in accounts.providers
                ]
        await self._mine(requests)

    async def _add_liquidity(
        self, position_manager: Address, pools: Sequence[DeployedPool]
    ) -> None:
        requests: list[TransactionRequest] = []
        providers = self.accounts.providers
        for number, pool in enumerate(pools):
            if pool.kind == V3:
                for place, (below, above, percent) in enumerate(POSITIONS):
                    provider = providers[(number + place) % len(providers)]
                    data = self._position(pool, provider, below, above, percent)
                    requests.append(self._request(position_manager, data, _GAS_LIQUIDITY, provider))
            else:
                amounts = self._sides(pool, pool.plan.usd)
                data = contract("UniswapV2Router02")["addLiquidity"].call(
                    pool.token0.address,
                    pool.token1.address,
                    *amounts,
                    *(0, 0),
                    providers[number % len(providers)],
                    NO_DEADLINE,
                )
                requests.append(self._request(self.routers[pool.dex], data, _GAS_LIQUIDITY))
        await self._mine(requests)

    def _position(
        self, pool: DeployedPool, provider: Address, below: int, above: int, percent: int
    ) -> bytes:
        spacing = V3_TIERS[pool.fee_pips]
        price = (self._sqrt_price_x96(pool) / 2**96) ** 2
        centre = round(math.log(price, 1.0001))
        last = 887_272 // spacing * spacing
        lower = max(-last, _multiple(centre + below, spacing))
        upper = min(last, _multiple(centre + above, spacing))
        return contract("NonfungiblePositionManager")["mint"].call(
            (
                pool.token0.address,
                pool.token1.address,
                pool.fee_pips,
                lower,
                upper,
                *self._sides(pool, pool.plan.usd * percent / 100),
                *(0, 0),
                provider,
                NO_DEADLINE,
            )
        )

    def _sides(self, pool: DeployedPool, usd: float) -> tuple[int, int]:
        """This much money as amounts of both tokens, half each."""
        half = usd / 2
        amount0, amount1 = (
            round(half / self.prices[token.symbol] * 10**token.decimals)
            for token in (pool.token0, pool.token1)
        )
        return amount0, amount1

    def _sqrt_price_x96(self, pool: DeployedPool) -> int:
        """The fair price, rounded down, from prices in micro-USD so that it is exact."""
        micro0, micro1 = (
            round(self.prices[token.symbol] * MICRO_USD) for token in (pool.token0, pool.token1)
        )
        numerator = micro0 * 10**pool.token1.decimals << 192
        return math.isqrt(numerator // (micro1 * 10**pool.token0.decimals))

    def _amount(self, plan: TokenPlan, usd: float) -> int:
        return round(usd / plan.price_usd) * int(10**plan.decimals)

    def _create(self, name: str, *arguments: Any) -> TransactionRequest:
        data = contract(name).creation(*arguments)
        return self._request(None, data, _GAS_CONTRACT)

    def _approval(self, token: Address, spender: Address, owner: Address) -> TransactionRequest:
        data = contract("ERC20PresetFixedSupply")["approve"].call(spender, MAX_UINT256)
        return self._request(token, data, _GAS_SMALL, owner)

    def _request(
        self,
        to: Address | None,
        data: bytes,
        gas: int,
        sender: Address | None = None,
        value: int = 0,
    ) -> TransactionRequest:
        return TransactionRequest(
            purpose="deployment",
            sender=sender or self.accounts.deployer,
            to=to,
            data=data,
            gas=gas,
            priority_fee=0,
            value=value,
        )

    async def _mine(self, requests: Iterable[TransactionRequest]) -> list[Mined]:
        """As few blocks as the gas limit allows. Raises RpcError if a transaction failed."""
        blocks: list[list[TransactionRequest]] = [[]]
        gas = 0
        for request in requests:
            if gas + request.gas > GAS_LIMIT:
                blocks.append([])
                gas = 0
            blocks[-1].append(request)
            gas += request.gas
        mined = [await self.miner.mine(block) for block in blocks]
        for block in mined:
            for transaction in block.update.transactions:
                if not transaction.succeeded:
                    reason = f"deployment transaction {transaction.hash} reverted"
                    raise TransportError("anvil", reason)
        return mined


def _created(mined: Iterable[Mined]) -> list[Address]:
    return [address for block in mined for address in block.created()]


def _multiple(tick: int, spacing: int) -> int:
    return round(tick / spacing) * spacing


def _short_string(text: str) -> bytes:
    """A string of at most 31 bytes as Solidity stores it: its bytes, and twice its length last."""
    raw = text.encode()
    return raw.ljust(31, b"\0") + bytes([2 * len(raw)])
