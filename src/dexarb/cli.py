"""The command line. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dexarb.errors import DexarbError

INTERRUPTED = 130

app = typer.Typer(
    help="Paper-trade DEX arbitrage on live chain data, settled on what the chain became.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
history_app = typer.Typer(help="Look after a history folder.", no_args_is_help=True)
app.add_typer(history_app, name="history")

CollectorConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The collector's TOML file.")
]
PaperConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The paper trader's TOML file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]

COLLECTOR_TOML = Path("config/collector.toml")
PAPER_TOML = Path("config/paper_trading.toml")


@app.command()
def collect(config: CollectorConfigOption = COLLECTOR_TOML) -> None:
    """Follow the chain: history and pool_state.json (the data-collector)."""
    from dexarb.apps.collect import run

    _exit(run(config))


@app.command()
def paper(config: PaperConfigOption = PAPER_TOML) -> None:
    """Trade on paper with all strategies of a file (the paper-trading process)."""
    from dexarb.apps.paper import run

    _exit(run(config))


@app.command()
def demo(
    blocks: Annotated[
        int | None, typer.Option("--blocks", min=1, help="Stop after this many blocks.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same chain.")] = 1,
    interval: Annotated[
        float, typer.Option("--interval", min=0.0, help="Seconds between blocks.")
    ] = 1.0,
    folder: Annotated[Path, typer.Option("--dir", help="Where data and logs go.")] = Path(
        "data/demo"
    ),
    config: Annotated[
        Path, typer.Option("--config", "-c", help="Strategies to trade with.")
    ] = PAPER_TOML,
    as_json: JsonOption = False,
) -> None:
    """Run everything on an embedded chain: a node, real contracts, traders, both processes."""
    from dexarb.apps.demo.run import run

    _exit(
        run(
            folder=folder,
            paper_config=config,
            blocks=blocks,
            seed=seed,
            interval_s=interval,
            as_json=as_json,
        )
    )


@app.command()
def status(
    config: PaperConfigOption = PAPER_TOML,
    as_json: JsonOption = False,
) -> None:
    """How the strategies stand: counts, profit and band, and how old the state is."""
    from dexarb.apps.status import run

    _exit(run(config, as_json_text=as_json))


@app.command()
def scan(
    history: Annotated[
        Path | None, typer.Argument(help="A history folder; without it the newest state's.")
    ] = None,
    state: Annotated[Path, typer.Option("--state", help="The collector's state file.")] = Path(
        "data/pool_state.json"
    ),
    block: Annotated[int | None, typer.Option("--block", help="A block of the history.")] = None,
    min_profit_usd: Annotated[
        float, typer.Option("--min-profit-usd", help="Least profit after gas.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Show what is open at a block: route, best size, profit, gas; no strategy involved."""
    from dexarb.apps.scan import run

    _exit(
        run(
            history,
            state_file=state,
            block=block,
            min_profit_usd=min_profit_usd,
            as_json=as_json,
        )
    )


@app.command()
def calibrate(
    history: Annotated[
        Path | None, typer.Argument(help="A history folder; without it the newest state's.")
    ] = None,
    state: Annotated[Path, typer.Option("--state", help="The collector's state file.")] = Path(
        "data/pool_state.json"
    ),
    first_block: Annotated[int | None, typer.Option("--from", help="First block.")] = None,
    last_block: Annotated[int | None, typer.Option("--to", help="Last block.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what others really swapped with what we would have said of it, to the wei."""
    from dexarb.apps.calibrate import run

    _exit(
        run(
            history,
            state_file=state,
            first_block=first_block,
            last_block=last_block,
            as_json=as_json,
        )
    )


@history_app.command("check")
def history_check(
    folder: Annotated[Path, typer.Argument(help="A history folder, data/history/<chain id>.")],
    as_json: JsonOption = False,
) -> None:
    """Read every entry, replay every segment, and say whether the history is whole."""
    from dexarb.apps.history import check

    _exit(check(folder, as_json=as_json))


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _run(command: Callable[[], Any]) -> int:
    """Errors on purpose become one message and an exit code; others keep their traceback."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(".cache/numba").absolute()))
    try:
        command()
    except DexarbError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone; Python's own flush at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def main() -> None:
    """Entry point `dexarb`."""
    sys.exit(_run(app))


def data_collector() -> None:
    """Entry point `data-collector`."""
    sys.exit(_run(_alone(collect)))


def paper_trading() -> None:
    """Entry point `paper-trading`."""
    sys.exit(_run(_alone(paper)))


def _alone(command: Callable[..., None]) -> typer.Typer:
    """A program that is a single command."""
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.command()(command)
    return program
