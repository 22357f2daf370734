"""Inside a block: the search goes from transaction to transaction, against a new one at each."""

from __future__ import annotations

import time
from itertools import islice

from benchmarks.harness import ROUNDS, Round, Row, compared
from benchmarks.hub_market import HubMarket
from dexarb.core.inside import InsideBlock
from dexarb.search.scan import Scanner
from dexarb.trading.models.reality import REALITY
from tests.support.worlds.blocks import next_block

POOLS, TOKENS = 2_000, 400
LOGS, OPENED = (60, 300), 8
BLOCKS = 2
"""In each of the five rounds."""
AFRESH = 2
"""New searches in each block, at its last transactions; they take the same time everywhere."""


def rows() -> list[Row]:
    return [inside_blocks(logs) for logs in LOGS]


def inside_blocks(logs: int) -> Row:
    """A transaction for each log, to the open cycles and their sizes in integers behind it."""
    hubs = HubMarket.of(POOLS, TOKENS)
    market = hubs.market()

    def scanner(at: InsideBlock) -> Scanner:
        return Scanner(at, start_tokens=hubs.start_tokens, gas_units=REALITY.gas.units, max_hops=3)

    blocks = hubs.blocks(logs, OPENED)
    market.apply(next_block(market, next(blocks)))
    ours = scanner(InsideBlock(market))
    ours.update(market, market.pools)
    rounds: list[Round] = []
    for _ in range(ROUNDS):
        mine: list[float] = []
        others: list[float] = []
        for pools in islice(blocks, BLOCKS):
            market.apply(next_block(market, pools))
            inside = InsideBlock(market)
            ours.update(inside, ()).offers()
            taken: list[float] = []
            for index, moved in inside.transactions():
                start = time.perf_counter()
                scan = ours.update(inside, moved)
                scan.offers()
                taken.append(time.perf_counter() - start)
                if index < logs - AFRESH:
                    continue
                start = time.perf_counter()
                anew = scanner(inside).scan
                anew.offers()
                others.append(time.perf_counter() - start)
                assert anew.opportunities == scan.opportunities
            # Not the median: few transactions open something, and these take most of the time.
            mine.append(sum(taken) / len(taken))
        rounds.append((mine, others))
    name = f"inside a block, {POOLS:,} pools, {logs} logs, by transaction; a new scan at each"
    return compared(name, rounds, goal=20, unit="ms", in_every_round=True)
