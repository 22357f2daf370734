"""pool_state.json: the market of the last block, for people and other programs.

It is made anew from the market every time and names the place in the history that says the same
with tick maps; docs/history-format.md describes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dexarb.core.block import Block
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address, Token
from dexarb.errors import StoreError
from dexarb.store.files import disk_errors, replace_file

STATE_SCHEMA = 1
EVERY_BLOCK_UP_TO_BYTES = 1_000_000
REWRITE_EVERY_S = 3.0
START_COLLECTOR = "Start data-collector, which writes it"


class _Chain(msgspec.Struct):
    id: int
    name: str


class _StateFile(msgspec.Struct):
    schema: int
    chain: _Chain
    block: Block
    history: str
    seq: int
    metrics: dict[str, Any]
    tokens: list[Token]
    pools: list[Any]
    names: dict[str, Address] = {}
    numeraire: Address | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What a state file says. pools: `Pool.summary()` of each with its `kind` and `symbols`,
    and its `key` where that is not its address. names and numeraire: as in the chain's profile;
    none in files of older programs.

    history and seq: folder and entry at which the history has the same market. metrics: what the
    collector measured of itself up to the block before.
    """

    chain_id: int
    chain: str
    block: Block
    history: Path
    seq: int
    metrics: Mapping[str, Any]
    tokens: Mapping[Address, Token]
    pools: tuple[Mapping[str, Any], ...]
    names: Mapping[str, Address]
    numeraire: Address | None


class StateWriter:
    """Mutable. Writes the file after every block while it is small, else every few seconds."""

    def __init__(self, path: Path, history: Path, *, every_s: float = REWRITE_EVERY_S) -> None:
        """history: the folder to name in the file, which does so relative to its own place, so
        that both can be moved together. every_s: seconds between writings of a large file.

        Creates the file's folder. Raises StoreError.
        """
        self.path = path
        self._history = os.path.relpath(history.resolve(), path.parent.resolve())
        self._every_s = every_s
        self._size = 0
        self._written_at = -every_s
        self._encoded: dict[PoolKey, tuple[Pool, msgspec.Raw]] = {}
        with disk_errors(path, "cannot be created"):
            path.parent.mkdir(parents=True, exist_ok=True)

    def write(
        self,
        market: Market,
        seq: int,
        metrics: Callable[[], Mapping[str, Any]] = dict,
        *,
        now: bool = False,
    ) -> bool:
        """Write the market, which the history has at entry `seq`; False if it is not due yet.

        metrics: asked only where it is due. now: it is due in any case, as at the end of a run.
        Raises StoreError and leaves the old file as it was.
        """
        clock = time.monotonic()
        is_large = self._size > EVERY_BLOCK_UP_TO_BYTES
        if is_large and not now and clock - self._written_at < self._every_s:
            return False
        profile = market.profile
        data = msgspec.json.encode(
            _StateFile(
                STATE_SCHEMA,
                _Chain(profile.chain_id, profile.name),
                market.block,
                self._history,
                seq,
                dict(metrics()),
                list(market.tokens.values()),
                [self._pool(pool, market.tokens) for pool in market.pools.values()],
                dict(profile.tokens),
                profile.numeraire,
            )
        )
        replace_file(self.path, data + b"\n", durable=False)
        self._size, self._written_at = len(data), clock
        return True

    def _pool(self, pool: Pool, tokens: Mapping[Address, Token]) -> msgspec.Raw:
        """Pools are immutable, so one that no block has touched is not encoded again."""
        known = self._encoded.get(pool.key)
        if known is not None and known[0] is pool:
            return known[1]
        symbols = [tokens[token].symbol if token in tokens else token for token in pool.tokens]
        named = {} if str(pool.key) == pool.address else {"key": pool.key}
        fields = {"kind": pool.kind, "symbols": symbols, **named, **pool.summary()}
        raw = msgspec.Raw(msgspec.json.encode(fields))
        self._encoded[pool.key] = pool, raw
        return raw


def key_in(pool: Mapping[str, Any]) -> PoolKey:
    """Of one of `State.pools`: its address, where it does not share that with others."""
    return PoolKey(pool.get("key", pool["address"]))


def read_state(path: Path) -> State:
    """The state in a file. Raises StoreError, with what to do about it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(path, "does not exist", START_COLLECTOR) from None
    except OSError as error:
        raise StoreError(path, f"cannot be read: {error.strerror}") from error
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("schema")
        if version == STATE_SCHEMA:
            return _state(path, msgspec.json.decode(data, type=_StateFile))
    except msgspec.DecodeError as error:
        raise StoreError(path, f"is not a pool state: {error}", START_COLLECTOR) from error
    raise StoreError(
        path,
        f"has schema {version!r}, this program knows {STATE_SCHEMA}",
        "Use the same version of data-collector and of this program",
    )


def _state(path: Path, file: _StateFile) -> State:
    return State(
        chain_id=file.chain.id,
        chain=file.chain.name,
        block=file.block,
        history=Path(os.path.normpath(path.parent.resolve() / file.history)),
        seq=file.seq,
        metrics=file.metrics,
        tokens={token.address: token for token in file.tokens},
        pools=tuple(file.pools),
        names=file.names,
        numeraire=file.numeraire,
    )
