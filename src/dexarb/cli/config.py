"""Commands around the TOML files. Each returns its exit code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import PAPER_TOML, Json, PaperFile
from dexarb.screens.answer import show


class Kind(StrEnum):
    """Of a TOML file."""

    PAPER = "paper"
    COLLECTOR = "collector"
    CHAIN = "chain"
    LIVE = "live"
    IMPORT = "import"


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
    config: Annotated[
        Path, typer.Option("--config", "-c", help="Any of the TOML files; its tables tell which.")
    ] = PAPER_TOML,
    chain: Annotated[
        Path | None, typer.Option("--chain", help="The chain's file; else the history's names.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show effective values, everything that is wrong, and what a reload would change."""
    from dexarb.screens.settings_check import answer

    return show(answer(config, chain=chain), as_json=as_json)


def schema(
    kind: Annotated[Kind, typer.Argument(help="Which of the files.")] = Kind.PAPER,
) -> int:
    """Print the JSON schema of a TOML file, for editors."""
    from dexarb.screens.config_schema import show_schema

    return show_schema(kind.value)
