"""Nodes that lie in every way, one answer in ten: what is recorded is true all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dexarb.chain.endpoints.choice import EndpointReport
from dexarb.config.paper import load_paper
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Entry, Keyframe
from dexarb.core.trade import DecisionId, Fill
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from tests.support.collecting import assert_true, collecting, entries, history_of, true_update
from tests.support.node_lies import Liar, faulty
from tests.support.sessions import paper_session
from tests.support.traded import configure as configure_trader
from tests.support.traded import strategy
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode, transport
from tests.support.virtual_time import run_at_once
from tests.support.worlds.small_chain import CHAIN_ID

RECEIPTS = "eth_getBlockReceipts"
LIES_AT_LEAST = 10
UNPROVEN_AT_MOST = 1 / 10
"""Of the blocks, where receipts are to be had: those that were denied again and again."""
FALSE_AT_MOST = 1 / 30
"""Of blocks whose logs are all that is to be had: nothing tells of a log missing beside another of
its pool. The self-check mends the pool."""
TRUE_BLOCKS = 40
"""After the lies, so that it can."""


async def play(
    folder: Path,
    *,
    seed: int,
    blocks: int,
    pushing: bool = False,
    receipts: bool = True,
    liars: int = 1,
    endpoints: int = 1,
) -> tuple[TrueChain, list[EndpointReport]]:
    """A collector's life with liars, with reorganisations of depth 1 to 5; in the end they stop."""
    chain = TrueChain(seed)
    for _ in range(10):
        chain.mine()
    rng = Random(seed)
    told = [Liar(chain, seed * 10 + at) for at in range(liars)]
    without = [] if receipts else [RECEIPTS]
    lines = [
        faulty(TrueNode(chain, lie=liar, without=without), liar, f"liar {at}", pushing=pushing)
        for at, liar in enumerate(told)
    ]
    lines += [
        transport(TrueNode(chain, without=without), pushing=pushing, name="honest")
        for _ in range(endpoints - liars)
    ]
    async with collecting(folder, chain, *lines) as run:
        last = chain.head.number + blocks
        while chain.head.number < last:
            await run.mine()
            if rng.random() < 0.2:
                chain.reorg(rng.randrange(1, 6))
        for liar in told:
            liar.rate = 0.0
        await run.mine(3 if receipts else TRUE_BLOCKS)
        await run.reach()
        assert sum(liar.told.total() for liar in told) >= LIES_AT_LEAST
        return chain, run.rpc.endpoints


def check_life(folder: Path, *, seed: int, blocks: int, receipts: bool, **scene: Any) -> None:
    chain, _ = run_at_once(play(folder, seed=seed, blocks=blocks, receipts=receipts, **scene))
    if receipts:
        assert_true(folder, chain, unproven=int(blocks * UNPROVEN_AT_MOST), missing_pools=1)
    else:
        false, missing = int(blocks * FALSE_AT_MOST), 1 + blocks // 100
        unproven = blocks + TRUE_BLOCKS
        assert_true(
            folder, chain, unproven=unproven, unproven_and_false=false, missing_pools=missing
        )


@pytest.mark.parametrize("pushing", [False, True], ids=["polled", "pushed"])
@pytest.mark.parametrize("receipts", [True, False], ids=["receipts", "logs"])
@pytest.mark.parametrize(
    ("liars", "endpoints"), [(1, 1), (1, 2), (2, 2)], ids=["a liar", "a liar of two", "two liars"]
)
def test_what_is_recorded_is_the_chain(
    tmp_path: Path, pushing: bool, receipts: bool, liars: int, endpoints: int
) -> None:
    scene = {"pushing": pushing, "liars": liars, "endpoints": endpoints}
    check_life(tmp_path, seed=2, blocks=30, receipts=receipts, **scene)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("pushing", [False, True], ids=["polled", "pushed"])
@pytest.mark.parametrize("receipts", [True, False], ids=["receipts", "logs"])
@pytest.mark.parametrize(("liars", "endpoints"), [(1, 1), (1, 2), (2, 2)])
def test_what_is_recorded_over_300_blocks_is_the_chain(
    tmp_path: Path, seed: int, pushing: bool, receipts: bool, liars: int, endpoints: int
) -> None:
    scene = {"pushing": pushing, "liars": liars, "endpoints": endpoints}
    check_life(tmp_path, seed=100 + seed, blocks=300, receipts=receipts, **scene)


def fills(folder: Path, history: Path, told: list[Entry]) -> list[Fill]:
    """What stands in the ledger of a trader that hears of all these entries in time."""
    folder.mkdir()
    world = configure_trader(folder, strategy("all", min_profit_usd=-5.0))
    with LedgerDb.open(world.ledger, chain_id=CHAIN_ID, history=history) as ledger:
        session = paper_session(HistoryReader(history), ledger)
        for seq, entry in enumerate(told, start=1):
            if isinstance(entry, BlockUpdate):
                in_time = replace(entry.block, seen_at=None)
                entry = replace(entry, block=in_time, witnesses=None, backfilled=False)
            session.take(replace(entry, seq=seq))
            session.write()
            if not session.has_begun:
                session.use(load_paper(world.config).settings(session.engine.market.profile.tokens))
        standing = [row.fill for row in ledger.fills() if row.reorged_seq is None]
        return [
            fill._replace(decision=fill.decision._replace(id=DecisionId(""))) for fill in standing
        ]


def test_a_trader_books_on_it_what_it_would_book_on_the_chain_itself(tmp_path: Path) -> None:
    chain, _ = run_at_once(play(tmp_path, seed=5, blocks=40, liars=2, endpoints=2))
    told = entries(tmp_path)
    first = told[0]
    assert isinstance(first, Keyframe)
    branch = [block for block in chain.head.branch() if block.number > first.block.number][::-1]
    true: list[Entry] = [first, *map(true_update, branch)]
    history = history_of(tmp_path)
    booked = fills(tmp_path / "false", history, told)
    assert booked
    assert booked == fills(tmp_path / "true", history, true)
