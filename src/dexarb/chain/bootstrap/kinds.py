"""Whether a contract is of the kind that the configuration says: by its factory, by its code.

Forks answer the calls of the original and still differ: Swap has more fields at PancakeSwap V3,
Algebra and Slipstream share Uniswap's Swap and differ in the rest. A pool whose events are none
of those that are followed would load well and then stand still for ever.

Source: EIP-1167 (minimal proxies).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence

import structlog

from dexarb.chain.bootstrap.abi import WORD, selector
from dexarb.chain.bootstrap.multicall import PinnedReader
from dexarb.core.pool import Call, Replies
from dexarb.core.token import Address, address_from_word
from dexarb.errors import InvalidPoolState

_FACTORY = selector("factory()")

# PUSH20 implementation, GAS, DELEGATECALL: what EIP-1167 and its shorter successors have in common.
_HANDS_OVER = re.compile(rb"\x73(.{20})\x5a\xf4", re.DOTALL)
_MINIMAL_PROXY_BYTES = 256
_PROXY_BYTES = 2048
"""No pool fits into so little code: it hands over to an address that stands elsewhere."""

_log = structlog.get_logger("dexarb.bootstrap")


def made_by(pool: Address, factory: Address) -> Generator[Sequence[Call], Replies, None]:
    """One call. Raises InvalidPoolState where the pool names another factory; silence is none."""
    (reply,) = yield [Call(pool, _FACTORY)]
    if reply is None or len(reply) < WORD:
        return
    found = address_from_word(reply[:WORD])
    if found != factory:
        raise InvalidPoolState(pool, f"its factory() is {found}, not {factory}")


async def other_events(
    reader: PinnedReader, topics_of: Mapping[Address, frozenset[bytes]]
) -> dict[Address, str]:
    """Of contracts that are to emit events with these topics, those that cannot, and why.

    A topic is a constant of the code that emits it. Contracts whose code is not to be had are not
    among them. One request, one more where minimal proxies are looked through. Raises
    TransportError.
    """
    code = await _code_of(reader, topics_of)
    found: dict[Address, str] = {}
    for pool, topics in topics_of.items():
        text = code.get(pool)
        if not text:
            _log.debug("kind.unknown", pool=pool, reason="the node shows no code")
            continue
        absent = sorted(topic.hex() for topic in topics if topic not in text)
        if len(absent) == len(topics) and len(text) < _PROXY_BYTES:
            _log.info("kind.unknown", pool=pool, reason="a proxy whose code stands elsewhere")
        elif absent:
            found[pool] = ", ".join(f"0x{topic[:8]}.." for topic in absent)
    return found


async def _code_of(
    reader: PinnedReader, pools: Mapping[Address, object]
) -> dict[Address, bytes | None]:
    """The code that works for each: the implementation's where the contract is a minimal proxy."""
    code = dict(zip(pools, await reader.code(list(pools)), strict=True))
    behind: dict[Address, Address] = {}
    for pool, text in code.items():
        proxy = _HANDS_OVER.search(text) if text and len(text) < _MINIMAL_PROXY_BYTES else None
        if proxy is not None:
            behind[pool] = address_from_word(proxy[1])
    looked_up = dict(zip(behind, await reader.code(list(behind.values())), strict=True))
    return code | looked_up
