"""How bytes reach a node: HTTP or WebSocket behind one seam.

URLs hold keys. Whatever leaves this module in messages, reprs and logs names an endpoint by
`redact(url)`: scheme, host and port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Protocol, Self, runtime_checkable
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import InvalidProxy, InvalidURI, WebSocketException

from dexarb.chain import wire
from dexarb.errors import ConfigError, TransportError

DEFAULT_TIMEOUT_S = 10.0
MAX_MESSAGE_BYTES = 256 * 2**20
"""Of a WebSocket message: no block's receipts come near it."""

_SCHEMES = ("http", "https", "ws", "wss")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MIN_SECRET = 8


# httpx logs every request with its whole URL, websockets (at debug) the path: both hold keys.
logging.getLogger("httpx").addFilter(lambda _: False)
_quiet = logging.getLogger("dexarb.websockets")
_quiet.addFilter(lambda _: False)


class Transport(Protocol):
    """Sends a JSON-RPC payload, single or batch, and returns the bytes of its answer.

    endpoint: how the node may be named in messages. Every failure to get an answer is a
    TransportError; what the answer says is not judged here.
    """

    @property
    def endpoint(self) -> str: ...

    async def send(self, payload: bytes) -> bytes: ...

    def scrub(self, text: str) -> str:
        """A text that came from the node, without the secrets of its URL."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class PushTransport(Transport, Protocol):
    """A transport over which the node can speak first."""

    async def subscribe(self, *params: Any) -> Subscription:
        """eth_subscribe with these parameters ("newHeads"). Raises TransportError."""
        ...


class Subscription:
    """What a node pushes, in order: an async iterator over JSON texts.

    Raises TransportError when the connection is lost; waiting may be cancelled and taken up again.
    """

    def __init__(self, drop: Callable[[], None]) -> None:
        self._queue: asyncio.Queue[bytes | TransportError] = asyncio.Queue()
        self.drop = drop
        """Gives up on the line: its connection is closed, the next use opens another."""

    def push(self, entry: bytes | TransportError) -> None:
        self._queue.put_nowait(entry)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        entry = await self._queue.get()
        if isinstance(entry, TransportError):
            self._queue.put_nowait(entry)  # it stays lost for whoever asks next
            raise TransportError(entry.endpoint, entry.reason)
        return entry


def connect(url: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> HttpTransport | WebSocketTransport:
    """The transport for a URL. Nothing is sent yet. Raises ConfigError."""
    if _split(url).scheme in ("ws", "wss"):
        return WebSocketTransport(url, timeout_s)
    return HttpTransport(url, timeout_s)


def redact(url: str) -> str:
    """Scheme, host and port of a node's URL; keys live in the other parts."""
    try:
        return _endpoint(_split(url))
    except ConfigError:
        return "unusable RPC URL"


def _split(url: str) -> SplitResult:
    """Raises ConfigError, whose text holds nothing of the URL: it may be all key."""
    remedy = "Expected http://, https://, ws:// or wss://, a host, and what the provider adds"
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("an RPC URL cannot be used (not shown, it may hold a key)", remedy=remedy)
    return parts


