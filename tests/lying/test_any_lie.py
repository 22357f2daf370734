"""Nodes that lie in every way, one answer in ten: what is recorded is true all the same."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from support.collecting import assert_true, collecting
from support.node_lies import Liar, faulty
from support.true_chain import TrueChain
from support.true_node import TrueNode, transport
from support.virtual_time import run_at_once

RECEIPTS = "eth_getBlockReceipts"


async def play(
    folder: Path,
    *,
    seed: int,
    blocks: int,
    pushing: bool,
    receipts: bool,
    liars: int,
    endpoints: int,
) -> None:
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
        begun = chain.head.number
        while chain.head.number < begun + blocks:
            await run.mine()
            if rng.random() < 0.2:
                chain.reorg(rng.randrange(1, 6))
        for liar in told:
            liar.rate = 0.0
        await run.mine(2)
        await run.reach()
        reports = run.rpc.endpoints
    print([report.refused for report in reports], sum(sum(t.told.values()) for t in told))
    assert_true(folder, chain, unproven=0 if receipts else None)


@pytest.mark.parametrize("pushing", [False, True], ids=["polled", "pushed"])
@pytest.mark.parametrize("receipts", [True, False], ids=["receipts", "logs"])
@pytest.mark.parametrize(("liars", "endpoints"), [(1, 1), (1, 2), (2, 2)])
def test_what_is_recorded_is_the_chain(
    tmp_path: Path, pushing: bool, receipts: bool, liars: int, endpoints: int
) -> None:
    run_at_once(
        play(
            tmp_path,
            seed=1,
            blocks=30,
            pushing=pushing,
            receipts=receipts,
            liars=liars,
            endpoints=endpoints,
        )
    )
