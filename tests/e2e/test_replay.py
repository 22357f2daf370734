"""Live equals replay: both processes at work on a real node, and their ledger traded once more."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from dexarb.core.market import PoolsChanged
from dexarb.screens.replay import answer
from dexarb.screens.when import BlocksAsked
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_reader import read_only
from tests.e2e.test_reload import dexarb, replace_file
from tests.support.live import Live, live
from tests.support.live_trading import both, digest, settled, totals

pytestmark = pytest.mark.e2e

REORG = 12
ALL_POOLS = 14


def without_sushi(text: str) -> str:
    """A collector's file without the pools of that DEX."""
    head, *tables = text.split("[[pools]]")
    kept = [table for table in tables if "SushiSwap" not in table]
    assert len(kept) == len(tables) - 1
    return "[[pools]]".join([head, *kept])


async def replays(run: Live, history: Path, sent: int) -> None:
    """As it was, it is the same; with the last file from the first block on, twice the same."""
    done = await dexarb("replay", "--as-ledger", str(run.files.ledger), "--json")
    assert done.returncode == 0, done.stderr
    as_it_was = json.loads(done.stdout)
    assert as_it_was["live"]["equal"]
    assert as_it_was["ledger_digest"] == digest(run)
    assert sum(each["sent"] for each in as_it_was["strategies"]) == sent > 0
    assert as_it_was["blocks_died"] == REORG

    asked = BlocksAsked(history, run.files.paper, None, None, None)
    first, second = (answer(asked, None).as_json() for _ in range(2))
    assert first["ledger"] != second["ledger"]
    assert first["ledger_digest"] == second["ledger_digest"] != digest(run)
    assert first["strategies"] == second["strategies"]
    assert first["pools"] == as_it_was["pools"] == ALL_POOLS


def test_live_equals_replay_over_a_reload_joining_pools_and_a_reorganisation(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        async with live(tmp_path, seed=40) as run:
            whole, strategies = run.files.collector.read_text(), run.files.paper.read_text()
            eager = re.sub("min_profit_usd = .*", "min_profit_usd = -1.0", strategies)
            run.files.paper.write_text(eager)
            run.files.collector.write_text(without_sushi(whole))
            collector, paper = await both(run)
            await run.blocks(12)
            await settled(run)

            pickier = eager.replace("min_profit_usd = -1.0", "min_profit_usd = -0.5", 1)
            replace_file(run.files.paper, pickier)
            reload = await dexarb("reload", "--config", str(run.files.paper))
            assert reload.returncode == 0, reload.stderr
            await run.blocks(6)
            await settled(run)

            assert collector.stop() == 0
            run.files.collector.write_text(whole)
            collector = run.start("data-collector")
            await run.blocks(1)
            await run.until(lambda: len(run.state()["pools"]) == ALL_POOLS, "the pools to join")
            await run.blocks(24)
            await settled(run)

            # The last thing: a reorganisation confuses the driver's nonces.
            await run.rpc.call("anvil_reorg", REORG, [])
            await run.rpc.call("evm_mine")
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0

            history = run.files.data / "history" / str(run.driver.world.chain_id)
            entries = list(HistoryReader(history).entries())
            (joined,) = (each for each in entries if isinstance(each, PoolsChanged))
            assert joined.joined
            with read_only(run.files.ledger) as ledger:
                assert len(ledger.epochs()) == 9
                assert any(row.reorged_seq is not None for row in ledger.fills())
                seqs = [row.seq for row in ledger.decisions()]
                assert seqs[0] < joined.seq < seqs[-1]
            sent = sum(row.sent for row in totals(run).rows)

            await replays(run, history, sent)

    asyncio.run(play())
