"""Which of the TOML files one is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dexarb.config.toml_file import read_toml

Kind = Literal["collector", "chain", "paper", "live", "import"]
KINDS: tuple[Kind, ...] = ("collector", "chain", "paper", "live", "import")

_IMPORT = {"import", "decimals", "pool"}
_LIVE = {"live", "lane", "way"}
_COLLECTOR = {"collector", "rpc", "pools"}
_CHAIN = {"chain", "tokens", "aliases", "dex", "reference", "gas_schedule", "surcharge"}


def kind_of(path: Path) -> Kind:
    """Raises ConfigError for a file that cannot be read or is not TOML."""
    return kind_with(read_toml(path).data)


def kind_with(tables: Mapping[str, Any]) -> Kind:
    """What has no table of another's is the paper trader's."""
    if tables.keys() & _IMPORT:
        return "import"
    if tables.keys() & _LIVE:
        return "live"
    if tables.keys() & _COLLECTOR:
        return "collector"
    return "chain" if tables.keys() & _CHAIN else "paper"
