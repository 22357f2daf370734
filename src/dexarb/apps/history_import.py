"""dexarb history import: cryo's files become a history."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dexarb.apps.collect_plan import chain_profile, pool_requests
from dexarb.config.importing import ImportConfig, load_import
from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import Keyframe, Market, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import own_names
from dexarb.core.token import Address, Token, pair_of, to_address
from dexarb.errors import DataError, InputError, InvalidPoolState, PoolError
from dexarb.screens.history_import import Began, ImportedHistory, NotFound
from dexarb.screens.progress import shown, told
from dexarb.store import cryo, cryo_chain
from dexarb.store.compaction import close_segments
from dexarb.store.cryo import CryoFile
from dexarb.store.cryo_chain import Factory
from dexarb.store.follow import start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import TEMPORARY_SUFFIX

COMPLETE = "Were all logs of the pool frozen, from its creation on and of all its events?"


@dataclass(slots=True)
class _Followed:
    """A pool that is to come in. new: as it was created at block `since`; None where that is not
    among the logs. blank: before its first event, None where that is not known."""

    key: PoolKey
    kind: type[Pool]
    dex: str
    blank: Pool | None
    since: int | None = None


@dataclass(slots=True)
class _Known:
    """Mutable: all that was found before the blocks are gone through."""

    pools: dict[PoolKey, _Followed] = field(default_factory=dict)
    tokens: dict[Address, Token] = field(default_factory=dict)
    frame: Keyframe | None = None
    missing: list[NotFound] = field(default_factory=list)


def import_history(
    folder: Path, pools: Path, paths: Sequence[Path], *, keyframe: Path | None = None
) -> ImportedHistory:
    """Make a history of cryo's files in a folder that holds none yet.

    pools: the TOML file that names them. keyframe: a history that has a market at one of these
    blocks. Raises ConfigError, InputError (DataError among them), StoreError.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: import into a folder of its own")
    config = load_import(pools)
    files = cryo.find(paths)
    _require_chain(files, config)
    first, last, notes = cryo_chain.span(files)
    told("looking for the pools")
    known = _look(config, files, first, last, keyframe)
    unfinished = folder.with_name(folder.name + TEMPORARY_SUFFIX)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        found = _write(unfinished, config, files, known, first, last)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return replace(found, folder=folder, notes=(*notes, *found.notes))


# -- what there is ------------------------------------------------------------------------------


def _require_chain(files: Sequence[CryoFile], config: ImportConfig) -> None:
    chain_id = config.chain.chain.chain_id
    for file, other in cryo.chain_ids(files):
        if other != chain_id:
            remedy = f"{config.chain.path} is of chain {chain_id}: name the right one"
            raise DataError(f"is of chain {other}", file=file.path, remedy=remedy)


def _look(
    config: ImportConfig, files: Sequence[CryoFile], first: int, last: int, keyframe: Path | None
) -> _Known:
    known = _Known()
    _find_created(config, files, known)
    for named in config.named:
        if named.found.key in known.pools:
            continue
        kind = config.chain.dexes[named.dex].kind
        blank = cryo_chain.empty(kind, named.found, named.dex)
        followed = _Followed(named.found.key, cryo_chain.kind_of(kind), named.dex, blank)
        known.pools[named.found.key] = followed
    if keyframe is not None:
        _take_keyframe(config, files, known, keyframe, first, last)
    if not known.pools:
        raise InputError(
            f"{config.path}: none of its pools is known: the files hold no creation of them."
            " Freeze the logs of the factories from their beginning"
            " (cryo logs --contract FACTORY), name pools as [[pool]], or name a history that"
            " has them with --keyframe"
        )
    _know_tokens(config, known)
    return known


def _find_created(config: ImportConfig, files: Sequence[CryoFile], known: _Known) -> None:
    """By the logs of the factories."""
    requests = pool_requests(config.chain, config.choices)
    wanted = {
        (request.factory, pair_of(request.token_a, request.token_b), fee): request
        for request in requests
        for fee in request.fees_pips
    }
    found: set[tuple[Address, tuple[Address, Address], int]] = set()
    named = {each.found.key for each in config.named}
    made_by = [
        Factory(to_address(dex.factory), dex.name, dex.kind, dex.fees_pips[0])
        for dex in config.chain.dexes.values()
    ]
    for number, factory, pool in cryo_chain.created(files, made_by):
        one, other = pool.tokens
        which = factory.address, pair_of(one, other), pool.fee_pips
        if which in wanted or pool.key in named:
            known.pools[pool.key] = _Followed(pool.key, type(pool), factory.dex, pool, number)
            found.add(which)
    names = own_names(config.chain.tokens)
    for which, request in wanted.items():
        if which not in found:
            pair = f"{names[request.token_a]}/{names[request.token_b]}"
            known.missing.append(
                NotFound(request.dex, pair, which[2], "no creation among the logs")
            )


