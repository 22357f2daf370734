"""Text that others wrote: symbols, names, reasons. What of it can be seen."""

from __future__ import annotations

import re

UNSEEN = re.compile(
    "["
    "\0-\x08\x0b-\x1f\x7f-\x9f"  # control codes but tab and newline
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"  # halves of characters, which no terminal takes
    "\U000e0000-\U000e007f"
    "]"
)
"""Control codes, and characters that take no room, break lines or turn the direction of reading."""

_KEY = re.compile("(0[xX])?[0-9a-fA-F]{64}")

MOST_OF_NAME = 200
"""Characters: names of grids are long, and what they differ in may stand last."""


def seen(text: str) -> str:
    """What of a text can be seen; tabs and newlines stay."""
    return UNSEEN.sub("", text)


def in_a_line(text: str, most: int) -> str:
    """As a table can show it: a line, and of that so many characters."""
    line = " ".join(seen(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def is_key(text: str) -> bool:
    """Whether a private key stands where a name belongs: then it is not said again."""
    return _KEY.fullmatch(text) is not None


def as_name(text: str) -> str:
    """A strategy's name as screens show it."""
    return in_a_line(text, MOST_OF_NAME)
