"""Bootstrap: the pools of a configuration, read from the chain at the end of one block."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

import structlog

from dexarb.amm import POOL_TYPES
from dexarb.chain import decode
from dexarb.chain.bootstrap.kinds import made_by, other_events
from dexarb.chain.bootstrap.multicall import MULTICALL3, PinnedReader, aggregates
from dexarb.chain.bootstrap.tokens import Described, OddToken
from dexarb.chain.decode import JsonObject
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockRef
from dexarb.core.pool import Call, FoundPool, Pool, PoolKey, Replies
from dexarb.core.token import Address, Token
from dexarb.errors import BlockGone, ConfigError, PoolError

T = TypeVar("T")
PoolDialogue = Generator[Sequence[Call], Replies, T]
"""How pools ask: rounds of calls go out, replies come in, at last there is a value."""

_NOTHING: Mapping[Address, Any] = {}
_BLOCKS_TRIED = 5

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
    pool: PoolKey | None
    reason: str


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Everything as it was at the end of `block`. Pools in the order they were asked for.

    odd: tokens that were wanted and cannot be used; their pools are among the missing.
    """

    block: Block
    tokens: tuple[Token, ...]
    pools: tuple[Pool, ...]
    missing: tuple[Missing, ...]
    odd: tuple[OddToken, ...]


def request_of(missing: Missing) -> PoolRequest:
    """For this pool alone."""
    fee_pips = missing.fee_pips
    return missing.request if fee_pips is None else replace(missing.request, fees_pips=(fee_pips,))


def with_found(before: Bootstrap, again: Bootstrap) -> Bootstrap:
    """With what was found when all that was missing was asked for again at the same block."""
    tokens = {token.address: token for token in (*before.tokens, *again.tokens)}
    pools = {pool.key: pool for pool in (*before.pools, *again.pools)}
    return Bootstrap(
        before.block,
        tuple(tokens.values()),
        tuple(pools.values()),
        again.missing,
        tuple(token for token in again.odd if token.address not in tokens),
    )


async def bootstrap(
    rpc: Rpc,
    requests: Sequence[PoolRequest],
    *,
    chain_id: int,
    tokens: Iterable[Address] = (),
    names: Mapping[Address, str] = _NOTHING,
    remembered: Mapping[Address, Token] = _NOTHING,
    multicall: Address | None = MULTICALL3,
    at: BlockRef | None = None,
) -> Bootstrap:
    """Find and load the pools at the newest block, at another one if that leaves the chain.

    at: at this block instead; BlockGone where the chain has another one in its place.

    tokens: those wanted whether or not a pool holds them. names: what the configuration calls
    tokens, for those without a symbol. remembered: tokens as they were known before, for those
    that do not tell their decimals this once. Where Multicall3 has no code, or `multicall` is
    None, the reads go in plain batches.

    That the node is on the chain `chain_id` is not asked here. Raises ConfigError for a kind of
    pool that does not exist; BlockGone, Refused, RpcError and TransportError.
    """
    described = Described(chain_id, names, remembered)
    wanted = tuple(tokens)
    for failures in range(1, _BLOCKS_TRIED):
        try:
            return await _at_block(rpc, requests, described, wanted, multicall, at)
        except BlockGone as gone:
            _log.warning("bootstrap.again", reason=str(gone))
        await rpc.pause(failures)
    return await _at_block(rpc, requests, described, wanted, multicall, at)


async def reread(
    rpc: Rpc, block: Block, pools: Sequence[Pool], multicall: Address | None = MULTICALL3
) -> dict[PoolKey, Pool | PoolError]:
    """The same pools by the chain, at the end of that very block: to compare with, or to resync.

    A PoolError where the contract does not answer as such a pool does. Of pools that are as
    they were said to be everything is asked for in one round. Raises BlockGone, Refused, RpcError
    and TransportError.
    """
    reader = await PinnedReader.open(rpc, block, multicall)
    loaded = await drive(reader, [_load_again(pool) for pool in pools])
    return {pool.key: found for pool, found in zip(pools, loaded, strict=True)}


def reread_requests(pools: Sequence[Pool]) -> int:
    """What `reread` of pools that are as they are said to be takes, with Multicall3."""
    reads = [call for pool in pools for call in next(_load_again(pool))]
    return 1 + len(list(aggregates(reads)))


def _load_again(pool: Pool) -> PoolDialogue[Pool]:
    return type(pool).load(
        FoundPool(pool.key, pool.tokens, pool.fee_pips), dex=pool.dex, known=pool
    )


