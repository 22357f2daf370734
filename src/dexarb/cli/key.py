"""Keys of a bot's accounts. Each command returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import Json

KeyPath = Annotated[Path, typer.Argument(metavar="FILE", help="The keystore file.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="A file that only you can read; else you are asked."),
]
PasswordVariable = Annotated[
    str | None, typer.Option("--password-env", help="A variable that holds the password.")
]


def new(
    file: KeyPath,
    password_file: PasswordFile = None,
    password_env: PasswordVariable = None,
    as_json: Json = False,
) -> int:
    """Make a key in a new keystore file."""
    from dexarb.apps.live import keys
    from dexarb.screens.answer import show as shown

    password = keys.password_from(password_file, password_env)
    return shown(keys.new(file, password), as_json=as_json)


def import_(
    file: KeyPath,
    password_file: PasswordFile = None,
    password_env: PasswordVariable = None,
    as_json: Json = False,
) -> int:
    """Keep a key that you have, from a prompt or standard input, in a new keystore file."""
    from dexarb.apps.live import keys
    from dexarb.screens.answer import show as shown

    password = keys.password_from(password_file, password_env)
    return shown(keys.take(file, password), as_json=as_json)


def show(file: KeyPath, as_json: Json = False) -> int:
    """The address of a keystore file, which needs no password."""
    from dexarb.apps.live import keys
    from dexarb.screens.answer import show as shown

    return shown(keys.show(file), as_json=as_json)
