"""Studies of a recorded history against its floor: reading it and moving the market on."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from benchmarks.harness import Row, compare
from benchmarks.hub_market import HubMarket
from dexarb.core.block import BlockUpdate
from dexarb.core.profile import ReferencePool
from dexarb.core.token import Address, Token, pair_of
from dexarb.core.units import MICRO_USD
from dexarb.store.follow import first_keyframe, follow
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_notes import StateAge
from dexarb.store.ledger_rows import Epoch
from dexarb.study.redecide import redecided
from dexarb.study.side_by_side import SideBySide
from dexarb.study.span import span
from dexarb.study.spreads_survey import SpreadsStudy, chosen_sizes
from dexarb.study.study import run
from dexarb.study.walk import walk
from dexarb.trading.strategy import StrategySettings
from tests.support.recorded import record
from tests.support.worlds.blocks import next_block
from tests.support.worlds.small_chain import settings

BLOCKS, POOLS, LOGS, OPENED = 400, 60, 40, 2
CROWDED = 100, 300
"""Blocks and pools where hundreds of cycles are open at a time."""
SIZES_USD = (100, 500, 1_000, 2_000, 3_000, 5_000)


def rows() -> list[Row]:
    hubs = HubMarket.of(POOLS, 15)
    with tempfile.TemporaryDirectory() as folder:
        reader = recorded(Path(folder) / "few", hubs, BLOCKS)
        chosen = strategies(hubs)
        blocks, pools = CROWDED
        crowded = recorded(Path(folder) / "many", HubMarket.of(pools, 15), blocks)
        return [
            spreads(reader, chosen),
            side_by_side(reader, chosen[2:4]),
            walked(reader, BLOCKS, POOLS),
            walked(crowded, blocks, pools),
        ]


def recorded(folder: Path, hubs: HubMarket, blocks: int) -> HistoryReader:
    """The first hub counts as the dollar and pays for gas."""
    dollar = hubs.start_tokens[0]
    references: dict[Address, tuple[ReferencePool, ...]] = {
        token: tuple(
            ReferencePool(pool.key, dollar, 1)
            for pool in hubs.pools
            if set(pool.tokens) == {dollar, token}
        )
        for token in hubs.values
        if token != dollar
    }
    market = hubs.market()
    market.profile = replace(
        market.profile, start_tokens=hubs.start_tokens, reference_pools=references
    )
    market.tokens[dollar] = Token(1, dollar, "USD", round(-math.log10(hubs.values[dollar])))

    def updates() -> Iterator[BlockUpdate]:
        for pools in islice(hubs.blocks(LOGS, OPENED), blocks):
            made = next_block(market, pools, f"0x{market.block.number + 1}")
            market.apply(made)
            yield made

    return HistoryReader(record(folder, market.keyframe(), updates()))


def strategies(hubs: HubMarket) -> list[StrategySettings]:
    pairs = tuple(sorted({pair_of(*pool.tokens) for pool in hubs.pools}))
    return [
        settings(
            f"Up to {usd}",
            pairs=pairs,
            max_trade_size_micro_usd=usd * MICRO_USD,
            min_profit_micro_usd=usd * 1_000,
        )
        for usd in SIZES_USD
    ]


def against_reading(name: str, ours: Callable[[], None], reader: HistoryReader, goal: float) -> Row:
    def read() -> None:
        for _ in follow(reader, first_keyframe(reader).seq):
            pass

    return compare(name, ours, read, goal=goal, unit="s", repeat=1, repeat_baseline=1)


def spreads(reader: HistoryReader, chosen: Sequence[StrategySettings]) -> Row:
    asked = span(reader, first=None, last=None, count=None)

    def ours() -> None:
        run(SpreadsStudy(*chosen_sizes(chosen, None), chosen), walk(asked))

    name = f"spreads over {BLOCKS} blocks, {POOLS} pools, 6 sizes; reading and applying"
    return against_reading(name, ours, reader, goal=0.1)


def walked(reader: HistoryReader, blocks: int, pools: int) -> Row:
    """What every study of moments stands on, also those that never ask what is offered."""
    asked = span(reader, first=None, last=None, count=None)

    def ours() -> None:
        for _ in walk(asked):
            pass

    name = f"a walk over {blocks} blocks, {pools} pools; reading and applying"
    return against_reading(name, ours, reader, goal=0.2)


def side_by_side(reader: HistoryReader, two: Sequence[StrategySettings]) -> Row:
    keys = [each.hash for each in two]
    first = first_keyframe(reader).seq

    def ours() -> None:
        feed = redecided(
            reader,
            two,
            [Epoch(key, first + 1, None) for key in keys],
            from_seq=first,
            to_seq=reader.last_seq,
            state_ages=[StateAge(0, 10)],
        )
        run(SideBySide(keys), feed)

    name = f"two strategies decide again over {BLOCKS} blocks; reading and applying"
    return against_reading(name, ours, reader, goal=0.12)
