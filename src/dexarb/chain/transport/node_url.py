"""The URL of a node, and what may be told of it.

URLs hold keys. Whatever goes into messages, reprs and logs names a node by its endpoint: scheme,
host and port; of a socket file its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from dexarb.errors import ConfigError, TransportError

MAX_MESSAGE = 300
"""Characters of what a node says that are passed on."""

_SCHEMES = ("http", "https", "ws", "wss")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MIN_SECRET = 8


def split(url: str) -> SplitResult:
    """Raises ConfigError, whose text holds nothing of the URL: it may be all key."""
    remedy = (
        "Expected http://, https://, ws:// or wss://, a host, and what the provider adds; "
        "or ipc:/// and the path of a socket file"
    )
    try:
        parts = urlsplit(url.strip())
        if parts.scheme == "ipc":
            usable = parts.path.startswith("/") and not parts.netloc
        else:
            usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("an RPC URL cannot be used (not shown, it may hold a key)", remedy=remedy)
    return parts


def _endpoint(parts: SplitResult) -> str:
    if parts.scheme == "ipc":
        name = PurePosixPath(parts.path).name
        return f"ipc:{name}" if name.endswith(".ipc") else "ipc:"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class NodeUrl:
    """Base of the transports: the URL, never shown, and the errors that name its endpoint."""

    def __init__(self, url: str, beside: Iterable[str] = ()) -> None:
        """beside: what else is sent that may hold keys, as values of headers."""
        parts = split(url)
        self._endpoint = _endpoint(parts)
        self._url = url.strip()
        self._direct = parts.hostname in _LOOPBACK  # never through a proxy
        pieces: list[str | None] = []
        if parts.scheme != "ipc":
            pieces = [parts.username, parts.password, *parts.path.split("/")]
            pieces += [value for pair in parts.query.split("&") for value in pair.split("=")]
        pieces += [piece for each in beside for piece in (each, *each.split())]
        found = {piece for piece in pieces if piece and len(piece) >= _MIN_SECRET}
        found |= {unquote(piece) for piece in found}
        self._secrets = sorted(found, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._endpoint}>"

    @property
    def endpoint(self) -> str:
        return self._endpoint

    def scrub(self, text: str) -> str:
        """What a node said, fit to be shown: without long parts of the URL's path, query and
        userinfo, and of headers, in one line, cut."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = "".join(
            char if char.isprintable() else " " for char in text[: 2 * MAX_MESSAGE]
        ).strip()
        return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"

    def _error(self, reason: str, **what: Any) -> TransportError:
        return TransportError(self._endpoint, self.scrub(reason), **what)
