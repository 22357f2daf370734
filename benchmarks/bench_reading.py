"""Reading a history: an entry against msgspec on the same bytes, Parquet against the lines."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec

from benchmarks.harness import Row, compare
from benchmarks.hub_market import HubMarket
from dexarb.core.block import BlockHash, BlockUpdate, Log, Transaction
from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.store.codec import decode
from dexarb.store.compaction import close_segments
from dexarb.store.follow import first_keyframe, follow
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import LineReader, list_segments
from tests.support.recorded import record
from tests.support.worlds.blocks import GWEI, next_block

BLOCKS, POOLS, LOGS, PEOPLE = 1_000, 60, 40, 2_000
"""So many blocks a segment of a history has by default."""


def rows() -> list[Row]:
    return [row for transactions in (0, 150) for row in reading(transactions)]


def reading(transactions: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        reader = recorded(Path(folder) / "lines", transactions)
        closed = recorded(Path(folder) / "closed", transactions)
        close_segments(closed.folder, 10**9, depth=0)
        return compared_readers(reader, closed, transactions)


def compared_readers(reader: HistoryReader, closed: HistoryReader, transactions: int) -> list[Row]:
    first, of_lines = first_keyframe(reader), list_segments(reader.folder)[0]
    with LineReader(of_lines.path) as whole:
        lines = list(whole.lines())[1:]
    plain = msgspec.json.Decoder()

    def builtins() -> None:
        for line in lines:
            plain.decode(line)

    def entries() -> None:
        for line in lines:
            decode(line, "benchmark")

    def read(asked: HistoryReader) -> None:
        for _ in asked.entries(first.seq, first.seq + BLOCKS):
            pass

    def look(asked: HistoryReader) -> None:
        for entry in asked.entries(first.seq, first.seq + BLOCKS):
            if isinstance(entry, BlockUpdate):
                len(entry.transactions)

    def walk() -> None:
        for _ in follow(reader, first.seq, first.seq + BLOCKS):
            pass

    size = f"{LOGS} logs, {transactions} transactions"
    asked = (
        (f"decode an entry, {size}; msgspec to plain builtins", entries, builtins, None),
        ("  read it from lines; msgspec to plain builtins", lambda: read(reader), builtins, None),
        ("  read it from Parquet; from lines", lambda: read(closed), lambda: read(reader), 1.0),
        (
            "  and look at its transactions; from lines",
            lambda: look(closed),
            lambda: look(reader),
            0.4 if transactions else None,
        ),
        ("  read it from lines and apply it; reading alone", walk, lambda: read(reader), None),
    )
    return [
        compare(name, ours, other, goal=goal, each=BLOCKS, repeat=5, baseline_each=BLOCKS)
        for name, ours, other, goal in asked
    ]


def recorded(folder: Path, transactions: int) -> HistoryReader:
    """Its first segment holds BLOCKS blocks. Who trades is drawn by a power law, as on a chain."""
    rng, hubs = random.Random(1), HubMarket.of(POOLS, 15)
    people = [Address(f"0x{rng.randbytes(20).hex()}") for _ in range(PEOPLE)]
    often = [1 / (rank + 1) for rank in range(PEOPLE)]
    first = hubs.market().keyframe()
    own, parent = new_hash(rng), new_hash(rng)
    first = replace(first, block=replace(first.block, hash=own, parent_hash=parent))
    market = Market(first)

    def traded(log: Log) -> Log:
        names = rng.choices(people, often, k=len(log.topics) - 1)
        words = [bytes.fromhex(name[2:]).rjust(32, b"\0") for name in names]
        return msgspec.structs.replace(log, topics=(log.topics[0], *words))

    def transaction(index: int) -> Transaction:
        sender, to = rng.choices(people, often, k=2)
        price, gas = 30 * GWEI + rng.randrange(GWEI), rng.randrange(21_000, 900_000)
        return Transaction(index, new_hash(rng), sender, to, price, gas, succeeded=True, type=2)

    def traffic() -> Traffic:
        """A swap in every third transaction, a flow in every twelfth."""
        emitters = list(dict.fromkeys(rng.choices(people, often, k=transactions // 3)))
        swaps = tuple(SwapCount(each, "uniswap_v3", 1) for each in emitters)

        def flow(index: int) -> Flow:
            passed = tuple(rng.randrange(len(emitters)) for _ in range(3))
            tokens = rng.choices(people, often, k=2)
            told = (Change(token, str(rng.randrange(10**21))) for token in tokens)
            return Flow(index, passed, True, (), tuple(told))

        return Traffic(swaps, tuple(map(flow, range(0, transactions, 12))))

    def updates() -> Iterator[BlockUpdate]:
        # One more than a segment holds: the last segment of a history is never closed.
        for pools in islice(hubs.blocks(LOGS, 2), BLOCKS + 1):
            made = next_block(market, pools, new_hash(rng))
            made = replace(
                made,
                logs=tuple(map(traded, made.logs)),
                transactions=tuple(map(transaction, range(transactions))),
                traffic=traffic() if transactions else None,
            )
            market.apply(made)
            yield made

    return HistoryReader(record(folder, first, updates(), segment_blocks=BLOCKS))


def new_hash(rng: random.Random) -> BlockHash:
    return BlockHash(f"0x{rng.randbytes(32).hex()}")
