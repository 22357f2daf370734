"""Errands of an executor's owner. Each command returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.bot import LIVE_TOML, LiveFile
from dexarb.cli.key import PasswordFile, PasswordVariable
from dexarb.cli.options import Json

OwnerKey = Annotated[
    Path, typer.Option("--owner-key", help="The owner's keystore file: keep it away from the bot.")
]
Token = Annotated[str, typer.Argument(metavar="TOKEN", help="By the chain's file, or: native.")]


def deploy(
    owner_key: OwnerKey,
    config: LiveFile = LIVE_TOML,
    password_file: PasswordFile = None,
    password_env: PasswordVariable = None,
    as_json: Json = False,
) -> int:
    """Deploy an executor for the owner and the lanes, and name it in the bot's file."""
    from dexarb.apps.live import errands
    from dexarb.screens.answer import show as shown

    owner = errands.open_owner(owner_key, password_file, password_env)
    return shown(errands.deploy(config, owner), as_json=as_json)


def verify(config: LiveFile = LIVE_TOML, as_json: Json = False) -> int:
    """Is the executor's code ours, are its roles those of the file, can it trade? 1 if not."""
    from dexarb.apps.live.errands import show as seen
    from dexarb.screens.answer import show as shown

    return shown(seen(config), as_json=as_json)


def show(config: LiveFile = LIVE_TOML, as_json: Json = False) -> int:
    """What the executor is and holds."""
    verify(config, as_json)
    return 0


def fund(
    token: Token,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In whole tokens.")],
    owner_key: OwnerKey,
    config: LiveFile = LIVE_TOML,
    password_file: PasswordFile = None,
    password_env: PasswordVariable = None,
    as_json: Json = False,
) -> int:
    """Send the executor some of a token from the owner's account."""
    from dexarb.apps.live import errands
    from dexarb.screens.answer import show as shown

    owner = errands.open_owner(owner_key, password_file, password_env)
    return shown(errands.fund(config, owner, token, amount), as_json=as_json)


def withdraw(
    token: Token,
    owner_key: OwnerKey,
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="In whole tokens; else all.")
    ] = None,
    config: LiveFile = LIVE_TOML,
    password_file: PasswordFile = None,
    password_env: PasswordVariable = None,
    as_json: Json = False,
) -> int:
    """Send the owner what the executor holds of a token."""
    from dexarb.apps.live import errands
    from dexarb.screens.answer import show as shown

    owner = errands.open_owner(owner_key, password_file, password_env)
    return shown(errands.withdraw(config, owner, token, amount), as_json=as_json)


def rotate(
    owner_key: OwnerKey,
    config: LiveFile = LIVE_TOML,
    password_file: PasswordFile = None,
    password_env: PasswordVariable = None,
    as_json: Json = False,
) -> int:
    """Another executor for the lanes of now, with all that the old one holds: for a leaked key."""
    from dexarb.apps.live import errands
    from dexarb.screens.answer import show as shown

    owner = errands.open_owner(owner_key, password_file, password_env)
    return shown(errands.rotate(config, owner), as_json=as_json)
