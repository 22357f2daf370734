"""Blocks of the past: headers from child to parent, and logs by ranges as large as a node gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dexarb.chain import contents, decode
from dexarb.chain.contents import Contents, Watched
from dexarb.chain.decode import EventLog, Header
from dexarb.chain.endpoints.trouble import NOT_THERE_YET, is_transient
from dexarb.chain.feed.fetch import MAX_FILTER_ADDRESSES, ContentsFetcher
from dexarb.chain.feed.headers import HeaderReader
from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockHash, Log
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from dexarb.errors import OutsideError, Refused, RpcError, TransportError

RANGE = 1_000
"""Blocks that logs are asked for at once, at first."""
MOST = 10_000
RECEIPTS_AT_ONCE = 8
_ATTEMPTS = 8
_BY_NUMBER = "eth_getBlockByNumber"


class PastReader:
    """Mutable: knows how large a range of logs may be."""

    def __init__(self, rpc: Rpc, headers: HeaderReader) -> None:
        self._rpc = rpc
        self._headers = headers
        self._range = RANGE

    async def headers(self, newest: BlockHash, count: int) -> list[Header]:
        """So many blocks down from this one, it included, the oldest first.

        Each is the parent of the next, by its hash. Raises OutsideError.
        """
        head = await self._headers.one(newest)
        number = head.block.number
        found = await self._headers.ask(list(range(number - 1, number - count, -1)))
        way = [head]
        for at, header in enumerate(found, start=1):
            if header is None:
                raise RpcError(_BY_NUMBER, NOT_THERE_YET, f"no block {number - at}")
            if header.block.hash != way[-1].block.parent_hash:
                raise Refused(_BY_NUMBER, f"block {number - at} is not the next one's parent")
            way.append(header)
        return way[::-1]

    async def logs(self, headers: Sequence[Header], watched: Watched) -> list[Contents]:
        """Of each of these blocks, which follow each other. Raises OutsideError."""
        events: dict[str, list[EventLog]] = {header.block.hash: [] for header in headers}
        first, last = headers[0].block.number, headers[-1].block.number
        while last >= first:
            oldest, found = await self._down_from(
                last, first, watched.pools, [watched.topics], events
            )
            for event in found:
                events[event.block_hash.lower()].append(event)
            last = oldest - 1
        checked = [
            contents.of_logs(header, events[header.block.hash], watched) for header in headers
        ]
        for at, each in enumerate(checked):
            if each.admitted:  # by the bloom there may be more
                fetcher = ContentsFetcher(self._rpc, self._headers, watched)
                checked[at] = (await fetcher.logs(headers[at : at + 1]))[0]
        return checked

    async def receipts(self, headers: Sequence[Header], watched: Watched) -> list[Contents]:
        """The same with receipts, where they are to be had. Raises OutsideError."""
        fetcher = ContentsFetcher(self._rpc, self._headers, watched)
        found: list[Contents] = []
        failures = 0
        while len(found) < len(headers):
            chunk = headers[len(found) : len(found) + RECEIPTS_AT_ONCE]
            try:
                found += await fetcher.fetch(chunk, failures, float(failures))
                failures = 0
            except OutsideError:
                failures += 1
                if failures > _ATTEMPTS:
                    raise
                await self._rpc.pause(failures)
        return found

    async def last_placed(
        self, pools: Iterable[Pool], newest: int, oldest: int
    ) -> dict[PoolKey, Log]:
        """Of each pool the last event up to block `newest` that says where it left the pool; of
        those that have none from block `oldest` on nothing. Raises OutsideError."""
        wanted = {pool.key: pool for pool in pools}
        found: dict[PoolKey, Log] = {}
        last = newest
        while wanted and last >= oldest:
            topics = frozenset[bytes]().union(*(pool.placing_topics for pool in wanted.values()))
            kinds = {pool.address: type(pool) for pool in wanted.values()}
            down_to, events = await self._down_from(last, oldest, kinds, [topics], None)
            for event in sorted(events, key=_place, reverse=True):
                try:
                    log = decode.log(event, 0)
                except ValueError as error:
                    raise Refused(contents.LOGS, f"malformed: {error}") from None
                kind = kinds.get(log.address)
                key = None if kind is None else kind.key_of(log)
                if key is None or key not in wanted or not log.topics:
                    continue
                if log.topics[0] in wanted[key].placing_topics:
                    found[key] = log
                    del wanted[key]
            last = down_to - 1
        return found

    async def _down_from(
        self,
        last: int,
        first: int,
        emitters: Iterable[Address],
        topics: Sequence[frozenset[bytes]],
        known: Mapping[str, object] | None,
    ) -> tuple[int, list[EventLog]]:
        """Logs of as many blocks as are given at once, up to `last`, and where they begin.

        known: hashes of the blocks that they may be of.
        """
        addresses = sorted(emitters)
        wanted: dict[str, object] = {
            "topics": [sorted("0x" + topic.hex() for topic in each) for each in topics]
        }
        if len(addresses) <= MAX_FILTER_ADDRESSES:
            wanted["address"] = addresses

        def check(events: list[EventLog]) -> None:
            for event in events:
                if known is not None and event.block_hash.lower() not in known:
                    raise Refused(contents.LOGS, "a log of a block that is not the chain's")

        while True:
            begin = max(first, last - self._range + 1)
            asked = {**wanted, "fromBlock": hex(begin), "toBlock": hex(last)}
            try:
                events = await self._rpc.call_as(list[EventLog], contents.LOGS, asked, check=check)
            except OutsideError as error:
                if self._range == 1 or not _may_be_smaller(error):
                    raise
                self._range = max(1, (last - begin + 1) // 2)
                continue
            self._range = min(MOST, self._range * 2)
            return begin, events


def _place(event: EventLog) -> tuple[int, int]:
    return int(event.block_number or "0x0", 16), int(event.log_index, 16)


def _may_be_smaller(error: OutsideError) -> bool:
    """Whether fewer blocks may be given: nodes say in many ways that it was too much."""
    if isinstance(error, TransportError):
        return error.timed_out or error.smaller_may_do
    return (
        isinstance(error, RpcError)
        and not isinstance(error, Refused)
        and not (is_transient(error) and error.code == NOT_THERE_YET)
    )
