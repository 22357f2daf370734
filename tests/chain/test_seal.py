"""Who signed a header is read from it, and a seal that nobody can have made says nobody."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey

from dexarb.chain import contents, decode
from dexarb.chain.contents import Watched
from dexarb.chain.decode import JsonObject
from dexarb.chain.feed.feed import Received
from dexarb.core.token import Address
from tests.support.plain_rlp import rlp
from tests.support.true_chain import NUMBERS, TrueChain, header_hash
from tests.support.worlds.blocks import TRADER

KEY = PrivateKey(b"\x07" * 32)
VANITY = "0x" + "b0" * 32
HASHED = 16
"""The first fields of the chain's headers are those that its hash is made of."""

POLYGON_38846558 = {
    "baseFeePerGas": "0x22f0230dca",
    "difficulty": "0x19",
    "extraData": (
        "0xd682030383626f7288676f312e31392e35856c696e75780000000000000000002b1b4555e1f481"
        "ece3af85f088806c316794e6099a921fdf33c17c18201a008261e04c699f2ebcd807e5e411cc50ba"
        "03736b88976b0819f1ad9b7c2d8132882f00"
    ),
    "gasLimit": "0x1c9c380",
    "gasUsed": "0xa762f7",
    "hash": "0xd134bf0b5be7d738a8325e66489ac0187ae285ecacbcc7381c03904f28daed91",
    "logsBloom": (
        "0x45a05090040c2503045e0421ec748000600693c2260016205046633008c3110006c41151921059"
        "18513315d009c0090fca88c9000a523805a2891786422739c3811d0a0012024838026200a9a16eae"
        "e0b238a6a19f8400f90713165990096290110a1041c21681108db06e0018041d01e8002345611653"
        "09b9a722b0980e08fa3e71a1c248b8734212e1080415662b2201c52c8106f24008465a8374201820"
        "412f7e1e4615354313426d21301014170c625484c532a878cc0142ad32a22848554804b6035c1e15"
        "011611ca02aaa25110465105c44849e11060b89788318c6826c451c9a08103d0080524d10a9d6581"
        "60e198034f00aa8059962018420b1468a9"
    ),
    "miner": "0x0000000000000000000000000000000000000000",
    "mixHash": "0x0000000000000000000000000000000000000000000000000000000000000000",
    "nonce": "0x0000000000000000",
    "number": "0x250c05e",
    "parentHash": "0x2dc4ea2a6b9f85ba333f590fdf77623a92576f6b4cc517c66d37993c6d7a2438",
    "receiptsRoot": "0x0d8aedf6938b256216c033a8cdbed0a6095077f9060e3a8a1c92089d5cd1cba9",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "stateRoot": "0xa3994967e8337e70ea319729f35b0092be1f72b5c288fbfe74884a37442fc67e",
    "timestamp": "0x63dc7aff",
    "transactionsRoot": "0x4e57c4a56efcafa34fbded6a40289436ec95209e2ab242f8a572d27eb612c5a5",
}
"""A header of the chain itself, without what stands beside it."""


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
    received = Received(
        header.block, contents.of_logs(header, [], Watched({})), 1, False, header.producer()
    )
    assert received.update(1).producer == KEY.public_key.to_address()


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


def test_a_block_of_polygon_names_one_of_its_validators() -> None:
    header = read(POLYGON_38846558)
    assert header.hash_matches is True
    assert header.miner is None
    assert header.producer() == "0xeedba2484aaf940f37cd3cd21a5d7c4a7dafbfc0"
