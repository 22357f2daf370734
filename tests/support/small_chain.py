"""A hand-made chain of three V2 pools on which tests plant spreads and close them.

Two WETH/USDC pools and a WMATIC/USDC pool; WMATIC pays the gas. Blocks are one a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from dexarb.amm.uniswap_v2 import SYNC, UniswapV2Pool
from dexarb.core.block import Block, BlockHash, BlockUpdate, Log, Transaction
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import PoolKey
from dexarb.core.profile import ChainProfile, ReferencePool
from dexarb.core.token import Address, Token, pair_of
from dexarb.search.result import Dust
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.seams import Step
from dexarb.trading.settle.paper_executor import PaperExecutor
from dexarb.trading.strategy import StrategySettings
from tests.oracles.simple import SimpleScanner

CHAIN_ID = 137
GENESIS = 1_700_000_000
GWEI = 10**9
WETH, USDC, WMATIC = (Address("0x" + byte * 20) for byte in ("01", "02", "03"))
CHEAP, DEAR, GAS = (PoolKey("0x" + byte * 20) for byte in ("a1", "a2", "a3"))
TRADER = Address("0x" + "7a" * 20)
TOKENS = (
    Token(CHAIN_ID, WETH, "WETH", 18),
    Token(CHAIN_ID, USDC, "USDC", 6),
    Token(CHAIN_ID, WMATIC, "WMATIC", 18),
)
PROFILE = ChainProfile(
    chain_id=CHAIN_ID,
    name="small",
    ordering="fee",
    wrapped_native=WMATIC,
    numeraire=USDC,
    tokens={token.symbol: token.address for token in TOKENS},
    start_tokens=(USDC, WETH),
    reference_pools={
        WETH: (ReferencePool(DEAR, USDC, 1_000 * 10**6),),
        WMATIC: (ReferencePool(GAS, USDC, 1_000 * 10**6),),
    },
    default_priority_fee=30 * GWEI,
)


def v2(key: PoolKey, token: Address, reserve: int, usdc: int) -> UniswapV2Pool:
    token0, token1 = sorted((token, USDC))
    reserves = {token: reserve, USDC: usdc}
    return UniswapV2Pool(
        address=Address(key),
        token0=token0,
        token1=token1,
        reserve0=reserves[token0],
        reserve1=reserves[token1],
        fee_pips=3000,
        dex={CHEAP: "QuickSwap"}.get(key, "SushiSwap"),
    )


def weth_pool(key: PoolKey, price: int, *, weth: int = 1_000) -> UniswapV2Pool:
    """`weth` WETH at `price` USDC each."""
    return v2(key, WETH, weth * 10**18, weth * price * 10**6)


def block(
    number: int, parent: Block | None, *, branch: str = "", base_fee: int = 30 * GWEI
) -> Block:
    return Block(
        number=number,
        hash=BlockHash(f"0x{branch}{number}"),
        parent_hash=parent.hash if parent else BlockHash("0xgenesis"),
        timestamp=GENESIS + number,
        base_fee_per_gas=base_fee,
        gas_used=0,
        gas_limit=30_000_000,
    )


def keyframe(*, cheap: int = 2_500, dear: int = 2_500) -> Keyframe:
    pools = (
        weth_pool(CHEAP, cheap),
        weth_pool(DEAR, dear),
        v2(GAS, WMATIC, 4_000_000 * 10**18, 2_000_000 * 10**6),
    )
    return Keyframe(1, block(100, None), PROFILE, TOKENS, pools)


def sync(pool: UniswapV2Pool, index: int = 0) -> Log:
    data = pool.reserve0.to_bytes(32, "big") + pool.reserve1.to_bytes(32, "big")
    return Log(pool.address, (SYNC,), data, index, index)


def transaction(index: int) -> Transaction:
    return Transaction(index, f"0xt{index}", TRADER, None, 60 * GWEI, 100_000, True)


class SmallChain:
    """Makes history entries one after the other, and branches of them."""

    def __init__(self, first: Keyframe) -> None:
        self.tip = first.block
        self.seq = first.seq

    def mine(
        self,
        *pools: UniswapV2Pool,
        parent: Block | None = None,
        branch: str = "",
        base_fee: int = 30 * GWEI,
    ) -> BlockUpdate:
        """A block in which each pool is brought to the state given, one transaction each."""
        above = parent or self.tip
        self.seq += 1
        self.tip = block(above.number + 1, above, branch=branch, base_fee=base_fee)
        logs = tuple(sync(pool, index) for index, pool in enumerate(pools))
        return BlockUpdate(
            self.seq, self.tip, logs, tuple(transaction(i) for i in range(len(pools)))
        )


def settings(name: str = "test", **changes: object) -> StrategySettings:
    values: dict[str, object] = {
        "name": name,
        "pairs": (pair_of(WETH, USDC),),
        "min_profit_micro_usd": 1_000_000,
        "max_trade_size_micro_usd": 2_000_000_000,
        "max_slippage_ppm": 5_000,
        "max_gas_price": 100 * GWEI,
    }
    return StrategySettings(**(values | changes))  # type: ignore[arg-type]


def scanner(market: Market, _dust: Dust) -> SimpleScanner:
    return SimpleScanner(
        market, start_tokens=market.profile.start_tokens, gas_units=REALITY.gas.units
    )


def engine(first: Keyframe, *strategies: StrategySettings, reality: Reality = REALITY) -> Engine:
    """An engine that decides from the next block on."""
    made = Engine(first, scanner, PaperExecutor(reality), reality, max_state_age_s=10)
    made.use([ThresholdStrategies(strategies or (settings(),), reality)])
    made.deciding = True
    return made


def play(made: Engine, updates: Sequence[BlockUpdate]) -> list[Step]:
    return [made.step(update) for update in updates]
