"""Headers and receipts out of what nodes send: bounded, whole, and what is unknown is noticed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dexarb.chain import decode
from dexarb.chain.decode import JsonObject, Receipt
from dexarb.core.profile import ETHEREUM_HEADER
from dexarb.errors import Refused
from tests.support.true_chain import TrueChain, header_hash

MINIMAL = ("number", "hash", "parentHash", "timestamp", "gasUsed", "gasLimit")


@pytest.fixture(scope="module")
def answer() -> JsonObject:
    return TrueChain(3).mine(3).header


def read(answer: JsonObject, **changes: Any) -> decode.Header:
    return decode.header(answer | changes, "a test")


def test_a_true_header_matches_its_hash(answer: JsonObject) -> None:
    header = read(answer)
    assert header.hash_matches is True
    assert header.block == TrueChain(3).mine(3).block
    assert header.transaction_count == 3
    assert header.receipts_root == answer["receiptsRoot"]
    assert header.logs_bloom == int(answer["logsBloom"], 16)


@pytest.mark.parametrize("name", ETHEREUM_HEADER[:16])
def test_a_header_with_any_field_changed_does_not(answer: JsonObject, name: str) -> None:
    last = "1" if answer[name][-1] == "0" else "0"
    assert read(answer, **{name: answer[name][:-1] + last}).hash_matches is False


@pytest.mark.parametrize("name", sorted({*ETHEREUM_HEADER[:15]} - {*MINIMAL}))
@pytest.mark.parametrize("change", [{}, {"timestamp": "0x1"}])
def test_of_a_header_without_a_field_it_cannot_be_told(
    answer: JsonObject, name: str, change: JsonObject
) -> None:
    assert read(answer, **change, **{name: None}).hash_matches is None


def test_of_a_header_with_an_unknown_field_it_cannot_be_told(answer: JsonObject) -> None:
    assert read(answer, stateRoot="0x" + "00" * 32, blockAccessListHash="0x12").hash_matches is None
    assert read(answer, stateRoot="0x" + "00" * 32, milestoneHash=None).hash_matches is False


def test_an_unknown_field_that_the_hash_does_not_need_changes_nothing(answer: JsonObject) -> None:
    assert read(answer, l1BlockNumber="0x12").hash_matches is True


def test_a_chains_own_order_of_fields_counts(answer: JsonObject) -> None:
    fields = (*ETHEREUM_HEADER[:15], "extDataHash", "baseFeePerGas")
    other = answer | {"extDataHash": "0x" + "77" * 32}
    other["hash"] = header_hash({name: other[name] for name in fields})
    assert decode.header(other, "a test", fields).hash_matches is True
    assert decode.header(other, "a test").hash_matches is None


def test_fields_of_later_forks_are_part_of_the_hash(answer: JsonObject) -> None:
    later = dict.fromkeys(ETHEREUM_HEADER[16:], "0x" + "00" * 32)
    later |= {"blobGasUsed": "0x20000", "excessBlobGas": "0x0"}
    whole = answer | later
    whole["hash"] = header_hash({name: whole[name] for name in ETHEREUM_HEADER})
    assert read(whole).hash_matches is True
    assert read(whole, requestsHash=None).hash_matches is False
    assert read(whole, blobGasUsed=None).hash_matches is None  # with later ones there: missing


def test_a_minimal_header_is_enough(answer: JsonObject) -> None:
    header = decode.header({name: answer[name] for name in MINIMAL}, "a test")
    assert header.block.base_fee_per_gas == 0
    assert (header.logs_bloom, header.receipts_root, header.transaction_count) == (None,) * 3
    assert header.hash_matches is None


def test_capital_letters_and_leading_zeros_are_read(answer: JsonObject) -> None:
    shouted = {
        name: "0x" + value[2:].upper() for name, value in answer.items() if isinstance(value, str)
    }
    header = read(shouted, gasUsed="0x000" + answer["gasUsed"][2:])
    assert header == read(answer | {"transactions": None})


@pytest.mark.parametrize("name", MINIMAL)
def test_a_header_without_what_a_block_needs_is_refused(answer: JsonObject, name: str) -> None:
    with pytest.raises(Refused, match="malformed header"):
        read(answer, **{name: None})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", hex(2**32)),
        ("timestamp", hex(2**160)),
        ("gasUsed", hex(2**64)),
        ("gasLimit", hex(2**64)),
        ("baseFeePerGas", hex(2**64)),
        ("difficulty", hex(2**256)),
        ("number", "0x"),
        ("number", "-0x1"),
        ("number", "0x1_0"),
        ("number", "0x 1"),
        ("number", "0x\u0661"),
        ("number", 7),
        ("hash", "0x12"),
        ("hash", "0x" + " 1" * 32),
        ("parentHash", "0x" + "zz" * 32),
        ("logsBloom", "0x00"),
        ("miner", "0x" + "00" * 32),
        ("extraData", "00"),
        ("receiptsRoot", ["0x00"]),
    ],
)
def test_a_malformed_or_absurd_header_is_refused(
    answer: JsonObject, name: str, value: object
) -> None:
    with pytest.raises(Refused) as refused:
        read(answer, **{name: value})
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transactionIndex", hex(2**32)),
        ("blockNumber", hex(2**32)),
        ("gasUsed", hex(2**64)),
        ("cumulativeGasUsed", hex(2**64)),
        ("effectiveGasPrice", hex(2**64)),
        ("type", "0x100"),
        ("status", "1"),
        ("from", "0x12"),
    ],
)
def test_an_absurd_receipt_is_malformed(name: str, value: str) -> None:
    receipt = TrueChain(3).mine(3).receipts[0]
    msgspec.convert(receipt | {"gasUsed": "0x000" + receipt["gasUsed"][2:]}, Receipt)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(receipt | {name: value}, Receipt)
