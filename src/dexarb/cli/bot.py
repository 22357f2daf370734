"""dexarb-bot: what trades with real money, and what is asked of it. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import Csv, Json, one_form

LIVE_TOML = Path("config/live.toml")
LiveFile = Annotated[Path, typer.Option("--config", "-c", help="The bot's TOML file.")]
Reason = Annotated[str, typer.Option("--reason", help="For the journal: why.")]


def trade(
    context: typer.Context,
    config: LiveFile = LIVE_TOML,
    live: Annotated[
        bool, typer.Option("--live", help="Send, where the file says armed = true as well.")
    ] = False,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Trade strategies that carry no verdict.")
    ] = False,
    canary: Annotated[
        int | None, typer.Option("--canary", min=1, help="Disarm behind so many included trades.")
    ] = None,
) -> int:
    """Trade with what was promoted; without --live a rehearsal, which sends nothing."""
    if context.invoked_subcommand is not None:
        return 0
    from dexarb.apps.live.bot import Asked, run

    return run(config, Asked(live, unproven, canary))


def arm(
    config: LiveFile = LIVE_TOML, reason: Reason = "dexarb-bot arm", as_json: Json = False
) -> int:
    """Let the bot send again after it was disarmed."""
    from dexarb.screens.answer import show
    from dexarb.screens.bot_orders import armed

    return show(armed(config, reason), as_json=as_json)


def stop(
    config: LiveFile = LIVE_TOML, reason: Reason = "dexarb-bot stop", as_json: Json = False
) -> int:
    """Disarm the bot at once: nothing new is sent, what is open is followed to its end."""
    from dexarb.screens.answer import show
    from dexarb.screens.bot_orders import disarmed

    return show(disarmed(config, reason), as_json=as_json)


def trust(
    what: Annotated[
        str, typer.Argument(metavar="POOL|TOKEN", help="Its address, or a token's symbol.")
    ],
    config: LiveFile = LIVE_TOML,
    reason: Reason = "dexarb-bot trust",
    as_json: Json = False,
) -> int:
    """Trade through a pool or token again that is avoided for what came of it."""
    from dexarb.screens.answer import show
    from dexarb.screens.bot_orders import trusted

    return show(trusted(config, what, reason), as_json=as_json)


def status(config: LiveFile = LIVE_TOML, as_json: Json = False) -> int:
    """How the bot stands: armed or why not, lanes, what was sent, and live beside twin."""
    from dexarb.screens.answer import show
    from dexarb.screens.bot_status import answer

    return show(answer(config), as_json=as_json)


def report(config: LiveFile = LIVE_TOML, as_csv: Csv = False, as_json: Json = False) -> int:
    """How far paper was off and why, where the time went, what a paper strategy should use."""
    from dexarb.screens.answer import show
    from dexarb.screens.bot_report import answer
    from dexarb.screens.csv_output import show_csv

    one_form(csv=as_csv, json=as_json)
    found = answer(config)
    return show_csv(found) if as_csv else show(found, as_json=as_json)


def preflight(config: LiveFile = LIVE_TOML, as_json: Json = False) -> int:
    """Is all there that trading for real needs? Each line: ok, or what to do."""
    from dexarb.apps.live.preflight import run

    return run(config, as_json=as_json)
