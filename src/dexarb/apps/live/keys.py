"""dexarb key: make, import and show the keys of a bot's accounts. No key is ever shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from dexarb.core.text import is_key
from dexarb.core.token import Address
from dexarb.ends.live.keys import Password, address_in, import_key, new_key
from dexarb.errors import InputError
from dexarb.screens.answer import Answer


@dataclass(frozen=True, slots=True)
class KeyFile(Answer):
    """What a keystore file says without its password."""

    path: Path
    address: Address
    made: bool = False

    def as_json(self) -> Mapping[str, Any]:
        return {"file": str(self.path), "address": self.address}

    def render(self) -> RenderableType:
        if not self.made:
            return Text(self.address)
        return Text(
            f"{self.address}\n\nIts key is in {self.path}, under the password alone: keep a copy of"
            " both, apart from each other. Give the account a little of the chain's own coin for"
            " gas; it needs nothing else."
        )


def new(path: Path, password: Password) -> KeyFile:
    """Raises InputError, StoreError, MissingTool."""
    _refuse_key(path)
    return KeyFile(path, new_key(path, _twice(path, password)), made=True)


def take(path: Path, password: Password) -> KeyFile:
    """The key comes from a prompt, or from standard input where that is no terminal: never from
    the command line, which others can read. Raises as `new`."""
    _refuse_key(path)
    key = getpass("Private key: ") if sys.stdin.isatty() else sys.stdin.readline()
    return KeyFile(path, import_key(path, key, _twice(path, password)), made=True)


def show(path: Path) -> KeyFile:
    """Raises InputError, StoreError."""
    _refuse_key(path)
    return KeyFile(path, address_in(path))


def password_from(file: Path | None, variable: str | None) -> Password:
    """Raises InputError where both are named."""
    if file is not None and variable is not None:
        raise InputError("--password-file and --password-env do not go together: choose one")
    return Password(file, variable, getpass if sys.stdin.isatty() else None)


def _refuse_key(path: Path) -> None:
    if is_key(path.name):
        raise InputError(
            "that is a private key, where the name of its file belongs. Your shell remembers it"
            " now: take another key. `dexarb key import FILE` asks for one where nobody sees it"
        )


def _twice(path: Path, password: Password) -> str:
    """A new password that a person types is typed again."""
    first = password.read(os.environ, f"the new key {path.name}")
    if password.is_asked and getpass("The same again: ") != first:
        raise InputError("the two passwords differ: nothing was written")
    return first
