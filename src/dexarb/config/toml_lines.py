"""On which line of a TOML text each table, key and array element stands.

tomllib, which decides what the text means, tells only where it is not TOML. This walks a text that
it has accepted, so nothing is checked here a second time.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Loc = tuple[str | int, ...]
"""A path into the parsed tables: keys, and indices from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'", re.DOTALL
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")


def locate(text: str) -> dict[Loc, int]:
    """Lines, from 1, of all headers, keys (dotted ones and those of inline tables too) and array
    elements. text: valid TOML."""
    return _Locator(text).run()


class _Locator:
    """Mutable: a position in the text and what has been found before it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._at = 0
        self._sizes: dict[Loc, int] = {}
        self._lines: dict[Loc, int] = {}

    def run(self) -> dict[Loc, int]:
        table: Loc = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._assignment(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> Loc:
        """`[a.b]` or `[[a.b]]`: the path of the table that begins."""
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 2 if is_array else 1
        path: Loc = ()
        keys = self._keys()
        for number, key in enumerate(keys, start=1):
            path = (*path, key)
            self._note(path, start)
            if is_array and number == len(keys):
                self._sizes[path] = self._sizes.get(path, 0) + 1
            if path in self._sizes:
                path = (*path, self._sizes[path] - 1)
                self._note(path, start)
        self._at += 2 if is_array else 1
        return path

    def _assignment(self, table: Loc) -> None:
        start = self._at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[str]:
        """A key, dotted or not, and the space behind it."""
        keys = []
        while True:
            self._skip(_SPACE)
            if quoted := _STRING.match(self._text, self._at):
                keys.append(str(tomllib.loads(f"key = {quoted[0]}")["key"]))
                self._at = quoted.end()
            else:
                bare = _BARE_KEY.match(self._text, self._at)
                assert bare is not None, "tomllib has accepted this text"
                keys.append(bare[0])
                self._at = bare.end()
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _value(self, path: Loc) -> None:
        opening = self._text[self._at]
        if opening in "[{":
            self._at += 1
            self._skip(_BLANK)
            index = 0
            while self._text[self._at] not in "]}":
                if opening == "[":
                    self._note((*path, index), self._at)
                    self._value((*path, index))
                    index += 1
                else:
                    self._assignment(path)
                self._skip(_BLANK)
                if self._text[self._at] == ",":
                    self._at += 1
                    self._skip(_BLANK)
            self._at += 1
        elif string := _STRING.match(self._text, self._at):
            self._at = string.end()
        else:
            self._skip(_SCALAR)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        assert match is not None, "the pattern matches nothing as well"
        self._at = match.end()

    def _note(self, path: Loc, at: int) -> None:
        """The first place counts: `[a]` behind `[a.b]` does not move a."""
        self._lines.setdefault(path, bisect_right(self._newlines, at - 1) + 1)
