"""Which block it is that answers: reorganisations, and nodes that answer out of another state."""

from __future__ import annotations

import json

import httpx
import pytest
from eth_abi.abi import encode

from dexarb.chain.bootstrap.multicall import MULTICALL3, PinnedReader
from dexarb.chain.bootstrap.sync import bootstrap
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockHash
from dexarb.core.pool import Call
from dexarb.core.token import Address, Token
from dexarb.demo.artifacts import multicall3_code
from dexarb.errors import BlockGone, Refused
from tests.chain.contracts import answering, word
from tests.chain.embedded import STRANGER
from tests.support.anvil import Node
from tests.support.chain_driver import Driver, run
from tests.support.faulty_node import Fault, FaultyNode, faulty_node

STORED = Address("0x" + "04" * 20)
PROBED = "82ad56cb" + word(32).hex() + word(3).hex()
"""An aggregate of nothing but the questions for its block: what a reader begins with."""
TOKEN = answering({"decimals()": word(18), "symbol()": b"MKR".ljust(32, b"\0")})


@pytest.mark.parametrize("reorgs", [1, 5])
@pytest.mark.parametrize("aggregated", [True, False])
def test_a_block_that_leaves_the_chain_meanwhile_is_left_for_the_new_head(
    fresh_node: Node, monkeypatch: pytest.MonkeyPatch, reorgs: int, aggregated: bool
) -> None:
    async def check() -> None:
        async with (
            faulty_node(fresh_node) as faulty,
            Rpc.connect(faulty.http_url, backoff_s=0.001, backoff_max_s=0.001) as rpc,
        ):
            driver = Driver(rpc)
            await driver.setup()
            await rpc.call("anvil_setCode", STRANGER, TOKEN)
            if aggregated:
                await rpc.call("anvil_setCode", MULTICALL3, "0x" + multicall3_code().hex())
            await driver.mine(10)
            first = await driver.block()
            depths = iter(range(1, 10))

            def reorganise(answer: bytes) -> bytes:
                params = [next(depths), []]
                body = {"jsonrpc": "2.0", "id": 1, "method": "anvil_reorg", "params": params}
                httpx.post(
                    fresh_node.http_url, json=body, trust_env=False, verify=False
                ).raise_for_status()
                return answer

            # Each time right after the reader has made sure that the block is there.
            faulty.fail(Fault(rewrite=reorganise), times=reorgs, method=PROBED)
            pauses: list[int] = []

            async def pause(failures: int) -> None:
                pauses.append(failures)

            monkeypatch.setattr(rpc, "pause", pause)
            if reorgs == 5:
                with pytest.raises(BlockGone):
                    await bootstrap(rpc, [], chain_id=137, tokens=[STRANGER])
                assert pauses == [1, 2, 3, 4]
                return
            found = await bootstrap(rpc, [], chain_id=137, tokens=[STRANGER])
            assert found.tokens == (Token(137, STRANGER, "MKR", 18),)
            assert found.block == await driver.block()
            assert found.block.hash != first.hash

    run(check())


async def counted_blocks(rpc: Rpc) -> Driver:
    """Blocks a second apart, each with its own number in storage, and Multicall3."""
    driver = Driver(rpc)
    await driver.setup()
    await rpc.call("anvil_setCode", MULTICALL3, "0x" + multicall3_code().hex())
    await rpc.call("anvil_setCode", STORED, "0x60005460005260206000f3")
    await rpc.call("anvil_setBlockTimestampInterval", 1)
    for number in range(1, 8):
        await rpc.call("anvil_setStorageAt", STORED, f"0x{0:064x}", f"0x{number:064x}")
        await driver.mine()
    return driver


def out_of(faulty: FaultyNode, height: str) -> Fault:
    """Answers the call out of the state at another height, whatever block was asked for."""

    def rewrite(_: bytes) -> bytes:
        request = json.loads(faulty.seen[-1])
        request["params"][1] = height
        answer = httpx.post(faulty.upstream.http_url, json=request, trust_env=False, verify=False)
        return answer.content

    return Fault(rewrite=rewrite)


