"""JSON-RPC over a node's socket file: the real thing, and streams cut anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.chain.rpc import Rpc
from dexarb.chain.transport import wire
from dexarb.chain.transport.connect import PushTransport, connect
from dexarb.chain.transport.ipc import Messages
from dexarb.chain.transport.node_url import NodeUrl
from dexarb.errors import ConfigError, TransportError
from tests.support.anvil import running_anvil
from tests.support.chain_driver import run, until

_text = st.text(st.sampled_from('{}[]",:\\ aé\n'), max_size=12)
_json = st.recursive(
    st.none() | st.integers() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_messages = st.lists(st.lists(_json, max_size=3) | st.dictionaries(_text, _json, max_size=3))


@given(_messages, st.sampled_from([b"", b"\n", b" " * 20]), st.integers(1, 7))
def test_a_stream_falls_into_the_messages_it_was_made_of(
    messages: list[object], between: bytes, step: int
) -> None:
    stream = between.join(msgspec.json.encode(message) for message in messages)
    cutter = Messages()
    found = []
    for start in range(0, len(stream), step):
        cutter.feed(stream[start : start + step])
        while (text := cutter.take()) is not None:
            found.append(msgspec.json.decode(text))
    assert found == messages


@pytest.mark.parametrize("stream", [b"]", b"[" * 70 + b"]", b'{"a":' * 70 + b"[]"])
def test_what_is_no_json_or_too_deep_is_refused(stream: bytes) -> None:
    cutter = Messages()
    cutter.feed(stream)
    with pytest.raises(ValueError, match="not JSON, or nested"):
        cutter.take()


def test_a_message_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", 10_000)
    cutter = Messages()
    cutter.feed(b'["')
    for _ in range(9):
        cutter.feed(b"x" * 1000)
        assert cutter.take() is None
    cutter.feed(b"x" * 2000)
    with pytest.raises(ValueError, match="too large"):
        cutter.take()


@pytest.fixture(scope="module")
def socket_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("ipc") / "node.ipc"
    with running_anvil("--ipc", str(path)):
        yield path


def test_a_node_behind_a_socket_file_is_asked_and_pushes(socket_file: Path) -> None:
    async def check() -> None:
        await until(socket_file.exists)
        async with Rpc.connect(f"ipc://{socket_file}") as rpc:
            assert await rpc.call("eth_chainId") == "0x89"
            accounts = [f"0x{number:040x}" for number in range(1, 101)]
            for number, account in enumerate(accounts):
                await rpc.call("anvil_setBalance", account, hex(number))
            calls = [("eth_getBalance", [account, "latest"]) for account in accounts]
            assert await rpc.batch(calls) == [hex(number) for number in range(100)]
            side_by_side = [rpc.call("eth_getBalance", each, "latest") for each in accounts]
            assert await asyncio.gather(*side_by_side) == [hex(number) for number in range(100)]

            assert rpc.can_subscribe
            heads = await rpc.subscribe("newHeads")
            assert heads.endpoint == "ipc:node.ipc"
            first = int(await rpc.call("eth_blockNumber"), 16)
            await rpc.call("anvil_mine", hex(3))
            numbers = [int(msgspec.json.decode(await anext(heads))["number"], 16) for _ in range(3)]
            assert numbers == [first + 1, first + 2, first + 3]
            (report,) = rpc.endpoints
            assert report.newest == first + 3  # pushed heads are heard of
            heads.drop()
            with pytest.raises(TransportError, match="given up"):
                await anext(heads)
            assert await rpc.call("eth_chainId") == "0x89"  # over a new connection

    run(check())


def test_a_socket_file_that_is_not_there_is_a_transport_error(tmp_path: Path) -> None:
    async def check() -> None:
        transport = connect(f"ipc://{tmp_path}/n%20one.ipc")
        assert isinstance(transport, PushTransport)
        with pytest.raises(TransportError, match="No such file"):
            await transport.send(b'{"id":1}')
        await transport.aclose()

    run(check())


@pytest.mark.parametrize("url", ["ipc://host/node.ipc", "ipc://", "ipc:node.ipc"])
def test_a_socket_file_is_named_by_its_whole_path(url: str) -> None:
    with pytest.raises(ConfigError, match="ipc:///"):
        connect(url)


def test_a_socket_file_is_shown_by_its_name_alone() -> None:
    assert NodeUrl("ipc:///home/somebody/k3y/geth.ipc").endpoint == "ipc:geth.ipc"
    assert NodeUrl("ipc:///home/somebody/k3yMaterial").endpoint == "ipc:"
