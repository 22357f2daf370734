"""The trader notes what gas costs, so that `why` can tell a bid from a profit that is too high."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dexarb.search.result import HopWork
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_notes import METRICS
from dexarb.store.ledger_reader import read_only
from dexarb.trading.models.reality import REALITY
from tests.support.recorded import record
from tests.support.traded import configure, strategy
from tests.support.trader import run_trader
from tests.support.worlds.small_chain import CHAIN_ID, SmallChain, keyframe, weth_pool

MATIC_USD = 0.5


def test_a_gwei_costs_the_cheapest_trade_so_much(tmp_path: Path) -> None:
    world = configure(tmp_path, strategy("one"))
    first = keyframe()
    chain = SmallChain(first)
    record(tmp_path / "data", first, [chain.mine()])

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            yield writer.append(chain.mine())
            yield None

    run_trader(world, happens())
    with read_only(world.ledger) as reader:
        noted = reader.note(METRICS)
    assert noted is not None
    gas = REALITY.gas.units([HopWork(weth_pool(pool.key, 1).gas, 0) for pool in first.pools[:2]])
    assert noted.usd_per_gwei == pytest.approx(gas * 1e-9 * MATIC_USD, rel=0.05)
