"""JSON-RPC over HTTP. Answers are bounded before and after they are decompressed."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from types import MappingProxyType

import httpx

from dexarb.chain.transport import wire
from dexarb.chain.transport.node_url import NodeUrl
from dexarb.errors import ConfigError, TransportError

MAX_RETRY_AFTER_S = 600.0
"""However long a server asks to be left alone."""

_RETRY_AFTER_STATUS = (429, 503)
_SIZE_STATUS = (400, 403, 413, 414, 422)
"""What servers say to a batch that is too large for them, besides 5xx."""
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
_STEP = 2**16

# httpx logs every request with its whole URL, which holds keys.
logging.getLogger("httpx").addFilter(lambda _: False)


class HttpTransport(NodeUrl):
    """JSON-RPC over HTTP with kept-alive connections."""

    def __init__(
        self, url: str, timeout_s: float, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(url, headers.values())
        self._headers = {**_HEADERS, **headers}
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
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(
                    "POST", self._target, content=payload, headers=self._headers
                ) as answer,
            ):
                body = await self._body(answer)
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            raise self._error(f"no connection within {self._timeout_s:g} s") from None
        except (httpx.TimeoutException, TimeoutError):
            reason = f"no answer within {self._timeout_s:g} s"
            raise self._error(reason, timed_out=True, smaller_may_do=True) from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            # Some nodes simply hang up on a batch that is too large.
            cut = not isinstance(error, httpx.ConnectError)
            reason = f"{type(error).__name__}: {error}"
            raise self._error(reason, smaller_may_do=cut) from None
        if answer.status_code != httpx.codes.OK and not _is_rpc_refusal(answer, body):
            raise self._refusal(answer)
        return body

    async def _body(self, answer: httpx.Response) -> bytes:
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip"):
            raise self._error("the answer is encoded in a way that was not asked for")
        body = _Body(is_gzip=encoding == "gzip")
        try:
            async for chunk in answer.aiter_raw(_STEP):
                body.feed(chunk)
            return body.whole()
        except ValueError as error:
            raise self._error(f"the answer {error}", smaller_may_do=True) from None

    def _refusal(self, answer: httpx.Response) -> TransportError:
        status = answer.status_code
        return self._error(
            f"HTTP {status} {answer.reason_phrase}".rstrip(),
            status=status,
            retry_after_s=retry_after_s(status, answer.headers.get("Retry-After")),
            smaller_may_do=status in _SIZE_STATUS or status >= 500,
        )

    async def aclose(self) -> None:
        await self._client.aclose()


class _Body:
    """An answer as it comes in, inflated step by step: what is too large is never held."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if is_gzip else None
        self._raw_bytes = 0
        self._held = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Raises ValueError."""
        self._raw_bytes += len(chunk)
        if self._raw_bytes > wire.MAX_ANSWER_BYTES:
            raise ValueError("is too large")
        if self._gzip is None:
            self._held += chunk
            return
        while chunk and not self._gzip.eof:
            try:
                self._held += self._gzip.decompress(chunk, _STEP)
            except zlib.error:
                raise ValueError("is not gzip, though it says so") from None
            if len(self._held) > wire.MAX_ANSWER_BYTES:
                self._held.clear()
                raise ValueError("is too large once it is decompressed")
            chunk = self._gzip.unconsumed_tail

    def whole(self) -> bytes:
        """Raises ValueError."""
        if self._gzip is not None and not self._gzip.eof:
            # Output may wait inside, where a whole step was given out last.
            rest = self._gzip.decompress(b"", _STEP)
            while rest:
                self._held += rest
                rest = self._gzip.decompress(b"", _STEP)
            if not self._gzip.eof:
                raise ValueError("is cut off")
        return bytes(self._held)


def retry_after_s(status: int, header: str | None) -> float | None:
    """How long a server asks to be left alone, in seconds or until an HTTP date; bounded."""
    if status not in _RETRY_AFTER_STATUS or header is None:
        return None
    try:
        wait = float(header)
    except ValueError:
        try:
            wait = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(MAX_RETRY_AFTER_S, wait) if wait > 0 else None


@cache
def _trusted_authorities() -> ssl.SSLContext:
    """Read once: it costs more than a connection."""
    return httpx.create_ssl_context()


def _is_rpc_refusal(answer: httpx.Response, body: bytes) -> bool:
    if not answer.is_client_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return False
    try:
        return any(message.error is not None for message in wire.decode(body))
    except wire.UNREADABLE:
        return False
