"""Eight blocks: a spread that is taken two blocks later by somebody, a small one that
does not pay for the fees, and one that is gone in the next block."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from tests.support.traded import failed, in_one_transaction, strategy
from tests.support.worlds.blocks import GWEI, transaction
from tests.support.worlds.events import state_log
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    weth_pool,
)

OPENS, STANDS, IS_TAKEN, FAILS, OPENS_AGAIN, CLOSES = range(102, 108)
RIVAL = Address("0x" + "5a" * 20)
RIVAL_SIZE = 9_500 * 10**6
RIVAL_BID = 20 * GWEI
BOLD, SHY, SMALL, ELSEWHERE = "Bold", "Shy", "Small", "Elsewhere"
STRATEGIES = (
    strategy(BOLD),
    strategy(SHY, min_profit_usd=50.0),
    strategy(SMALL, size_usd=100.0),
    strategy(ELSEWHERE, pair="WMATIC/USDC"),
)


def scene() -> tuple[Keyframe, list[BlockUpdate]]:
    """Its keyframe, at block 100, and the blocks 101 to 107."""
    first = keyframe()
    chain = SmallChain(first)
    market = Market(first)
    opening = [chain.mine(), chain.mine(weth_pool(CHEAP, 2_450)), chain.mine()]
    for update in opening:
        market.apply(update)
    bought, sold = arbitrage(market.pools[CHEAP], market.pools[DEAR])
    taken = in_one_transaction(chain.mine(), bought, sold, priority_fee=RIVAL_BID, to=RIVAL)
    return first, [
        *opening,
        taken,
        failed(chain.mine(weth_pool(CHEAP, 2_492), weth_pool(DEAR, 2_500)), to=RIVAL),
        chain.mine(weth_pool(CHEAP, 2_470)),
        chain.mine(weth_pool(CHEAP, 2_500)),
    ]


def arbitrage(cheap: Pool, dear: Pool) -> tuple[Pool, Pool]:
    """Both pools after somebody has bought WETH in one and sold it in the other."""
    bought = cheap.swap(USDC, RIVAL_SIZE)
    return bought.pool, dear.swap(WETH, bought.amount_out).pool


def round_trip(cheap: int, dear: int, amount_in: int) -> int:
    """USDC out, for USDC in, at these prices of the two pools."""
    bought = weth_pool(CHEAP, cheap).swap(USDC, amount_in).amount_out
    return weth_pool(DEAR, dear).swap(WETH, bought).amount_out


def opened_and_taken(chain: SmallChain, price: int) -> BlockUpdate:
    """A block whose first transaction opens a spread that its second one takes."""
    opened = weth_pool(CHEAP, price)
    bought, sold = arbitrage(opened, weth_pool(DEAR, 2_500))
    update = chain.mine(opened)
    logs = tuple(
        structs.replace(state_log(pool, 1), log_index=number)
        for number, pool in enumerate((bought, sold), start=1)
    )
    taker = transaction(1, to=RIVAL)
    return replace(update, logs=(*update.logs, *logs), transactions=(*update.transactions, taker))
