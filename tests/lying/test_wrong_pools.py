"""Pools that the chain shows to be wrong: left out, told, and read anew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe, PoolsChanged
from dexarb.store.history_check import check
from tests.support.collecting import assert_true, collecting, entries, events, history_of, market_of
from tests.support.true_chain import Json, TrueChain
from tests.support.true_node import TrueNode, transport
from tests.support.virtual_time import run_at_once
from tests.support.worlds.small_chain import CHEAP


class WithAnotherSwapEvent(TrueChain):
    """A fork of V3 whose Swap event has another name: pancakeswap/pancake-v3-contracts#24."""

    def _trade(self, pools: dict[Any, Any]) -> list[Json]:
        logs = super()._trade(pools)
        for log in logs:
            if isinstance(pools.get(log["address"]), UniswapV3Pool):
                log["topics"][0] = "0x" + "5a" * 32
        return logs


def test_a_pool_with_events_of_another_kind_is_left_out_before_it_misleads(tmp_path: Path) -> None:
    async def check_it() -> None:
        chain = WithAnotherSwapEvent(6)
        async with collecting(tmp_path, chain, transport(TrueNode(chain))) as run:
            await run.mine(60, transactions=3)
            await run.reach()
        assert_true(tmp_path, chain, missing_pools=1)
        pools = market_of(tmp_path).pools.values()
        assert {pool.kind for pool in pools} == {"uniswap_v2"}

    with capture_logs() as said:
        run_at_once(check_it())
    left = events(said, "pool.left_out")
    assert {entry["kind"] for entry in left} == {"uniswap_v3"}
    assert "5a5a" in left[0]["reason"]


class WithASilentChange(TrueChain):
    """A pool whose state changes once without any event."""

    def change(self) -> None:
        pool = self.head.pools[CHEAP]
        assert isinstance(pool, UniswapV2Pool)
        self.head.pools[CHEAP] = replace(pool, reserve0=pool.reserve0 * 2)

    def _trade(self, pools: dict[Any, Any]) -> list[Json]:
        kept = pools.pop(CHEAP)  # no event of its own mends it
        try:
            return super()._trade(pools)
        finally:
            pools[CHEAP] = kept


def test_a_pool_that_is_silently_wrong_is_found_left_out_and_read_anew(tmp_path: Path) -> None:
    async def check_it() -> None:
        chain = WithASilentChange(7)
        async with collecting(tmp_path, chain, transport(TrueNode(chain))) as run:
            await run.mine(3, transactions=2)
            await run.reach()
            chain.change()
            await run.mine(80, transactions=2)
            await run.reach()
            counts = json.loads((tmp_path / "data" / "pool_state.json").read_bytes())["metrics"]
            assert counts["self_check"]["requests"] < 0.2 * 84
        found = check(history_of(tmp_path))
        assert not found.gaps
        assert not found.problems
        first, *others = (each for each in entries(tmp_path) if not isinstance(each, BlockUpdate))
        assert isinstance(first, Keyframe)
        gone, back = others
        assert isinstance(gone, PoolsChanged)
        assert isinstance(back, PoolsChanged)
        assert (gone.joined, gone.left) == ((), (CHEAP,))
        assert ([pool.key for pool in back.joined], back.left) == ([CHEAP], ())
        assert dict(market_of(tmp_path).pools) == chain.head.pools

    with capture_logs() as said:
        run_at_once(check_it())
    (left,) = events(said, "pool.left_out")
    assert (left["pool"], left["reason"]) == (CHEAP, "differs from the chain")
    assert len(events(said, "pool.restored")) == 1
