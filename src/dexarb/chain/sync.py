"""Bootstrap: the pools of a configuration, read from the chain at the end of one block."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import structlog

from dexarb.amm import POOL_TYPES
from dexarb.chain import abi, decode
from dexarb.chain.decode import JsonObject, Quantity
from dexarb.chain.multicall import MULTICALL3, PinnedReader
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block
from dexarb.core.pool import Call, Pool, PoolAddress, Replies
from dexarb.core.token import Address, Token
from dexarb.errors import BlockGone, ConfigError, PoolError

T = TypeVar("T")
Dialogue = Generator[Sequence[Call], Replies, T]
"""How pools ask: rounds of calls go out, replies come in, at last there is a value."""

_BLOCKS_TRIED = 5
_DECIMALS = abi.selector("decimals()")
_SYMBOL = abi.selector("symbol()")

_log = structlog.get_logger("dexarb.bootstrap")


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """The pools that a DEX has for a pair.

    kind: key of dexarb.amm.POOL_TYPES. fees_pips: the tiers to look for, or a V2 fork's fee.
    """

    dex: str
    kind: str
    factory: Address
    token_a: Address
    token_b: Address
    fees_pips: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A pool that was asked for and is not there, or is not what it should be.

    fee_pips is None where the whole request failed, pool where the factory knows none.
    """

    request: PoolRequest
    fee_pips: int | None
    pool: Address | None
    reason: str


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Everything as it was at the end of `block`. Pools in the order they were asked for."""

    block: Block
    tokens: tuple[Token, ...]
    pools: tuple[Pool, ...]
    missing: tuple[Missing, ...]


async def bootstrap(
    rpc: Rpc,
    requests: Sequence[PoolRequest],
    *,
    chain_id: int,
    tokens: Iterable[Address] = (),
    multicall: Address | None = MULTICALL3,
) -> Bootstrap:
    """Find and load the pools at the newest block, at another one if that leaves the chain.

    tokens: those wanted whether or not a pool holds them. Where Multicall3 has no code, or
    `multicall` is None, the reads go in plain batches.

    Raises ConfigError for a node of another chain, a kind of pool that does not exist, and a
    token that does not tell its decimals or symbol; BlockGone, RpcError and TransportError.
    """
    found_id = int(await rpc.call_as(_quantity, "eth_chainId"), 16)
    if found_id != chain_id:
        raise ConfigError(
            f"the node is on chain {found_id}, the configuration is for chain {chain_id}"
        )
    wanted = tuple(tokens)
    for _ in range(_BLOCKS_TRIED - 1):
        try:
            return await _at_head(rpc, requests, chain_id, wanted, multicall)
        except BlockGone as gone:
            _log.warning("bootstrap.again", reason=str(gone))
    return await _at_head(rpc, requests, chain_id, wanted, multicall)


async def _at_head(
    rpc: Rpc,
    requests: Sequence[PoolRequest],
    chain_id: int,
    wanted: Sequence[Address],
    multicall: Address | None,
) -> Bootstrap:
    method = "eth_getBlockByNumber"
    header = decode.header(await rpc.call_as(JsonObject, method, "latest", False), method)
    reader = await PinnedReader.open(rpc, header.block, multicall)
    found, missing = await _find(reader, requests)
    pools, broken = await _load(reader, found)
    held = [token for pool in pools for token in pool.tokens]
    tokens = await read_tokens(reader, chain_id, list(dict.fromkeys([*wanted, *held])))
    return Bootstrap(reader.block, tokens, pools, (*missing, *broken))


async def read_tokens(
    reader: PinnedReader, chain_id: int, addresses: Sequence[Address]
) -> tuple[Token, ...]:
    """Raises ConfigError for a token that does not tell its decimals or symbol."""
    calls = [Call(token, data) for token in addresses for data in (_DECIMALS, _SYMBOL)]
    answers = iter(await reader.read(calls))
    return tuple(
        Token(
            chain_id,
            address,
            decimals=_told(address, "decimals", next(answers), _uint8),
            symbol=_told(address, "symbol", next(answers), abi.decode_text),
        )
        for address in addresses
    )


async def drive(reader: PinnedReader, dialogues: Sequence[Dialogue[T]]) -> list[T | PoolError]:
    """Lead all dialogues in lock-step: the calls of a round share their aggregates.

    A dialogue that ends in a PoolError has that as its result.
    """
    results: dict[int, T | PoolError] = {}
    pending: dict[int, Replies | None] = dict.fromkeys(range(len(dialogues)))
    while pending:
        asked: dict[int, Sequence[Call]] = {}
        for place, replies in pending.items():
            dialogue = dialogues[place]
            try:
                asked[place] = next(dialogue) if replies is None else dialogue.send(replies)
            except StopIteration as end:
                results[place] = end.value
            except PoolError as error:
                results[place] = error
        answers = iter(await reader.read([call for calls in asked.values() for call in calls]))
        pending = {place: list(islice(answers, len(calls))) for place, calls in asked.items()}
    return [results[place] for place in range(len(dialogues))]


async def _find(
    reader: PinnedReader, requests: Sequence[PoolRequest]
) -> tuple[dict[PoolAddress, PoolRequest], list[Missing]]:
    """Each pool once, however many requests lead to it."""
    dialogues = [
        _pool_type(request).find(
            factory=request.factory,
            token_a=request.token_a,
            token_b=request.token_b,
            fees_pips=request.fees_pips,
        )
        for request in requests
    ]
    found: dict[PoolAddress, PoolRequest] = {}
    missing: list[Missing] = []
    for request, answer in zip(requests, await drive(reader, dialogues), strict=True):
        if isinstance(answer, PoolError):
            missing.append(Missing(request, None, None, str(answer)))
            continue
        for pool in answer:
            found.setdefault(pool, request)
        absent = set(request.fees_pips) - {pool.fee_pips for pool in answer}
        missing += [
            Missing(request, fee, None, f"{request.dex} has no such pool")
            for fee in request.fees_pips
            if fee in absent
        ]
    return found, missing


async def _load(
    reader: PinnedReader, found: dict[PoolAddress, PoolRequest]
) -> tuple[tuple[Pool, ...], list[Missing]]:
    dialogues = []
    for pool, request in found.items():
        token0, token1 = sorted((request.token_a, request.token_b))
        dialogues.append(
            _pool_type(request).load(
                address=pool.address,
                dex=request.dex,
                token0=token0,
                token1=token1,
                fee_pips=pool.fee_pips,
            )
        )
    pools: list[Pool] = []
    broken: list[Missing] = []
    for (pool, request), loaded in zip(found.items(), await drive(reader, dialogues), strict=True):
        if isinstance(loaded, PoolError):
            broken.append(Missing(request, pool.fee_pips, pool.address, str(loaded)))
        else:
            pools.append(loaded)
    return tuple(pools), broken


def _pool_type(request: PoolRequest) -> type[Pool]:
    found = POOL_TYPES.get(request.kind)
    if found is None:
        kinds = ", ".join(sorted(POOL_TYPES))
        raise ConfigError(f'unknown kind of pool "{request.kind}"', remedy=f"There are {kinds}")
    return found


def _told(address: Address, what: str, answer: bytes | None, read: Callable[[bytes], T]) -> T:
    try:
        if answer is not None:
            return read(answer)
    except ValueError:
        pass
    raise ConfigError(
        f"token {address} does not tell its {what}",
        remedy="Check the address; a contract that is not an ERC-20 token cannot be traded",
    )


def _uint8(data: bytes) -> int:
    value = abi.uint_at(data, 0)
    if value > 255:
        raise ValueError(f"{value} is not a uint8")
    return value


_quantity: type[str] = Quantity
