"""Whether an endpoint is on our chain: its chain id, and its hash of a block that we know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dexarb.chain.endpoint import Standing
from dexarb.chain.endpoint_client import EndpointClient, Slot, slots
from dexarb.core.block import BlockRef
from dexarb.errors import TransportError

_KEPT_BLOCKS = 1024
"""Headers of so many blocks every node keeps."""


class _Hash(msgspec.Struct):
    hash: str


async def judge(
    client: EndpointClient,
    chain_id: int,
    known: BlockRef | None,
    spend: Callable[[list[str]], None],
) -> tuple[Standing, str]:
    """Where the endpoint stands and why. What it cannot tell (a method, a block that it does not
    have) speaks for it; while it is only busy nothing is known. Raises TransportError."""
    answer = await _own_answer(client, spend, str, "eth_chainId")
    if answer.error is not None and not answer.final:
        return Standing.UNKNOWN, ""
    try:
        found = int(answer.value, 16) if answer.error is None else chain_id
    except ValueError:
        raise TransportError(client.health.name, "its chain id is no number") from None
    if found != chain_id:
        return Standing.WRONG_CHAIN, f"on chain {str(found)[:20]}, not {chain_id}: not used"
    if known is not None:
        params = [hex(known.number), False]
        header = await _own_answer(client, spend, _Hash, "eth_getBlockByNumber", *params)
        if header.error is not None:
            return await _by_height(client, known, spend)
        if header.value.hash.lower() != known.hash:
            reason = f"has another block {known.number} than ours: not used while others are"
            return Standing.ESTRANGED, reason
    return Standing.OURS, ""


async def _by_height(
    client: EndpointClient, known: BlockRef, spend: Callable[[list[str]], None]
) -> tuple[Standing, str]:
    """A node that is not as far as the block cannot be judged; one that is beyond it and close to
    it would have it."""
    answer = await _own_answer(client, spend, str, "eth_blockNumber")
    try:
        height = int(answer.value, 16) if answer.error is None else 0
    except ValueError:
        raise TransportError(client.health.name, "its block number is no number") from None
    if known.number <= height <= known.number + _KEPT_BLOCKS:
        reason = f"is at block {height} and lacks our block {known.number}: not used while others"
        return Standing.ESTRANGED, f"{reason} are"
    return Standing.OURS, ""


async def _own_answer(
    client: EndpointClient,
    spend: Callable[[list[str]], None],
    type_: Any,
    method: str,
    *params: Any,
) -> Slot:
    """Raises TransportError."""
    (slot,) = slots(type_, [(method, params)], None)
    await client.ask([slot], spend)
    return slot
