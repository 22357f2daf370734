"""An HTTP and WebSocket server in this process whose JSON-RPC answers a test makes up."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

_quiet = logging.getLogger("tests.json_rpc_server")
_quiet.addFilter(lambda _: False)

Call = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. body: None: the connection is closed instead (with `close_code` where it is
    a WebSocket). hang: nothing comes."""

    body: bytes | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    close_code: int = 1009


def result(call: Call, value: object) -> Call:
    return {"jsonrpc": "2.0", "id": call["id"], "result": value}


def failure(call: Call | None, code: int, message: str) -> Call:
    error = {"code": code, "message": message}
    return {"jsonrpc": "2.0", "id": call and call["id"], "error": error}


def encoded(value: object, status: int = 200) -> Reply:
    return Reply(msgspec.json.encode(value), status)


def zipped(value: bytes) -> Reply:
    return Reply(gzip.compress(value), headers={"Content-Encoding": "gzip"})


@dataclass
class JsonRpcServer:
    """answer: from what was sent, decoded, to a Reply. sizes: calls in each request so far."""

    answer: Callable[[Any], Reply]
    http_url: str = ""
    ws_url: str = ""
    sizes: list[int] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def reply(self, payload: bytes) -> Reply:
        sent = msgspec.json.decode(payload)
        calls = sent if isinstance(sent, list) else [sent]
        self.sizes.append(len(calls))
        self.methods += [call["method"] for call in calls]
        return self.answer(sent)

    async def serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                reply = self.reply(await reader.readexactly(length))
                if reply.hang:
                    await reader.read()
                if reply.body is None:
                    break
                lines = [f"HTTP/1.1 {reply.status} Whatever", f"Content-Length: {len(reply.body)}"]
                lines += [f"{name}: {value}" for name, value in reply.headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def serve_ws(self, client: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for payload in client:
                text = payload.encode() if isinstance(payload, str) else payload
                reply = self.reply(text)
                if reply.body is not None:
                    await client.send(reply.body, text=True)
                elif not reply.hang:
                    await client.close(reply.close_code, "message too big")


@contextlib.asynccontextmanager
async def json_rpc_server(answer: Callable[[Any], Reply]) -> AsyncIterator[JsonRpcServer]:
    server = JsonRpcServer(answer)
    http = await asyncio.start_server(server.serve_http, "127.0.0.1", 0, limit=2**24)
    sockets = serve(
        server.serve_ws, "127.0.0.1", 0, max_size=None, close_timeout=0.1, logger=_quiet
    )
    async with sockets as ws:
        server.http_url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
        server.ws_url = f"ws://127.0.0.1:{next(iter(ws.sockets)).getsockname()[1]}"
        try:
            yield server
        finally:
            http.close()
