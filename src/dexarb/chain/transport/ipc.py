"""JSON-RPC over a socket file of a node on the same machine.

Messages follow one another without any frame but their own brackets.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from urllib.parse import unquote, urlsplit

import msgspec

from dexarb.chain.transport import wire
from dexarb.chain.transport.push import Line, LineLost, PushedTransport

_STEP = 2**16
_LINE_END = 8
"""Of a message's end, blanks included, so much is looked at."""
_PLAIN = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+")*+')
"""What neither opens nor closes a level; texts without escapes included."""
_IN_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class IpcTransport(PushedTransport):
    """One unix stream socket, opened when it is needed."""

    async def _open_line(self) -> Line:
        try:
            reader, writer = await asyncio.open_unix_connection(unquote(urlsplit(self._url).path))
        except (OSError, ValueError) as error:
            # Not the error's own text: it may quote the path.
            reason = getattr(error, "strerror", None) or "cannot be opened"
            raise self._error(f"{type(error).__name__}: {reason}") from None
        return _Stream(reader, writer)


class _Stream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._messages = Messages()

    async def send(self, text: bytes) -> None:
        try:
            self._writer.write(text)
            await self._writer.drain()
        except OSError as error:
            raise LineLost(f"{type(error).__name__}") from None

    async def receive(self) -> bytes:
        try:
            while (message := self._messages.take()) is None:
                chunk = await self._reader.read(_STEP)
                if not chunk:
                    raise LineLost("the node has closed it")
                self._messages.feed(chunk)
            return message
        except OSError as error:
            raise LineLost(f"{type(error).__name__}") from None
        except ValueError as error:
            raise LineLost(str(error)) from None

    async def aclose(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        self._writer.transport.abort()


class Messages:
    """Cuts a stream of bytes into JSON texts, objects or arrays, at their outermost brackets."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0
        self._depth = 0
        self._in_text = False

    def feed(self, chunk: bytes) -> None:
        self._held += chunk

    def take(self) -> bytes | None:
        """The next whole message, if it is here. Raises ValueError for what cannot be one."""
        if len(self._held) > wire.MAX_ANSWER_BYTES:
            raise ValueError("a message is too large")
        end = bytes(self._held[-_LINE_END:]).rstrip()
        if end and not end.endswith((b"}", b"]")):
            return None  # no message ends here, so most of a long one is looked at once
        return self._all_of_it() or self._scan()

    def _all_of_it(self) -> bytes | None:
        """What is held, if it is one message: the usual case, and much quicker to find out."""
        if self._at:
            return None
        message = bytes(self._held)
        try:
            msgspec.json.decode(message, type=msgspec.Raw)
        except wire.UNREADABLE:
            return None
        self._held.clear()
        return message

    def _scan(self) -> bytes | None:
        while (at := self._next_bracket()) is not None:
            opens = self._held[at] in b"{["
            self._at = at + 1
            self._depth += 1 if opens else -1
            if not 0 <= self._depth <= wire.MAX_DEPTH:
                raise ValueError("what comes is not JSON, or nested too deeply")
            if self._depth == 0:
                message = bytes(self._held[: self._at])
                del self._held[: self._at]
                self._at = 0
                return message
        return None

    def _next_bracket(self) -> int | None:
        while True:
            skipped = (_IN_TEXT if self._in_text else _PLAIN).match(self._held, self._at)
            assert skipped is not None, "both patterns match nothing as well"
            self._at = skipped.end()
            if self._at == len(self._held) or self._held[self._at] == ord("\\"):
                return None  # the rest, or what is escaped, has not come yet
            if self._held[self._at] != ord('"'):
                return self._at
            self._in_text = not self._in_text
            self._at += 1
