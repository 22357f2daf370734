"""Tokens that do not describe themselves, always or this once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.chain.bootstrap.sync import Bootstrap, bootstrap
from dexarb.chain.bootstrap.tokens import MAX_DECIMALS, MAX_SYMBOL, Described, OddToken
from dexarb.chain.rpc import Rpc
from dexarb.core.token import Address, Token, short
from dexarb.demo.artifacts import multicall3_code
from tests.chain.contracts import REVERTS, answering, word
from tests.chain.embedded import Embedded, requests_of
from tests.support.anvil import Node
from tests.support.chain_driver import run
from tests.support.faulty_node import Fault, faulty_node

DECIMALS, SYMBOL = "decimals()", "symbol()"
TEXT = encode(["string"], ["ODD"])


async def describe(
    rpc: Rpc,
    *codes: str,
    names: dict[Address, str] | None = None,
    remembered: dict[Address, Token] | None = None,
) -> Bootstrap:
    """Tokens with these codes, at 0x01.., 0x02.. and so on."""
    for address, code in zip(map(token, range(1, len(codes) + 1)), codes, strict=True):
        await rpc.call("anvil_setCode", address, code)
    await rpc.call("evm_mine")
    return await bootstrap(
        rpc,
        [],
        chain_id=137,
        tokens=[token(number) for number in range(1, len(codes) + 1)],
        names=names or {},
        remembered=remembered or {},
    )


def token(number: int) -> Address:
    return Address("0x" + f"{number:02x}" * 20)


ODD_DECIMALS = {
    "reverts": REVERTS,
    "answers nothing": "0x",
    "answers 0x12": answering({DECIMALS: b"\x12", SYMBOL: TEXT}),
    "is 78, and": answering({DECIMALS: word(78), SYMBOL: TEXT}),
    f"is {2**256 - 1}, and": answering({DECIMALS: word(2**256 - 1), SYMBOL: TEXT}),
    # Broken code: a jump to nowhere, nothing on the stack, all gas burnt.
    "decimals() reverts": "0x602056",
    "() reverts": "0x50",
    "reverts ": "0x5b600056",
}


@pytest.mark.parametrize("aggregated", [True, False])
def test_odd_decimals_leave_out_their_own_token_only(fresh_node: Node, aggregated: bool) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc:
            if aggregated:
                await rpc.call("anvil_setCode", MULTICALL3, "0x" + multicall3_code().hex())
            sound = answering({DECIMALS: word(77), SYMBOL: TEXT})
            found = await describe(rpc, *ODD_DECIMALS.values(), sound)
            last = token(len(ODD_DECIMALS) + 1)
            assert found.tokens == (Token(137, last, "ODD", 77),)
            assert [odd.address for odd in found.odd] == [
                token(place) for place in range(1, len(ODD_DECIMALS) + 1)
            ]
            for odd, problem in zip(found.odd, ODD_DECIMALS, strict=True):
                assert problem.strip() in odd.reason
                assert odd.reason.startswith(f"token {odd.address} does not tell its decimals")

    run(check())


SYMBOLS = {
    "bytes32": (b"MKR".ljust(32, b"\0"), "MKR"),
    "a string": (encode(["string"], ["USD₮0"]), "USD₮0"),
    "terminal codes": (encode(["string"], ["\x1b[31mRED\x07\n"]), "[31mRED"),
    "markup": (encode(["string"], ["[/nope]"]), "[/nope]"),
    "32 characters": (encode(["string"], ["x" * 32]), "x" * 32),
    "33 characters": (encode(["string"], ["x" * 33]), None),
    "500 characters": (encode(["string"], ["x" * 500]), None),
    "nothing": (encode(["string"], [""]), None),
    "spaces": (encode(["string"], [" \u200b\n"]), None),
    "not UTF-8": (encode(["bytes"], [b"\xff\xfe\xc3("]), None),
    "not UTF-8 in bytes32": (b"\xff\xfe".ljust(32, b"\0"), None),
    "a lie about its length": (word(32) + word(2**255) + TEXT, None),
    "a lie about its place": (word(2**255) + TEXT, None),
    "too little": (b"ODD", None),
    "an empty answer": (b"", None),
}


def test_where_a_symbol_cannot_be_used_the_configured_name_serves(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc:
            codes = [
                answering({DECIMALS: word(18), SYMBOL: answer}) for answer, _ in SYMBOLS.values()
            ]
            silent = answering({DECIMALS: word(18)})
            count = len(codes) + 1
            names = {token(number): f"NAME{number}" for number in range(1, count + 1)}
            found = await describe(rpc, *codes, silent, names=names)
            wanted = [symbol for _, symbol in SYMBOLS.values()] + [None]
            for each, name, symbol in zip(found.tokens, names.values(), wanted, strict=True):
                assert each.symbol == (symbol or name)
            nameless = await describe(rpc, silent)
            assert nameless.tokens == (Token(137, token(1), short(token(1)), 18),)

    run(check())


def test_decimals_that_are_not_told_are_those_of_before(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc:
            before = Token(137, token(1), "OLD", 6)
            with capture_logs() as logs:
                found = await describe(rpc, REVERTS, remembered={token(1): before})
            assert found.tokens == (before,)
            assert not found.odd
            (told,) = (log for log in logs if log["event"] == "token.silent")
            assert (told["decimals"], told["reason"]) == (6, "decimals() reverts")

    run(check())


def test_decimals_do_not_change_without_a_word(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc:
            code = answering({DECIMALS: word(18), SYMBOL: TEXT})
            before = Token(137, token(1), "ODD", 6)
            with capture_logs() as logs:
                found = await describe(rpc, code, remembered={token(1): before})
            assert found.tokens == (replace(before, decimals=18),)
            (told,) = (log for log in logs if log["event"] == "token.changed")
            assert (told["decimals"], told["was"], told["log_level"]) == (18, 6, "error")

    run(check())


@pytest.mark.parametrize("false", [b"0x", b"0x" + word(6).hex().encode()])
def test_decimals_that_are_false_only_once_are_asked_for_again(
    fresh_node: Node, false: bytes
) -> None:
    true = b"0x" + word(18).hex().encode()

    async def check() -> None:
        async with faulty_node(fresh_node) as faulty, Rpc.connect(faulty.http_url) as rpc:
            faulty.fail(
                Fault(rewrite=lambda answer: answer.replace(true, false)), method="0x313ce567"
            )
            before = Token(137, token(1), "ODD", 18)
            code = answering({DECIMALS: word(18), SYMBOL: TEXT})
            with capture_logs() as logs:
                found = await describe(rpc, code, remembered={token(1): before})
            assert found.tokens == (before,)
            assert not [log for log in logs if log["event"].startswith("token.")]

    run(check())


@given(decimals=st.none() | st.binary(max_size=100), symbol=st.none() | st.binary(max_size=200))
def test_whatever_a_token_answers_it_is_described_or_odd(
    decimals: bytes | None, symbol: bytes | None
) -> None:
    dialogue = Described(137, {}, {}).token(token(1))
    calls = next(dialogue)
    assert [call.to for call in calls] == [token(1)] * 2
    try:
        dialogue.send([decimals, symbol])
        dialogue.send([decimals, symbol])
    except StopIteration as end:
        found = end.value
    if isinstance(found, OddToken):
        assert token(1) in found.reason
        assert len(found.reason) < 250
        return
    assert 0 <= found.decimals <= MAX_DECIMALS
    assert found.symbol.isprintable()
    assert 0 < len(found.symbol) <= MAX_SYMBOL


def test_an_odd_token_leaves_out_its_own_pools_only(scratch: Embedded) -> None:
    async def check() -> None:
        async with Rpc.connect(scratch.http_url) as rpc:
            wbtc = scratch.world.tokens["WBTC"].address
            await rpc.call("anvil_setCode", wbtc, answering({SYMBOL: TEXT}))
            await rpc.call("evm_mine")
            asked = requests_of(scratch.world)
            found = await bootstrap(rpc, asked, chain_id=137, tokens=[wbtc])
            held = [pool for pool in scratch.world.pools if wbtc in _tokens(pool)]
            assert len(held) > 1
            assert {missing.pool for missing in found.missing} == {pool.key for pool in held}
            assert len(found.pools) == len(scratch.world.pools) - len(held)
            reason = f"token {wbtc} does not tell its decimals: decimals() reverts"
            assert {missing.reason for missing in found.missing} == {reason}
            assert [odd.reason for odd in found.odd] == [reason]
            assert {each.symbol for each in found.tokens} == {"WETH", "USDC", "WMATIC"}

    run(check())


def _tokens(pool: object) -> tuple[Address, Address]:
    return pool.token0.address, pool.token1.address  # type: ignore[attr-defined]
