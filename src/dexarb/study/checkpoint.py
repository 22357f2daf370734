"""What a session goes on from: the state of its engine and of own strategies, as bytes and back.

Left out is what follows from the market of that block, which the history tells: the open cycles
above all. Left out is the way back as well: whoever has to take back more begins further back.
"""

from __future__ import annotations

import zlib

import msgspec

from dexarb.errors import StateError
from dexarb.trading.decide.own_strategies import OwnState
from dexarb.trading.state import EngineState

STATE_FORMAT = 2
"""Another one as soon as a fold means something else by its state. What has another format is not
looked at: the trader then begins further back, at last at its first entry."""

_FASTEST = 1
"""zlib's level: a tenth of the bytes in a few milliseconds."""


class SessionState(msgspec.Struct):
    engine: EngineState
    own: OwnState


def encode_state(state: SessionState) -> bytes:
    return zlib.compress(msgspec.json.encode(state), _FASTEST)


def decode_state(data: bytes) -> SessionState:
    """Raises StateError."""
    try:
        return msgspec.json.decode(zlib.decompress(data), type=SessionState)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise StateError(f"a checkpoint that cannot be read: {error}") from error
