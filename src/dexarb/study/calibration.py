"""What others really swapped against what our integers say they should have got.

Every swap of a history is a free check of state and arithmetic: its input is known, and so is what
the pool gave. See docs/truth.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dexarb.core.block import BlockUpdate, Log
from dexarb.core.gas_schedule import ETHEREUM, SCHEDULES, ScheduleName
from dexarb.core.market import Market, Swap
from dexarb.core.pool import Pool, PoolKey, SwapResult, SwapStyle
from dexarb.core.route import Cycle, Hop, run, surcharge_of
from dexarb.core.token import Address
from dexarb.errors import PoolError
from dexarb.search.result import hop_work
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.rivals import arbitrages, ours

EXACT = frozenset({SwapStyle.EXACT_INPUT, SwapStyle.EXACT_OUTPUT, SwapStyle.PRICE_LIMIT})


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
    style: SwapStyle

    @property
    def implied_fee_pips(self) -> float | None:
        """See `Pool.implied_fee_pips`."""
        return self.before.implied_fee_pips(self.token_in, self.amount_in, self.amount_out)


@dataclass(frozen=True, slots=True)
class JudgedTransaction:
    """A transaction's swaps in our pools.

    is_arbitrage: they close a cycle with a gain, as settlement sees it. cycle: of an arbitrage
    whose swaps pass on exactly what they get, each pool once; amount_in and amount_out are its
    ends, predicted what our code says of the whole, gas_under what our executor would use for it by
    gas schedule. schedule: the one that holds by the chain's profile.
    """

    index: int
    swaps: tuple[JudgedSwap, ...]
    is_arbitrage: bool
    cycle: Cycle | None = None
    amount_in: int = 0
    amount_out: int = 0
    predicted: int | None = None
    gas_under: Mapping[ScheduleName, int] = field(default_factory=dict)
    schedule: ScheduleName = ETHEREUM.name

    @property
    def gas_units(self) -> int | None:
        """Under the schedule that holds."""
        return self.gas_under.get(self.schedule)


def judge_block(market: Market, update: BlockUpdate) -> list[JudgedTransaction]:
    """The transactions with swaps of the block that the market has just applied."""
    rivals = {each.transaction_index for each in arbitrages(market)} - ours(market, update)
    gas = REALITY.gas.under(market.profile.gas_schedule(update.block.number))
    surcharges = market.profile.surcharges_at(update.block.number)
    pools: dict[PoolKey, Pool] = {}
    moved: set[PoolKey] = set()
    swaps: dict[int, list[JudgedSwap]] = {}
    touched: dict[int, frozenset[PoolKey]] = {}
    for log in update.logs:
        key = market.key_of(log)
        if key is None:
            continue
        before = (pools.get(key) or market.pool_at(key, 0)).at(update.block.timestamp)
        index = log.transaction_index
        if index not in touched:
            touched[index] = frozenset(moved)
        swap = _judge(before, log)
        if swap is not None:
            swaps.setdefault(index, []).append(swap)
        after = before.apply(log)
        pools[key] = after
        if after is not before:
            moved.add(key)
    return [
        _arbitrage(index, made, touched[index], gas, surcharges)
        if index in rivals
        else JudgedTransaction(index, tuple(made), is_arbitrage=False)
        for index, made in swaps.items()
    ]


def _judge(before: Pool, log: Log) -> JudgedSwap | None:
    flow = before.flow(log)
    if flow is None or max(flow) <= 0:
        return None
    swap = Swap(before, flow)
    token_in, token_out = swap.token_in, swap.token_out
    real = SwapResult(max(flow), -min(flow), before.apply(log))
    predicted = _exact_input(before, token_in, token_out, real.amount_in)
    if predicted == real:
        style = SwapStyle.EXACT_INPUT
    elif _is_exact_output(before, token_in, token_out, real):
        style = SwapStyle.EXACT_OUTPUT
    else:
        style = before.explain(token_in, real)
    given = predicted.amount_out if predicted else None
    return JudgedSwap(before, token_in, token_out, real.amount_in, real.amount_out, given, style)


def _exact_input(
    pool: Pool, token_in: Address, token_out: Address, amount_in: int
) -> SwapResult | None:
    try:
        return pool.swap(token_in, amount_in, token_out)
    except PoolError:
        return None


def _is_exact_output(pool: Pool, token_in: Address, token_out: Address, real: SwapResult) -> bool:
    try:
        return pool.swap_exact_out(token_out, real.amount_out, token_in) == real
    except PoolError:
        return False


def _arbitrage(
    index: int,
    swaps: Sequence[JudgedSwap],
    touched: frozenset[PoolKey],
    gas: GasModel,
    surcharges: Mapping[Address, int],
) -> JudgedTransaction:
    chain = _chain(swaps)
    if chain is None:
        return JudgedTransaction(index, tuple(swaps), is_arbitrage=True)
    cycle = Cycle(tuple(Hop(each.before.key, each.token_in, each.token_out) for each in chain))
    pools = {each.before.key: each.before for each in chain}
    ends = (chain[0].amount_in, chain[-1].amount_out)
    try:
        results = run(cycle, ends[0], pools.__getitem__)
    except PoolError:
        return JudgedTransaction(index, tuple(swaps), True, cycle, *ends)
    work = [
        hop._replace(touched=key in touched)
        for key, hop in zip(cycle.pools, hop_work(list(pools.values()), results), strict=True)
    ]
    more = surcharge_of(cycle.tokens, surcharges)
    under = {name: gas.under(each).units(work) + more for name, each in SCHEDULES.items()}
    amount_out, held = results[-1].amount_out, gas.schedule.name
    return JudgedTransaction(index, tuple(swaps), True, cycle, *ends, amount_out, under, held)


def _chain(swaps: Sequence[JudgedSwap]) -> list[JudgedSwap] | None:
    """The swaps as hops that pass on all they get, whatever order their events came in.

    Flash swaps tell of their first pool last. None where amounts do not fit or a pool occurs
    twice.
    """
    if len({swap.before.key for swap in swaps}) < len(swaps):
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
