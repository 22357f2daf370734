"""Commands that look after a history folder. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import (
    COLLECTOR_TOML,
    PAPER_TOML,
    CollectorFile,
    History,
    Json,
    PaperFile,
)
from dexarb.screens.answer import show


def check(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    as_json: Json = False,
) -> int:
    """Read every entry, replay every segment, and say whether the history is whole."""
    from dexarb.screens.history_check import answer

    return show(answer(history, config=config), as_json=as_json)


def prune(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    ledger: Annotated[
        list[Path] | None,
        typer.Option("--ledger", help="Another ledger whose trader follows the history."),
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Move there instead of deleting.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only say what would go.")] = False,
    as_json: Json = False,
) -> int:
    """Take out what lies behind the traders' oldest checkpoints, also while they run."""
    from dexarb.screens.history_prune import answer

    found = answer(history, config=config, ledgers=ledger or (), archive=archive, yes=yes)
    return show(found, as_json=as_json)


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the history goes.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Files of cryo, or folders of them.")
    ],
    pools: Annotated[Path, typer.Option("--pools", help="The TOML file that names the pools.")],
    keyframe: Annotated[
        Path | None,
        typer.Option("--keyframe", help="A history with a market at one of these blocks."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Make a history of logs, blocks and transactions that cryo has written."""
    from dexarb.apps.history_import import import_history

    return show(import_history(folder, pools, files, keyframe=keyframe), as_json=as_json)


def backfill(
    config: CollectorFile = COLLECTOR_TOML,
    blocks: Annotated[
        int, typer.Option("--blocks", min=1, help="So many before the collector's first.")
    ] = 43_200,
    receipts: Annotated[
        bool, typer.Option("--receipts", help="With receipts: places, rivals and flows.")
    ] = False,
    reach: Annotated[
        int,
        typer.Option("--reach", min=0, help="Blocks further back to look for a pool's last event."),
    ] = 100_000,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only say what it costs.")] = False,
    as_json: Json = False,
) -> int:
    """Put blocks before the history's first, from logs alone, also while the collector runs."""
    from dexarb.apps.history_backfill import backfill as run

    found = run(config, blocks, receipts=receipts, reach=reach, yes=yes)
    return show(found, as_json=as_json)
