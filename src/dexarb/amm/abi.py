"""The little of the contract ABI that pools need: 32-byte words, sliced by hand."""

from __future__ import annotations

from dexarb.core.token import Address, address_from_word
from dexarb.errors import InvalidPoolState

ZERO_ADDRESS = Address("0x" + "0" * 40)


def unsigned(data: bytes, index: int) -> int:
    """The word at an index as an unsigned integer."""
    return int.from_bytes(data[32 * index : 32 * index + 32], "big")


def signed(data: bytes, index: int) -> int:
    """The word at an index as a signed integer."""
    return int.from_bytes(data[32 * index : 32 * index + 32], "big", signed=True)


def encode(selector: bytes, *arguments: int | Address) -> bytes:
    """Call data of static arguments; negative integers in two's complement."""
    words = (
        bytes.fromhex(argument[2:]).rjust(32, b"\0")
        if isinstance(argument, str)
        else argument.to_bytes(32, "big", signed=argument < 0)
        for argument in arguments
    )
    return selector + b"".join(words)


def words_of(reply: bytes | None, count: int, contract: Address, call: str) -> bytes:
    """A reply of at least `count` words. Raises InvalidPoolState: another contract is there."""
    if reply is None or len(reply) < 32 * count:
        raise InvalidPoolState(contract, f"{call} gave no answer: is it another kind of contract?")
    return reply


def expect_address(reply: bytes | None, expected: Address, contract: Address, call: str) -> None:
    """Raises InvalidPoolState unless the contract answered with this address."""
    found = address_from_word(words_of(reply, 1, contract, call)[:32])
    if found != expected:
        raise InvalidPoolState(contract, f"{call} is {found}, not {expected}")
