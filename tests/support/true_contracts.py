"""What the contracts of a `TrueChain` answer: tokens, factories, pairs and V3 pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eth_abi.abi import decode
from eth_abi.abi import encode as encoded

from dexarb.amm import uniswap_v2, uniswap_v3_load
from dexarb.amm.abi import ZERO_ADDRESS, encode
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.chain.bootstrap.abi import WORD, padded, selector
from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.core.block import Block
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from tests.support.worlds.small_chain import TOKENS

FACTORIES = {
    "QuickSwap": Address("0x" + "f1" * 20),
    "SushiSwap": Address("0x" + "f2" * 20),
    "UniswapV3": Address("0x" + "f3" * 20),
}
"""By the `dex` of their pools. The first two make pairs."""

_FACTORY = selector("factory()")


def called(to: Address, data: bytes, pools: Mapping[PoolKey, Pool], block: Block) -> bytes | None:
    """The answer to a call, None where it reverts. What is no contract answers nothing."""
    name, words = data[:4], [data[at : at + WORD] for at in range(4, len(data), WORD)]
    if to == MULTICALL3:
        return _aggregate(name, data[4:], pools, block)
    for token in TOKENS:
        if to == token.address:
            return {
                selector("symbol()"): _text(token.symbol),
                selector("decimals()"): encode(b"", token.decimals),
            }.get(name)
    for dex, factory in FACTORIES.items():
        if to == factory:
            return _found(name, words, [pool for pool in pools.values() if pool.dex == dex])
    pool = pools.get(PoolKey(to))
    return b"" if pool is None else _field(pool, name, words)


def _aggregate(
    name: bytes, data: bytes, pools: Mapping[PoolKey, Pool], block: Block
) -> bytes | None:
    """Multicall3: what it tells of the block, and calls that may fail each by itself."""
    told = {
        selector("getBlockNumber()"): encode(b"", block.number),
        selector("getLastBlockHash()"): bytes.fromhex(block.parent_hash[2:]),
        selector("getCurrentBlockTimestamp()"): encode(b"", block.timestamp),
    }
    if name != selector("aggregate3((address,bool,bytes)[])"):
        return told.get(name)
    (calls,) = decode(["(address,bool,bytes)[]"], data)
    answers = [called(Address(to), asked, pools, block) for to, _, asked in calls]
    pairs = [(answer is not None, answer or b"") for answer in answers]
    return encoded(["(bool,bytes)[]"], [pairs])


def _text(text: str) -> bytes:
    return encode(b"", WORD, len(text)) + padded(text.encode())


def _found(name: bytes, words: Sequence[bytes], made: Sequence[Pool]) -> bytes | None:
    if name not in (uniswap_v2.GET_PAIR, uniswap_v3_load.GET_POOL):
        return None
    asked = sorted("0x" + word[-20:].hex() for word in words[:2])
    fees = [int.from_bytes(word, "big") for word in words[2:]]
    for pool in made:
        if sorted(pool.tokens) == asked and (not fees or fees == [pool.fee_pips]):
            return encode(b"", pool.address)
    return encode(b"", ZERO_ADDRESS)


def _field(pool: Pool, name: bytes, words: Sequence[bytes]) -> bytes | None:
    token0, token1 = pool.tokens
    fields = {
        uniswap_v2.TOKEN0: encode(b"", token0),
        uniswap_v2.TOKEN1: encode(b"", token1),
        _FACTORY: encode(b"", FACTORIES[pool.dex]),
    }
    if isinstance(pool, UniswapV2Pool):
        fields[uniswap_v2.GET_RESERVES] = encode(b"", pool.reserve0, pool.reserve1, 0)
    if isinstance(pool, UniswapV3Pool):
        fields |= {
            uniswap_v3_load.FEE: encode(b"", pool.fee_pips),
            uniswap_v3_load.TICK_SPACING: encode(b"", pool.tick_spacing),
            uniswap_v3_load.LIQUIDITY: encode(b"", pool.liquidity),
            uniswap_v3_load.SLOT0: encode(b"", pool.sqrt_price_x96, pool.tick, 0, 1, 1, 0, 1),
        }
        if name == uniswap_v3_load.TICK_BITMAP:
            return _bitmap_word(pool, int.from_bytes(words[0], "big", signed=True))
        if name == uniswap_v3_load.TICKS:
            tick = int.from_bytes(words[0], "big", signed=True)
            return encode(b"", *pool.ticks.get(tick, (0, 0)), 0, 0, 0, 0, 0, tick in pool.ticks)
    return fields.get(name)


def _bitmap_word(pool: UniswapV3Pool, position: int) -> bytes:
    places = [tick // pool.tick_spacing for tick in pool.ticks]
    return encode(b"", sum(1 << place % 256 for place in places if place // 256 == position))
