"""Which of the TOML files one is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from dexarb.config.alerts import TABLE
from dexarb.config.toml_file import read_toml

Kind = Literal["collector", "chain", "paper"]
KINDS: tuple[Kind, ...] = ("collector", "chain", "paper")

_COLLECTOR = {"collector", "rpc", "pools"}
_CHAIN = {"chain", "tokens", "aliases", "dex", "reference", "gas_schedule"}


def kind_of(path: Path) -> Kind:
    """By its tables; what has none of another's is the paper trader's.

    Raises ConfigError for a file that cannot be read or is not TOML.
    """
    tables = read_toml(path, secrets=("rpc", TABLE)).data.keys()
    if tables & _COLLECTOR:
        return "collector"
    return "chain" if tables & _CHAIN else "paper"
