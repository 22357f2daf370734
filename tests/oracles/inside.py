"""What is open at each place inside a block, by a new scan of each of them. Slow on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import CycleId
from dexarb.search.result import Dust, no_dust
from dexarb.search.scan import Scan
from dexarb.study.searching import scanner_of
from dexarb.study.walk import Moment, engine_on, moments
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.value import Valuation
from tests.support.worlds.random_chain import RandomChain


def walked(chain: RandomChain, blocks: int) -> Iterator[Moment]:
    """Its next ones, which are busy."""
    updates = [chain.mine(busy=8) for _ in range(blocks)]
    for each in moments(engine_on(chain.first), updates):
        assert isinstance(each, Moment)
        yield each


@dataclass(frozen=True)
class FreshPlace:
    """Behind transaction `index`, -1: at the top. pools: as they are there."""

    index: int
    pools: Mapping[PoolKey, Pool]
    scan: Scan


def fresh_places(
    market: Market,
    update: BlockUpdate,
    at_top: Mapping[PoolKey, Pool],
    gas: GasModel,
    dust: Dust = no_dust,
) -> Iterator[FreshPlace]:
    """The top, then behind each transaction with a log. market: any with that profile."""
    pools = dict(at_top)
    yield FreshPlace(-1, dict(pools), _scan(market, update, pools, gas, dust))
    for index in sorted({log.transaction_index for log in update.logs}):
        for log in update.logs:
            if log.transaction_index == index:
                key = PoolKey(log.address)
                pools[key] = pools[key].apply(log)
        yield FreshPlace(index, dict(pools), _scan(market, update, pools, gas, dust))


def _scan(
    market: Market, update: BlockUpdate, pools: Mapping[PoolKey, Pool], gas: GasModel, dust: Dust
) -> Scan:
    first = replace(market.keyframe(), block=update.block, pools=tuple(pools.values()))
    return scanner_of(Market(first), gas, dust=dust).scan


def net_of(
    place: FreshPlace, market: Market, update: BlockUpdate, valuation: Valuation
) -> dict[CycleId, int]:
    """Micro-USD after gas at the base fee, of all that earns more than its gas."""
    found = {}
    native, base_fee = market.profile.wrapped_native, update.block.base_fee_per_gas
    for each in place.scan.opportunities:
        gross = valuation.micro_usd(each.cycle.start_token, each.profit)
        gas = valuation.cost_micro_usd(native, each.gas_units * base_fee)
        assert gross is not None
        assert gas is not None
        if gross > gas:
            found[each.cycle.id] = gross - gas
    return found
