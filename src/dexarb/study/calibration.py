"""What others really swapped against what our integers say they should have got.

Every swap of a history is a free check of state and arithmetic: its input is known, and so is what
the pool gave. See docs/truth.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.block import BlockUpdate, Log
from dexarb.core.market import Market
from dexarb.core.pool import PIPS, Pool, SwapResult
from dexarb.core.route import Cycle, Hop, run
from dexarb.core.token import Address
from dexarb.errors import PoolError
from dexarb.search.result import hop_work
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.rivals import arbitrages

ENDLESS = (1 << 255) - 1


class Style(StrEnum):
    """How a swap was asked for; the pool's event does not say, so it is the one that fits.

    less: a V2 pair gave less than it would have let out. Its caller names the output, so that is
    no error of ours, unless the pair always does it. mismatch: no style gives these amounts.
    """

    EXACT_INPUT = "exact input"
    EXACT_OUTPUT = "exact output"
    PRICE_LIMIT = "price limit"
    LESS = "less than allowed"
    MISMATCH = "mismatch"


EXACT = frozenset({Style.EXACT_INPUT, Style.EXACT_OUTPUT, Style.PRICE_LIMIT})


@dataclass(frozen=True, slots=True)
class JudgedSwap:
    """Somebody's swap. before: the pool as it found it. Amounts in smallest units.

    predicted: what exactly amount_in gives by our integers, None where our pool refuses it.
    """

    before: Pool
    token_in: Address
    token_out: Address
    amount_in: int
    amount_out: int
    predicted: int | None
    style: Style

    @property
    def implied_fee_pips(self) -> float | None:
        """The fee with which a V2 pair's formula gives just this; None for other pools."""
        pool = self.before
        if not isinstance(pool, UniswapV2Pool):
            return None
        reserves = (pool.reserve0, pool.reserve1)
        reserve_in, reserve_out = reserves if self.token_in == pool.token0 else reserves[::-1]
        needed = self.amount_out * reserve_in / (reserve_out - self.amount_out)
        return PIPS * (1.0 - needed / self.amount_in)


@dataclass(frozen=True, slots=True)
class JudgedTransaction:
    """A transaction's swaps in our pools.

    is_arbitrage: they close a cycle with a gain, as settlement sees it. cycle: of an arbitrage
    whose swaps pass on exactly what they get, each pool once; amount_in and amount_out are its
    ends, predicted what our code says of the whole, gas_units what our executor would use for it.
    """

    index: int
    swaps: tuple[JudgedSwap, ...]
    is_arbitrage: bool
    cycle: Cycle | None = None
    amount_in: int = 0
    amount_out: int = 0
    predicted: int | None = None
    gas_units: int | None = None


def judge_block(market: Market, update: BlockUpdate) -> list[JudgedTransaction]:
    """The transactions with swaps of the block that the market has just applied."""
    rivals = {rival.transaction_index for rival in arbitrages(market)}
    pools: dict[Address, Pool] = {}
    moved: set[Address] = set()
    swaps: dict[int, list[JudgedSwap]] = {}
    touched: dict[int, frozenset[Address]] = {}
    for log in update.logs:
        if log.address not in market.pools:
            continue
        before = pools.get(log.address) or market.pool_at(log.address, 0)
        index = log.transaction_index
        if index not in touched:
            touched[index] = frozenset(moved)
        swap = _judge(before, log)
        if swap is not None:
            swaps.setdefault(index, []).append(swap)
        after = before.apply(log)
        pools[log.address] = after
        if after is not before:
            moved.add(log.address)
    return [
        _arbitrage(index, made, touched[index])
        if index in rivals
        else JudgedTransaction(index, tuple(made), is_arbitrage=False)
        for index, made in swaps.items()
    ]


def _judge(before: Pool, log: Log) -> JudgedSwap | None:
    flow = before.flow(log)
    if flow is None or max(flow) <= 0:
        return None
    amount_in, amount_out = max(flow), -min(flow)
    place = flow.index(amount_in)
    token_in, token_out = before.tokens[place], before.tokens[1 - place]
    after = before.apply(log)
    predicted = _result(before, token_in, amount_in)
    if predicted == SwapResult(amount_in, amount_out, after):
        style = Style.EXACT_INPUT
    elif _is_exact_output(before, token_out, SwapResult(amount_in, amount_out, after)):
        style = Style.EXACT_OUTPUT
    elif _is_limited(before, token_in, SwapResult(amount_in, amount_out, after)):
        style = Style.PRICE_LIMIT
    elif isinstance(before, UniswapV2Pool) and predicted and amount_out < predicted.amount_out:
        style = Style.LESS
    else:
        style = Style.MISMATCH
    given = predicted.amount_out if predicted else None
    return JudgedSwap(before, token_in, token_out, amount_in, amount_out, given, style)


def _result(pool: Pool, token_in: Address, amount_in: int) -> SwapResult | None:
    try:
        return pool.swap(token_in, amount_in)
    except PoolError:
        return None


def _is_exact_output(pool: Pool, token_out: Address, real: SwapResult) -> bool:
    try:
        return pool.swap_exact_out(token_out, real.amount_out) == real
    except PoolError:
        return False


def _is_limited(pool: Pool, token_in: Address, real: SwapResult) -> bool:
    """Whether the swap ended because the price had got to where its caller wanted it."""
    if not (isinstance(pool, UniswapV3Pool) and isinstance(real.pool, UniswapV3Pool)):
        return False
    try:
        return pool.swap(token_in, ENDLESS, real.pool.sqrt_price_x96) == real
    except PoolError:
        return False


def _arbitrage(
    index: int, swaps: Sequence[JudgedSwap], touched: frozenset[Address]
) -> JudgedTransaction:
    chain = _chain(swaps)
    if chain is None:
        return JudgedTransaction(index, tuple(swaps), is_arbitrage=True)
    cycle = Cycle(tuple(Hop(each.before.address, each.token_in, each.token_out) for each in chain))
    pools = {each.before.address: each.before for each in chain}
    ends = (chain[0].amount_in, chain[-1].amount_out)
    try:
        results = run(cycle, ends[0], pools.__getitem__)
    except PoolError:
        return JudgedTransaction(index, tuple(swaps), True, cycle, *ends)
    work = [
        hop._replace(touched=address in touched)
        for address, hop in zip(cycle.pools, hop_work(list(pools.values()), results), strict=True)
    ]
    units = REALITY.gas.units(work)
    return JudgedTransaction(index, tuple(swaps), True, cycle, *ends, results[-1].amount_out, units)


def _chain(swaps: Sequence[JudgedSwap]) -> list[JudgedSwap] | None:
    """The swaps as hops that pass on all they get, whatever order their events came in.

    Flash swaps tell of their first pool last. None where amounts do not fit or a pool occurs
    twice.
    """
    if len({swap.before.address for swap in swaps}) < len(swaps):
        return None
    for first in swaps:
        chain = [first]
        while len(chain) < len(swaps):
            last = chain[-1]
            following = [
                swap
                for swap in swaps
                if swap not in chain
                and (swap.token_in, swap.amount_in) == (last.token_out, last.amount_out)
            ]
            if len(following) != 1:
                break
            chain += following
        if len(chain) == len(swaps) and chain[-1].token_out == first.token_in:
            return chain
    return None
