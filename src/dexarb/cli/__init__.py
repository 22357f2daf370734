"""The command line: one command a function, in files by what they are about.

Heavy modules are imported by the command that needs them, so that what only reads the ledger
starts at once.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import typer

from dexarb.cli import (
    alerts,
    bot,
    config,
    copies,
    executor,
    history,
    key,
    programs,
    replay,
    screens,
    sweeps,
    verdict,
)
from dexarb.cli.options import common, ending
from dexarb.errors import DexarbError
from dexarb.screens.output import complain
from dexarb.user_folders import cache_folder

INTERRUPTED = 130


def program_of(
    text: str | None, *commands: Callable[..., int], completes: bool = False
) -> typer.Typer:
    """Of these commands, in this order. text: its help; None for a single command, which has its
    own. completes: it can tell shells how to complete it."""
    program = typer.Typer(
        help=text,
        no_args_is_help=text is not None,
        add_completion=completes,
        pretty_exceptions_enable=False,
    )
    for command in commands:
        # What Python has a word for already ends in an underscore.
        program.command(command.__name__.rstrip("_"))(ending(command))
    return program


app = program_of(
    "Paper-trade DEX arbitrage on live chain data, settled on what the chain became.",
    programs.collect,
    programs.paper,
    programs.demo,
    programs.init,
    programs.doctor,
    screens.status,
    screens.why,
    screens.fills,
    config.reload,
    replay.replay,
    screens.scan,
    screens.spreads,
    screens.rivals,
    screens.winners,
    screens.census,
    screens.backruns,
    screens.map,
    screens.calibrate,
    screens.report,
    programs.probe,
    verdict.verdict,
    verdict.promote,
    sweeps.sweep,
    sweeps.tune,
    copies.backup,
    copies.restore,
    completes=True,
)
app.add_typer(
    program_of(
        "Who is confirmed on what comes after their choice.", verdict.show, verdict.register
    ),
    name="finalists",
)
app.add_typer(program_of("Who is told when something is wrong.", alerts.test), name="alerts")
app.add_typer(
    program_of(
        "Look after a history folder.",
        history.check,
        history.prune,
        history.import_,
        history.backfill,
    ),
    name="history",
)
app.add_typer(
    program_of("Look at a configuration before using it.", config.check, config.schema),
    name="config",
)
app.add_typer(
    program_of("Make and look at the keys of a bot's accounts.", key.new, key.import_, key.show),
    name="key",
)
app.add_typer(
    program_of(
        "Errands of the owner of a bot's executor.",
        executor.deploy,
        executor.verify,
        executor.show,
        executor.fund,
        executor.withdraw,
        executor.rotate,
    ),
    name="executor",
)


live = program_of(None, bot.preflight, bot.arm, bot.stop, bot.trust, bot.status, bot.report)
live.callback(invoke_without_command=True, help=bot.trade.__doc__)(ending(bot.trade))
app.add_typer(live, name="live")


app.callback()(common)


def asked_for(words: Sequence[str]) -> typer.Typer:
    """`dexarb` with that command alone which these words begin with, and whole where they begin
    with something else: of fifty commands, forty-nine are made for nothing."""
    program, first = copy.copy(app), words[0] if words else None
    commands = [each for each in app.registered_commands if each.name == first]
    groups = [each for each in app.registered_groups if each.name == first]
    if commands or groups:
        program.registered_commands, program.registered_groups = commands, groups
    return program


def main() -> None:
    """`dexarb`, within a process that goes on: raises SystemExit."""
    sys.exit(run(asked_for(sys.argv[1:])))


def run(program: Callable[[], Any]) -> int:
    """Errors on purpose become one message and an exit code; others keep their traceback."""
    with suppress(RuntimeError):  # a user without a home: numba looks for a place itself
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder() / "numba"))
    # Threads for products of large matrices, which nobody here has; numpy starts them at once.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        program()
    except DexarbError as error:
        complain(f"error: {error}")
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
