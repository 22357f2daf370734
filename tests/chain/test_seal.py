"""Who signed a header is read from it, and a seal that nobody can have made says nobody."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey

from dexarb.chain import contents, decode
from dexarb.chain.contents import Watched
from dexarb.chain.decode import JsonObject
from dexarb.core.token import Address
from tests.support.plain_rlp import rlp
from tests.support.true_chain import NUMBERS, TrueChain, header_hash
from tests.support.worlds.blocks import TRADER

KEY = PrivateKey(b"\x07" * 32)
VANITY = "0x" + "b0" * 32
HASHED = 16
"""The first fields of the chain's headers are those that its hash is made of."""


def sealed(key: PrivateKey = KEY) -> JsonObject:
    """As bor and clique sign: the hash of the header whose extraData lacks the signature."""
    fields = dict(list(TrueChain(1).mine(0).header.items())[:HASHED])
    unsigned = fields | {"extraData": VANITY}
    values = [
        int(text, 16) if name in NUMBERS else bytes.fromhex(text[2:])
        for name, text in unsigned.items()
    ]
    signature = key.sign_msg_hash(keccak(rlp(values))).to_bytes()
    signed = unsigned | {"extraData": VANITY + signature.hex()}
    return signed | {"hash": header_hash(signed)}


def read(answer: JsonObject, *, is_sealed: bool = True) -> decode.Header:
    return decode.header(answer, "a test", is_sealed=is_sealed)


def test_the_producer_is_who_signed_the_header() -> None:
    header = read(sealed())
    assert header.hash_matches is True
    assert header.producer() == KEY.public_key.to_address()
    found = contents.of_logs(header, [], Watched({}))
    assert found.producer == KEY.public_key.to_address()


def test_another_key_another_producer() -> None:
    other = PrivateKey(b"\x08" * 32)
    assert read(sealed(other)).producer() == other.public_key.to_address()


def test_a_header_that_was_changed_names_another() -> None:
    header = read(sealed() | {"gasLimit": "0x1"})
    assert header.hash_matches is False
    assert header.producer() != KEY.public_key.to_address()


@pytest.mark.parametrize("seal", ["00" * 65, "ff" * 65])
def test_a_seal_of_nobody(seal: str) -> None:
    assert read(sealed() | {"extraData": VANITY + seal, "miner": TRADER}).producer() is None


def test_without_a_seal_it_is_whom_the_header_names() -> None:
    named = sealed() | {"miner": TRADER}
    assert read(named, is_sealed=False).producer() == TRADER
    assert read(named | {"extraData": "0x" + "00" * 64}).producer() == TRADER
    assert read(sealed(), is_sealed=False).producer() is None


def test_a_key_says_its_own_address() -> None:
    """As everybody knows it: the address of the private key 1."""
    one = Address("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf")
    assert read(sealed(PrivateKey(b"\x01".rjust(32, b"\0")))).producer() == one
