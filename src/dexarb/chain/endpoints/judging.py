"""Whether an endpoint is on our chain: its chain id, and its hashes of blocks that we know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dexarb.chain.endpoints.client import EndpointClient, Slot, slots
from dexarb.chain.endpoints.health import Standing
from dexarb.core.block import BlockRef
from dexarb.errors import TransportError


class _OwnHash(msgspec.Struct):
    hash: str


async def judge(
    client: EndpointClient,
    chain_id: int,
    known: Sequence[BlockRef],
    spend: Callable[[list[str]], None],
) -> tuple[Standing, str]:
    """Where the endpoint stands and why: the first of the known blocks that it has decides.

    What it cannot tell speaks for it; while it is only busy nothing is known. Raises
    TransportError.
    """
    answer = await _own_answer(client, spend, str, "eth_chainId")
    if answer.error is not None and not answer.final:
        return Standing.UNKNOWN, ""
    try:
        found = int(answer.value, 16) if answer.error is None else chain_id
    except ValueError:
        raise TransportError(client.health.name, "its chain id is no number") from None
    if found != chain_id:
        return Standing.WRONG_CHAIN, f"on chain {str(found)[:20]}, not {chain_id}: not used"
    for block in known:
        params = [hex(block.number), False]
        header = await _own_answer(client, spend, _OwnHash, "eth_getBlockByNumber", *params)
        if header.error is not None:
            continue
        if header.value.hash.lower() == block.hash:
            return Standing.OURS, ""
        reason = f"has another block {block.number} than ours: not used while others are"
        return Standing.ESTRANGED, reason
    return Standing.UNJUDGED, ""


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
