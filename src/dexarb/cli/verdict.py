"""Commands about who may be called a winner. Each returns its exit code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import PAPER_TOML, Json, PaperFile
from dexarb.screens.answer import show as shown


def verdict(
    what: Annotated[
        Path | None,
        typer.Argument(metavar="[X]", help="A ledger, or the TOML file of a run; else --config."),
    ] = None,
    config: PaperFile = PAPER_TOML,
    trials: Annotated[
        list[Path] | None,
        typer.Option("--trials", help="A register of trials elsewhere, of a copy; repeatable."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Reject, keep running, canary or promote: each strategy, in one sentence, with a forecast."""
    from dexarb.screens.verdict import answer

    return shown(answer(what, config, trials or ()), as_json=as_json)


def show(config: PaperFile = PAPER_TOML, as_json: Json = False) -> int:
    """Who is being confirmed, since when, and what the looks have shown."""
    from dexarb.screens.finalists import answer

    return shown(answer(config), as_json=as_json)


def register(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="At most ten; else the best of selection."),
    ] = None,
    config: PaperFile = PAPER_TOML,
    rule: Annotated[
        str | None, typer.Option("--rule", help="How they were chosen, in your words.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where a confirmation is going on; it ends.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Choose who is to be confirmed: only blocks from now on count, looks at days 14, 28 and 56."""
    from dexarb.screens.finalists import register

    found = register(config, names or (), rule=rule, replace=replace, now=int(time.time()))
    return shown(found, as_json=as_json)


def promote(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A strategy, by name or hash.")],
    config: PaperFile = PAPER_TOML,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; else live.toml beside it.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Write a strategy's tables for live trading, if its verdict is CANARY or PROMOTE."""
    from dexarb.screens.promote import answer

    return shown(answer(config, name, out, int(time.time())), as_json=as_json)
