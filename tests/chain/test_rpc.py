"""The JSON-RPC client: retries, failover, batches and its books, on real connections."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.chain.endpoints.trouble import is_revert
from dexarb.chain.rpc import Rpc
from dexarb.errors import OutsideError, RpcError, TransportError
from tests.support.anvil import Node, free_port
from tests.support.chain_driver import run
from tests.support.faulty_node import Fault, faulty_node

REVERTING = "0x" + "e5" * 20
QUICK: dict[str, Any] = {"backoff_s": 0.001, "backoff_max_s": 0.01}


def error_body(code: int, message: str) -> bytes:
    """An error in place of an answer, as nodes send it that do not read the request."""
    error = {"code": code, "message": message}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error})


def errors_at(*places: int, code: int, message: str) -> Any:
    """Rewrites an answer to a batch so that the calls at these places have failed."""

    def rewrite(answer: bytes) -> bytes:
        entries = sorted(msgspec.json.decode(answer), key=lambda entry: entry["id"])
        for place in places:
            del entries[place]["result"]
            entries[place]["error"] = {"code": code, "message": message}
        return msgspec.json.encode(entries[::-1])  # servers may answer in any order

    return rewrite


BALANCES = [("eth_getBalance", [f"0x{number:040x}", "latest"]) for number in range(1, 26)]


async def fund(rpc: Rpc) -> list[str]:
    """Gives the accounts of BALANCES different balances."""
    for number, (_, (account, _)) in enumerate(BALANCES, start=100):
        await rpc.call("anvil_setBalance", account, hex(number))
    return [hex(number) for number in range(100, 125)]


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_calls_and_batches_and_their_count(node: Node, scheme: str) -> None:
    async def check() -> None:
        url = node.http_url if scheme == "http" else node.ws_url
        async with Rpc.connect(url, batch_size=10) as rpc:
            assert await rpc.call("eth_chainId") == "0x89"
            assert await rpc.call_as(str, "eth_chainId") == "0x89"
            assert (rpc.requests, rpc.calls) == (2, 2)
            expected = await fund(rpc)
            requests, calls = rpc.requests, rpc.calls
            assert await rpc.batch(BALANCES) == expected
            assert (rpc.requests - requests, rpc.calls - calls) == (3, 25)
            assert await rpc.batch([]) == []

            child = rpc.scoped(attempts=1)
            requests = rpc.requests
            await child.batch(BALANCES)
            assert (child.requests, child.calls, rpc.requests - requests) == (3, 25, 3)

    run(check())


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_batch_has_its_errors_in_their_places(node: Node, scheme: str) -> None:
    async def check() -> None:
        url = node.http_url if scheme == "http" else node.ws_url
        async with Rpc.connect(url) as rpc:
            await rpc.call("anvil_setCode", REVERTING, "0x60006000fd")
            first, second, third = await rpc.batch(
                [
                    ("eth_chainId", []),
                    ("eth_call", [{"to": REVERTING}, "latest"]),
                    ("eth_chainId", []),
                ]
            )
            assert (first, third) == ("0x89", "0x89")
            assert isinstance(second, RpcError)
            assert is_revert(second)
            assert second.method == "eth_call"

    run(check())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_call", [{"to": REVERTING}, "latest"]),
        ("eth_noSuchMethod", []),
        ("eth_getBalance", ["0x12", "latest"]),
    ],
)
def test_deterministic_errors_are_raised_at_once(
    node: Node, method: str, params: list[Any]
) -> None:
    async def check() -> None:
        async with Rpc.connect(node.http_url) as rpc:
            await rpc.call("anvil_setCode", REVERTING, "0x60006000fd")
            before = rpc.requests
            with pytest.raises(RpcError) as caught:
                await rpc.call(method, *params)
            assert caught.value.method == method
            assert rpc.requests - before == 1

    run(check())


HTTP_FAULTS = {
    "HTTP 500": Fault(status=500, body=b"oops"),
    "HTTP 429": Fault(status=429, body=b"slow down"),
}
FAULTS = {
    "cut": Fault(drop=True),
    "silence": Fault(hang=True),
    "malformed": Fault(body=b'{"jsonrpc":"2.0","id":1,"resu'),
    "empty": Fault(body=b""),
    "not an object": Fault(body=b"42"),
    "wrong id": Fault(body=b'{"jsonrpc":"2.0","id":99999999,"result":"0x1"}'),
    "no result": Fault(rewrite=lambda a: a.replace(b'"result"', b'"reslut"')),
    "wrong type": Fault(rewrite=lambda a: a.replace(b'"0x89"', b"[1]")),
    "not UTF-8": Fault(rewrite=lambda a: a.replace(b'"0x89"', b'"\xff"')),
    "nested without end": Fault(rewrite=lambda a: a.replace(b'"0x89"', b"[" * 200_000)),
    "number without end": Fault(rewrite=lambda a: a.replace(b'"0x89"', b"1" * 200_000)),
    "rate limit": Fault(body=error_body(-32005, "limit exceeded")),
    "rate limit by words": Fault(body=error_body(-32600, "Too Many Requests")),
    "lagging": Fault(body=error_body(-32000, "header not found")),
}


@pytest.mark.parametrize(
    ("scheme", "fault"),
    [("http", name) for name in {**HTTP_FAULTS, **FAULTS}] + [("ws", name) for name in FAULTS],
)
def test_passing_trouble_is_survived_with_one_more_request(
    node: Node, scheme: str, fault: str
) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            url = faulty.http_url if scheme == "http" else faulty.ws_url
            async with Rpc.connect(url, timeout_s=0.3, **QUICK) as rpc:
                faulty.fail((HTTP_FAULTS | FAULTS)[fault])
                assert await rpc.call_as(str, "eth_chainId") == "0x89"
                assert rpc.requests == 2

    run(check())


@pytest.mark.parametrize("fault", list(FAULTS))
def test_lasting_trouble_is_an_outside_error_after_all_attempts(node: Node, fault: str) -> None:
    async def check() -> None:
        async with (
            faulty_node(node) as faulty,
            Rpc.connect(faulty.http_url, timeout_s=0.1, attempts=3, **QUICK) as rpc,
        ):
            faulty.fail(FAULTS[fault], times=100)
            with pytest.raises(OutsideError):
                await rpc.call_as(str, "eth_chainId")
            assert rpc.requests == 3
            faulty.heal()
            assert await rpc.call("eth_chainId") == "0x89"

    run(check())


def test_a_batch_whose_parts_fail_is_one_transport_error(node: Node) -> None:
    async def check() -> None:
        async with (
            faulty_node(node) as faulty,
            Rpc.connect(faulty.http_url, batch_size=5, attempts=2, **QUICK) as rpc,
        ):
            faulty.fail(Fault(drop=True), times=100)
            with pytest.raises(TransportError):
                await rpc.batch(BALANCES)

    run(check())


def test_a_null_where_something_was_asked_for_is_asked_again(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty, Rpc.connect(faulty.http_url, **QUICK) as rpc:
            null = Fault(
                rewrite=lambda a: b'{"id":%d,"result":null}' % msgspec.json.decode(a)["id"]
            )
            faulty.fail(null, times=2)
            assert await rpc.call_as(str, "eth_chainId") == "0x89"
            assert rpc.requests == 3
            faulty.fail(null)
            assert await rpc.call("eth_chainId") is None
            assert rpc.requests == 4

    run(check())


def test_only_the_calls_of_a_batch_that_failed_are_asked_again(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty, Rpc.connect(faulty.http_url, **QUICK) as rpc:
            expected = await fund(rpc)
            requests, calls = rpc.requests, rpc.calls
            faulty.fail(Fault(rewrite=errors_at(3, 7, code=-32005, message="limit")))
            assert await rpc.batch(BALANCES) == expected
            assert (rpc.requests - requests, rpc.calls - calls) == (2, 27)

    run(check())


def test_calls_that_belong_together_are_asked_again_together(node: Node) -> None:
    async def check() -> None:
        async with (
            faulty_node(node) as first,
            faulty_node(node) as second,
            Rpc.connect(first.http_url, second.http_url, **QUICK) as rpc,
        ):
            expected = await fund(rpc)
            calls = rpc.calls
            first.fail(Fault(rewrite=errors_at(3, code=-32000, message="header not found")))
            assert await rpc.batch_as(str, BALANCES, together=True) == expected
            assert rpc.calls - calls == 50
            assert second.count("eth_getBalance") == 25

    run(check())


def test_deterministic_errors_in_a_batch_are_its_answers(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty, Rpc.connect(faulty.http_url, **QUICK) as rpc:
            expected = await fund(rpc)
            before = rpc.requests
            faulty.fail(Fault(rewrite=errors_at(24, code=3, message="execution reverted")))
            *good, bad = await rpc.batch(BALANCES)
            assert good == expected[:-1]
            assert isinstance(bad, RpcError)
            assert rpc.requests - before == 1

    run(check())


def test_a_node_that_refuses_batches_is_asked_in_smaller_ones(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty, Rpc.connect(faulty.http_url, **QUICK) as rpc:
            expected = await fund(rpc)
            before = rpc.requests
            # 25 and 12 are refused; 6 is taken.
            faulty.fail(Fault(body=error_body(-32600, "batch too large")), times=2)
            assert await rpc.batch(BALANCES) == expected
            assert rpc.requests - before == 2 + 5
            before = rpc.requests
            assert await rpc.batch(BALANCES) == expected
            assert rpc.requests - before == 5  # it is remembered

            faulty.fail(Fault(body=error_body(-32600, "no batches")), times=3, method="[{")
            assert await rpc.batch(BALANCES[:6]) == expected[:6]
            before = rpc.requests
            assert await rpc.batch(BALANCES[:6]) == expected[:6]
            assert rpc.requests - before == 6

    run(check())


def test_the_next_endpoint_takes_over_and_the_first_one_comes_back(node: Node) -> None:
    now = 1000.0

    async def check() -> None:
        nonlocal now
        async with faulty_node(node) as first, faulty_node(node) as second:
            urls = (first.http_url, second.http_url)
            async with Rpc.connect(*urls, clock=lambda: now, **QUICK) as rpc:
                await rpc.call("eth_chainId")
                assert (len(first.seen), len(second.seen)) == (1, 0)
                first.fail(Fault(status=502, body=b""))
                assert await rpc.call("eth_chainId") == "0x89"
                assert (len(first.seen), len(second.seen)) == (2, 1)
                await rpc.call("eth_chainId")  # the first one rests
                assert (len(first.seen), len(second.seen)) == (2, 2)
                now += 1.1
                await rpc.call("eth_chainId")
                assert (len(first.seen), len(second.seen)) == (3, 2)

                # A lagging node is not punished: the answer is fetched elsewhere, once.
                first.fail(Fault(body=error_body(-32000, "header not found")))
                assert await rpc.call("eth_chainId") == "0x89"
                await rpc.call("eth_chainId")
                assert (len(first.seen), len(second.seen)) == (5, 3)

    run(check())


def test_a_resting_endpoint_is_better_than_none(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as first:
            dead = f"http://127.0.0.1:{free_port()}"
            async with Rpc.connect(first.http_url, dead, clock=lambda: 0.0, **QUICK) as rpc:
                first.fail(Fault(drop=True))
                assert await rpc.call("eth_chainId") == "0x89"
                assert await rpc.call("eth_chainId") == "0x89"

    run(check())


@pytest.mark.parametrize(
    "fault",
    [
        # It is carried out, and the answer is lost.
        Fault(rewrite=lambda _: b"garbage"),
        Fault(rewrite=lambda _: error_body(-32000, "header not found")),
    ],
)
def test_what_changes_something_is_sent_once(fresh_node: Node, fault: Fault) -> None:
    async def check() -> None:
        async with (
            faulty_node(fresh_node) as first,
            faulty_node(fresh_node) as second,
            Rpc.connect(first.http_url, second.http_url, **QUICK) as rpc,
        ):
            first.fail(fault)
            with pytest.raises(OutsideError):
                await rpc.call("evm_mine")
            assert (first.count("evm_mine"), second.count("evm_mine")) == (1, 0)
            assert await rpc.call("eth_blockNumber") == "0x1"

    run(check())


def test_without_a_node_that_pushes_there_are_no_subscriptions(node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(node.http_url) as rpc:
            assert not rpc.can_subscribe
            with pytest.raises(TransportError, match="no subscriptions"):
                await rpc.subscribe("newHeads")
        async with Rpc.connect(node.http_url, node.ws_url) as rpc:
            assert rpc.can_subscribe
            heads = await rpc.subscribe("newHeads")
            await rpc.call("evm_mine")
            assert b"parentHash" in await anext(heads)
            assert (rpc.requests, rpc.calls) == (2, 2)

    run(check())


class Saying:
    """A transport whose node says what it is told to."""

    endpoint = "http://garbage"

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    async def send(self, payload: bytes) -> bytes:
        sent = msgspec.json.decode(payload)
        last = sent[-1] if isinstance(sent, list) else sent
        return self.answer.replace(b"LAST", str(last["id"]).encode())

    def scrub(self, text: str) -> str:
        return text

    async def aclose(self) -> None:
        pass


_text = st.text(max_size=8)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=4,
)
_bodies = st.dictionaries(st.sampled_from(["id", "result", "error", "code", "message"]), _json)
_answers = (
    st.binary(max_size=40)
    | _json.map(msgspec.json.encode)
    | _bodies.map(lambda body: msgspec.json.encode(body | {"id": 0}).replace(b":0", b":LAST", 1))
    | st.lists(_bodies, max_size=4).map(msgspec.json.encode)
)


@settings(deadline=None)
@given(_answers)
def test_no_answer_makes_anything_but_an_outside_error(answer: bytes) -> None:
    async def check() -> None:
        rpc = Rpc([Saying(answer)], attempts=1)
        for calls in (1, 3):
            try:
                found = await rpc.batch_as(str, [("eth_chainId", [])] * calls)
            except OutsideError:
                continue
            assert len(found) == calls
            assert all(isinstance(entry, str | RpcError) for entry in found)

    run(check())
