"""What a node's error means, and so what is to be done about it.

Nodes do not agree on codes, so their words count as well. Sources: EIP-1474 and EIP-4444 for the
codes; geth, bor, erigon, reth and nethermind, and the public providers, for the words.
"""

from __future__ import annotations

from enum import Enum, auto

from dexarb.errors import Refused, RpcError, TransportError

NOT_THERE_YET = -32001
"""EIP-1474's "resource not found"; also ours for a null where something was asked for."""


class Trouble(Enum):
    """The classes of errors, each with its way out."""

    REVERT = auto()
    """The contract failed: this is the answer."""
    REJECTED = auto()
    """The transaction cannot be taken (nonce, funds): this is the answer."""
    TOO_LARGE = auto()
    """More was asked for than the node gives: ask for less."""
    NO_METHOD = auto()
    """This node does not have the method: another may."""
    PRUNED = auto()
    """This node does not keep what is so old: another may."""
    PARAMETERS = auto()
    """The node does not understand the question; each is asked once."""
    NOT_YET = auto()
    """The node does not know the block: elsewhere, or later."""
    BUSY = auto()
    """Asked too often: leave it alone for a moment."""
    QUOTA = auto()
    """What was paid for is used up: leave it alone for long."""
    PASSING = auto()
    """Anything else: elsewhere, or later."""


FINAL_AT_A_NODE = frozenset(
    {Trouble.TOO_LARGE, Trouble.NO_METHOD, Trouble.PRUNED, Trouble.PARAMETERS}
)
"""Asking the same node again brings the same."""
_FINAL = FINAL_AT_A_NODE | {Trouble.REVERT, Trouble.REJECTED}

_WORDS: tuple[tuple[Trouble, tuple[str, ...]], ...] = (
    (
        Trouble.REVERT,
        (
            "revert",
            "out of gas",
            "gas required exceeds",
            "invalid opcode",
            "bad instruction",
            "evm error",
            "vm execution error",
            "stack underflow",
            "stack limit reached",
            "invalid jump destination",
            "write protection",
            "return data out of bounds",
            "gas uint64 overflow",
        ),
    ),
    (Trouble.REJECTED, ("insufficient funds", "nonce too", "already known", "underpriced")),
    (
        Trouble.PRUNED,
        (
            "pruned",
            "pruning",
            "missing trie node",
            "state is not available",
            "state not available",
            "state unavailable",
            "historical",
            "history unavailable",
            "archive",
            "older than",
            "no longer available",
            "maximum proof window",
        ),
    ),
    (
        Trouble.QUOTA,
        (
            "quota",
            "monthly",
            "daily",
            "credits",
            "payment required",
            "billing",
            "usage limit",
            "capacity limit",
        ),
    ),
    (
        Trouble.BUSY,
        (
            "rate limit",
            "rate-limit",
            "ratelimit",
            "request rate",
            "too many requests",
            "per second",
            "throughput",
            "try again",
            "capacity",
            "overloaded",
            "timeout",
            "timed out",
            "too many concurrent",
        ),
    ),
    (
        Trouble.TOO_LARGE,
        (
            "too large",
            "too big",
            "response size",
            "block range",
            "too many results",
            "returned more than",
            "limit the query",
        ),
    ),
    (
        Trouble.NO_METHOD,
        (
            "method not found",
            "unknown method",
            "not supported",
            "unsupported",
            "does not exist/is not available",
            "method is not available",
            "not whitelisted",
            "not enabled",
        ),
    ),
    (
        Trouble.NOT_YET,
        ("header not found", "unknown block", "block not found", "resource not found"),
    ),
)
_CODES = {
    3: Trouble.REVERT,
    4444: Trouble.PRUNED,
    402: Trouble.QUOTA,
    403: Trouble.QUOTA,
    429: Trouble.BUSY,
    NOT_THERE_YET: Trouble.NOT_YET,
    -32004: Trouble.NO_METHOD,
    -32005: Trouble.BUSY,
    -32008: Trouble.TOO_LARGE,
    -32601: Trouble.NO_METHOD,
    -32600: Trouble.PARAMETERS,
    -32602: Trouble.PARAMETERS,
    -32700: Trouble.PARAMETERS,
}
_CERTAIN_CODES = (3, 4444, -32601)
"""These count whatever the words."""
_LIMIT_CODES = (31, -32005, -32007, -32008, -32010, -32011)
_NOT_FOR_ITS_SIZE = (
    Trouble.REVERT,
    Trouble.REJECTED,
    Trouble.PRUNED,
    Trouble.QUOTA,
    Trouble.BUSY,
)
_LIMIT_WORDS = (
    "batch",
    "limit",
    "exceed",
    "too many",
    "too large",
    "too big",
    "maximum",
    "plan",
    "tier",
    "upgrade",
)


def trouble(error: RpcError) -> Trouble:
    """The class of an error. What was refused by us is not judged by its words."""
    if isinstance(error, Refused):
        return Trouble.PASSING
    if error.code in _CERTAIN_CODES:
        return _CODES[error.code]
    return _by_words(error) or _CODES.get(error.code, Trouble.PASSING)


def _by_words(error: RpcError) -> Trouble | None:
    text = error.message.lower()
    return next((kind for kind, words in _WORDS if any(word in text for word in words)), None)


def trouble_of_silence(error: TransportError) -> Trouble:
    """The same of a missing answer."""
    if error.status in (402, 403):
        return Trouble.QUOTA
    return Trouble.BUSY if error.status == 429 else Trouble.PASSING


def is_revert(error: RpcError) -> bool:
    """Whether the contract itself failed."""
    return trouble(error) is Trouble.REVERT


def is_pruned(error: RpcError) -> bool:
    """Whether no node that was asked keeps what is so old."""
    return trouble(error) is Trouble.PRUNED


def is_transient(error: RpcError) -> bool:
    """Whether asking again can help."""
    return trouble(error) not in _FINAL


def refuses_batch(error: RpcError) -> bool:
    """Whether fewer calls in a batch may be taken where these were refused."""
    if trouble(error) is Trouble.REVERT or _by_words(error) in _NOT_FOR_ITS_SIZE:
        return False
    text = error.message.lower()
    return error.code in _LIMIT_CODES or any(word in text for word in _LIMIT_WORDS)


def pause_s(failures: int, shortest: float, longest: float) -> float:
    """How long to wait after so many failures in a row: doubling, without end."""
    return min(longest, shortest * 2.0 ** min(failures - 1, 64))
