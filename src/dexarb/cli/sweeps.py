"""Commands that run many configurations on a history. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import PAPER_TOML, Json, PaperFile

HistoryFolder = Annotated[Path, typer.Argument(metavar="HISTORY", help="A history folder.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", help="The folder of the results; one that was begun is continued. Else its own."
    ),
]
Cores = Annotated[
    int | None, typer.Option("--cores", min=1, help="Of this machine; without it all.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Of a dask.distributed cluster, tcp://HOST:PORT, to use instead of this machine's"
        " cores.",
    ),
]


def sweep(
    history: HistoryFolder,
    grid: Annotated[
        Path,
        typer.Option("--grid", help="A TOML file with [[grid]] tables, as paper-trading reads."),
    ],
    out: Out = None,
    cores: Cores = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> int:
    """Run ten thousand configurations and more on a history, searched once for all of them."""
    from dexarb.apps.sweep import Means, run

    return run(history, grid, out, Means(cores, scheduler), as_json=as_json)


def tune(
    history: HistoryFolder,
    config: PaperFile = PAPER_TOML,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new TOML file: the strategies' with the values found."),
    ] = None,
    split: Annotated[
        float,
        typer.Option("--split", min=0.1, max=0.9, help="Share of the time to choose values on."),
    ] = 0.67,
    cores: Cores = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> int:
    """Other values for each strategy, the best on a history's first part, shown on the rest."""
    from dexarb.apps.sweep import Means
    from dexarb.apps.tune import run

    return run(history, config, out, split, Means(cores, scheduler), as_json=as_json)
