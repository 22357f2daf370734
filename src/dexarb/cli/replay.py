"""Commands that trade a recorded history. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import (
    PAPER_TOML,
    FirstBlock,
    History,
    Json,
    LastBlock,
    PaperFile,
    is_given,
    one_form,
)
from dexarb.errors import InputError
from dexarb.screens.answer import show
from dexarb.screens.when import BlocksAsked


def replay(
    context: typer.Context,
    history: History = None,
    config: PaperFile = PAPER_TOML,
    sample: Annotated[
        bool, typer.Option("--sample", help="The history that comes with the program.")
    ] = False,
    as_ledger: Annotated[
        Path | None,
        typer.Option("--as-ledger", help="With the epochs of this ledger, and compared with it."),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            "--ledger", help="Where to; one that a replay has begun is continued. Else a new file."
        ),
    ] = None,
    first: FirstBlock = None,
    last: LastBlock = None,
    count: Annotated[
        int | None, typer.Option("--last", min=1, help="Of these the newest so many blocks.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Trade a recorded history, whole or some blocks of it, and rank the strategies."""
    from dexarb.screens.replay import answer, answer_as, answer_sample

    own = config if is_given(context, "config") else None
    if sample:
        if history is not None:
            raise InputError(f"--sample is a history of its own: leave {history} or --sample out")
        one_form(sample=True, as_ledger=as_ledger is not None)
        return show(answer_sample(own, ledger, first, last, count), as_json=as_json)
    if as_ledger is not None:
        one_form(as_ledger=True, config=own is not None)
        if (first, last, count) != (None, None, None):
            raise InputError("--as-ledger is of all blocks of its ledger: leave out which ones")
        return show(answer_as(as_ledger, history, ledger), as_json=as_json)
    asked = BlocksAsked(history, config, first, last, count)
    return show(answer(asked, ledger), as_json=as_json)
