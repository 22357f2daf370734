"""JSON-RPC over one WebSocket."""

from __future__ import annotations

import contextlib
import logging

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import InvalidProxy, InvalidStatus, InvalidURI, WebSocketException

from dexarb.chain.transport import wire
from dexarb.chain.transport.http import retry_after_s
from dexarb.chain.transport.push import Line, LineLost, PushedTransport

# At debug it logs the path, which holds keys.
_quiet = logging.getLogger("dexarb.websockets")
_quiet.addFilter(lambda _: False)


class WebSocketTransport(PushedTransport):
    """One WebSocket, opened when it is needed."""

    async def _open_line(self) -> Line:
        try:
            socket = await ws_connect(
                self._url,
                open_timeout=None,  # the caller's timeout covers it
                close_timeout=1,
                max_size=wire.MAX_ANSWER_BYTES,  # of a message as decompressed
                proxy=None if self._direct else True,
                logger=_quiet,
            )
        except (InvalidURI, InvalidProxy, ImportError):
            reason = "the URL, or the environment's proxy, is none a WebSocket can use"
            raise self._error(reason) from None
        except InvalidStatus as error:
            status = error.response.status_code
            wait = retry_after_s(status, error.response.headers.get("Retry-After"))
            reason = f"HTTP {status} to the WebSocket handshake"
            raise self._error(reason, status=status, retry_after_s=wait) from None
        except (WebSocketException, OSError, EOFError) as error:
            raise self._error(f"{type(error).__name__}: {error}") from None
        return _Socket(socket)


class _Socket:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: bytes) -> None:
        try:
            await self._socket.send(text, text=True)
        except (WebSocketException, OSError) as error:
            raise LineLost(f"{type(error).__name__}: {error}") from None

    async def receive(self) -> bytes:
        try:
            return await self._socket.recv(decode=False)
        except (WebSocketException, OSError) as error:
            raise LineLost(f"{type(error).__name__}: {error}") from None

    async def aclose(self) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            await self._socket.close()

    def abort(self) -> None:
        self._socket.transport.abort()
