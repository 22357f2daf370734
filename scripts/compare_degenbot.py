"""Time and profit of dexarb and of its peer degenbot on the same pools, side by side.

degenbot is no dependency: install it beside dexarb, `pip install degenbot==0.5.0` (Python 3.12).
Its pools are built from a node's answers; here they get the same fields directly, so that no node
is needed. Their arithmetic and UniswapLpCycle, the helper that finds the best size, run unchanged:
scipy's bounded Brent over the pools' exact swaps, to 1 unit of the start token.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from math import sqrt
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Any
from weakref import WeakSet

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks.bench_sizing import USDC, WETH, Case
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import PIPS, Pool
from dexarb.core.token import Address
from dexarb.search.polish import polish
from dexarb.search.scan import warm_up
from tests.support.worlds import pools

DECIMALS = {USDC: 6, WETH: 18}
DOLLARS_PER_WETH = 2500.0
MOST = 400_000 * 10**6
"""degenbot wants an upper bound of the input, in the start token's smallest unit."""


def v2(number: int, premium: float) -> UniswapV2Pool:
    """With 4 million USDC on either side."""
    return UniswapV2Pool(
        address=Address(f"0x{2:02x}{number:038x}"), token0=USDC, token1=WETH,
        reserve0=4 * 10**12, reserve1=round(4e24 / DOLLARS_PER_WETH / premium),
    )  # fmt: skip


def v3(number: int, premium: float) -> UniswapV3Pool:
    """160 ranges of 10 ticks with different liquidity."""
    rng = np.random.default_rng(number)
    price = 1e12 / DOLLARS_PER_WETH / premium
    liquidity = 4e12 * sqrt(price) * 10.0 ** rng.normal(0.0, 0.4, 160)
    ranges = [(n - 80, n - 79, int(liquidity[n])) for n in range(160)]
    return pools.v3(number, (USDC, WETH), price, ranges, 500)


CASES: dict[str, tuple[Pool, Pool]] = {
    "V2 / V2, 2 % apart": (v2(1, 1.0), v2(2, 1.02)),
    "V2 / V3, 2 % apart": (v2(1, 1.0), v3(4, 1.02)),
    "V3 / V3, 1 % apart": (v3(3, 1.0), v3(4, 1.01)),
    "V3 / V3, 5 % apart": (v3(3, 1.0), v3(4, 1.05)),
}


def theirs(first: Pool, second: Pool) -> Callable[[], tuple[int, int]]:
    """degenbot's (profit, input) for selling USDC into the first pool, back through the second."""
    from degenbot.arbitrage.uniswap_lp_cycle import UniswapLpCycle
    from degenbot.checksum_cache import get_checksum_address
    from degenbot.erc20.erc20 import Erc20Token

    def token(address: Address) -> Any:
        made = object.__new__(Erc20Token)
        made.address = get_checksum_address(address)
        made.symbol = made.name = {USDC: "USDC", WETH: "WETH"}[address]
        made.decimals = DECIMALS[address]
        return made

    tokens = {address: token(address) for address in (USDC, WETH)}
    pools = [their_pool(pool, tokens) for pool in (first, second)]
    cycle = UniswapLpCycle(tokens[USDC], pools, id="compared", max_input=MOST)

    def calculate() -> tuple[int, int]:
        for pool in pools:
            # A new block: what was remembered of the swaps in the last state is of no use.
            getattr(pool, "_swap_step_cache", {}).clear()
        found = cycle.calculate()
        return found.profit_amount, found.input_amount

    return calculate


