"""dexarb history backfill on the embedded chain: every state of the past is the one that the chain
itself has there, whatever it is stopped by and whatever a node refuses."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dexarb.apps import history_backfill
from dexarb.chain.bootstrap.sync import reread
from dexarb.chain.feed import past
from dexarb.chain.rpc import Rpc
from dexarb.config.shipped_files import CLASSIC_STRATEGIES
from dexarb.core.block import Block, BlockUpdate
from dexarb.core.following import Follower
from dexarb.core.market import PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.demo.anvil import CHAIN_ID, Anvil, start_anvil
from dexarb.demo.driver import Driver
from dexarb.demo.settings import write_settings
from dexarb.store.earlier import EarlierWriter
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import list_segments
from tests.support.command import Dexarb, dexarb

__all__ = ["dexarb"]

BLOCKS, LATE, SEGMENT = 18, 14, 6
"""Blocks of traffic, and after how many of them the collector began."""


@dataclass(frozen=True)
class Late:
    """A collector that began late. updates, states: all blocks as one that had not would have them,
    and the pools at their ends. whole: a history of them, as nobody saw them live."""

    folder: Path
    node: Anvil
    begun: int
    updates: dict[int, BlockUpdate]
    states: dict[int, dict[PoolKey, Pool]]

    @property
    def whole(self) -> Path:
        return self.folder / "whole"

    @property
    def history(self) -> Path:
        return self.folder / "data" / "history" / str(CHAIN_ID)

    def copy(self, folder: Path) -> Late:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return replace(self, folder=folder)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Late]:
    folder = tmp_path_factory.mktemp("late")

    async def play(node: Anvil) -> Late:
        async with Rpc.connect(node.ws_url) as rpc:
            driver = await Driver.start(rpc, seed=5)
            write_settings(
                driver.world, folder, endpoint=node.http_url, paper_config=CLASSIC_STRATEGIES
            )
            made = Late(folder, node, driver.market.block.number + LATE, {}, {})
            first = driver.market.keyframe()
            for _ in range(LATE):
                update = (await driver.step()).update
                made.updates[update.block.number] = update
                made.states[update.block.number] = dict(driver.market.pools)
            with HistoryWriter.open(made.history, chain_id=CHAIN_ID, chain="embedded") as writer:
                writer.append_keyframe(driver.market.keyframe())
                for _ in range(BLOCKS - LATE):
                    update = writer.append((await driver.step()).update)
                    made.updates[update.block.number] = update
            with HistoryWriter.open(made.whole, chain_id=CHAIN_ID, chain="embedded") as writer:
                writer.append_keyframe(first)
                for number, update in made.updates.items():
                    unseen = number <= made.begun
                    block = replace(update.block, seen_at=None) if unseen else update.block
                    writer.append(replace(update, block=block))
            return made

    with start_anvil(timestamp=1_700_000_000) as node:
        yield asyncio.run(asyncio.wait_for(play(node), 120))


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_backfill, "SEGMENT_BLOCKS", SEGMENT)
    monkeypatch.setattr(past, "RANGE", 3)


def told(folder: Path) -> tuple[list[tuple[Block, dict[PoolKey, Pool]]], list[BlockUpdate]]:
    """What the history says of each block's end, and its blocks."""
    follower, states, updates = Follower(), {}, []
    for entry in HistoryReader(folder).entries(every_keyframe=True):
        follower.take(entry)
        assert follower.market is not None
        block = follower.market.block
        states[block.number] = block, dict(follower.market.pools)
        if isinstance(entry, BlockUpdate):
            updates.append(entry)
    return list(states.values()), updates


def differing(url: str, states: list[tuple[Block, dict[PoolKey, Pool]]]) -> list[int]:
    """Blocks at which the chain has another state of a pool than the history."""

    async def ask() -> list[int]:
        async with Rpc.connect(url) as rpc:
            return [
                block.number
                for block, pools in states
                if pools and await reread(rpc, block, list(pools.values())) != pools
            ]

    return asyncio.run(ask())


