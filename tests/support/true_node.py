"""Answers JSON-RPC for a `TrueChain`, in the process without waiting, or over loopback.

A node may lie: its `lie` gets every method, its parameters and the true result, and gives what is
answered instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from dexarb.chain.transport.push import Subscription
from dexarb.core.token import Address
from tests.support.true_chain import TrueBlock, TrueChain
from tests.support.true_contracts import called
from tests.support.worlds.small_chain import CHAIN_ID

Lie = Callable[[str, Sequence[Any], Any], Any]
Push = Callable[[str, bytes], None]
"""Takes the name of a subscription and what it is told."""

_quiet = logging.getLogger("tests.true_node")
_quiet.addFilter(lambda _: False)


class NodeError(Exception):
    """What the node answers instead of a result; a lie may raise it."""

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message


class TrueNode:
    """One endpoint of the chain.

    lag: how many blocks it is behind. without: methods it does not have. lie: see above; it may
    change the result in place. asked: calls by method. http_url and ws_url while `served`.
    """

    def __init__(
        self,
        chain: TrueChain,
        *,
        lie: Lie | None = None,
        lag: int = 0,
        without: Sequence[str] = (),
        chain_id: int = CHAIN_ID,
    ) -> None:
        self.chain, self.lie, self.lag, self.chain_id = chain, lie, lag, chain_id
        self.without = frozenset(without)
        self.asked: Counter[str] = Counter()
        self.http_url = self.ws_url = ""
        self.pushing = True
        self._subscribers: dict[str, Push] = {}
        chain.heard.append(lambda _: self.push())

    @property
    def head(self) -> TrueBlock:
        return self.chain.head.ancestor(self.lag)

    def push(self) -> None:
        """Tells all subscribers of the head; done by itself for new heads while `pushing`."""
        if self.pushing and self._subscribers:
            told = self._told("newHeads", [], self.head.header)
            for name, push in self._subscribers.items():
                push(name, msgspec.json.encode(told))

    def subscribe(self, push: Push) -> str:
        name = f"0x{len(self._subscribers) + 1:x}"
        self._subscribers[name] = push
        return name

    def unsubscribe(self, push: Push) -> None:
        kept = {name: each for name, each in self._subscribers.items() if each != push}
        self._subscribers = kept

    def answer(self, payload: bytes, push: Push | None = None) -> bytes:
        """To a request or a batch. push: how the one who asks can be told of heads."""
        asked = msgspec.json.decode(payload)
        if isinstance(asked, list):
            return msgspec.json.encode([self._answer(request, push) for request in asked])
        return msgspec.json.encode(self._answer(asked, push))

    def _answer(self, request: Any, push: Push | None) -> dict[str, Any]:
        method, params = request["method"], request["params"]
        named = {"jsonrpc": "2.0", "id": request["id"]}
        self.asked[method] += 1
        try:
            if method == "eth_subscribe" and push is not None:
                return named | {"result": self.subscribe(push)}
            return named | {"result": self._told(method, params, self._result(method, params))}
        except NodeError as error:
            return named | {"error": {"code": error.code, "message": error.message}}

    def _told(self, method: str, params: Sequence[Any], result: Any) -> Any:
        if self.lie is None:
            return result
        own = msgspec.json.decode(msgspec.json.encode(result))  # a copy, faster than deepcopy
        return self.lie(method, params, own)

    def _result(self, method: str, params: Sequence[Any]) -> Any:
        match method:
            case _ if method in self.without:
                pass
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_blockNumber":
                return self.head.header["number"]
            case "eth_getBlockByNumber" | "eth_getBlockByHash":
                block = self._block(params[0])
                return block and block.header
            case "eth_getBlockReceipts":
                block = self._block(params[0])
                return block and block.receipts
            case "eth_getLogs":
                return self._logs(params[0])
            case "eth_getCode":
                return "0x60" if params[0] in self._there(params[1]).pools else "0x"
            case "eth_call":
                return self._call(params[0]["to"], params[0]["data"], self._there(params[1]))
        raise NodeError(-32601, f"the method {method} does not exist")

    def _block(self, reference: str | dict[str, str]) -> TrueBlock | None:
        """By hash, number or tag. Dead branches are kept by hash."""
        if isinstance(reference, dict):
            reference = reference.get("blockHash") or reference["blockNumber"]
        head = self.head
        if len(reference) == 66:
            block = self.chain.blocks.get(reference)
            return block if block is None or block.number <= head.number else None
        if reference in ("latest", "pending", "safe", "finalized"):
            return head
        number = int(reference, 16)
        return next((block for block in head.branch() if block.number == number), None)

    def _there(self, reference: str | dict[str, str]) -> TrueBlock:
        block = self._block(reference)
        if block is None:
            raise NodeError(-32000, "header not found")
        return block

    def _logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """One block by its hash, or a range of numbers; topics: of the first place."""
        if "blockHash" in wanted:
            blocks = [self._there(wanted["blockHash"])]
        else:
            first, last = (self._there(wanted[name]) for name in ("fromBlock", "toBlock"))
            blocks = [block for block in last.branch() if block.number >= first.number][::-1]
        logs = [log for block in blocks for each in block.receipts for log in each["logs"]]
        addresses, topics = wanted.get("address"), wanted.get("topics")
        if addresses is not None:
            addresses = [addresses] if isinstance(addresses, str) else addresses
            logs = [log for log in logs if log["address"] in addresses]
        if topics:
            logs = [log for log in logs if log["topics"] and log["topics"][0] in topics[0]]
        return logs

    def _call(self, to: str, data: str, block: TrueBlock) -> str:
        found = called(Address(to), bytes.fromhex(data[2:]), block.pools, block.block)
        if found is None:
            raise NodeError(3, "execution reverted")
        return "0x" + found.hex()


class InProcess:
    """A transport to the node that never waits."""

    def __init__(self, node: TrueNode, endpoint: str) -> None:
        self.node, self._endpoint = node, endpoint

    @property
    def endpoint(self) -> str:
        return self._endpoint

    async def send(self, payload: bytes) -> bytes:
        await asyncio.sleep(0)  # others have their turn, as at any other transport
        return self.node.answer(payload)

    def scrub(self, text: str) -> str:
        return text

    async def aclose(self) -> None:
        pass


class PushingInProcess(InProcess):
    """One that can be told of heads."""

    async def subscribe(self, *params: Any) -> Subscription:
        assert params == ("newHeads",)
        await asyncio.sleep(0)
        subscription = Subscription(self.endpoint, lambda: self.node.unsubscribe(push))

        def push(_: str, told: bytes) -> None:
            subscription.push(told)

        self.node.subscribe(push)
        return subscription


def transport(node: TrueNode, *, pushing: bool = False, name: str = "in process") -> InProcess:
    """For `Rpc([transport(node)])`."""
    return (PushingInProcess if pushing else InProcess)(node, name)


@contextlib.asynccontextmanager
async def served(*nodes: TrueNode) -> AsyncIterator[None]:
    """Over HTTP and WebSocket on loopback until the block ends."""
    async with contextlib.AsyncExitStack() as stack:
        for node in nodes:
            http = await asyncio.start_server(partial(_serve_http, node), "127.0.0.1", 0)
            await stack.enter_async_context(http)
            ws = await stack.enter_async_context(
                serve(partial(_serve_ws, node), "127.0.0.1", 0, close_timeout=0.1, logger=_quiet)
            )
            node.http_url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
            node.ws_url = f"ws://127.0.0.1:{next(iter(ws.sockets)).getsockname()[1]}"
        yield


async def _serve_http(
    node: TrueNode, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with (
        contextlib.suppress(asyncio.IncompleteReadError, ConnectionError),
        contextlib.closing(writer),
    ):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = [line.lower().partition(b":") for line in head.split(b"\r\n")]
            length = next(int(value) for name, _, value in lines if name == b"content-length")
            body = node.answer(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()


async def _serve_ws(node: TrueNode, client: ServerConnection) -> None:
    told: asyncio.Queue[bytes] = asyncio.Queue()

    def push(name: str, head: bytes) -> None:
        notice = {"subscription": name, "result": msgspec.Raw(head)}
        message = {"jsonrpc": "2.0", "method": "eth_subscription", "params": notice}
        told.put_nowait(msgspec.json.encode(message))

    async def pump() -> None:
        while True:
            await client.send(await told.get(), text=True)

    pumping = asyncio.create_task(pump())
    try:
        async for payload in client:
            text = payload.encode() if isinstance(payload, str) else payload
            # Through the queue, so that a subscription's name comes before its first head.
            told.put_nowait(node.answer(text, push))
    except ConnectionClosed:
        pass
    finally:
        node.unsubscribe(push)
        pumping.cancel()
