"""How results reach standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dexarb.core.text import seen

NAMES_SHOWN = 5
LONGEST_LINE = 2_000


def print_json(value: Any) -> None:
    """JSON goes to standard output alone, everything else to standard error."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Lines for people on standard error, whoever wrote what stands in them."""
    sys.stderr.write(f"{in_lines(text)}\n")


def in_lines(text: str) -> str:
    """What of a text can be seen, its longest lines cut."""
    lines = seen(text).split("\n")
    return "\n".join(
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines
    )


def problem_lines(errors: Iterable[object], warnings: Iterable[object]) -> Iterator[str]:
    """What an answer complains of where something was looked at."""
    for error in errors:
        yield f"error: {error}"
    for warning in warnings:
        yield f"warning: {warning}"


def counted(count: int, thing: str) -> str:
    """`1 target`, `1,200 targets`"""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def abridged(names: Sequence[str]) -> str:
    """`"A", "B"`, and how many more there are where the list is long."""
    return listed([f'"{name}"' for name in names], NAMES_SHOWN)


def listed(words: Sequence[str], most: int) -> str:
    """`A, B`, and how many more there are than `most`."""
    shown = ", ".join(words[:most])
    rest = len(words) - most
    return f"{shown} and {rest:,} more" if rest > 0 else shown
