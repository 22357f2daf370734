"""What a call that a node has run was refused for, in words.

Contracts say so in a text, in an error of their own, or not at all; nodes pass that on in the
error's data or in its message.
"""

from __future__ import annotations

import re

from eth_hash.auto import keccak

from dexarb.core.text import in_a_line
from dexarb.ends.executor_contract import revert_reason
from dexarb.errors import RpcError

MOST = 200
"""Characters of what a contract said."""

_TAXED = "less of a token arrived than was sent: a token of the route takes a fee on transfers"
_WITHHELD = "a pool could not send its token: it is paused, or bars an address of the route"
_STALE = "the pools are not as the history has them"

MEANINGS = {
    "moved": f"the pools do not give that much: {_STALE}",
    "too little received": f"less came out than went in. Either {_STALE}, or {_TAXED}",
    "unpaid hop": _TAXED,
    "partial fill": "a pool's liquidity ended before the whole amount was swapped",
    "no callback": "a pool did not ask for its input as pools of its kind do",
    "not called": "a pool asked for its input that was not being called",
    "K": _TAXED,
    "IIA": _TAXED,
    "INSUFFICIENT_INPUT_AMOUNT": "nothing of a token arrived at a pair",
    "INSUFFICIENT_LIQUIDITY": "a pair has not as much as it would have to give",
    "INSUFFICIENT_OUTPUT_AMOUNT": "a pair would give nothing for so little",
    "TRANSFER_FAILED": _WITHHELD,
    "TF": _WITHHELD,
    "LOK": "a pool is locked: it was never initialised, or a token called it in a swap",
    "LOCKED": "a pair is locked: a token called it in a swap",
    "AS": "a pool was given nothing to swap",
}
"""By what the executor, or a pool behind its own name, says."""

WORDLESS = (
    "a contract refused without a word, as tokens do of which more is asked than has arrived"
    " (a fee on transfers), or that let nobody move them"
)

_ERRORS = {
    keccak(text.encode())[:4]: text
    for text in (
        "EnforcedPause()",
        "Paused()",
        "ERC20InsufficientBalance(address,uint256,uint256)",
        "ERC20InsufficientAllowance(address,uint256,uint256)",
        "ERC20InvalidReceiver(address)",
        "ERC20InvalidSender(address)",
        "TransferFailed()",
        "SafeERC20FailedOperation(address)",
        "Blacklisted(address)",
        "AccountBlocked(address)",
    )
}
"""Errors that tokens have by name."""
_PANIC = keccak(b"Panic(uint256)")[:4]
_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2})+)")
_BARRED = ("blacklist", "black list", "blocklist", "blocked", "denied", "frozen", "sanction")
_SHORT = ("exceeds balance", "insufficientbalance", "insufficient balance")


def refusal(error: RpcError) -> str:
    """In a line: what was said, and what that means where it is known. Others wrote some of it."""
    data = revert_data(error)
    said = revert_reason(data)
    if said is None and data:
        said = _of_its_own(data)
    if said is None:
        # Where there is no data, nodes put what they have of it behind their own words.
        said = re.sub(
            r"^(vm exception[^:]*: )?execution reverted:? ?", "", error.message, flags=re.I
        )
    said = in_a_line(said, MOST)
    meaning = _meaning(said)
    if not said:
        return WORDLESS
    return f'"{said}": {meaning}' if meaning else f'"{said}"'


def revert_data(error: RpcError) -> bytes:
    """What the contract reverted with, as far as the node tells it; else empty."""
    data = error.data
    if isinstance(data, dict):
        data = data.get("data")
    found = _HEX.search(data) if isinstance(data, str) else None
    return bytes.fromhex(found[1]) if found else b""


def _of_its_own(data: bytes) -> str:
    if data[:4] == _PANIC:
        return f"panic 0x{int.from_bytes(data[4:36], 'big'):x}"
    return _ERRORS.get(data[:4], f"error 0x{data[:4].hex()}")


def _meaning(said: str) -> str | None:
    known = MEANINGS.get(said) or MEANINGS.get(said.rpartition(": ")[2])
    if known:
        return known
    text = said.lower()
    if "pause" in text:
        return "a token of the route is paused"
    if any(word in text for word in _BARRED):
        return "a token of the route bars an address of it"
    if any(word in text for word in _SHORT):
        return f"not enough came out to pay the first pool. Either {_STALE}, or {_TAXED}"
    return None
