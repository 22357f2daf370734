"""A real HTTP and WebSocket server in front of a node that misbehaves on command."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.anvil import Node

# What these servers log at debug would hide what the program itself logs.
_quiet = logging.getLogger("tests.faulty_node")
_quiet.addFilter(lambda _: False)


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of what should. The first that is set counts.

    hang: no answer, ever. drop: the connection is cut. body (with an HTTP status): this answer.
    rewrite: the node's own answer, changed.
    """

    hang: bool = False
    drop: bool = False
    body: bytes | None = None
    status: int = 200
    rewrite: Callable[[bytes], bytes] | None = None


@dataclass
class _Order:
    fault: Fault
    times: float
    method: bytes


@dataclass
class FaultyNode:
    """seen: payloads that arrived. connections: HTTP and WebSocket connections so far."""

    upstream: Node
    http_url: str = ""
    ws_url: str = ""
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0
    mute: bool = False
    """Subscriptions fall silent while everything else works."""
    garble: bool = False
    """What subscriptions push is not what was subscribed to."""
    closed: bool = False
    """Every new connection is cut at once."""
    _orders: list[_Order] = field(default_factory=list)
    _rewrites: dict[int, Callable[[bytes], bytes]] = field(default_factory=dict)
    _open: set[asyncio.StreamWriter | ServerConnection] = field(default_factory=set)

    def fail(self, fault: Fault, *, times: float = 1, method: str = "") -> None:
        """Let the next requests whose payload names the method fail."""
        self._orders.append(_Order(fault, times, method.encode()))

    def heal(self) -> None:
        self._orders.clear()
        self.mute = self.garble = self.closed = False

    def cut(self) -> None:
        """Cut all open connections as a crash would."""
        for connection in list(self._open):
            connection.transport.abort()

    def count(self, method: str) -> int:
        """How often a method was asked for, each call of a batch by itself."""
        return sum(payload.count(b'"' + method.encode() + b'"') for payload in self.seen)

    def fault_for(self, payload: bytes) -> Fault | None:
        self.seen.append(payload)
        for order in self._orders:
            if order.method in payload and order.times > 0:
                order.times -= 1
                return order.fault
        return None

    async def serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                while not self.closed:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = next(
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    )
                    payload = await reader.readexactly(length)
                    fault = self.fault_for(payload) or Fault()
                    if fault.drop:
                        break
                    if fault.hang:
                        await reader.read()
                        break
                    body = fault.body
                    if body is None:
                        answer = await client.post(
                            self.upstream.http_url,
                            content=payload,
                            headers={"Content-Type": "application/json"},
                        )
                        body = answer.content
                    if fault.rewrite is not None:
                        body = fault.rewrite(body)
                    status = f"HTTP/1.1 {fault.status} Whatever\r\n".encode()
                    length_line = f"Content-Length: {len(body)}\r\n\r\n".encode()
                    writer.write(status + b"Content-Type: application/json\r\n" + length_line)
                    writer.write(body)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def serve_ws(self, client: ServerConnection) -> None:
        self.connections += 1
        self._open.add(client)
        try:
            if self.closed:
                client.transport.abort()
                return
            async with ws_connect(
                self.upstream.ws_url, proxy=None, max_size=None, logger=_quiet
            ) as node:
                back = asyncio.create_task(self._pump(node, client))
                try:
                    await self._forward(client, node)
                finally:
                    back.cancel()
        except (ConnectionClosed, ConnectionError):
            pass
        finally:
            self._open.discard(client)

    async def _forward(self, client: ServerConnection, node: ClientConnection) -> None:
        async for payload in client:
            text = payload.encode() if isinstance(payload, str) else payload
            fault = self.fault_for(text) or Fault()
            if fault.hang:
                continue
            if fault.drop:
                client.transport.abort()
                return
            if fault.body is not None:
                await client.send(fault.body, text=True)
            else:
                if fault.rewrite is not None:
                    self._rewrites[_last_id(text)] = fault.rewrite
                await node.send(text, text=True)

    async def _pump(self, node: ClientConnection, client: ServerConnection) -> None:
        async for payload in node:
            text = payload.encode() if isinstance(payload, str) else payload
            if b'"eth_subscription"' in text:
                if self.mute:
                    continue
                if self.garble:
                    text = text.replace(b'"parentHash"', b'"nothing"')
            else:
                rewrite = self._rewrites.pop(_last_id(text), None)
                text = text if rewrite is None else rewrite(text)
            await client.send(text, text=True)


def _last_id(payload: bytes) -> int:
    """Tells requests and their answers apart, batches too, whatever order they are in."""
    found = msgspec.json.decode(payload)
    entries = found if isinstance(found, list) else [found]
    return max(entry.get("id") or 0 for entry in entries)


@contextlib.asynccontextmanager
async def faulty_node(upstream: Node | FaultyNode) -> AsyncIterator[FaultyNode]:
    """The servers run in this event loop until the block ends. upstream: the true node, or the
    faulty one itself where it is of a kind of its own."""
    node = upstream if isinstance(upstream, FaultyNode) else FaultyNode(upstream)
    http = await asyncio.start_server(node.serve_http, "127.0.0.1", 0, limit=2**24)
    sockets = serve(node.serve_ws, "127.0.0.1", 0, max_size=None, close_timeout=0.1, logger=_quiet)
    async with http, sockets as ws:
        node.http_url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
        node.ws_url = f"ws://127.0.0.1:{next(iter(ws.sockets)).getsockname()[1]}"
        try:
            yield node
        finally:
            node.closed = True
            node.cut()
