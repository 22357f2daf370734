"""dexarb probe: the best open cycles of the collector's newest block, run by one of its nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dexarb.apps.doctor import say_nothing, silent
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import load_collector
from dexarb.core.market import Market
from dexarb.core.trade import Opportunity
from dexarb.ends.probe import Prober
from dexarb.errors import PoolError
from dexarb.screens.answer import show
from dexarb.screens.names import names_at
from dexarb.screens.probe import Probed, ProbedCycles
from dexarb.store.history_reader import HistoryReader
from dexarb.study.flash_gas import least_limit
from dexarb.study.open_now import OpenNow, priced, way_to
from dexarb.study.study import run as study

ATTEMPTS = 2


def run(collector: Path, count: int, *, as_json: bool) -> int:
    """Returns the exit code: 1 where one does not come out as we say."""
    with silent():
        found = asyncio.run(probed(collector, count))
    return show(found, as_json=as_json)


async def probed(collector: Path, count: int) -> ProbedCycles:
    """collector: the TOML file. count: of the open cycles, the best net first.

    Raises ConfigError, StoreError, OutsideError where no endpoint can be asked.
    """
    config = load_collector(collector)
    reader = HistoryReader(config.history)
    found = study(OpenNow(), priced(reader, way_to(reader, None)))
    market = found.market
    wanted = [each.opportunity for each in found.findings[:count]]
    names = names_at(market)
    if not wanted:
        return ProbedCycles(market.block.number, found.open_cycles, (), names, None, False)
    async with Rpc.connect(
        *config.endpoints, timeout_s=config.timeout_s, attempts=ATTEMPTS, notice=say_nothing
    ) as rpc:
        rpc.expect(config.chain.chain.chain_id, lambda: ())
        prober = await Prober.open(rpc, market.block.hash)
        ran = await probe_all(prober, market, wanted)
    return ProbedCycles(
        market.block.number, found.open_cycles, ran, names, prober.endpoint, prober.estimates
    )


async def probe_all(prober: Prober, market: Market, wanted: Sequence[Opportunity]) -> list[Probed]:
    """Side by side with what we say. Raises OutsideError."""
    return [await _one(prober, market, each) for each in wanted]


async def _one(prober: Prober, market: Market, opportunity: Opportunity) -> Probed:
    cycle, amount_in = opportunity.cycle, opportunity.amount_in
    prices = market.next_gas_schedule, market.next_surcharges
    gas = least_limit(cycle, amount_in, market.pools, *prices)
    ours = Probed(cycle, amount_in, opportunity.amount_out, gas)
    try:
        ran = await prober.run(cycle, market.pools.__getitem__, amount_in, market.block.hash)
    except PoolError as error:  # a kind that the executor cannot call
        return replace(ours, skipped=str(error))
    return replace(ours, chain_out=ran.amount_out, chain_gas=ran.gas, refusal=ran.refusal)