def test_an_answer_out_of_another_state_is_asked_for_again(fresh_node: Node) -> None:
    async def check() -> None:
        async with faulty_node(fresh_node) as faulty, Rpc.connect(faulty.http_url) as rpc:
            driver = await counted_blocks(rpc)
            reader = await PinnedReader.open(rpc, await driver.block())
            (now,) = await reader.read([Call(STORED, b"")])
            for height in ("0x3", "0x6"):
                faulty.fail(out_of(faulty, height), times=2, method="eth_call")
                assert await reader.read([Call(STORED, b"")]) == [now]
            faulty.fail(out_of(faulty, "0x6"), times=3, method="eth_call")
            with pytest.raises(Refused, match=r"the state of block 6, not of 7"):
                await reader.read([Call(STORED, b"")])

    run(check())


def test_what_fails_in_an_aggregate_is_asked_alone_and_of_the_same_block(
    fresh_node: Node,
) -> None:
    missing = Call(Address("0x" + "02" * 20), b"")

    async def check() -> None:
        async with faulty_node(fresh_node) as faulty, Rpc.connect(faulty.http_url) as rpc:
            driver = await counted_blocks(rpc)
            await rpc.call("anvil_setCode", missing.to, "0x60006000fd")
            await driver.mine()
            reader = await PinnedReader.open(rpc, await driver.block())
            assert await reader.read([missing]) == [None]
            faulty.seen.clear()
            assert await reader.read([missing, Call(STORED, b"")]) == [None, word(7)]
            assert len(faulty.seen) == 2
            faulty.fail(Fault(rewrite=lambda answer: answer), times=1, method="eth_call")
            faulty.fail(out_of(faulty, "0x3"), times=3, method="eth_call")
            with pytest.raises(Refused):
                await reader.read([missing])

    run(check())


def test_a_node_that_ignores_the_hash_is_asked_by_number(fresh_node: Node) -> None:
    async def check() -> None:
        async with faulty_node(fresh_node) as faulty, Rpc.connect(faulty.http_url) as rpc:
            driver = await counted_blocks(rpc)
            faulty.fail(out_of(faulty, "latest"), times=1000, method="blockHash")
            reader = await PinnedReader.open(rpc, await driver.block(5))
            assert reader.multicall == MULTICALL3
            fifth = await PinnedReader.open(rpc, await driver.block(5))
            assert await fifth.read([Call(STORED, b"")]) == await reader.read([Call(STORED, b"")])
            faulty.fail(out_of(faulty, "latest"), times=1000, method="eth_call")
            with pytest.raises(Refused, match=r"the state of block 7, not of 5"):
                await PinnedReader.open(rpc, await driver.block(5))

    run(check())


def test_a_contract_in_the_place_of_multicall3_is_not_used(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc:
            driver = await counted_blocks(rpc)
            for code in ("0x60006000fd", "0x602a60005260206000f3", "0x50"):
                await rpc.call("anvil_setCode", STRANGER, code)
                await driver.mine()
                reader = await PinnedReader.open(rpc, await driver.block(), STRANGER)
                assert reader.multicall is None
                assert await reader.read([Call(STORED, b"")]) == [word(7)]

    run(check())


@pytest.mark.parametrize(
    ("number", "parent", "timestamp", "problem"),
    [
        (7, 0xABC, 1000, None),
        (7, 0xABD, 1000, Refused),  # a sibling's, or of another branch
        (6, 0xABC, 1000, Refused),
        (7, 0xABC, 999, Refused),
        # On rollups block.number can be that of the chain below, and the hash with it.
        (24_000_000, 0xD, 1000, None),
        (24_000_000, 0xD, 999, Refused),
        (None, 0xABC, 1000, ValueError),
    ],
)
def test_a_state_is_known_by_number_parent_and_time(
    number: int | None, parent: int, timestamp: int, problem: type[Exception] | None
) -> None:
    block = Block(7, BlockHash(f"0x{1:064x}"), BlockHash(f"0x{0xABC:064x}"), 1000, 0, 0, 0)
    told = [
        (False, b"") if value is None else (True, word(value))
        for value in (number, parent, timestamp)
    ]
    data = encode(["(bool,bytes)[]"], [[*told, (True, b"odd")]])

    async def check() -> None:
        async with Rpc.connect("http://127.0.0.1:9") as rpc:
            reader = PinnedReader(rpc, block, "0x7", MULTICALL3)
            if problem is None:
                assert reader._checked(data, 1) == [b"odd"]
                return
            with pytest.raises(problem):
                reader._checked(data, 1)

    run(check())
