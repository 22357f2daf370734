"""What a node sends is bounded: in bytes before and after decompression, in depth, in words; and
a server that asks to be left alone is heard."""

from __future__ import annotations

import gzip
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.chain.rpc import Rpc
from dexarb.chain.transport import wire
from dexarb.chain.transport.connect import connect
from dexarb.chain.transport.http import retry_after_s
from dexarb.chain.transport.node_url import MAX_MESSAGE
from dexarb.errors import RpcError, TransportError
from tests.support.chain_driver import run
from tests.support.json_rpc_server import Reply, encoded, failure, json_rpc_server, result, zipped

SMALL_BOUND = 2**20


def ask(reply: Any, scheme: str = "http", **options: Any) -> object:
    """The result of one call to a server that replies so."""

    async def check() -> object:
        answer = reply if callable(reply) else lambda _: reply
        async with json_rpc_server(answer) as server:
            url = server.http_url if scheme == "http" else server.ws_url
            async with Rpc.connect(url, attempts=1, **options) as rpc:
                return await rpc.call("eth_getBlockReceipts")

    return run(check())


def test_a_compressed_answer_is_read() -> None:
    text = "0x" + "ab" * 300_000
    assert ask(lambda call: zipped(msgspec.json.encode(result(call, text)))) == text


@pytest.mark.parametrize("tail", [1, 8, 100])
def test_a_compressed_answer_that_is_cut_off_is_no_answer(tail: int) -> None:
    def cut(call: Any) -> Reply:
        whole = zipped(msgspec.json.encode(result(call, "0x" + "ab" * 5000)))
        assert whole.body is not None
        return Reply(whole.body[:-tail], headers=whole.headers)

    with pytest.raises(TransportError, match="is cut off"):
        ask(cut)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"plain", headers={"Content-Encoding": "gzip"}), "is not gzip"),
        (Reply(b"plain", headers={"Content-Encoding": "br"}), "was not asked for"),
        (Reply(b"x" * (SMALL_BOUND + 1)), "is too large"),
        (zipped(b" " * (SMALL_BOUND + 1)), "is too large once it is decompressed"),
    ],
)
def test_what_is_too_large_or_encoded_otherwise_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, reply: Reply, reason: str
) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", SMALL_BOUND)
    with pytest.raises(TransportError, match=reason):
        ask(reply)


def test_a_message_that_is_too_large_ends_the_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", SMALL_BOUND)
    with pytest.raises(TransportError, match="1009"):
        ask(Reply(b" " * (SMALL_BOUND + 1)), scheme="ws")


def test_a_bomb_costs_no_more_than_the_bound() -> None:
    """Twice the bound; a gigabyte is not read any further either."""
    bomb = gzip.compress(b" " * (2 * wire.MAX_ANSWER_BYTES))
    reply = Reply(bomb, headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    with pytest.raises(TransportError, match="once it is decompressed"):
        ask(reply)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.4 * wire.MAX_ANSWER_BYTES


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_what_is_nested_deeply_is_unreadable(opening: bytes) -> None:
    fine = opening * 20
    assert fine.count(b"[") + fine.count(b"{") <= wire.MAX_DEPTH
    with pytest.raises(msgspec.DecodeError, match="nested more than"):
        wire.decode(opening * 100_000)
    with pytest.raises(msgspec.DecodeError, match="brackets"):
        wire.decode(b"[]," * 1_100_000)


def test_blocks_and_receipts_are_not_nested_deeply() -> None:
    receipt = {"logs": [{"topics": ["0x"], "accessList": [{"storageKeys": ["0x"]}]}]}
    (message,) = wire.decode(msgspec.json.encode({"id": 1, "result": [receipt] * 1000}))
    assert message.error is None


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_nodes_message_is_cut_and_in_one_line(scheme: str) -> None:
    said = "first\nsecond\x1b[31m" + "so " * 100_000

    with pytest.raises(RpcError) as caught:
        ask(lambda call: encoded(failure(call, -32000, said)), scheme)
    assert len(caught.value.message) <= MAX_MESSAGE
    assert caught.value.message.startswith("first second [31mso so")


@given(st.text(max_size=2000))
def test_whatever_a_node_says_is_short_and_printable(said: str) -> None:
    transport = connect("http://127.0.0.1:1/k3yMaterial0123456789")
    shown = transport.scrub(said + "k3yMaterial0123456789")
    assert len(shown) <= MAX_MESSAGE
    assert shown.isprintable()
    assert "k3yM" not in shown.removeprefix(said)


def test_a_key_at_the_cut_is_not_shown_in_part() -> None:
    transport = connect("http://127.0.0.1:1/k3yMaterial0123456789")
    for length in range(MAX_MESSAGE - 30, MAX_MESSAGE):
        assert "k3y" not in transport.scrub("x" * length + "k3yMaterial0123456789")


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "7", 7.0),
        (503, "7.5", 7.5),
        (429, "100000", 600.0),
        (429, "-3", None),
        (429, "soon", None),
        (429, "inf", 600.0),
        (429, "nan", None),
        (429, None, None),
        (500, "7", None),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(
    status: int, header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(status, header) == seconds


def test_it_may_say_so_with_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    found = retry_after_s(429, date)
    assert found is not None
    assert 80 < found <= 90
    assert retry_after_s(429, "Fri, 01 Jan 2010 00:00:00 GMT") is None


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_a_server_asks_for_is_kept(status: int) -> None:
    slept: list[float] = []
    now = [1000.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    replies = iter([Reply(b"", status, {"Retry-After": "42"})])

    async def check() -> None:
        async with json_rpc_server(
            lambda call: next(replies, None) or encoded(result(call, "0x1"))
        ) as server:
            options: dict[str, Any] = {"clock": lambda: now[0], "sleep": sleep, "backoff_s": 0.0}
            async with Rpc.connect(server.http_url, **options) as rpc:
                assert await rpc.call("eth_blockNumber") == "0x1"
                assert slept == [42.0]
                assert len(server.sizes) == 2

    run(check())
