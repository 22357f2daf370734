"""Batches that are too large for an endpoint, in the ways in which endpoints say so.

Reported of geth, erigon, nethermind, jsonrpsee and public providers: an error for the whole, for
each call, for some; HTTP errors with and without JSON; hanging up; saying nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dexarb.chain.endpoints.health import BatchSize
from dexarb.chain.rpc import Rpc
from dexarb.errors import RpcError, TransportError
from tests.support.chain_driver import run
from tests.support.json_rpc_server import (
    Call,
    JsonRpcServer,
    Reply,
    encoded,
    failure,
    json_rpc_server,
    result,
)

LARGEST = 3
CALLS = [("eth_getBalance", [number]) for number in range(12)]
BALANCES = [hex(number) for number in range(12)]
QUICK: dict[str, Any] = {"backoff_s": 0.001, "backoff_max_s": 0.01}


def each(code: int, message: str) -> Callable[[list[Call]], Reply]:
    return lambda calls: encoded([failure(call, code, message) for call in calls])


def whole(code: int, message: str, status: int = 200) -> Callable[[list[Call]], Reply]:
    return lambda _: encoded(failure(None, code, message), status)


def plain(status: int) -> Callable[[list[Call]], Reply]:
    return lambda _: Reply(b"<html>batch too large</html>", status)


def good(calls: list[Call]) -> list[Call]:
    return [result(call, hex(call["params"][0])) for call in calls]


WAYS: dict[str, Callable[[list[Call]], Reply]] = {
    "one object, batch too large": whole(-32600, "batch too large"),
    "one object with the code of a plan": whole(31, "more than 3 are not allowed on free tier"),
    "one object, internal error": whole(-32603, "Internal error"),
    "one object behind HTTP 400": whole(-32600, "batch too large", status=400),
    "a list of one error without an id": lambda _: encoded([failure(None, -32000, "no batches")]),
    "one error of the first call, the others missing": lambda calls: encoded(
        [failure(calls[0], -32600, "batch too large")]
    ),
    "each call the same limit": each(-32005, "batch limit exceeded"),
    "each call the plan": each(-32000, "upgrade to send so many"),
    "some calls too large": lambda calls: encoded(
        good(calls[:LARGEST])
        + [failure(call, -32003, "response too large") for call in calls[LARGEST:]]
    ),
    "answers missing": lambda calls: encoded(good(calls[:LARGEST])),
    "an empty list": lambda _: encoded([]),
    "HTTP 400 as text": plain(400),
    "HTTP 403": plain(403),
    "HTTP 413": plain(413),
    "HTTP 414": plain(414),
    "HTTP 422": plain(422),
    "HTTP 500": plain(500),
    "HTTP 503 without a date": plain(503),
    "text that is no JSON": plain(200),
    "an answer cut off": lambda calls: Reply(msgspec.json.encode(good(calls))[:-20]),
    "the connection closed": lambda _: Reply(None),
}
# On a WebSocket an empty list is nobody's answer.
NOT_OVER_A_WEBSOCKET = {name for name in WAYS if "HTTP" in name} | {"an empty list"}
OVER_ONE = [name for name in WAYS if name not in NOT_OVER_A_WEBSOCKET]


def limited(way: Callable[[list[Call]], Reply]) -> Callable[[Any], Reply]:
    def answer(sent: Any) -> Reply:
        if isinstance(sent, dict):
            return encoded(good([sent])[0])
        return way(sent) if len(sent) > LARGEST else encoded(good(sent))

    return answer


@pytest.mark.parametrize(
    ("scheme", "way"),
    [("http", name) for name in WAYS] + [("ws", name) for name in OVER_ONE],
)
def test_a_batch_that_is_refused_is_asked_in_smaller_ones(scheme: str, way: str) -> None:
    async def check() -> None:
        async with json_rpc_server(limited(WAYS[way])) as server:
            url = server.http_url if scheme == "http" else server.ws_url
            async with Rpc.connect(url, attempts=2, **QUICK) as rpc:
                assert await rpc.batch(CALLS) == BALANCES
                assert server.sizes[:2] == [12, 6] or "some" in way or "missing" in way
                refused = len(server.sizes)
                assert await rpc.batch(CALLS) == BALANCES
                assert max(server.sizes[refused:]) <= LARGEST  # it is remembered
                assert {report.state for report in rpc.endpoints} == {"ready"}

    run(check())


def test_one_that_says_nothing_to_a_batch_is_asked_in_smaller_ones_later() -> None:
    async def check() -> None:
        async with (
            json_rpc_server(limited(lambda _: Reply(hang=True))) as server,
            Rpc.connect(server.http_url, timeout_s=0.15, attempts=4, **QUICK) as rpc,
        ):
            assert await rpc.batch(CALLS) == BALANCES
            assert server.sizes[:3] == [12, 6, 3]

    run(check())


def test_one_that_is_too_busy_for_a_batch_gets_a_smaller_one_after_a_pause() -> None:
    async def check() -> None:
        for way in (plain(429), whole(-32005, "too many requests")):
            async with (
                json_rpc_server(limited(way)) as server,
                Rpc.connect(server.http_url, attempts=4, **QUICK) as rpc,
            ):
                assert await rpc.batch(CALLS) == BALANCES
                assert server.sizes == [12, 6, 6, 3, 3, 3, 3] or server.sizes[:2] == [12, 6]

    run(check())


def test_only_a_single_call_that_fails_is_the_endpoints_failure() -> None:
    async def check(server: JsonRpcServer) -> None:
        async with Rpc.connect(server.http_url, attempts=1, batch_size=8) as rpc:
            with pytest.raises(TransportError, match="HTTP 500"):
                await rpc.batch(CALLS[:8])
            assert server.sizes == [8, 4, 2, 1]
            assert rpc.endpoints[0].state == "resting"

    async def with_server() -> None:
        async with json_rpc_server(lambda _: Reply(b"", 500)) as server:
            await check(server)

    run(with_server())


def test_the_errors_of_single_calls_are_not_the_batchs() -> None:
    def answer(sent: Any) -> Reply:
        assert len(sent) == 12
        return encoded([failure(call, 3, "execution reverted: limit exceeded") for call in sent])

    async def check() -> None:
        async with (
            json_rpc_server(answer) as server,
            Rpc.connect(server.http_url, attempts=1) as rpc,
        ):
            found = await rpc.batch(CALLS)
            assert all(isinstance(entry, RpcError) for entry in found)
            assert server.sizes == [12]

    run(check())


def test_what_changes_something_is_not_asked_again_in_smaller_batches() -> None:
    async def check() -> None:
        async with (
            json_rpc_server(lambda _: Reply(None)) as server,
            Rpc.connect(server.http_url) as rpc,
        ):
            with pytest.raises(TransportError):
                await rpc.batch([("evm_mine", [])] * 4)
            assert server.sizes == [4]

    run(check())


def test_a_batch_size_grows_again_slowly_and_more_slowly_after_each_refusal() -> None:
    size = BatchSize(100)
    size.refused(100)
    assert size.size == 50
    size.refused(50)
    assert size.size == 25

    def good_until(wanted: int) -> int:
        count = 0
        while size.size < wanted:
            size.took(size.size)
            count += 1
        return count

    first = good_until(50)
    assert first >= 64
    size.refused(50)
    assert size.size == 25
    assert good_until(50) > first
    size.took(10)  # a small one proves nothing
    assert size.size == 50
    while size.size > 1:
        size.refused(size.size)
    size.refused(1)
    assert size.size == 1


def test_batches_in_flight_do_not_shrink_the_size_below_what_one_refusal_asks_for() -> None:
    async def check() -> None:
        async with (
            json_rpc_server(limited(plain(413))) as server,
            Rpc.connect(server.http_url, batch_size=12, **QUICK) as rpc,
        ):
            calls = CALLS * 4
            assert await asyncio.wait_for(rpc.batch(calls), 10) == BALANCES * 4
            assert rpc.endpoints[0].batch_size == LARGEST

    run(check())


def test_a_batch_that_is_answered_with_a_wait_is_not_asked_in_smaller_ones_before() -> None:
    async def check() -> None:
        reply = Reply(b"", 503, {"Retry-After": "60"})
        async with (
            json_rpc_server(lambda _: reply) as server,
            Rpc.connect(server.http_url, attempts=1) as rpc,
        ):
            with pytest.raises(TransportError, match="HTTP 503"):
                await rpc.batch(CALLS)
            assert server.sizes == [12]

    run(check())


def test_what_is_left_of_a_batch_is_not_asked_of_an_endpoint_whose_quota_is_used_up() -> None:
    def answer(sent: Any) -> Reply:
        calls = sent if isinstance(sent, list) else [sent]
        return encoded([failure(call, 402, "quota used up") for call in calls])

    async def check() -> None:
        async with (
            json_rpc_server(answer) as server,
            Rpc.connect(server.http_url, attempts=1, batch_size=12) as rpc,
        ):
            rpc._nodes.endpoints.all[0].batch.size = 4
            with pytest.raises(TransportError, match="quota used up"):
                await rpc.batch(CALLS)
            assert server.sizes == [4]

    run(check())
