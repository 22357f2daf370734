"""A whole block, from its line in the history to opportunities that are exact in integers."""

from __future__ import annotations

import time
from itertools import islice
from statistics import median

from benchmarks.harness import ROUNDS, Round, Row, compared
from benchmarks.hub_market import HubMarket
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.search.scan import Scan, Scanner
from dexarb.store.codec import decode, encode_block
from dexarb.trading.models.reality import REALITY
from tests.oracles.simple import SimpleScanner
from tests.support.worlds.blocks import next_block

LOGS, OPENED = 60, 42
BLOCKS = 6
"""In each of the five rounds."""


def block_rows() -> list[Row]:
    return [whole_block(), triage()]


def step(line: bytes, market: Market, search: Scanner | SimpleScanner) -> Scan:
    entry = decode(line, "benchmark")
    assert isinstance(entry, BlockUpdate)
    scan = search.update(market, market.apply(entry))
    scan.offers()
    return scan


def whole_block() -> Row:
    """Decode, update, mirror, search, integers; against the simple search on the same block."""
    hubs = HubMarket.of(300, 60)
    fast_market, slow_market = hubs.market(), hubs.market()
    starts = hubs.start_tokens
    fast = Scanner(fast_market, start_tokens=starts, gas_units=REALITY.gas.units, max_hops=2)
    slow = SimpleScanner(slow_market, start_tokens=starts, gas_units=REALITY.gas.units)
    rounds: list[Round] = []
    counts: list[int] = []
    blocks = hubs.blocks(LOGS, OPENED)
    for _ in range(ROUNDS):
        mine: list[float] = []
        others: list[float] = []
        for pools in islice(blocks, BLOCKS):
            line = encode_block(next_block(fast_market, pools))
            start = time.perf_counter()
            ours = step(line, fast_market, fast)
            mine.append(time.perf_counter() - start)
            counts.append(len(ours.offered))
            start = time.perf_counter()
            theirs = step(line, slow_market, slow)
            others.append(time.perf_counter() - start)
            assert ours.open_cycles.keys() == theirs.open_cycles.keys()
            profits = {each.cycle.id: each.profit for each in ours.opportunities}
            for each in theirs.opportunities:
                worth = [hubs.values[token] for token in each.cycle.tokens]
                grain = max(worth) / worth[0]
                assert each.profit - profits.get(each.cycle.id, 0) <= 2 * grain
        rounds.append((mine, others))
    name = (
        f"whole block, 300 pools, {LOGS} logs, {median(counts):.0f} exact offers, 2 hops; "
        "simple search"
    )
    return compared(name, rounds, goal=10, unit="ms")


def triage() -> Row:
    """The same blocks, all that earns anything made exact or only what could pay for its gas."""
    hubs = HubMarket.of(2_000, 400)
    gas_units = REALITY.gas.units
    start_value = {token: hubs.values[token] for token in hubs.start_tokens}
    starts = hubs.start_tokens
    markets = hubs.market(), hubs.market()
    everything = Scanner(markets[0], start_tokens=starts, gas_units=gas_units, max_hops=3)
    wanted = Scanner(
        markets[1], start_tokens=starts, gas_units=gas_units, max_hops=3,
        # What is worth less than 5 units of the common measure of value.
        min_gross=lambda token: int(5.0 / start_value[token]),
    )  # fmt: skip
    rounds: list[Round] = []
    counts: dict[Scanner, int] = {everything: 0, wanted: 0}
    blocks = hubs.blocks(LOGS, 4)
    for _ in range(ROUNDS):
        taken: dict[Scanner, list[float]] = {everything: [], wanted: []}
        for pools in islice(blocks, BLOCKS):
            for market, search in zip(markets, (everything, wanted), strict=True):
                touched = market.apply(next_block(market, pools))
                start = time.perf_counter()
                scan = search.update(market, touched)
                scan.offers()
                taken[search].append(time.perf_counter() - start)
                counts[search] += len(scan.offered)
            assert everything.scan.open_cycles == wanted.scan.open_cycles
        rounds.append((taken[wanted], taken[everything]))
    name = (
        f"triage, a minimum of 5 dollars: {counts[wanted]:,} of {counts[everything]:,} exact offers"
    )
    return compared(name, rounds, goal=None, unit="ms")
