"""Pinned reads of small contracts, with Multicall3 and without it."""

from __future__ import annotations

import re

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from dexarb.chain.bootstrap import abi, multicall
from dexarb.chain.bootstrap.multicall import MULTICALL3, PinnedReader
from dexarb.chain.rpc import Rpc
from dexarb.core.pool import Call
from dexarb.core.token import Address
from dexarb.demo.artifacts import multicall3_code
from dexarb.errors import BlockGone, RpcError
from tests.support.anvil import Node
from tests.support.chain_driver import Driver, run
from tests.support.faulty_node import Fault, faulty_node

ECHO = Address("0x" + "01" * 20)
REVERT = Address("0x" + "02" * 20)
INVALID = Address("0x" + "03" * 20)
STORED = Address("0x" + "04" * 20)
HOG = Address("0x" + "05" * 20)
NO_CODE = Address("0x" + "06" * 20)
BUSY = Address("0x" + "07" * 20)
CODE = {
    ECHO: "0x366000600037366000f3",
    REVERT: "0x60aa60005260206000fd",
    INVALID: "0xfe",
    STORED: "0x60005460005260206000f3",
    HOG: "0x5b600056",  # loops until its gas is gone
    BUSY: "0x6200c3505b6001900380600457" + "60206000f3",  # counts from 50,000: 1.3 million gas
}
WITH_AND_WITHOUT = pytest.mark.parametrize("aggregated", [True, False])


async def contracts(rpc: Rpc, *, aggregated: bool) -> Driver:
    driver = Driver(rpc)
    await driver.setup()
    code = CODE | ({MULTICALL3: "0x" + multicall3_code().hex()} if aggregated else {})
    for address, runtime in code.items():
        await rpc.call("anvil_setCode", address, runtime)
    await store(driver, 7)
    return driver


async def store(driver: Driver, value: int) -> None:
    """In a block of its own. anvil counts such a change to the block that is the newest then."""
    await driver.mine()
    slot, text = f"0x{0:064x}", f"0x{value:064x}"
    await driver.rpc.call("anvil_setStorageAt", STORED, slot, text)
    await driver.mine()


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@WITH_AND_WITHOUT
def test_answers_come_in_order_and_none_where_the_contract_reverted(
    fresh_node: Node, aggregated: bool
) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.ws_url) as rpc:
            driver = await contracts(rpc, aggregated=aggregated)
            reader = await PinnedReader.open(rpc, await driver.block())
            assert reader.multicall == (MULTICALL3 if aggregated else None)
            calls = [
                Call(ECHO, b"odd"),
                Call(REVERT, b""),
                Call(STORED, b""),
                Call(NO_CODE, b"\x12\x34\x56\x78"),
                Call(INVALID, b""),
                Call(ECHO, b""),
                Call(ECHO, bytes(range(64))),
            ]
            expected = [b"odd", None, word(7), b"", None, b"", bytes(range(64))]
            assert await reader.read(calls) == expected
            assert await reader.read([]) == []

    run(check())


@WITH_AND_WITHOUT
def test_reads_stay_at_their_block(fresh_node: Node, aggregated: bool) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.ws_url) as rpc:
            driver = await contracts(rpc, aggregated=aggregated)
            reader = await PinnedReader.open(rpc, await driver.block())
            await store(driver, 8)
            later = await PinnedReader.open(rpc, await driver.block())
            assert await reader.read([Call(STORED, b"")]) == [word(7)]
            assert await later.read([Call(STORED, b"")]) == [word(8)]

    run(check())


def test_multicall3_is_not_used_at_blocks_before_it(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.ws_url) as rpc:
            driver = await contracts(rpc, aggregated=False)
            before = await driver.block()
            await driver.mine()
            await contracts(rpc, aggregated=True)
            reader = await PinnedReader.open(rpc, before)
            assert reader.multicall is None
            assert await reader.read([Call(STORED, b"")]) == [word(7)]

    run(check())


def test_large_reads_are_cut_into_aggregates(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.ws_url) as rpc:
            driver = await contracts(rpc, aggregated=True)
            reader = await PinnedReader.open(rpc, await driver.block())
            before = rpc.requests
            calls = [Call(ECHO, word(number)) for number in range(1001)]
            answers = await reader.read(calls)
            assert answers == [word(number) for number in range(1001)]
            assert (rpc.requests - before, reader.calls, reader.aggregates) == (3, 1001, 3)
            # By their 352 bytes 372 fit into 128 KiB.
            calls = [Call(ECHO, bytes(192)) for _ in range(373)]
            assert await reader.read(calls) == [bytes(192)] * 373
            assert (rpc.requests - before, reader.aggregates) == (5, 5)

    run(check())


def test_a_call_that_eats_the_gas_of_its_aggregate_does_not_fail_its_neighbours(
    fresh_node: Node,
) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.ws_url) as rpc:
            driver = await contracts(rpc, aggregated=True)
            reader = await PinnedReader.open(rpc, await driver.block())
            calls = [Call(STORED, b"")] * 40
            calls[5] = calls[6] = calls[20] = Call(HOG, b"")
            expected: list[bytes | None] = [word(7)] * 40
            expected[5] = expected[6] = expected[20] = None
            assert await reader.read(calls) == expected
            # One hog leaves a 64th of the gas: enough for the aggregate, not for this neighbour.
            calls = [Call(STORED, b""), Call(HOG, b""), Call(BUSY, b"")]
            assert await reader.read(calls) == [word(7), None, word(0)]

    run(check())


