"""Hashes and roots against libraries that are not ours, and against a real node's blocks."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
import rlp
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from dexarb.chain import contents, decode, proof
from dexarb.chain.contents import Watched
from dexarb.chain.decode import Receipt
from dexarb.chain.rpc import Rpc
from tests.chain.conftest import ask
from tests.support import plain_rlp
from tests.support.anvil import Node
from tests.support.chain_driver import LOGGER, run

EDGES = [0, 1, 2, 15, 16, 17, 54, 55, 56, 57, 127, 128, 129, 255, 256, 257, 271, 272, 400]
"""Sizes at which an encoding or the shape of the trie changes."""


def root_by_library(values: list[bytes]) -> bytes:
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[rlp.encode(index)] = value
    return bytes(trie.root_hash)


def random_values(count: int, rng: Random) -> list[bytes]:
    """Shorter and longer than the 32 bytes from which on a node stands by its hash."""
    sizes = [1, 2, 8, 20, 26, 27, 28, 29, 30, 31, 32, 33, 55, 56, 57, 255, 256, 300]
    return [rng.randbytes(rng.choice(sizes)) for _ in range(count)]


@given(st.integers(0, 2**256) | st.sampled_from([0, 1, 127, 128, 255, 256]))
def test_numbers_are_encoded_as_the_library_does(value: int) -> None:
    assert proof.encode_uint(value) == rlp.encode(value)


@given(st.binary(max_size=70) | st.sampled_from([bytes(55), bytes(56), bytes(255), bytes(70_000)]))
def test_bytes_are_encoded_as_the_library_does(value: bytes) -> None:
    assert proof.encode_bytes(value) == rlp.encode(value)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lists_are_encoded_as_the_library_does(values: list[bytes]) -> None:
    assert proof.encode_list(map(proof.encode_bytes, values)) == rlp.encode(values)


@pytest.mark.parametrize("count", EDGES)
def test_the_root_of_a_list_is_the_tries(count: int) -> None:
    values = random_values(count, Random(count))
    assert proof.list_root(values) == root_by_library(values) == plain_rlp.list_root(values)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=40))
def test_the_root_of_a_random_list_is_the_tries(values: list[bytes]) -> None:
    assert proof.list_root(values) == root_by_library(values)


@pytest.mark.fuzz
def test_the_root_of_many_random_lists_is_the_tries() -> None:
    for seed in range(400):
        values = random_values(seed, Random(seed))
        assert proof.list_root(values) == root_by_library(values)


@given(
    kind=st.integers(0, 0x7F),
    outcome=st.sampled_from([0, 1, b"\x11" * 32]),
    gas=st.integers(0, 2**64 - 1),
    logs=st.lists(
        st.tuples(
            st.binary(min_size=20, max_size=20),
            st.lists(st.binary(min_size=32, max_size=32), max_size=4),
            st.binary(max_size=300),
        ),
        max_size=4,
    ),
)
def test_receipts_are_encoded_as_the_library_does(
    kind: int, outcome: int | bytes, gas: int, logs: list[tuple[bytes, list[bytes], bytes]]
) -> None:
    body = rlp.encode([outcome, gas, bytes(256), logs])
    made = [proof.encode_log(*log) for log in logs]
    assert proof.encode_receipt(kind, outcome, gas, bytes(256), made) == (
        bytes([kind]) + body if kind else body
    )


def test_fields_that_a_header_does_not_have_yet_are_left_out_at_its_end_only() -> None:
    assert proof.block_hash([b"a", 1, None, None]) == keccak(rlp.encode([b"a", 1]))
    assert proof.block_hash([b"a", None, 2, None]) == keccak(rlp.encode([b"a", b"", 2]))


def test_a_bloom_holds_three_bits_of_each_item() -> None:
    rng = Random("bloom")
    for _ in range(100):
        item, other = rng.randbytes(20), rng.randbytes(32)
        digest = int.from_bytes(keccak(item)[:6], "big")
        assert proof.bloom([item]) == (
            1 << (digest >> 32) % 2048 | 1 << (digest >> 16) % 2048 | 1 << digest % 2048
        )
        assert proof.bloom([item, other]) == proof.bloom([item]) | proof.bloom([other])
    assert proof.bloom([]) == 0


# -- a real node ---------------------------------------------------------------------------------


def mined(node: Node, *transactions: dict[str, Any]) -> tuple[dict[str, Any], list[Receipt]]:
    sender = ask(node, "eth_accounts")[0]
    nonce = int(ask(node, "eth_getTransactionCount", sender, "latest"), 16)
    for place, transaction in enumerate(transactions):
        common = {"from": sender, "nonce": hex(nonce + place), "gas": hex(200_000)}
        ask(node, "eth_sendTransaction", common | transaction)
    ask(node, "evm_mine")
    header = ask(node, "eth_getBlockByNumber", "latest", False)
    receipts = ask(node, "eth_getBlockReceipts", "latest")
    return header, msgspec.convert(receipts, list[Receipt])


LOGGING, FAILING = "0x" + "a1" * 20, "0x" + "f1" * 20


@pytest.fixture
def busy_node(fresh_node: Node) -> Node:
    ask(fresh_node, "anvil_setCode", LOGGING, LOGGER)
    ask(fresh_node, "anvil_setCode", FAILING, "0xfe")
    return fresh_node


def test_blocks_of_a_real_node_with_transactions_of_all_kinds_are_proven(busy_node: Node) -> None:
    gas_price, topic = {"gasPrice": hex(10**10)}, "0x" + "c3" * 32
    kinds: list[dict[str, Any]] = [
        gas_price | {"to": LOGGING, "data": topic},
        gas_price | {"to": LOGGING, "data": topic + "00" * 40, "accessList": []},
        {"to": LOGGING, "data": topic, "maxFeePerGas": hex(10**10), "maxPriorityFeePerGas": "0x1"},
        gas_price | {"data": "0x00"},
        gas_price | {"to": FAILING},
    ]
    rng = Random("anvil")
    for count in (0, 1, 5, 20, 140):
        answer, receipts = mined(busy_node, *(rng.choice(kinds) for _ in range(count)))
        header = decode.header(answer, "a test")
        assert header.hash_matches is True
        assert len(receipts) == header.transaction_count == count
        found = contents.of_receipts(header, receipts, Watched({}))
        assert found.is_proven
        assert header.logs_bloom == contents.bloom_of(log for each in receipts for log in each.logs)
        if count == 140:
            assert {receipt.type for receipt in receipts} == {"0x0", "0x1", "0x2"}
            assert {receipt.status for receipt in receipts} == {"0x0", "0x1"}


def test_a_pushed_header_is_proven_by_its_hash(busy_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(busy_node.ws_url) as rpc:
            pushed = await rpc.subscribe("newHeads")
            await rpc.call("evm_mine")
            answer = msgspec.json.decode(await anext(pushed))
            assert decode.header(answer, "newHeads").hash_matches is True

    run(check())
