"""What a message about a file may quote of it. Keys of RPC URLs end up in all places."""

from __future__ import annotations

import re

_URL = re.compile(
    r"""\b([A-Za-z][A-Za-z0-9+.-]*):/{1,3}   # one slash: a path that was a URL
        (?:[^\s"'/?\#]*@)?                   # user and password
        ([^\s"'/?\#:]*(?::\d+\b)?)           # host and port
        [^\s"']*""",
    re.VERBOSE,
)
_OPAQUE = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}(?![\w-])")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_WORD = re.compile(r"[A-Za-z_]{1,40}")
_VARIABLE = re.compile(r"[A-Za-z]+(?:_[A-Za-z0-9]{1,12})*")
HIDDEN = "***"


def without_urls(text: str) -> str:
    """URLs are cut to scheme and host."""
    return _URL.sub(lambda match: f"{match[1]}://{match[2]}", text)


def without_secrets(text: str) -> str:
    """So are URLs, and what looks like a key, long and with digits in it, is blotted out."""
    return _OPAQUE.sub(
        lambda match: match[0] if _ADDRESS.fullmatch(match[0]) else HIDDEN, without_urls(text)
    )


def name(text: str) -> str:
    """A name from a table of secrets: shown only if it is a word."""
    return text if _WORD.fullmatch(text) else HIDDEN


def variable(text: str) -> str:
    """The same for a name of the environment."""
    return text if _VARIABLE.fullmatch(text) and len(text) <= 64 else HIDDEN
