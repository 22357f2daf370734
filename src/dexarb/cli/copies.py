"""Commands that copy a whole run, and bring it back. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import PAPER_TOML, Json, PaperFile
from dexarb.screens.answer import show


def backup(
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A folder that is not there yet.")],
    config: PaperFile = PAPER_TOML,
    as_json: Json = False,
) -> int:
    """Copy books, history, state and settings, while both programs go on."""
    from dexarb.screens.backup import answer

    return show(answer(target, config=config), as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The folder of a backup.")],
    config: Annotated[
        Path,
        typer.Option("--config", "-c", help="Where the paper trader's file belongs."),
    ] = PAPER_TOML,
    force: Annotated[
        bool, typer.Option("--force", help="Rename what is there, so that it makes room.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Look into a backup and bring it back: all of it or nothing."""
    from dexarb.screens.restore import answer

    return show(answer(source, config=config, force=force), as_json=as_json)
