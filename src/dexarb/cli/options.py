"""What commands have in common: options that mean the same everywhere, and how they end."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from dexarb import __version__
from dexarb.errors import InputError
from dexarb.screens.when import BlocksAsked, When, when

COLLECTOR_TOML = Path("config/collector.toml")
PAPER_TOML = Path("config/paper_trading.toml")
BLOCKS_READ = 10_000
"""How far back to look in a history, where the user does not say."""
MOST_USD = 9e9
"""No trade is worth more."""

CollectorFile = Annotated[Path, typer.Option("--config", "-c", help="The collector's TOML file.")]
PaperFile = Annotated[Path, typer.Option("--config", "-c", help="The paper trader's TOML file.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Csv = Annotated[bool, typer.Option("--csv", help="CSV on standard output, all rows.")]

History = Annotated[
    Path | None, typer.Argument(help="A history folder; without it the collector's.")
]
WHEN = "WHEN"
HOW_TO_SAY_WHEN = "its number, 24h, 30m or 7d before the newest, or a date or time (UTC)"
FirstBlock = Annotated[
    When | None,
    typer.Option(
        "--from", "--since", parser=when, metavar=WHEN, help=f"First block: {HOW_TO_SAY_WHEN}."
    ),
]
LastBlock = Annotated[
    When | None,
    typer.Option("--to", parser=when, metavar=WHEN, help="Last block, in the same ways."),
]
BlockCount = Annotated[
    int | None,
    typer.Option(
        "--last",
        min=1,
        help=f"Of these the newest so many blocks; without it and --from {BLOCKS_READ:,}.",
    ),
]
By = Annotated[
    str,
    typer.Option(
        "--by",
        help="target (the contract called), sender, or selector (of the call, where it was kept).",
    ),
]


def usd(amount: float | None) -> float | None:
    """Of an option, as it is. Raises BadParameter for what is no amount of money."""
    if amount is not None and not abs(amount) <= MOST_USD:
        raise typer.BadParameter(f"{amount} is no amount in USD: at most {MOST_USD:,.0f}")
    return amount


def blocks_asked(
    history: Path | None, config: Path, first: When | None, last: When | None, count: int | None
) -> BlocksAsked:
    """Who says where to begin, means all from there."""
    most = BLOCKS_READ if count is None and first is None else count
    return BlocksAsked(history, config, first, last, most)


def one_form(**asked: bool) -> None:
    """Raises InputError where an answer is asked for in several forms at once."""
    names = [f"--{name.replace('_', '-')}" for name, is_asked in asked.items() if is_asked]
    if len(names) > 1:
        raise InputError(f"{' and '.join(names)} do not go together: choose one of them")


def is_given(context: typer.Context, option: str) -> bool:
    """Whether somebody has said so, in place of the default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name != "DEFAULT"


def ending(command: Callable[..., int]) -> Callable[..., None]:
    """The command as the command line calls it: the exit code that it returns ends the program."""

    @wraps(command)
    def end(*words: Any, **options: Any) -> None:
        code = command(*words, **options)
        if code:
            raise typer.Exit(code)

    return end


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dexarb {__version__} (Python {platform.python_version()})")
        raise typer.Exit


def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Tell the version and exit."
        ),
    ] = False,
) -> None:
    """What stands before any command."""