def their_pool(pool: Pool, tokens: dict[Address, Any]) -> Any:
    """A degenbot pool in the same state."""
    from degenbot.checksum_cache import get_checksum_address
    from degenbot.uniswap import v2_liquidity_pool, v3_liquidity_pool
    from degenbot.uniswap.v2_types import UniswapV2PoolState
    from degenbot.uniswap.v3_functions import get_tick_word_and_bit_position
    from degenbot.uniswap.v3_types import (
        UniswapV3BitmapAtWord,
        UniswapV3LiquidityAtTick,
        UniswapV3PoolState,
    )

    address = get_checksum_address(pool.address)
    if isinstance(pool, UniswapV2Pool):
        made: Any = object.__new__(v2_liquidity_pool.UniswapV2Pool)
        made.fee_token0 = made.fee_token1 = Fraction(pool.fee_pips, PIPS)
        made._state = UniswapV2PoolState(
            address=address, block=1,
            reserves_token0=pool.reserve0, reserves_token1=pool.reserve1,
        )  # fmt: skip
    else:
        assert isinstance(pool, UniswapV3Pool)
        made = object.__new__(v3_liquidity_pool.UniswapV3Pool)
        made.fee, made.tick_spacing = pool.fee_pips, pool.tick_spacing
        made.sparse_liquidity_map = False
        made._swap_step_cache = {}
        made._swap_step_cache_lock = Lock()
        words: dict[int, int] = {}
        for tick in pool.ticks:
            word, bit = get_tick_word_and_bit_position(tick, pool.tick_spacing)
            words[word] = words.get(word, 0) | 1 << bit
        made._state = UniswapV3PoolState(
            address=address, block=1,
            liquidity=pool.liquidity, sqrt_price_x96=pool.sqrt_price_x96, tick=pool.tick,
            tick_bitmap={at: UniswapV3BitmapAtWord(bitmap=word) for at, word in words.items()},
            tick_data={
                tick: UniswapV3LiquidityAtTick(liquidity_gross=gross, liquidity_net=net)
                for tick, (gross, net) in pool.ticks.items()
            },
        )  # fmt: skip
    made.address, made._chain_id, made.name = address, 1, pool.kind
    made.token0, made.token1 = tokens[pool.tokens[0]], tokens[pool.tokens[1]]
    made._state_lock = Lock()
    made._subscribers = WeakSet()
    return made


def ours(first: Pool, second: Pool) -> Callable[[], tuple[int, int]]:
    """dexarb's (profit, input): sized in floats, then polished in exact integers."""
    case = Case.of(first, second, USDC, many=1)
    room = case.sized()

    def calculate() -> tuple[int, int]:
        case.size(room)
        sized = polish(case.cycle, float(room.amount_in[0]), float(room.profit[0]), case.pools)
        assert sized is not None
        return sized.profit, sized.amount_in

    return calculate


def seconds(action: Callable[[], object], repeat: int) -> float:
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return median(taken)


def main() -> int:
    with tempfile.TemporaryDirectory() as home:
        # On import degenbot reads its configuration and an (empty) database in the home folder.
        # Where it has to make them itself, 0.5.0 locks itself out of the database.
        os.environ["HOME"] = home
        folder = Path(home) / ".config" / "degenbot"
        folder.mkdir(parents=True)
        settings = f'[database]\npath = "{folder / "degenbot.db"}"\n\n[rpc]\n'
        (folder / "config.toml").write_text(settings)
        try:
            import degenbot
        except (ImportError, SyntaxError) as error:
            print(
                f"degenbot cannot be imported here ({error}): nothing to compare with.\n"
                "It needs Python 3.12: pip install degenbot==0.5.0",
                file=sys.stderr,
            )
            return 1
        degenbot.logger.setLevel(logging.ERROR)
        warm_up()
        compare()
    return 0


def compare() -> None:
    print(f"{'':20}{'degenbot':>12}{'dexarb':>12}{'':>10}   profit in USDC: degenbot, dexarb")
    for name, (first, second) in CASES.items():
        peer, mine = theirs(first, second), ours(first, second)
        their_profit, _ = peer()
        our_profit, _ = mine()
        slow = fast = float("inf")
        for _ in range(5):
            slow, fast = min(slow, seconds(peer, 5)), min(fast, seconds(mine, 20))
        print(
            f"{name:20}{slow * 1e6:>9,.0f} us{fast * 1e6:>9,.1f} us{slow / fast:>9,.0f}x"
            f"   {their_profit / 1e6:,.6f} {our_profit / 1e6:,.6f}"
        )


if __name__ == "__main__":
    sys.exit(main())
