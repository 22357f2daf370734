"""A hand-made chain of three V2 pools on which tests plant spreads and close them.

Two WETH/USDC pools and a WMATIC/USDC pool; WMATIC pays the gas. Blocks are one a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.block import Block, BlockUpdate
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.token import Address, Token, pair_of
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.seams import Step
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds.blocks import GWEI, Chain, block, profile, transaction
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.events import state_log
from tests.support.worlds.pools import v2_pool

CHAIN_ID = 137
WETH, USDC, WMATIC = (Address("0x" + byte * 20) for byte in ("01", "02", "03"))
CHEAP, DEAR, GAS = (PoolKey("0x" + byte * 20) for byte in ("a1", "a2", "a3"))
TOKENS = (
    Token(CHAIN_ID, WETH, "WETH", 18),
    Token(CHAIN_ID, USDC, "USDC", 6),
    Token(CHAIN_ID, WMATIC, "WMATIC", 18),
)
PROFILE = profile(
    "small",
    TOKENS,
    native=WMATIC,
    numeraire=USDC,
    starts=(USDC, WETH),
    references={
        WETH: (ReferencePool(DEAR, USDC, 1_000 * 10**6),),
        WMATIC: (ReferencePool(GAS, USDC, 1_000 * 10**6),),
    },
)


def v2(key: PoolKey, token: Address, reserve: int, usdc: int) -> UniswapV2Pool:
    reserves = {token: reserve, USDC: usdc}
    tokens = sorted(reserves)
    dex = {CHEAP: "QuickSwap"}.get(key, "SushiSwap")
    return v2_pool(key, tokens, *(reserves[each] for each in tokens), dex=dex)


def weth_pool(key: PoolKey, price: int, *, weth: int = 1_000) -> UniswapV2Pool:
    """`weth` WETH at `price` USDC each."""
    return v2(key, WETH, weth * 10**18, weth * price * 10**6)


def keyframe(*, cheap: int = 2_500, dear: int = 2_500) -> Keyframe:
    pools = (
        weth_pool(CHEAP, cheap),
        weth_pool(DEAR, dear),
        v2(GAS, WMATIC, 4_000_000 * 10**18, 2_000_000 * 10**6),
    )
    return Keyframe(1, block(100, "0x100"), PROFILE, TOKENS, pools)


class SmallChain(Chain):
    def mine(
        self,
        *pools: Pool,
        parent: Block | None = None,
        branch: str = "",
        base_fee: int = 30 * GWEI,
    ) -> BlockUpdate:
        """A block in which each pool is brought to the state given, one transaction each."""
        number = (parent or self.tip).number + 1
        return self.add(
            f"0x{branch}{number}",
            map(state_log, pools, count()),
            map(transaction, range(len(pools))),
            parent=parent,
            base_fee_per_gas=base_fee,
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


def threshold_engine(
    first: Keyframe, *strategies: StrategySettings, reality: Reality = REALITY
) -> Engine:
    """With these strategies, or the one of `settings`, over brute force."""
    deciding = ThresholdStrategies(strategies or (settings(),), reality)
    return engine(first, [deciding], scanner=plain, reality=reality)


def play(made: Engine, updates: Sequence[BlockUpdate]) -> list[Step]:
    return [made.step(update) for update in updates]
