"""Transports against a real node and against a server that misbehaves."""

from __future__ import annotations

import asyncio
import logging
import traceback

import msgspec
import pytest

from dexarb.chain.rpc import Rpc
from dexarb.chain.transport import wire
from dexarb.chain.transport.connect import PushTransport, Transport, connect
from dexarb.chain.transport.http import HttpTransport
from dexarb.chain.transport.node_url import NodeUrl
from dexarb.chain.transport.push import Subscription
from dexarb.chain.transport.websocket import WebSocketTransport
from dexarb.errors import ConfigError, DexarbError, RpcError, TransportError
from tests.support.anvil import Node, free_port
from tests.support.chain_driver import run, until
from tests.support.faulty_node import Fault, FaultyNode, faulty_node

KEY = "k3yMaterial0123456789"
USER = "us3rMaterial01234"
QUERY = "qu3ryMaterial0123"
SECRETS = (KEY, USER, QUERY)


def payload(method: str, *params: object) -> bytes:
    return wire.encoder.encode(wire.Request(method, params))


def result(answer: bytes) -> object:
    (message,) = wire.decode(answer)
    return msgspec.json.decode(message.result)


def with_secrets(url: str) -> str:
    scheme, rest = url.split("://")
    return f"{scheme}://{USER}:{KEY}@{rest}/v2/{KEY}?token={QUERY}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://mainnet.example.org/v2/{KEY}", "https://mainnet.example.org"),
        (f"wss://{USER}:{KEY}@example.org:8546/{KEY}?a={QUERY}#{KEY}", "wss://example.org:8546"),
        (f"https://{KEY}@example.org", "https://example.org"),
        (f" http://127.0.0.1:8545?{KEY} ", "http://127.0.0.1:8545"),
        (f"http://[::1]:8545/{KEY}", "http://[::1]:8545"),
    ],
)
def test_an_endpoint_is_scheme_and_host_only(url: str, shown: str) -> None:
    assert NodeUrl(url).endpoint == shown


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://example.org/{KEY}",
        f"{KEY}",
        f"example.org/v2/{KEY}",
        f"{KEY}://example.org",
        f"http:///{KEY}",
        f"https://example.org:{KEY}/",
        f"http://[{KEY}/",
        f"http://example.org/{KEY}\x00",
        "",
    ],
)
def test_a_bad_url_is_a_config_error_that_does_not_show_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(url)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(caught.value)


def test_the_scheme_chooses_the_transport() -> None:
    async def check() -> None:
        for scheme, kind in (("http", HttpTransport), ("wss", WebSocketTransport)):
            transport: Transport = connect(f"{scheme}://example.org/{KEY}")
            assert type(transport) is kind
            assert isinstance(transport, PushTransport) == (kind is WebSocketTransport)
            assert KEY not in repr(transport)
            await transport.aclose()

    run(check())


FAULTS = {
    "unavailable": Fault(status=503, body=b"<html>/v2/" + KEY.encode()),
    "redirect": Fault(status=302, body=b""),
    "forbidden": Fault(status=403, body=KEY.encode()),
    "malformed": Fault(body=b'{"jsonrpc": ' + KEY.encode()),
    "not JSON-RPC": Fault(body=b'{"hello": "' + KEY.encode() + b'"}'),
    "error that echoes the key": Fault(
        body=b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no such project '
        + KEY.encode()
        + b" "
        + QUERY.encode()
        + b'"}}'
    ),
    "silence": Fault(hang=True),
    "cut": Fault(drop=True),
}


