"""How bytes reach a node: HTTP, WebSocket or a local socket behind one seam."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from dexarb.chain.transport.http import HttpTransport
from dexarb.chain.transport.ipc import IpcTransport
from dexarb.chain.transport.node_url import split
from dexarb.chain.transport.push import Subscription
from dexarb.chain.transport.websocket import WebSocketTransport

DEFAULT_TIMEOUT_S = 10.0


class Transport(Protocol):
    """Sends a JSON-RPC payload, single or batch, and returns the bytes of its answer.

    endpoint: how the node may be named in messages. Every failure to get an answer is a
    TransportError; what the answer says is not judged here. Answers are bounded in size.
    """

    @property
    def endpoint(self) -> str: ...

    async def send(self, payload: bytes) -> bytes: ...

    def scrub(self, text: str) -> str:
        """A text that came from the node: cut, in one line, without the secrets of its URL."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class PushTransport(Transport, Protocol):
    """A transport over which the node can speak first."""

    async def subscribe(self, *params: Any) -> Subscription:
        """eth_subscribe with these parameters ("newHeads"). Raises RpcError and TransportError."""
        ...


def connect(
    url: str,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> HttpTransport | WebSocketTransport | IpcTransport:
    """The transport for a URL. Nothing is sent yet. headers: over HTTP, beside the usual ones.
    Raises ConfigError."""
    scheme = split(url).scheme
    if scheme == "ipc":
        return IpcTransport(url, timeout_s)
    if scheme in ("ws", "wss"):
        return WebSocketTransport(url, timeout_s)
    return HttpTransport(url, timeout_s, headers)