def _take_keyframe(
    config: ImportConfig,
    files: Sequence[CryoFile],
    known: _Known,
    folder: Path,
    first: int,
    last: int,
) -> None:
    """From another history the states of its first market within these blocks."""
    reader = HistoryReader(folder)
    if reader.manifest.chain_id != config.chain.chain.chain_id:
        raise InputError(f"--keyframe {folder}: is a history of chain {reader.manifest.chain_id}")
    within = [header for header in reader.keyframe_headers() if first <= header.number <= last]
    if not within:
        newest = start(reader).block.number
        raise InputError(
            f"--keyframe {folder}: none of its keyframes is of blocks {first} to {last}; one is of"
            f" block {newest}. Freeze blocks up to there as well"
        )
    frame = reader.keyframe(within[-1].seq)
    number, block_hash = frame.block.number, frame.block.hash
    other = cryo_chain.hash_of(files, number)
    if other != block_hash:
        raise InputError(
            f"--keyframe {folder}: its block {number} is {block_hash}, that of the files is"
            f" {other}: one of them is on a branch that died, or on another chain"
        )
    known.frame = frame
    known.tokens |= {token.address: token for token in frame.tokens}
    requests = pool_requests(config.chain, config.choices)
    wanted = {
        (request.dex, pair_of(request.token_a, request.token_b), fee)
        for request in requests
        for fee in request.fees_pips
    }
    named = {each.found.key for each in config.named}
    for pool in frame.pools:
        which = (pool.dex, pair_of(pool.tokens[0], pool.tokens[-1]), pool.fee_pips)
        if which in wanted or pool.key in named:
            known.pools.setdefault(pool.key, _Followed(pool.key, type(pool), pool.dex, None))
    there = {
        (pool.dex, pair_of(pool.tokens[0], pool.tokens[-1]), pool.fee_pips) for pool in frame.pools
    }
    tokens = config.chain.tokens
    known.missing = [
        each
        for each in known.missing
        if (each.dex, pair_of(*(tokens[name] for name in each.pair.split("/"))), each.fee_pips)
        not in there
    ]


def _know_tokens(config: ImportConfig, known: _Known) -> None:
    chain_id, names = config.chain.chain.chain_id, own_names(config.chain.tokens)
    for address, decimals in config.decimals.items():
        token = Token(chain_id, address, names[address], decimals)
        before = known.tokens.get(address)
        if before is not None and before.decimals != decimals:
            raise InputError(
                f"{config.path}: decimals: {names[address]} = {decimals}, but the history of"
                f" --keyframe says {before.decimals}"
            )
        known.tokens.setdefault(address, token)
    held = {token for each in known.pools.values() if each.blank for token in each.blank.tokens}
    held.add(config.chain.tokens[config.chain.chain.wrapped_native])
    held.add(config.chain.tokens[config.chain.chain.numeraire])
    lacking = sorted(names.get(token, token) for token in held - known.tokens.keys())
    if lacking:
        raise InputError(
            f"{config.path}: no log tells the decimals of {', '.join(lacking)}. Add them"
            f" ([decimals] {lacking[0]} = 18), or name a history that knows them with --keyframe"
        )


# -- blocks -------------------------------------------------------------------------------------