def test_every_state_of_the_past_is_that_of_the_chain(
    late: Late, tmp_path: Path, dexarb: Dexarb
) -> None:
    run = late.copy(tmp_path)
    command = ("history", "backfill", "--config", run.folder / "collector.toml")
    asked = dexarb(*command, "--json").json
    assert not asked["done"]
    assert asked["target"] == 0
    assert asked["cost"]["calls"] >= late.begun
    assert HistoryReader(run.history).first_seq == 1
    said = dexarb(*command, "--yes", "--json").json
    found = check(run.history)
    assert found.ok, found
    assert found.backfilled == 0
    assert found.last_block == late.begun + BLOCKS - LATE
    states, updates = told(run.history)
    numbers = [update.block.number for update in updates]
    assert numbers == list(range(said["first_block"] + 1, late.begun + BLOCKS - LATE + 1))
    assert not differing(late.node.http_url, states)
    # All the way to where the first of the pools has had its first event.
    before = [pools for block, pools in states if block.number < late.begun - LATE]
    assert any(before)
    assert not before[0]
    assert {each["key"] for each in said["began"]} == {*states[-1][1]}
    for update in updates:
        if update.block.number in late.updates and update.block.number <= late.begun:
            full = late.updates[update.block.number]
            assert update.logs == full.logs
            assert update.block == replace(full.block, seen_at=None)
            assert not update.has_receipts
    # Again there is nothing left to do.
    assert dexarb(*command, "--yes", "--json").json["blocks"] == 0
    words = dexarb(*command).words
    assert "already" in words or "before" in words


def test_with_receipts_blocks_are_as_if_they_had_been_seen(
    late: Late, tmp_path: Path, dexarb: Dexarb
) -> None:
    run = late.copy(tmp_path)
    dexarb(
        "history", "backfill", "--config", run.folder / "collector.toml",
        "--blocks", LATE, "--receipts", "--yes",
    )  # fmt: skip
    assert check(run.history).ok
    assert check(run.history).unproven == BLOCKS - LATE
    states, updates = told(run.history)
    assert updates[0].block.number == late.begun - LATE + 1
    for block, pools in states:
        if block.number in late.states and pools:
            assert pools.items() <= late.states[block.number].items()
    for update in updates[:LATE]:
        full = late.updates[update.block.number]
        assert update.transactions == full.transactions
        assert update.logs == full.logs
        assert update.traffic == full.traffic
        assert update.has_receipts
    replays = [
        dexarb("replay", each, "--config", run.folder / "paper_trading.toml", "--json").json
        for each in (run.history, run.whole)
    ]
    assert replays[0]["first_block"] == late.begun - LATE + 1
    assert replays[0]["last_block"] == late.begun + BLOCKS - LATE
    for key in ("first_block", "last_block", "opportunities", "ledger_digest"):
        assert replays[0][key] == replays[1][key]


def test_it_goes_on_where_it_was_stopped_and_beside_a_collector(
    late: Late, tmp_path: Path, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = late.copy(tmp_path)
    command = ("history", "backfill", "--config", run.folder / "collector.toml", "--yes")
    put = EarlierWriter.put
    segments: list[int] = []

    def put_two(self: Any, *arguments: Any) -> None:
        if len(segments) == 2:
            (run.history / "-00000000999.tmp").mkdir()  # as a kill leaves it
            raise KeyboardInterrupt
        put(self, *arguments)
        segments.append(1)

    with HistoryWriter.open(run.history, chain_id=CHAIN_ID, chain="embedded") as writer:
        monkeypatch.setattr(EarlierWriter, "put", put_two)
        assert dexarb(*command).code == 130
        monkeypatch.undo()
        monkeypatch.setattr(history_backfill, "SEGMENT_BLOCKS", SEGMENT)
        assert len(list_segments(run.history)) == 3
        assert check(run.history).ok
        assert dexarb(*command).code == 0
        assert writer.last_seq == BLOCKS - LATE + 1
    assert not list(run.history.glob("*.tmp"))
    assert check(run.history).ok
    once = late.copy(tmp_path / "once")
    dexarb("history", "backfill", "--config", once.folder / "collector.toml", "--yes")
    assert told(run.history) == told(once.history)
    # A bit of it flipped is found, as anywhere.
    (first, *_) = list_segments(run.history)
    path = first.path / "logs.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert not check(run.history).ok


def test_pools_join_where_nothing_in_reach_says_what_was_before(
    late: Late, tmp_path: Path, dexarb: Dexarb
) -> None:
    run = late.copy(tmp_path)
    said = dexarb(
        "history", "backfill", "--config", run.folder / "collector.toml",
        "--blocks", 6, "--reach", 0, "--yes", "--json",
    ).json  # fmt: skip
    states, _ = told(run.history)
    assert check(run.history).ok
    for block, pools in states:
        if block.number in late.states and pools:
            assert pools.items() <= late.states[block.number].items()
    assert 0 < len(said["began"]) < len(states[-1][1])
    joined = [
        entry for entry in HistoryReader(run.history).entries() if isinstance(entry, PoolsChanged)
    ]
    assert {pool.key for entry in joined for pool in entry.joined} == {
        each["key"] for each in said["began"]
    }
