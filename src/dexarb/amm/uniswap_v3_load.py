"""Reading Uniswap V3 pools from the chain, without knowing how calls are sent.

Three rounds: the pool's own fields, every word of its tick bitmap, every initialised tick. The
words must be read over the whole range (some 7,000 for a tick spacing of 1): only they can tell
where liquidity lies. Of a pool that is known from before all can be asked for in one round.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import NamedTuple

from dexarb.amm.abi import ZERO_ADDRESS, encode, expect_address, signed, unsigned, words_of
from dexarb.amm.tick_bitmap import ticks_in_word, word_positions
from dexarb.core.pool import Call, FoundPool, PoolKey, Replies
from dexarb.core.token import Address, address_from_word, pair_of
from dexarb.errors import InvalidPoolState

TOKEN0 = bytes.fromhex("0dfe1681")
TOKEN1 = bytes.fromhex("d21220a7")
FEE = bytes.fromhex("ddca3f43")
TICK_SPACING = bytes.fromhex("d0c93a7c")
SLOT0 = bytes.fromhex("3850c7bd")
LIQUIDITY = bytes.fromhex("1a686502")
TICK_BITMAP = bytes.fromhex("5339c296")
TICKS = bytes.fromhex("f30dba93")
GET_POOL = bytes.fromhex("1698ee82")

_FIELDS = (TOKEN0, TOKEN1, FEE, TICK_SPACING, SLOT0, LIQUIDITY)


class PoolReading(NamedTuple):
    """What the contract says about itself."""

    tick_spacing: int
    sqrt_price_x96: int
    tick: int
    liquidity: int
    ticks: dict[int, tuple[int, int]]


class _Asked:
    """Calls to one contract and their answers. Nothing is asked for twice."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._replies: dict[bytes, bytes | None] = {}

    def all(self, calls: Sequence[bytes]) -> Generator[Sequence[Call], Replies, list[bytes | None]]:
        """A round of what has not been asked for yet, no round where that is nothing."""
        new = [data for data in dict.fromkeys(calls) if data not in self._replies]
        if new:
            replies = yield [Call(self._address, data) for data in new]
            self._replies.update(zip(new, replies, strict=True))
        return [self._replies[data] for data in calls]


def read_pool(
    address: Address,
    token0: Address,
    token1: Address,
    fee_pips: int,
    likely_spacing: int | None = None,
    likely_ticks: Iterable[int] = (),
) -> Generator[Sequence[Call], Replies, PoolReading]:
    """likely_spacing and likely_ticks: what is probably there, asked for in the first round.

    Raises InvalidPoolState where the contract is not the pool of these tokens and fee.
    """
    asked = _Asked(address)
    likely_words = word_positions(likely_spacing) if likely_spacing else ()
    yield from asked.all([*_FIELDS, *_bitmap_calls(likely_words), *_tick_calls(likely_ticks)])

    replies = yield from asked.all(_FIELDS)
    expect_address(replies[0], token0, address, "token0()")
    expect_address(replies[1], token1, address, "token1()")
    fee = unsigned(words_of(replies[2], 1, address, "fee()"), 0)
    if fee != fee_pips:
        raise InvalidPoolState(address, f"its fee is {fee} pips, not {fee_pips}")
    tick_spacing = signed(words_of(replies[3], 1, address, "tickSpacing()"), 0)
    if tick_spacing <= 0:
        raise InvalidPoolState(address, f"its tick spacing is {tick_spacing}")
    # Seven words: forks that share the name and the Swap event have fewer.
    slot0 = words_of(replies[4], 7, address, "slot0()")
    liquidity = unsigned(words_of(replies[5], 1, address, "liquidity()"), 0)

    positions = word_positions(tick_spacing)
    replies = yield from asked.all(_bitmap_calls(positions))
    initialized = [
        tick
        for position, reply in zip(positions, replies, strict=True)
        for tick in ticks_in_word(
            position, unsigned(words_of(reply, 1, address, "tickBitmap()"), 0), tick_spacing
        )
    ]

    ticks: dict[int, tuple[int, int]] = {}
    replies = yield from asked.all(_tick_calls(initialized))
    for tick, reply in zip(initialized, replies, strict=True):
        info = words_of(reply, 2, address, "ticks()")
        ticks[tick] = unsigned(info, 0), signed(info, 1)
    return PoolReading(tick_spacing, unsigned(slot0, 0), signed(slot0, 1), liquidity, ticks)


def _bitmap_calls(positions: Iterable[int]) -> list[bytes]:
    return [encode(TICK_BITMAP, position) for position in positions]


def _tick_calls(ticks: Iterable[int]) -> list[bytes]:
    return [encode(TICKS, tick) for tick in ticks]


def find_pools(
    factory: Address, token_a: Address, token_b: Address, fees_pips: Sequence[int]
) -> Generator[Sequence[Call], Replies, Sequence[FoundPool]]:
    """The factory's pools for the pair, one a fee tier that it has.

    Raises InvalidPoolState where the address is not a factory.
    """
    replies = yield [Call(factory, encode(GET_POOL, token_a, token_b, fee)) for fee in fees_pips]
    tokens = pair_of(token_a, token_b)
    found = (
        FoundPool(
            PoolKey(address_from_word(words_of(reply, 1, factory, "getPool()")[:32])), tokens, fee
        )
        for reply, fee in zip(replies, fees_pips, strict=True)
    )
    return tuple(pool for pool in found if pool.address != ZERO_ADDRESS)