async def _at_block(
    rpc: Rpc,
    requests: Sequence[PoolRequest],
    described: Described,
    wanted: Sequence[Address],
    multicall: Address | None,
    at: BlockRef | None,
) -> Bootstrap:
    method, reference = "eth_getBlockByNumber", "latest" if at is None else hex(at.number)
    header = decode.header(await rpc.call_as(JsonObject, method, reference, False), method)
    if at is not None and header.block.hash != at.hash:
        raise BlockGone(at.number, at.hash)
    reader = await PinnedReader.open(rpc, header.block, multicall)
    found, missing = await _find(reader, requests)
    held = [token for pool in found for token in pool.tokens]
    tokens, strange = await _examine(
        reader, found, described, list(dict.fromkeys([*wanted, *held]))
    )
    pools, broken = await _load_all(
        reader, {pool: request for pool, request in found.items() if pool not in strange}
    )
    missing += [
        Missing(found[pool], pool.fee_pips, pool.key, reason) for pool, reason in strange.items()
    ]
    if multicall and reader.multicall is None:
        _log.warning(
            "multicall3.missing",
            address=multicall,
            calls=reader.calls,
            with_it=reader.aggregates,
            remedy="name the chain's own in its profile (multicall3)",
        )
    return Bootstrap(
        reader.block,
        tuple(token for token in tokens if isinstance(token, Token)),
        pools,
        (*missing, *broken),
        tuple(token for token in tokens if isinstance(token, OddToken)),
    )


async def _examine(
    reader: PinnedReader,
    found: Mapping[FoundPool, PoolRequest],
    described: Described,
    addresses: Sequence[Address],
) -> tuple[list[Token | OddToken], dict[FoundPool, str]]:
    """The tokens, and the pools that are not to be loaded with the reason."""
    dialogues: list[PoolDialogue[Token | OddToken | None]] = [
        *(described.token(address) for address in addresses),
        *(made_by(pool.address, request.factory) for pool, request in found.items()),
    ]
    answers = await drive(reader, dialogues)
    tokens = [answer for answer in answers if isinstance(answer, Token | OddToken)]
    odd = {token.address: token.reason for token in tokens if isinstance(token, OddToken)}
    strange: dict[FoundPool, str] = {}
    for pool, answer in zip(found, answers[len(addresses) :], strict=True):
        reasons = [odd[token] for token in pool.tokens if token in odd]
        if isinstance(answer, PoolError):
            reasons.append(str(answer))
        if reasons:
            strange[pool] = "; ".join(reasons)
    return tokens, strange | await _of_another_kind(reader, found, strange)


async def _of_another_kind(
    reader: PinnedReader,
    found: Mapping[FoundPool, PoolRequest],
    strange: Collection[FoundPool],
) -> dict[FoundPool, str]:
    """A factory makes all its pools alike: the code of one tells of all."""
    made: dict[tuple[Address, str], list[FoundPool]] = {}
    for pool, request in found.items():
        if pool not in strange:
            made.setdefault((request.factory, request.kind), []).append(pool)
    samples = {pools[0].address: POOL_TYPES[kind].topics for (_, kind), pools in made.items()}
    foreign = await other_events(reader, samples)
    return {
        pool: f"emits other events than {kind}: {foreign[pools[0].address]}"
        for (_, kind), pools in made.items()
        if pools[0].address in foreign
        for pool in pools
    }


async def drive(reader: PinnedReader, dialogues: Sequence[PoolDialogue[T]]) -> list[T | PoolError]:
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
) -> tuple[dict[FoundPool, PoolRequest], list[Missing]]:
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
    found: dict[FoundPool, PoolRequest] = {}
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


async def _load_all(
    reader: PinnedReader, found: Mapping[FoundPool, PoolRequest]
) -> tuple[tuple[Pool, ...], list[Missing]]:
    dialogues = [_pool_type(request).load(pool, dex=request.dex) for pool, request in found.items()]
    pools: list[Pool] = []
    broken: list[Missing] = []
    for (pool, request), loaded in zip(found.items(), await drive(reader, dialogues), strict=True):
        if isinstance(loaded, PoolError):
            broken.append(Missing(request, pool.fee_pips, pool.key, str(loaded)))
        else:
            pools.append(loaded)
    return tuple(pools), broken


def _pool_type(request: PoolRequest) -> type[Pool]:
    found = POOL_TYPES.get(request.kind)
    if found is None:
        kinds = ", ".join(sorted(POOL_TYPES))
        raise ConfigError(f'unknown kind of pool "{request.kind}"', remedy=f"There are {kinds}")
    return found
