"""Every key of a text is found on its own line, whatever way TOML has to write it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.config.toml_lines import Loc, locate

TEXT = '''# a comment with [brackets] and key = 1
top.dotted = 1
[table]
"quoted.key" = {inline = 1, list = [1,
  2, {deep = "]}"}]}
text = """
[not a table]
not = "a key"
"""
literal = \'\'\'
also = 'not'\'\'\'
[[array]]
plain = 1 # = [
[[array]]
[array.inner]
matrix = [
  ["a"],  # ["x"]

  ["b", "c"],
]
spaced . out = 2026-01-01 00:00:00
[table.below]
"\\u0061" = 1
'''


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        (("top",), 2),
        (("top", "dotted"), 2),
        (("table",), 3),
        (("table", "quoted.key", "inline"), 4),
        (("table", "quoted.key", "list", 0), 4),
        (("table", "quoted.key", "list", 1), 5),
        (("table", "quoted.key", "list", 2, "deep"), 5),
        (("table", "text"), 6),
        (("table", "literal"), 10),
        (("array",), 12),
        (("array", 0, "plain"), 13),
        (("array", 1), 14),
        (("array", 1, "inner", "matrix", 1), 19),
        (("array", 1, "inner", "matrix", 1, 1), 19),
        (("array", 1, "inner", "spaced", "out"), 21),
        (("table", "below", "a"), 23),
    ],
)
def test_where_things_stand(loc: Loc, line: int) -> None:
    assert locate(TEXT)[loc] == line


def paths(value: Any, at: Loc = ()) -> set[Loc]:
    """Every path of the parsed tables, without the root."""
    found = {at} if at else set()
    items = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list)
        else ()
    )  # fmt: skip
    return found.union(*(paths(each, (*at, key)) for key, each in items))


def test_nothing_is_missed_and_nothing_is_invented() -> None:
    assert set(locate(TEXT)) == paths(tomllib.loads(TEXT))


strings = st.text(st.sampled_from("ab \\\"'#[]{}=,.\n\té"), max_size=6)
scalars = st.one_of(st.integers(-9, 9), st.booleans(), strings)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=8,
)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.replace("\n", "\\n").replace("\t", "\\t")


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(inline, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else quoted(value)


@given(st.dictionaries(strings, values, max_size=4), st.lists(values, max_size=3))
def test_any_table_is_located(table: dict[str, Any], rows: list[Any]) -> None:
    text = "".join(f"{quoted(key)} = {inline(value)}\n" for key, value in table.items())
    text += "".join(f"[[rows.of]] # row\nvalue = {inline(row)}\n" for row in rows)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # line breaks are not allowed in inline tables
        return
    found = locate(text)
    assert set(found) == paths(data)
    for index in range(len(rows)):
        line = text.splitlines()[found["rows", "of", index, "value"] - 1]
        assert line.startswith("value = ")
