"""What tokens say of themselves, and what serves where they do not."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from dexarb.chain.bootstrap import abi
from dexarb.core.pool import Call, Replies
from dexarb.core.token import Address, Token, short

MAX_DECIMALS = 77
"""Of more decimals no uint256 can hold one whole token: 10**77 < 2**256 < 10**78. Up to here a
whole token is an amount, and 10.0**decimals a float far from its end."""

MAX_SYMBOL = 32
"""Characters. Nothing longer is a symbol; the longest of the field have about a dozen."""

_DECIMALS = abi.selector("decimals()")
_SYMBOL = abi.selector("symbol()")
_SHOWN_BYTES = 36

_log = structlog.get_logger("dexarb.bootstrap")


@dataclass(frozen=True, slots=True)
class OddToken:
    """A token whose amounts mean nothing to anyone: it does not tell its decimals.

    reason names the token and says what it answered instead.
    """

    address: Address
    reason: str


@dataclass(frozen=True, slots=True)
class Described:
    """How tokens are read: what the configuration calls them, and what is known from before."""

    chain_id: int
    names: Mapping[Address, str]
    remembered: Mapping[Address, Token]

    def token(self, address: Address) -> Generator[Sequence[Call], Replies, Token | OddToken]:
        """A round of calls, and another one where the answer is odd, since it may be so only once,
        or where nothing is known from before to compare it with.

        Decimals that are not told are those of before. Others than before are the token's word
        against an older one: taken, since it was asked twice, and told.
        """
        calls = [Call(address, data) for data in (_DECIMALS, _SYMBOL)]
        before = self.remembered.get(address)
        replies = yield calls
        if before is None or _odd(replies[0], before):
            first, replies = replies, (yield calls)
            if before is None and first[0] and replies[0] and first[0] != replies[0]:
                return OddToken(address, f"token {address} tells one decimals() and then another")
        try:
            decimals = _decimals(replies[0])
        except ValueError as error:
            if before is None:
                return OddToken(address, f"token {address} does not tell its decimals: {error}")
            decimals = before.decimals
            _log.warning("token.silent", token=address, reason=str(error), decimals=decimals)
        if before is not None and decimals != before.decimals:
            _log.error("token.changed", token=address, decimals=decimals, was=before.decimals)
        return Token(self.chain_id, address, self._symbol(address, replies[1]), decimals)

    def _symbol(self, address: Address, reply: bytes | None) -> str:
        try:
            return _symbol(reply)
        except ValueError as error:
            before = self.remembered.get(address)
            called = before.symbol if before else self.names.get(address) or short(address)
            _log.info("token.symbol", token=address, reason=str(error), called=called)
            return called


def _odd(reply: bytes | None, before: Token | None) -> bool:
    try:
        decimals = _decimals(reply)
    except ValueError:
        return True
    return before is not None and decimals != before.decimals


def _decimals(reply: bytes | None) -> int:
    """Raises ValueError, which says what was answered."""
    decimals = abi.uint_at(_checked(reply, "decimals()"), 0)
    if decimals > MAX_DECIMALS:
        raise ValueError(f"decimals() is {decimals}, and no amount holds a whole token of so many")
    return decimals


def _symbol(reply: bytes | None) -> str:
    """Printable and short. Raises ValueError, which says what was answered."""
    data = _checked(reply, "symbol()")
    try:
        symbol = abi.decode_text(data)
    except ValueError:
        raise ValueError(f"symbol() is no text: {_abridged(data)}") from None
    if not symbol:
        raise ValueError("symbol() is empty")
    if len(symbol) > MAX_SYMBOL:
        raise ValueError(f"symbol() has {len(symbol)} characters")
    return symbol


def _checked(reply: bytes | None, call: str) -> bytes:
    if reply is None:
        raise ValueError(f"{call} reverts")
    if not reply:
        raise ValueError(f"{call} answers nothing")
    if len(reply) < abi.WORD:
        raise ValueError(f"{call} answers {_abridged(reply)}")
    return reply


def _abridged(data: bytes) -> str:
    return "0x" + data[:_SHOWN_BYTES].hex() + (".." if len(data) > _SHOWN_BYTES else "")