@pytest.mark.parametrize(
    ("scheme", "fault"),
    [("http", name) for name in FAULTS]
    + [("ws", name) for name, fault in FAULTS.items() if fault.status == 200],
)
def test_no_failure_tells_the_secrets_of_the_url(
    node: Node,
    scheme: str,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)

    async def check() -> DexarbError:
        async with faulty_node(node) as faulty:
            faulty.fail(FAULTS[fault], times=2)
            url = with_secrets(faulty.http_url if scheme == "http" else faulty.ws_url)
            async with Rpc.connect(url, timeout_s=0.3, attempts=2, backoff_s=0.001) as rpc:
                with pytest.raises(DexarbError) as caught:
                    await rpc.call("eth_chainId")
                return caught.value

    error = run(check())
    told = str(error) + repr(error) + "".join(traceback.format_exception(error))
    told += caplog.text + "".join(capfd.readouterr())
    assert "127.0.0.1" in told or fault == "error that echoes the key"
    assert not [secret for secret in SECRETS if secret in told]


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
def test_a_node_that_is_not_there_is_a_transport_error_without_secrets(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def check() -> TransportError:
        transport = connect(with_secrets(f"{scheme}://127.0.0.1:{free_port()}"))
        with pytest.raises(TransportError) as caught:
            await transport.send(payload("eth_chainId"))
        await transport.aclose()
        return caught.value

    error = run(check())
    assert error.endpoint.startswith(f"{scheme}://127.0.0.1:")
    told = repr(error) + "".join(traceback.format_exception(error)) + caplog.text
    assert not [secret for secret in SECRETS if secret in told]


def test_a_websocket_handshake_that_is_refused_is_a_transport_error(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            faulty.fail(Fault(status=401, body=b""))
            # The HTTP server does not know WebSocket handshakes.
            transport = connect(with_secrets(faulty.http_url.replace("http", "ws")), 0.5)
            with pytest.raises(TransportError) as caught:
                await transport.send(payload("eth_chainId"))
            assert KEY not in "".join(traceback.format_exception(caught.value))
            await transport.aclose()

    run(check())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=500, body=b'{"id":1,"error":{"code":1,"message":"x"}}'), "HTTP 500"),
        (Fault(status=429, body=b'{"id":1,"error":{"code":1,"message":"x"}}'), "HTTP 429"),
        (Fault(status=404, body=b"not found"), "HTTP 404"),
        (Fault(hang=True), "no answer within 0.3 s"),
        (Fault(drop=True), "RemoteProtocolError"),
    ],
)
def test_http_failures_are_named(node: Node, fault: Fault, reason: str) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            faulty.fail(fault)
            transport = connect(faulty.http_url, 0.3)
            with pytest.raises(TransportError, match=reason):
                await transport.send(payload("eth_chainId"))
            assert result(await transport.send(payload("eth_chainId"))) == "0x89"
            await transport.aclose()

    run(check())


def test_a_json_rpc_error_behind_http_400_is_an_answer(node: Node) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad"}}'

    async def check() -> bytes:
        async with faulty_node(node) as faulty:
            faulty.fail(Fault(status=400, body=body))
            transport = connect(faulty.http_url)
            answer = await transport.send(payload("eth_chainId"))
            await transport.aclose()
            return answer

    assert run(check()) == body


def test_http_connections_are_kept(node: Node) -> None:
    async def check() -> int:
        async with faulty_node(node) as faulty:
            transport = connect(faulty.http_url)
            for _ in range(20):
                await transport.send(payload("eth_chainId"))
            await transport.aclose()
            return faulty.connections

    assert run(check()) == 1


