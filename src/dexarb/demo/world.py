"""What stands on the embedded chain: tokens, DEXes, pools and the people who use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from dexarb.core.pool import PoolKey
from dexarb.core.profile import ChainProfile, ReferencePool
from dexarb.core.token import Address, Token

V2_FEE_PIPS = 3000
V3_TIERS = {500: 10, 3000: 60}
"""Fee in pips to tick spacing; both are enabled in the factory's constructor."""

V2 = "uniswap_v2"
V3 = "uniswap_v3"
QUICKSWAP = "QuickSwap"
SUSHISWAP = "SushiSwap"
UNISWAP_V3 = "UniswapV3"
DFYN = "Dfyn"
"""A fork of Uniswap V2 that the collector's file does not name."""
V2_DEXES = (QUICKSWAP, SUSHISWAP, DFYN)

NUMERAIRE = "USDC"
WRAPPED_NATIVE = "WMATIC"
START_TOKENS = ("USDC", "WETH", "WMATIC")

NO_DEADLINE = 2**64
"""A time of the far future, so that no transaction depends on when the demo runs."""

REFERENCE_DEPTH_USD = 100_000
DEFAULT_PRIORITY_FEE = 30_000_000_000


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """A token to be deployed. price_usd: where its fair price starts."""

    symbol: str
    name: str
    decimals: int
    price_usd: float


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool to be deployed. usd: what is put into it, both sides together.

    reference: deep enough to value its base token by. collected: the collector's file names it.
    """

    dex: str
    base: str
    quote: str
    usd: float
    fee_pips: int = V2_FEE_PIPS
    reference: bool = False
    collected: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides what a world looks like."""

    tokens: tuple[TokenPlan, ...]
    pools: tuple[PoolPlan, ...]


_TOKENS = (
    TokenPlan("WMATIC", "Wrapped Matic", 18, 0.50),
    TokenPlan("WETH", "Wrapped Ether", 18, 2_500.0),
    TokenPlan("USDC", "USD Coin", 6, 1.0),
    TokenPlan("WBTC", "Wrapped BTC", 8, 60_000.0),
    TokenPlan("LINK", "ChainLink Token", 18, 15.0),
)

_POOLS = (
    PoolPlan(QUICKSWAP, "WETH", "USDC", 6_000_000, reference=True),
    PoolPlan(SUSHISWAP, "WETH", "USDC", 1_600_000),
    PoolPlan(UNISWAP_V3, "WETH", "USDC", 1_200_000, 500, reference=True),
    PoolPlan(UNISWAP_V3, "WETH", "USDC", 600_000, 3000),
    PoolPlan(QUICKSWAP, "WMATIC", "USDC", 4_000_000, reference=True),
    PoolPlan(SUSHISWAP, "WMATIC", "USDC", 1_200_000),
    PoolPlan(UNISWAP_V3, "WMATIC", "USDC", 800_000, 500, reference=True),
    PoolPlan(QUICKSWAP, "WBTC", "USDC", 2_000_000, reference=True),
    PoolPlan(SUSHISWAP, "WBTC", "USDC", 700_000),
    PoolPlan(UNISWAP_V3, "WBTC", "USDC", 500_000, 3000, reference=True),
    PoolPlan(QUICKSWAP, "WMATIC", "WETH", 3_000_000),
    PoolPlan(UNISWAP_V3, "WMATIC", "WETH", 500_000, 3000),
    PoolPlan(SUSHISWAP, "WBTC", "WETH", 1_000_000),
    PoolPlan(UNISWAP_V3, "WBTC", "WETH", 600_000, 500),
    PoolPlan(DFYN, "WETH", "USDC", 900_000, collected=False),
    PoolPlan(DFYN, "WMATIC", "USDC", 600_000, collected=False),
    PoolPlan(DFYN, "LINK", "USDC", 700_000, collected=False),
    PoolPlan(UNISWAP_V3, "LINK", "WETH", 500_000, 3000, collected=False),
)


