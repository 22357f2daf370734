"""A study over blocks of a history: they are read while it is shown how far, and its answer says
which ones they were."""

from __future__ import annotations

from typing import Any, TypeVar

from rich.text import Text

from dexarb.screens.progress import shown
from dexarb.screens.when import BlocksAsked, blocks_of
from dexarb.study.span import Span, history_reader, span
from dexarb.study.study import Study, run
from dexarb.study.walk import Moment, walk

Found = TypeVar("Found")


def span_of(asked: BlocksAsked) -> Span:
    """Raises ConfigError, InputError for blocks that are not there, StoreError."""
    reader = history_reader(asked.history, asked.config)
    first, last = blocks_of(reader, asked.first, asked.last)
    return span(reader, first=first, last=last, count=asked.count)


def studied(span: Span, study: Study[Moment, Found]) -> Found:
    """What the study says of the span. Raises StoreError."""
    return run(study, shown(walk(span), "reading history", span.blocks))


def span_json(span: Span) -> dict[str, Any]:
    return {
        "first_block": span.first,
        "last_block": span.last,
        "older_blocks_left_out": span.left_out,
    }


def span_line(span: Span, more: str = "", *, blocks: int | None = None) -> Text:
    """`Blocks 101 to 107 (7; 20 older ones with --from or --last)`, and what more there is to say.

    blocks: how many of them the study has seen, where it may be fewer.
    """
    seen = span.blocks if blocks is None else blocks
    older = f"; {span.left_out:,} older ones with --from or --last" if span.left_out else ""
    return Text(f"Blocks {span.first} to {span.last} ({seen:,}{older}){more}", style="dim")