def test_websocket_requests_share_a_connection_and_get_their_own_answers(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            transport = connect(faulty.ws_url)
            accounts = [f"0x{number:040x}" for number in range(1, 101)]
            for number, account in enumerate(accounts):
                await transport.send(payload("anvil_setBalance", account, hex(number)))
            answers = await asyncio.gather(
                *(
                    transport.send(payload("eth_getBalance", account, "latest"))
                    for account in accounts
                )
            )
            assert [result(answer) for answer in answers] == [hex(n) for n in range(100)]
            assert faulty.connections == 1
            await transport.aclose()

    run(check())


def test_a_lost_websocket_fails_who_waits_and_the_next_use_reconnects(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            transport = connect(faulty.ws_url, 30.0)
            faulty.fail(Fault(hang=True), times=3)
            waiting = [
                asyncio.create_task(transport.send(payload("eth_chainId"))) for _ in range(3)
            ]
            await until(lambda: len(faulty.seen) == 3)
            faulty.cut()
            failures = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(failure) for failure in failures] == [TransportError] * 3
            assert result(await transport.send(payload("eth_chainId"))) == "0x89"
            assert faulty.connections == 2
            await transport.aclose()

    run(check())


def test_a_websocket_that_has_gone_dead_is_replaced_and_a_slow_request_is_not(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            transport = connect(faulty.ws_url, 0.3)
            faulty.fail(Fault(hang=True), method="eth_getBalance")
            slow = asyncio.create_task(transport.send(payload("eth_getBalance")))
            await until(lambda: faulty.count("eth_getBalance") == 1)
            assert result(await transport.send(payload("eth_chainId"))) == "0x89"
            with pytest.raises(TransportError, match="no answer"):
                await slow
            assert result(await transport.send(payload("eth_chainId"))) == "0x89"
            assert faulty.connections == 1  # others were answered meanwhile

            faulty.fail(Fault(hang=True))
            with pytest.raises(TransportError, match="no answer"):
                await transport.send(payload("eth_chainId"))
            assert result(await transport.send(payload("eth_chainId"))) == "0x89"
            assert faulty.connections == 2  # nothing at all was heard
            await transport.aclose()

    run(check())


def test_answers_to_nobody_are_dropped(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            transport = connect(faulty.ws_url, 0.3)
            for stray in (
                b'{"jsonrpc":"2.0","id":987654321,"result":"0x1"}',
                b'{"method":"eth_subscription","params":{"subscription":"0x9","result":{}}}',
                b'{"method":"eth_subscription","params":[]}',
                b"[]",
            ):
                faulty.fail(Fault(body=stray))
                with pytest.raises(TransportError, match="no answer"):
                    await transport.send(payload("eth_chainId"))
                assert result(await transport.send(payload("eth_chainId"))) == "0x89"
            await transport.aclose()

    run(check())


async def subscribed(faulty: FaultyNode) -> tuple[WebSocketTransport, Rpc]:
    transport = connect(faulty.ws_url)
    assert isinstance(transport, WebSocketTransport)
    return transport, Rpc([transport])


def test_a_subscription_delivers_heads_in_order_and_survives_cancelled_waits(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            transport, rpc = await subscribed(faulty)
            heads = await transport.subscribe("newHeads")
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(heads), 0.01)
            first = int(await rpc.call("eth_blockNumber"), 16)
            await rpc.call("anvil_mine", hex(5))
            numbers = [int(msgspec.json.decode(await anext(heads))["number"], 16) for _ in range(5)]
            assert numbers == list(range(first + 1, first + 6))
            await transport.aclose()

    run(check())


def test_a_subscription_ends_with_a_transport_error_and_stays_ended(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            transport, rpc = await subscribed(faulty)
            heads = await transport.subscribe("newHeads")
            waiting = asyncio.ensure_future(anext(heads))
            await rpc.call("eth_chainId")
            faulty.cut()
            for wait in (waiting, anext(heads), anext(heads)):
                with pytest.raises(TransportError):
                    await wait
            again = await transport.subscribe("newHeads")
            await rpc.call("evm_mine")
            assert b"parentHash" in await anext(again)
            again.drop()
            with pytest.raises(TransportError, match="given up"):
                await anext(again)
            await transport.aclose()

    run(check())


def test_a_refused_subscription_is_the_nodes_error(node: Node) -> None:
    async def check() -> None:
        async with faulty_node(node) as faulty:
            transport, _ = await subscribed(faulty)
            with pytest.raises(RpcError):
                await transport.subscribe("noSuchThing")
            await transport.aclose()

    run(check())


def test_a_subscription_that_nobody_takes_from_is_given_up() -> None:
    dropped: list[bool] = []
    heads = Subscription("ws://node", lambda: dropped.append(True))
    for _ in range(10_000):
        assert not dropped
        heads.push(b"{}")
    assert dropped
