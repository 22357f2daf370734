"""What one endpoint is good for: asked once for everything that a collector will ask it for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dexarb.chain import contents
from dexarb.chain.contents import Watched
from dexarb.chain.decode import Receipt
from dexarb.chain.endpoints.choice import EndpointReport
from dexarb.chain.feed.headers import LATEST, HeaderReader
from dexarb.chain.feed.pace import Pace
from dexarb.chain.rpc import Rpc
from dexarb.core.token import Address
from dexarb.errors import OutsideError, UnfitChain

BATCH = 20
"""Calls in the batch that is tried."""


@dataclass(slots=True)
class EndpointCheck:
    """What was found; what comes behind a `problem` was not asked.

    problem: why it cannot be used. newest_block: of its head, and age_s: how old that was by our
    clock. block_time_s: of its last blocks, None where they are too few. lacks: by feature
    (headers, receipts, batches, push, multicall3), what it is without.
    """

    endpoint: str
    problem: str | None = None
    answered_ms: float | None = None
    newest_block: int | None = None
    age_s: float | None = None
    block_time_s: float | None = None
    lacks: dict[str, str] = field(default_factory=dict)


async def check_endpoint(
    rpc: Rpc,
    chain_id: int,
    fields: Sequence[str],
    multicall: Address,
    utc: Callable[[], float] = time.time,
) -> EndpointCheck:
    """rpc: of this endpoint alone. fields: what the chain's block hash is made of. Raises nothing
    of what an endpoint can do wrong."""
    found = EndpointCheck(rpc.names[0])
    rpc.expect(chain_id, tuple)
    headers = HeaderReader(rpc, fields)
    try:
        sent_at = time.monotonic()
        await rpc.call("eth_blockNumber")
        found.answered_ms = round(1000 * (time.monotonic() - sent_at), 1)
        await headers.prove()
        head = (await headers.one(LATEST)).block
        found.newest_block, found.age_s = head.number, utc() - head.timestamp
        if not headers.are_proven:
            found.lacks["headers"] = "blocks stay unproven: name the fields in header_fields"
        await _try_batch(rpc, headers, head.number, found)
    except OutsideError as error:
        reason = _report(rpc).reason if rpc.foreign else str(error)
        found.problem = reason.removeprefix(f"{found.endpoint}: ")
        return found
    await _try_receipts(rpc, headers, found)
    if found.problem is not None:
        return found
    await _try_push(rpc, found)
    try:
        if await rpc.call("eth_getCode", multicall, LATEST) == "0x":
            found.lacks["multicall3"] = f"is not at {multicall}: a start takes thousands of calls"
    except OutsideError as error:
        found.lacks["multicall3"] = str(error)
    return found


async def _try_batch(rpc: Rpc, headers: HeaderReader, newest: int, found: EndpointCheck) -> None:
    """The last headers at once. Raises OutsideError."""
    before = rpc.requests
    numbers = list(range(max(0, newest - BATCH + 1), newest + 1))
    pace = Pace()
    for each in await headers.ask(numbers):
        if each is not None:
            pace.note(each.block.number, each.block.timestamp)
    found.block_time_s = pace.block_time_s
    if rpc.requests - before > 1:
        size = _report(rpc).batch_size
        found.lacks["batches"] = f"takes no more than {size} calls in one: a start takes longer"


async def _try_receipts(rpc: Rpc, headers: HeaderReader, found: EndpointCheck) -> None:
    """Those of its head, against the root in the header."""
    try:
        header = await headers.one(LATEST)

        def check(receipts: list[Receipt]) -> None:
            if any(receipt.pays_for_l1 for receipt in receipts):
                found.problem = str(UnfitChain(header.block.number))
            contents.of_receipts(header, receipts, Watched.of(()))

        await rpc.call_as(list[Receipt], contents.RECEIPTS, header.block.hash, check=check)
    except OutsideError as error:
        found.lacks["receipts"] = (
            f"blocks stay unproven, and the place of trades in them unknown: {error}"
        )


async def _try_push(rpc: Rpc, found: EndpointCheck) -> None:
    if not rpc.can_subscribe:
        found.lacks["push"] = "new blocks are asked for; wss:// and ipc:// announce them"
        return
    try:
        await rpc.subscribe("newHeads")
    except OutsideError as error:
        found.lacks["push"] = f"new blocks are asked for: {error}"


def _report(rpc: Rpc) -> EndpointReport:
    """Of the one endpoint: a view tells of all."""
    return next(each for each in rpc.endpoints if each.endpoint == rpc.names[0])
