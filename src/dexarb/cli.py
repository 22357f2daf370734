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
config_app = typer.Typer(help="Look at a configuration before using it.", no_args_is_help=True)
app.add_typer(config_app, name="config")

CollectorConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The collector's TOML file.")
]
PaperConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The paper trader's TOML file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]

HistoryArgument = Annotated[
    Path | None, typer.Argument(help="A history folder; without it the collector's.")
]
FirstBlockOption = Annotated[int | None, typer.Option("--from", help="First block.")]
BlockCountOption = Annotated[
    int, typer.Option("--last", min=1, help="Of these the newest so many blocks.")
]
LastBlockOption = Annotated[int | None, typer.Option("--to", help="Last block.")]

COLLECTOR_TOML = Path("config/collector.toml")
PAPER_TOML = Path("config/paper_trading.toml")
BLOCKS_READ = 10_000
"""How far back to look in a history, where the user does not say."""


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
    from dexarb.demo.run import run

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
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until Ctrl-C.")] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            help="profit (default), band, seen, sent, filled, reverted, lost, open, name, config.",
        ),
    ] = None,
    filter_text: Annotated[
        str, typer.Option("--filter", help="Part of a name or hash, or: active.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Strategies on the screen.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """How the strategies stand: counts, profit and band, and how old the state is."""
    from dexarb.screens.status import run

    _exit(
        run(config, watch=watch, sort=sort, filter_text=filter_text, limit=limit, as_json=as_json)
    )


@app.command()
def why(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME [OTHER]]", help="One strategy, or two to compare; else all in brief."
        ),
    ] = None,
    config: PaperConfigOption = PAPER_TOML,
    as_json: JsonOption = False,
) -> None:
    """Why strategies did not trade more: all in brief, one in full, two side by side."""
    from dexarb.screens.why import run

    _exit(run(config, names or [], as_json=as_json))


@app.command()
def fills(
    config: PaperConfigOption = PAPER_TOML,
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", help="Only this one, by name or hash.")
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """The last fills, each with what the chain did with the same spread."""
    from dexarb.screens.fills import run

    _exit(run(config, strategy=strategy, last=last, as_json=as_json))


@app.command("reload")
def reload_config(
    config: PaperConfigOption = PAPER_TOML,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.0, help="Seconds to wait for the outcome.")
    ] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Let the running paper trader read its file again, and tell what came of it."""
    from dexarb.screens.reload_command import run

    _exit(run(config, timeout_s=timeout, as_json=as_json))


@config_app.command("check")
def config_check(
    config: PaperConfigOption = PAPER_TOML,
    chain: Annotated[
        Path | None, typer.Option("--chain", help="The chain's file; else the history's names.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show effective values, everything that is wrong, and what a reload would change."""
    from dexarb.screens.config_check import check

    _exit(check(config, chain=chain, as_json=as_json))


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of the paper trader's file, for editors."""
    from dexarb.screens.config_check import schema

    _exit(schema())


@app.command()
def scan(
    history: HistoryArgument = None,
    config: PaperConfigOption = PAPER_TOML,
    block: Annotated[int | None, typer.Option("--block", help="A block of the history.")] = None,
    min_profit_usd: Annotated[
        float, typer.Option("--min-profit-usd", help="Least profit after gas.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Show what is open at a block: route, best size, profit, gas; no strategy involved."""
    from dexarb.screens.scan import run

    _exit(
        run(
            history,
            config=config,
            block=block,
            min_profit_usd=min_profit_usd,
            as_json=as_json,
        )
    )


@app.command()
def spreads(
    history: HistoryArgument = None,
    config: PaperConfigOption = PAPER_TOML,
    first: FirstBlockOption = None,
    last: LastBlockOption = None,
    count: BlockCountOption = BLOCKS_READ,
    size_usd: Annotated[
        float | None,
        typer.Option("--size", min=0.01, help="USD of the round trips; else the strategies'."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What the market offered against what the strategies need: why there is how much to trade."""
    from dexarb.screens.spreads import run

    _exit(
        run(
            history,
            config=config,
            first=first,
            last=last,
            count=count,
            size_usd=size_usd,
            as_json=as_json,
        )
    )


@app.command()
def rivals(
    history: HistoryArgument = None,
    config: PaperConfigOption = PAPER_TOML,
    first: FirstBlockOption = None,
    last: LastBlockOption = None,
    count: BlockCountOption = BLOCKS_READ,
    by: Annotated[str, typer.Option("--by", help="target (the contract called) or sender.")] = (
        "target"
    ),
    as_json: JsonOption = False,
) -> None:
    """Who really takes the spreads: how often, for which gain, at which bid, how fast."""
    from dexarb.screens.rivals import run

    _exit(run(history, config=config, first=first, last=last, count=count, by=by, as_json=as_json))


@app.command()
def calibrate(
    history: HistoryArgument = None,
    config: PaperConfigOption = PAPER_TOML,
    first: FirstBlockOption = None,
    last: LastBlockOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what others really swapped with what we would have said of it, to the wei."""
    from dexarb.screens.calibrate import run

    _exit(
        run(
            history,
            config=config,
            first_block=first,
            last_block=last,
            as_json=as_json,
        )
    )


@history_app.command("check")
def history_check(
    history: HistoryArgument = None,
    config: PaperConfigOption = PAPER_TOML,
    as_json: JsonOption = False,
) -> None:
    """Read every entry, replay every segment, and say whether the history is whole."""
    from dexarb.screens.history import check

    _exit(check(history, config=config, as_json=as_json))


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
