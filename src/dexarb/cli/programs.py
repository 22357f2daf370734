"""The programs, and the demo that runs them all. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import COLLECTOR_TOML, PAPER_TOML, CollectorFile, Json, PaperFile


def collect(config: CollectorFile = COLLECTOR_TOML) -> int:
    """Follow the chain: history and pool_state.json (the data-collector)."""
    from dexarb.apps.collect import run

    return run(config)


def paper(config: PaperFile = PAPER_TOML) -> int:
    """Trade on paper with all strategies of a file (the paper-trading process)."""
    from dexarb.apps.paper import run

    return run(config)


def demo(
    blocks: Annotated[
        int | None, typer.Option("--blocks", min=1, help="Stop after this many blocks.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same chain.")] = 40,
    interval: Annotated[
        float, typer.Option("--interval", min=0.0, help="Seconds between blocks.")
    ] = 1.0,
    folder: Annotated[Path, typer.Option("--dir", help="Where data and logs go.")] = Path(
        "data/demo"
    ),
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help=f"Strategies to trade with; else those of {PAPER_TOML}, else the program's own.",
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="dexarb-bot too: armed, funded, live beside its paper twin."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Run everything on an embedded chain: a node, real contracts, traders, both processes."""
    from dexarb.demo.run import run

    return run(
        folder=folder,
        paper_config=config or (PAPER_TOML if PAPER_TOML.exists() else None),
        blocks=blocks,
        seed=seed,
        interval_s=interval,
        live=live,
        as_json=as_json,
    )


def doctor(
    collector: Annotated[
        Path, typer.Option("--collector", help="The collector's TOML file.")
    ] = COLLECTOR_TOML,
    config: PaperFile = PAPER_TOML,
    as_json: Json = False,
) -> int:
    """Look at endpoints, clock, disk, settings and files: ok, or what to do."""
    from dexarb.apps.doctor import run

    return run(collector, config, as_json=as_json)


def probe(
    collector: Annotated[
        Path, typer.Option("--collector", help="The collector's TOML file.")
    ] = COLLECTOR_TOML,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Open cycles, the best net first.")
    ] = 5,
    as_json: Json = False,
) -> int:
    """Let a node run the best open cycles, with nothing sent: do amounts and gas agree?"""
    from dexarb.apps.probe import run

    return run(collector, count, as_json=as_json)


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The folder of the run.")
    ] = Path(),
    chain: Annotated[
        str, typer.Option("--chain", help="A chain that settings are shipped for.")
    ] = "polygon",
    as_json: Json = False,
) -> int:
    """Write commented settings to begin with into DIR/config, never over others."""
    from dexarb.screens.answer import show
    from dexarb.screens.init import answer

    return show(answer(folder, chain=chain), as_json=as_json)