def standard_plan(extra_tokens: int = 0) -> Plan:
    """Fourteen collected pools of four tokens, and four that are not, two of them of a fifth token;
    each extra token brings two V2 pools and one V3 pool, all collected."""
    tokens, pools = list(_TOKENS), list(_POOLS)
    for number in range(1, extra_tokens + 1):
        symbol = f"T{number:03}"
        tokens.append(TokenPlan(symbol, f"Token {number}", 18, 0.10 * number))
        pools += [
            PoolPlan(QUICKSWAP, symbol, "USDC", 1_000_000, reference=True),
            PoolPlan(SUSHISWAP, symbol, "WETH", 400_000),
            PoolPlan(UNISWAP_V3, symbol, "USDC", 300_000, 3000),
        ]
    return Plan(tuple(tokens), tuple(pools))


@dataclass(frozen=True, slots=True)
class DeployedPool:
    """A pool on the chain. kind is its key in `dexarb.amm.POOL_TYPES`; token0 < token1."""

    kind: str
    dex: str
    address: Address
    token0: Token
    token1: Token
    fee_pips: int
    plan: PoolPlan

    @property
    def key(self) -> PoolKey:
        return PoolKey(self.address)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who sends transactions; all of them are unlocked accounts of the node."""

    deployer: Address
    retail: tuple[Address, ...]
    informed: tuple[Address, ...]
    whales: tuple[Address, ...]
    providers: tuple[Address, ...]
    arbitrageurs: tuple[Address, ...]
    claimants: tuple[Address, ...]

    @classmethod
    def cast(cls, addresses: Iterable[Address]) -> Accounts:
        """The roles of the node's accounts, in their order."""
        rest = iter(addresses)

        def take(count: int) -> tuple[Address, ...]:
            return tuple(islice(rest, count))

        return cls(
            deployer=next(rest),
            retail=take(6),
            informed=take(3),
            whales=take(2),
            providers=take(2),
            arbitrageurs=take(3),
            claimants=take(2),
        )

    @property
    def traders(self) -> tuple[Address, ...]:
        """Everyone who needs tokens and allowances."""
        return (*self.retail, *self.informed, *self.whales, *self.providers, *self.arbitrageurs)


@dataclass(frozen=True, slots=True)
class World:
    """The embedded chain after deployment. Tokens and DEXes by the names that people use."""

    chain_id: int
    plan: Plan
    tokens: Mapping[str, Token]
    factories: Mapping[str, Address]
    """By DEX, V2 and V3 alike."""
    routers: Mapping[str, Address]
    """By DEX: Router02 of the V2 ones, SwapRouter of UniswapV3."""
    quoter: Address
    position_manager: Address
    tick_lens: Address
    multicall: Address
    distributor: Address
    """What the claimants call, see claims.py."""
    pools: tuple[DeployedPool, ...]
    """Those that the collector's file names."""
    uncollected: tuple[DeployedPool, ...]
    accounts: Accounts

    @property
    def all_pools(self) -> tuple[DeployedPool, ...]:
        """Everyone trades in all of them."""
        return (*self.pools, *self.uncollected)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs that have pools, as (base, quote) symbols, in the plan's order."""
        return tuple(dict.fromkeys((pool.base, pool.quote) for pool in self.plan.pools))

    def profile(self) -> ChainProfile:
        """The chain as its configuration would describe it: tokens that no collected pool has are
        not in it."""
        numeraire = self.tokens[NUMERAIRE]
        references: dict[Address, tuple[ReferencePool, ...]] = {}
        for pool in self.pools:
            if pool.plan.reference and pool.plan.quote == NUMERAIRE:
                base = self.tokens[pool.plan.base].address
                depth = REFERENCE_DEPTH_USD * 10**numeraire.decimals
                entry = ReferencePool(pool.key, numeraire.address, depth)
                references[base] = (*references.get(base, ()), entry)
        return ChainProfile(
            chain_id=self.chain_id,
            name="embedded",
            ordering="fee",
            wrapped_native=self.tokens[WRAPPED_NATIVE].address,
            numeraire=numeraire.address,
            tokens={
                name: token.address
                for name, token in self.tokens.items()
                if any(token in (pool.token0, pool.token1) for pool in self.pools)
            },
            start_tokens=tuple(self.tokens[name].address for name in START_TOKENS),
            reference_pools=references,
            default_priority_fee=DEFAULT_PRIORITY_FEE,
        )