def _endpoint(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class _Node:
    """The URL of a node and what may be told of it."""

    def __init__(self, url: str) -> None:
        parts = _split(url)
        self._endpoint = _endpoint(parts)
        self._url = url.strip()
        self._direct = parts.hostname in _LOOPBACK  # never through a proxy
        pieces = [parts.username, parts.password, *parts.path.split("/")]
        pieces += [value for pair in parts.query.split("&") for value in pair.split("=")]
        found = {piece for piece in pieces if piece and len(piece) >= _MIN_SECRET}
        found |= {unquote(piece) for piece in found}
        self._secrets = sorted(found, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._endpoint}>"

    @property
    def endpoint(self) -> str:
        return self._endpoint

    def scrub(self, text: str) -> str:
        """Long parts of the URL's path, query and userinfo are blotted out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _error(self, reason: str) -> TransportError:
        return TransportError(self._endpoint, self.scrub(reason))


class HttpTransport(_Node):
    """JSON-RPC over HTTP with kept-alive connections."""

    def __init__(self, url: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        super().__init__(url)
        try:
            self._target = httpx.URL(self._url)
        except httpx.InvalidURL:
            problem = f"the RPC URL for {self.endpoint} holds characters that no URL has"
            raise ConfigError(problem) from None
        self._timeout_s = timeout_s
        try:
            self._client = httpx.AsyncClient(
                timeout=timeout_s, trust_env=not self._direct, verify=_trusted_authorities()
            )
        except (ImportError, ValueError, httpx.InvalidURL):
            problem = "the proxy that is set in the environment cannot be used"
            remedy = "Mend or unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY; SOCKS is not supported"
            raise ConfigError(problem, remedy=remedy) from None

    async def send(self, payload: bytes) -> bytes:
        """The body of the answer. Raises TransportError.

        A body behind a client error (4xx) is still an answer if it is JSON-RPC: some nodes send
        their JSON-RPC errors this way. 429 and 5xx are the server's trouble whatever they say.
        """
        try:
            # httpx times out phases; a server that drips bytes must not hold us longer.
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.post(
                    self._target, content=payload, headers={"Content-Type": "application/json"}
                )
        except (httpx.TimeoutException, TimeoutError):
            raise self._error(f"no answer within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise self._error(f"{type(error).__name__}: {error}") from None
        if answer.status_code != httpx.codes.OK and not _is_rpc_refusal(answer):
            raise self._error(f"HTTP {answer.status_code} {answer.reason_phrase}".rstrip())
        return answer.content

    async def aclose(self) -> None:
        await self._client.aclose()


@cache
def _trusted_authorities() -> ssl.SSLContext:
    """Read once: it costs more than a connection."""
    return httpx.create_ssl_context()


def _is_rpc_refusal(answer: httpx.Response) -> bool:
    if not answer.is_client_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return False
    try:
        return any(message.error is not None for message in wire.decode(answer.content))
    except wire.UNREADABLE:
        return False


class WebSocketTransport(_Node):
    """JSON-RPC over one WebSocket. Requests run side by side and are told apart by their ids.

    The connection is opened by the first use, and again by the next use after it was lost.
    """

    def __init__(self, url: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        super().__init__(url)
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._opening = asyncio.Lock()

    async def send(self, payload: bytes) -> bytes:
        return (await self._ask(payload))[0]

    async def subscribe(self, *params: Any) -> Subscription:
        payload = wire.encoder.encode(wire.Request("eth_subscribe", params))
        answer, connection = await self._ask(payload)
        try:
            (message,) = wire.decode(answer)
            name = msgspec.json.decode(message.result, type=str)
        except (*wire.UNREADABLE, ValueError):
            raise self._error("eth_subscribe was refused") from None
        return connection.subscription(name)

    async def _ask(self, payload: bytes) -> tuple[bytes, _Connection]:
        connection: _Connection | None = None
        heard_before = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._open()
                heard_before = connection.heard
                return await connection.ask(payload), connection
        except TimeoutError:
            reason = f"no answer within {self._timeout_s:g} s"
            if connection is not None and connection.heard == heard_before:
                # Not a slow request but a dead line: the next use gets a new one.
                connection.fail(self._error(reason))
            raise self._error(reason) from None

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.aclose(self._error("closed"))
            self._connection = None

    async def _open(self) -> _Connection:
        async with self._opening:
            if self._connection is None or self._connection.lost:
                try:
                    socket = await ws_connect(
                        self._url,
                        open_timeout=None,  # the caller's timeout covers it
                        close_timeout=1,
                        max_size=MAX_MESSAGE_BYTES,
                        proxy=None if self._direct else True,
                        logger=_quiet,
                    )
                except (InvalidURI, InvalidProxy, ImportError):
                    reason = "the URL, or the environment's proxy, is none a WebSocket can use"
                    raise self._error(reason) from None
                except (WebSocketException, OSError, EOFError) as error:
                    raise self._error(f"{type(error).__name__}: {error}") from None
                self._connection = _Connection(socket, self._error)
            return self._connection


class _Connection:
    """One open socket: the questions that wait on it and the subscriptions it feeds."""

    def __init__(self, socket: ClientConnection, error: Callable[[str], TransportError]) -> None:
        self._socket = socket
        self._error = error
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._loss: TransportError | None = None
        self.heard = 0
        self._reader = asyncio.create_task(self._read())

    @property
    def lost(self) -> bool:
        return self._loss is not None

    def subscription(self, name: str) -> Subscription:
        """Made by whoever comes first: its first notification may overtake us."""
        if name not in self._subscriptions:
            drop = partial(self.fail, self._error("the subscription was given up"))
            self._subscriptions[name] = Subscription(drop)
            if self._loss is not None:
                self._subscriptions[name].push(self._loss)
        return self._subscriptions[name]

    async def ask(self, payload: bytes) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        ids = wire.ids_of(payload)
        self._waiting.update(dict.fromkeys(ids, answer))
        try:
            await self._socket.send(payload, text=True)
            return await answer
        except (WebSocketException, OSError) as error:
            loss = self._error(f"{type(error).__name__}: {error}")
            self.fail(loss)
            raise loss from None
        finally:
            for number in ids:
                self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # sending may have failed first: asyncio would complain

    def fail(self, loss: TransportError) -> None:
        """Everyone who waits learns that the connection is gone."""
        if self._loss is not None:
            return
        self._loss = loss
        for answer in set(self._waiting.values()):
            if not answer.done():
                answer.set_exception(TransportError(loss.endpoint, loss.reason))
        for subscription in self._subscriptions.values():
            subscription.push(loss)
        self._reader.cancel()
        self._socket.transport.abort()

    async def aclose(self, reason: TransportError) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            await self._socket.close()
        self.fail(reason)
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        try:
            while True:
                self._deliver(await self._socket.recv(decode=False))
        except (WebSocketException, OSError) as error:
            self.fail(self._error(f"connection lost: {type(error).__name__}: {error}"))

    def _deliver(self, text: bytes) -> None:
        """Answers go to whoever asked; what nobody asked for is dropped."""
        self.heard += 1
        try:
            messages = wire.decode(text)
        except wire.UNREADABLE:
            # An unreadable text can only be attributed where a single question is open.
            waiting = set(self._waiting.values())
            if len(waiting) == 1:
                _answer(waiting.pop(), text)
            return
        first = next((message for message in messages if message.id in self._waiting), None)
        if first is not None and first.id is not None:
            _answer(self._waiting[first.id], text)
        elif messages and messages[0].method == "eth_subscription":
            with contextlib.suppress(*wire.UNREADABLE):
                notice = msgspec.json.decode(messages[0].params, type=wire.Notice)
                self.subscription(notice.subscription).push(bytes(notice.result))
        elif messages and messages[0].error is not None and messages[0].id is None:
            waiting = set(self._waiting.values())
            if len(waiting) == 1:  # a refusal of the whole request carries no id
                _answer(waiting.pop(), text)


def _answer(waiting: asyncio.Future[bytes], text: bytes) -> None:
    if not waiting.done():
        waiting.set_result(text)
