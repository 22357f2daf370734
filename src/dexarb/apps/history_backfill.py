"""dexarb history backfill: what was before the collector's first block, from the chain's logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dexarb.apps.doctor import say_nothing, silent
from dexarb.chain.contents import Contents, Watched
from dexarb.chain.decode import Header
from dexarb.chain.endpoints.usage import COMPUTE_UNITS, Usage
from dexarb.chain.feed.headers import HeaderReader
from dexarb.chain.feed.past import RANGE, RECEIPTS_AT_ONCE, PastReader
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import Keyframe, Market, PoolsChanged
from dexarb.core.undoing import Undone, undo, unplaced
from dexarb.errors import BlockGone, InvalidPoolState, Refused
from dexarb.screens.history_backfill import BackfilledHistory, Cost
from dexarb.screens.history_import import Began
from dexarb.screens.progress import told
from dexarb.store.earlier import EarlierWriter
from dexarb.store.follow import first_keyframe
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import segment_name

SEGMENT_BLOCKS = 1_000
HEADERS_AT_ONCE = 100
ELSEWHERE = "Ask another endpoint"


@dataclass(frozen=True, slots=True)
class _Asked:
    """own: the block of the collector's first keyframe. target: the one to go back to. reach: how
    many blocks further back to look for the event that left a pool where it was."""

    own: int
    target: int
    reach: int
    receipts: bool


def backfill(
    collector: Path, blocks: int, *, receipts: bool, reach: int, yes: bool
) -> BackfilledHistory:
    """blocks: before the collector's first. yes: else only say what it would cost.

    Raises ConfigError, StoreError, OutsideError.
    """
    config = load_collector(collector)
    reader = HistoryReader(config.history)
    oldest = first_keyframe(reader)
    own = min((each for each in reader.keyframe_headers() if each.seq > 0), key=lambda it: it.seq)
    asked = _Asked(own.number, max(0, own.number - blocks), reach, receipts)
    missing = max(0, oldest.block.number - asked.target)
    cost = _cost(missing, receipts=receipts)
    if not yes or not missing:
        return BackfilledHistory(
            config.history, own.number, oldest.block.number, asked.target, 0, (), cost, None, yes
        )
    with silent():
        return asyncio.run(_backfill(config, asked, cost))


def _cost(blocks: int, *, receipts: bool) -> Cost:
    """About what it takes: a header each, and logs by ranges, twice for what was before them."""
    ranges = -(-blocks // RANGE)
    calls = {"eth_getBlockByNumber": blocks, "eth_getLogs": 2 * ranges}
    requests = -(-blocks // HEADERS_AT_ONCE) + 2 * ranges
    if receipts:
        calls |= {"eth_getBlockReceipts": blocks, "eth_getLogs": ranges}
        requests += -(-blocks // RECEIPTS_AT_ONCE) - ranges
    units = sum(COMPUTE_UNITS.get(method, 20) * count for method, count in calls.items())
    return Cost(sum(calls.values()), requests, units)


async def _backfill(config: CollectorConfig, asked: _Asked, cost: Cost) -> BackfilledHistory:
    chain = config.chain.chain
    began: list[Began] = []
    count = 0
    async with Rpc.connect(
        *config.endpoints,
        timeout_s=config.timeout_s,
        usage=Usage(config.compute_units),
        notice=say_nothing,
    ) as rpc:
        with EarlierWriter(config.history) as writer:
            first = writer.first.block
            rpc.expect(chain.chain_id, lambda: [BlockRef(first.number, first.hash)])
            headers = HeaderReader(rpc, chain.header_fields, is_sealed=chain.sealed_headers)
            await headers.prove()
            past = PastReader(rpc, headers)
            total = writer.first.block.number - asked.target
            while writer.first.block.number > asked.target and writer.first.pools:
                frame = writer.first
                keyframe, entries = await _segment(past, frame, asked)
                writer.put(keyframe, entries)
                count += frame.block.number - keyframe.block.number
                for entry in entries:
                    if isinstance(entry, PoolsChanged):
                        began += [
                            Began(pool.key, pool.kind, pool.dex, entry.block.number, "event")
                            for pool in entry.joined
                        ]
                told(
                    f"back to block {keyframe.block.number:,}: {count:,} of {total:,} blocks,"
                    f" {len(keyframe.pools):,} pools, {rpc.calls:,} calls"
                )
            oldest = writer.first
        spent = Cost(rpc.calls, rpc.requests, None)
    return BackfilledHistory(
        config.history, asked.own, oldest.block.number, asked.target, count,
        tuple(began), cost, spent, True, pools=len(oldest.pools),
    )  # fmt: skip


async def _segment(
    past: PastReader, later: Keyframe, asked: _Asked
) -> tuple[Keyframe, list[BlockUpdate | PoolsChanged]]:
    """A market further back, and what leads from it to the later one."""
    count = min(SEGMENT_BLOCKS, later.block.number - asked.target)
    headers = await past.headers(later.block.hash, count + 1)
    if headers[-1].block.hash != later.block.hash:
        raise BlockGone(later.block.number, later.block.hash)
    watched = Watched.of(later.pools)
    read = past.receipts if asked.receipts else past.logs
    contents = await read(headers[1:], watched)
    happened = [
        (header.block.number, found.logs)
        for header, found in zip(headers[1:], contents, strict=True)
    ]
    pools = {pool.key: pool for pool in later.pools}
    begin = headers[0].block.number
    placed = await past.last_placed(unplaced(pools, happened), begin, max(0, begin - asked.reach))
    try:
        undone = undo(pools, happened, placed)
    except InvalidPoolState as error:
        problem = f"block {later.block.number}: {error}. {ELSEWHERE}"
        if later.seq < 1:
            problem += (
                f"; if it says the same, what said otherwise is segment {segment_name(later.seq)}:"
                " delete that folder and go on"
            )
        raise Refused("eth_getLogs", problem) from error
    before = tuple(undone.before.values())
    keyframe = replace(later, seq=0, block=headers[0].block, pools=before)
    return keyframe, _entries(keyframe, later, headers[1:], contents, undone)


def _entries(
    keyframe: Keyframe,
    later: Keyframe,
    headers: Sequence[Header],
    contents: Sequence[Contents],
    undone: Undone,
) -> list[BlockUpdate | PoolsChanged]:
    """Forward again: it has to lead to the later market. Raises Refused where it does not."""
    market = Market(keyframe)
    entries: list[BlockUpdate | PoolsChanged] = []
    for header, found in zip(headers, contents, strict=True):
        block = header.block
        update = BlockUpdate(
            0,
            block,
            tuple(log for log in found.logs if market.key_of(log) is not None),
            found.transactions,
            found.has_receipts,
            witnesses=1 if found.is_proven else 0,
            producer=header.producer(),
            traffic=found.traffic,
        )
        market.apply(update)
        entries.append(update)
        if joined := undone.begins.get(block.number):
            entry = PoolsChanged(0, BlockRef(block.number, block.hash), joined=tuple(joined))
            market.change(entry)
            entries.append(entry)
    if differing := market.differing(later):
        raise Refused(
            "eth_getLogs", f"they do not lead to pools {', '.join(sorted(differing))}. {ELSEWHERE}"
        )
    return entries
