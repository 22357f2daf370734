"""Commands around the paper trader's file. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import PAPER_TOML, Json, PaperFile
from dexarb.screens.answer import show


def reload(
    config: PaperFile = PAPER_TOML,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.0, help="Seconds to wait for the outcome.")
    ] = 60.0,
    as_json: Json = False,
) -> int:
    """Let the running paper trader read its file again, and tell what came of it."""
    from dexarb.screens.reload_command import answer

    return show(answer(config, timeout_s=timeout), as_json=as_json)


def check(
    config: PaperFile = PAPER_TOML,
    chain: Annotated[
        Path | None, typer.Option("--chain", help="The chain's file; else the history's names.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show effective values, everything that is wrong, and what a reload would change."""
    from dexarb.screens.config_check import answer

    return show(answer(config, chain=chain), as_json=as_json)


def schema() -> int:
    """Print the JSON schema of the paper trader's file, for editors."""
    from dexarb.screens.config_check import schema

    return schema()
