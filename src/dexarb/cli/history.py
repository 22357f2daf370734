"""Commands that look after a history folder. Each returns its exit code."""

from __future__ import annotations

from dexarb.cli.options import PAPER_TOML, History, Json, PaperFile
from dexarb.screens.answer import show


def check(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    as_json: Json = False,
) -> int:
    """Read every entry, replay every segment, and say whether the history is whole."""
    from dexarb.screens.history_check import answer

    return show(answer(history, config=config), as_json=as_json)
