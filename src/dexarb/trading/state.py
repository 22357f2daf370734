"""The engine's state after a block, as bytes and back: what a trader goes on from.

Left out is what follows from the market of that block, which the history tells: the open cycles
above all. Left out is the way back as well: whoever has to take back more begins further back.
"""

from __future__ import annotations

import zlib

import msgspec

from dexarb.core.ledger import LedgerState
from dexarb.core.pool import SwapGas
from dexarb.core.saved import Nouns
from dexarb.errors import StateError
from dexarb.trading.episodes import EpisodesState
from dexarb.trading.models.value import SavedMids
from dexarb.trading.settle.evidence import SavedWatch

STATE_FORMAT = 1
"""Another one as soon as a fold means something else by its state: then it is found again by
following the history, or brought up to date here."""

_FASTEST = 1
"""zlib's level: a tenth of the bytes in a few milliseconds."""


class EngineState(msgspec.Struct):
    """seq: of the history's entry that it stands behind. pace, swap_gas: see Market. max_hops: as
    far as the search has gone. mids: see Valuation. executor: as it gave it itself."""

    seq: int
    pace: int
    swap_gas: list[SwapGas]
    max_hops: int
    mids: list[SavedMids]
    episodes: EpisodesState
    ledger: LedgerState
    watches: list[SavedWatch]
    executor: bytes
    nouns: Nouns


def encode_state(state: EngineState) -> bytes:
    return zlib.compress(msgspec.json.encode(state), _FASTEST)


def decode_state(data: bytes) -> EngineState:
    """Raises StateError."""
    try:
        return msgspec.json.decode(zlib.decompress(data), type=EngineState)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise StateError(str(error)) from error