class _Joining:
    """Mutable: pools that are not in the market yet, and what is known of them in a block."""

    def __init__(self, known: _Known) -> None:
        self._known = known
        self.waiting = dict(known.pools)
        self.began: list[Began] = []

    def after(self, update: BlockUpdate, market: Market | None) -> list[Pool]:
        """Those whose state at the end of the block is known. Raises PoolError."""
        number, frame = update.block.number, self._known.frame
        states: dict[PoolKey, Pool] = {}
        by: dict[PoolKey, str] = {}
        for each in self.waiting.values():
            if each.since == number and each.blank is not None:
                states[each.key], by[each.key] = each.blank, "creation"
        for log in update.logs:
            for each in self.waiting.values():
                if each.key.partition(":")[0] != log.address or each.kind.key_of(log) != each.key:
                    continue
                begins = log.topics[0] in each.kind.stating_topics and each.key not in states
                if begins and each.blank is not None:
                    states[each.key], by[each.key] = each.blank, "event"
                if each.key in states:
                    states[each.key] = states[each.key].apply(log)
        if frame is not None and frame.block.number == number:
            self._compare(frame, {**(market.pools if market else {}), **states})
            for pool in frame.pools:
                if pool.key in self.waiting and pool.key not in states:
                    states[pool.key], by[pool.key] = pool, "keyframe"
        for key, pool in states.items():
            del self.waiting[key]
            self.began.append(Began(key, pool.kind, pool.dex, number, by[key]))
        return list(states.values())

    def _compare(self, frame: Keyframe, ours: Mapping[PoolKey, Pool]) -> None:
        for pool in frame.pools:
            if pool.key in ours and ours[pool.key] != pool:
                raise InvalidPoolState(
                    pool.key, f"the logs lead to another state than the keyframe has. {COMPLETE}"
                )


def _write(
    folder: Path,
    config: ImportConfig,
    files: Sequence[CryoFile],
    known: _Known,
    first: int,
    last: int,
) -> ImportedHistory:
    tokens = tuple(known.tokens.values())
    blanks = [each.blank for each in known.pools.values() if each.blank is not None]
    states = {pool.key: pool for pool in (*blanks, *(known.frame.pools if known.frame else ()))}
    profile = chain_profile(config.chain, tokens, tuple(states.values()))
    joining = _Joining(known)
    market: Market | None = None
    blocks = count = without = 0
    with HistoryWriter.open(
        folder, chain_id=profile.chain_id, chain=profile.name, sync_every_s=60.0
    ) as writer:
        updates = cryo_chain.updates(
            files,
            {Address(key.partition(":")[0]) for key in known.pools},
            {topic for each in known.pools.values() for topic in each.kind.topics},
            first=first,
            last=last,
            gas_limit=config.gas_limit,
        )
        for update in shown(updates, "blocks", last - first + 1):
            block = update.block
            try:
                if market is None:
                    frame = Keyframe(0, block, profile, tokens, tuple(joining.after(update, None)))
                    market = Market(writer.append_keyframe(frame))
                    continue
                logs = tuple(log for log in update.logs if market.key_of(log) is not None)
                ours = replace(update, logs=logs)
                market.apply(ours)
                joined = joining.after(update, market)
            except PoolError as error:
                raise InputError(f"block {block.number}: {error}. {COMPLETE}") from error
            writer.append(ours)
            if joined:
                entry = PoolsChanged(0, BlockRef(block.number, block.hash), (), tuple(joined))
                market.change(writer.append_pools_changed(entry))
            blocks += 1
            count += len(logs)
            without += not ours.has_receipts
            if writer.roll_if_full(market.keyframe):
                _require_possible(market)
        assert market is not None
        _require_possible(market)
    close_segments(folder, last)
    names = own_names(config.chain.tokens)
    late = [
        NotFound(each.dex, _pair(each.blank, names), None, _why(each), each.key)
        for each in joining.waiting.values()
    ]
    return ImportedHistory(
        folder=folder,
        blocks=blocks,
        keyframe=first,
        last_block=last,
        pools=len(market.pools),
        logs=count,
        without_receipts=without,
        began=tuple(joining.began),
        missing=(*known.missing, *late),
        notes=() if config.gas_limit is not None else (NO_GAS_LIMIT,),
    )


NO_GAS_LIMIT = (
    "cryo does not write the gas limit of blocks: every block counts as full, so that a bid below"
    " the lowest included one is never in it. Add gas_limit to [import] where it is known"
)


def _require_possible(market: Market) -> None:
    """What has led to impossible states was not all of the logs. Raises InputError."""
    for pool in market.pools.values():
        try:
            type(pool).from_state(pool.state())
        except InvalidPoolState as error:
            raise InputError(
                f"block {market.block.number}: {error}: logs are missing. {COMPLETE}"
            ) from error


def _pair(pool: Pool | None, names: Mapping[Address, str]) -> str:
    return "" if pool is None else "/".join(names.get(token, token) for token in pool.tokens)


def _why(each: _Followed) -> str:
    if each.blank is None:
        return "its fee does not tell its tick spacing, and its creation is not among the logs"
    return "its first event is not among the logs"
