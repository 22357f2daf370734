"""How fast the store is: lines, appends, a following reader, compaction, reading, ledger blocks.

`python benchmarks/store_latency.py [SEGMENT_BLOCKS]` prints a line of JSON for each figure. Blocks
have 60 logs and 100 transactions.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from dexarb.amm.uniswap_v2 import SYNC, UniswapV2Pool
from dexarb.core.block import Block, BlockHash, BlockUpdate, Log, Transaction
from dexarb.core.market import Keyframe
from dexarb.core.pool import PoolKey
from dexarb.core.profile import ChainProfile
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address, Token
from dexarb.core.trade import Decision, DecisionId, StrategyHash
from dexarb.store.codec import decode, encode_block
from dexarb.store.compaction import close_segments
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb

LOGS, TRANSACTIONS, POOLS = 60, 100, 200
random_ = random.Random(1)


def hexadecimal(size: int) -> str:
    return "0x" + random_.randbytes(size).hex()


def address() -> Address:
    return Address(hexadecimal(20))


def block_hash() -> BlockHash:
    return BlockHash(hexadecimal(32))


WETH, USDC = address(), address()
ADDRESSES = [address() for _ in range(POOLS)]


def keyframe() -> Keyframe:
    pools = tuple(
        UniswapV2Pool(address=address, token0=WETH, token1=USDC, reserve0=10**21, reserve1=10**12)
        for address in ADDRESSES
    )
    tokens = (Token(1, WETH, "WETH", 18), Token(1, USDC, "USDC", 6))
    profile = ChainProfile(1, "bench", "fee", WETH, USDC, {"WETH": WETH}, (WETH,), {}, 10**9)
    block = Block(0, block_hash(), block_hash(), 1_700_000_000, 10**9, 0, 30_000_000)
    return Keyframe(0, block, profile, tokens, pools)


def blocks(parent: Block) -> Iterator[BlockUpdate]:
    while True:
        block = replace(
            parent,
            number=parent.number + 1,
            hash=block_hash(),
            parent_hash=parent.hash,
            seen_at=1.0,
        )
        logs = tuple(
            Log(random_.choice(ADDRESSES), (SYNC,), random_.randbytes(64), index, index)
            for index in range(LOGS)
        )
        transactions = tuple(
            Transaction(index, hexadecimal(32), address(), address(), 2 * 10**9, 150_000, True)
            for index in range(TRANSACTIONS)
        )
        yield BlockUpdate(0, block, logs, transactions)
        parent = block


def report(name: str, times_s: list[float], unit: str = "ms") -> None:
    ordered = sorted(times_s)
    scale = {"us": 1e6, "ms": 1e3}[unit]
    quantiles = {
        "p50": statistics.median(ordered),
        "p99": ordered[len(ordered) * 99 // 100],
        "max": ordered[-1],
    }
    figures = {key: round(value * scale, 3) for key, value in quantiles.items()}
    print(json.dumps({"name": name, "unit": unit, **figures, "load": os.getloadavg()[0]}))


def report_one(name: str, unit: str, value: float) -> None:
    print(json.dumps({"name": name, "unit": unit, "value": round(value, 2)}))


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def lines(updates: list[BlockUpdate]) -> None:
    encoded = [encode_block(update) for update in updates]
    report_one("line of a block", "bytes", len(encoded[0]))
    report("encode block", [timed(partial(encode_block, update)) for update in updates], "us")
    report("decode block", [timed(partial(decode, line, "")) for line in encoded], "us")


def append(folder: Path, updates: list[BlockUpdate], start: Keyframe, segment: int) -> None:
    """Appends alone, beside a following reader, and beside a compaction."""
    writer = HistoryWriter.open(folder, chain_id=1, chain="bench", segment_blocks=segment)
    writer.append_keyframe(start)

    def frame(block: Block) -> Callable[[], Keyframe]:
        return lambda: replace(start, block=block)

    def add(update: BlockUpdate) -> float:
        took = timed(lambda: writer.append(update))
        writer.roll_if_full(frame(update.block))
        return took

    first, second, third = (updates[at : at + segment] for at in (0, segment, 2 * segment))
    report("append", [add(update) for update in first])

    sent: dict[str, float] = {}
    delays: list[float] = []
    done = threading.Event()

    def follow() -> None:
        for entry in HistoryReader(folder).follow(writer.last_seq, stop=done.is_set):
            if isinstance(entry, BlockUpdate) and entry.block.hash in sent:
                delays.append(time.perf_counter() - sent[entry.block.hash])

    reader = threading.Thread(target=follow)
    reader.start()
    for update in second[:500]:
        sent[update.block.hash] = time.perf_counter()
        add(update)
        time.sleep(0.01)
    done.set()
    reader.join()
    report("append begun to entry decoded by a reader that polls every 5 ms", delays)
    for update in second[500:]:
        add(update)

    compaction = threading.Thread(target=close_segments, args=(folder, 10**9))
    start_at = time.perf_counter()
    compaction.start()
    beside = []
    for update in third:
        beside.append(add(update))
        time.sleep(0.005)
        if not compaction.is_alive():
            break
    compaction.join()
    took = time.perf_counter() - start_at
    report("append beside compaction in a thread", beside)
    closed = sum(path.is_dir() for path in folder.iterdir())
    size = sum(path.stat().st_size for path in folder.glob("*/*.parquet"))
    report_one("compaction a block", "ms", took * 1e3 / closed / segment)
    report_one("Parquet a block", "bytes", size // closed // segment)
    writer.close()


def read(folder: Path, segment: int) -> None:
    reader = HistoryReader(folder)
    took = timed(lambda: sum(1 for _ in reader.entries(1, segment)))
    report_one("read Parquet", "blocks/s", segment / took)


def ledger(path: Path) -> None:
    cycle = Cycle((Hop(PoolKey(ADDRESSES[0]), WETH, USDC), Hop(PoolKey(ADDRESSES[1]), USDC, WETH)))
    block = keyframe().block
    with LedgerDb.open(path, chain_id=1, history=path.parent) as books:

        def write(seq: int, count: int) -> float:
            decisions = [decision(f"{seq}-{each}", block, cycle) for each in range(count)]
            start = time.perf_counter()
            with books.block(seq, block) as entry:
                entry.add_decisions(decisions)
            return time.perf_counter() - start

        for count, rounds in ((0, 200), (10, 200), (1000, 20)):
            first = max(0, books.seq) + 1
            times = [write(seq, count) for seq in range(first, first + rounds)]
            report(f"ledger block with {count} decisions", times)
        report_one("ledger digest of 22,000 decisions", "ms", timed(books.digest) * 1e3)


def decision(name: str, block: Block, cycle: Cycle) -> Decision:
    return Decision(
        id=DecisionId(name),
        strategy=StrategyHash("strategy"),
        block=block,
        cycle=cycle,
        amount_in=10**18,
        amount_out=10**18 + 1,
        min_amount_out=10**18,
        gas_units=300_000,
        expected_net_micro_usd=10**6,
        capital_micro_usd=10**9,
        priority_fee=10**9,
        max_base_fee=10**11,
        first_block=1,
        deadline_block=1,
    )


def main(segment: int) -> None:
    start = keyframe()
    source = blocks(start.block)
    updates = [next(source) for _ in range(3 * segment)]
    with tempfile.TemporaryDirectory() as folder:
        lines(updates[:500])
        append(Path(folder) / "history", updates, start, segment)
        read(Path(folder) / "history", segment)
        ledger(Path(folder) / "ledger.db")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