def test_an_answer_of_megabytes_counts_as_a_revert_and_costs_its_neighbours_nothing(
    fresh_node: Node,
) -> None:
    bomb = Call(Address("0x" + "08" * 20), b"")

    async def check() -> None:
        async with Rpc.connect(fresh_node.ws_url) as rpc:
            driver = await contracts(rpc, aggregated=True)
            await rpc.call("anvil_setCode", bomb.to, "0x622dc6c05ff3")  # returns 3 MB of zeros
            await driver.mine()
            reader = await PinnedReader.open(rpc, await driver.block())
            calls = [Call(STORED, b""), bomb, Call(ECHO, b"odd")]
            assert await reader.read(calls) == [word(7), None, b"odd"]

    run(check())


def refusing() -> Fault:
    """Refuses a single call as a node does that takes block numbers only."""

    def rewrite(answer: bytes) -> bytes:
        number = re.search(rb'"id":(\d+)', answer)
        assert number is not None
        error = b'"error":{"code":-32602,"message":"invalid argument: cannot unmarshal object"}'
        return b'{"jsonrpc":"2.0","id":' + number[1] + b"," + error + b"}"

    return Fault(rewrite=rewrite)


@WITH_AND_WITHOUT
def test_a_node_without_eip_1898_is_asked_by_number_and_watched(
    fresh_node: Node, aggregated: bool
) -> None:
    async def check() -> None:
        async with faulty_node(fresh_node) as faulty, Rpc.connect(faulty.http_url) as rpc:
            driver = await contracts(rpc, aggregated=aggregated)
            faulty.fail(refusing(), times=1000, method="blockHash")
            reader = await PinnedReader.open(rpc, await driver.block())
            await store(driver, 8)
            calls = [Call(STORED, b""), Call(REVERT, b"")]
            assert await reader.read(calls) == [word(7), None]
            await driver.reorg(4)
            with pytest.raises(BlockGone) as caught:
                await reader.read(calls)
            assert caught.value.block_hash == reader.block.hash

    run(check())


@WITH_AND_WITHOUT
def test_a_block_that_left_the_chain_is_told_by_hash_too(
    fresh_node: Node, aggregated: bool
) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.ws_url, backoff_s=0.001, backoff_max_s=0.01) as rpc:
            driver = await contracts(rpc, aggregated=aggregated)
            reader = await PinnedReader.open(rpc, await driver.block())
            await driver.reorg(1)
            with pytest.raises(BlockGone):
                await reader.read([Call(STORED, b"")])
            with pytest.raises(BlockGone):
                await PinnedReader.open(rpc, reader.block)

    run(check())


def test_other_errors_are_not_taken_for_reverts(fresh_node: Node) -> None:
    async def check() -> None:
        async with faulty_node(fresh_node) as faulty, Rpc.connect(faulty.http_url) as rpc:
            driver = await contracts(rpc, aggregated=False)
            reader = await PinnedReader.open(rpc, await driver.block())
            faulty.fail(refusing(), method="eth_call")
            with pytest.raises(RpcError, match="cannot unmarshal"):
                await reader.read([Call(STORED, b"")])

    run(check())


@given(
    st.lists(st.tuples(st.binary(min_size=20, max_size=20), st.binary(max_size=100)), max_size=8)
)
def test_aggregates_are_encoded_as_eth_abi_does(entries: list[tuple[bytes, bytes]]) -> None:
    calls = [Call(Address("0x" + target.hex()), data) for target, data in entries]
    arguments = [(target, True, data) for target, data in entries]
    expected = encode(["(address,bool,bytes)[]"], [arguments])
    assert multicall._encode(calls) == bytes.fromhex("82ad56cb") + expected


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=100)), max_size=8))
def test_results_are_decoded_as_eth_abi_encodes_them(entries: list[tuple[bool, bytes]]) -> None:
    data = encode(["(bool,bytes)[]"], [entries])
    expected = [returned if success else None for success, returned in entries]
    assert multicall._decode(data, len(entries)) == expected
    for end in range(0, len(data), 32):
        with pytest.raises(ValueError, match=r"ABI data|another number"):
            multicall._decode(data[:end], len(entries))


@given(st.binary(max_size=300), st.integers(0, 5))
def test_no_answer_makes_the_decoder_raise_anything_but_value_errors(
    data: bytes, count: int
) -> None:
    try:
        found = multicall._decode(data, count)
    except ValueError:
        return
    assert len(found) == count


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (encode(["string"], ["WETH"]), "WETH"),
        (encode(["string"], [""]), ""),
        (encode(["string"], ["x" * 100]), "x" * 100),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (encode(["string"], ["USD₮0"]), "USD₮0"),
        (encode(["string"], ["\x1b[31mRED\x07\n"]), "[31mRED"),
    ],
)
def test_symbols_are_strings_or_bytes32(data: bytes, text: str) -> None:
    assert abi.decode_text(data) == text


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", word(32) + word(99), word(2**255) + word(0), b"\xff\xfe".ljust(32, b"\0")],
)
def test_what_is_no_text_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"ABI data|utf-8"):
        abi.decode_text(data)
