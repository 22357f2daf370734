"""All files of a run, and where each of them belongs: what a copy of it consists of."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexarb.config.paths import base_folder, config_paths

COLLECTOR_FILE = "collector.toml"
"""Beside the paper trader's file."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """home: absolute where a file names it so, else relative, so that all of it can be moved
    together: settings to the folder of the paper trader's file, data to where relative paths in it
    begin."""

    path: Path
    home: str


def settings_at_home(home: str, config: Path) -> Path:
    """Where settings belong when the paper trader's file is this one."""
    return Path(os.path.normpath(config.parent.absolute() / home))


def data_at_home(home: str, config: Path) -> Path:
    """Where data belong when the paper trader's file is this one."""
    return Path(os.path.normpath(base_folder(config).absolute() / home))


@dataclass(frozen=True, slots=True)
class RunFiles:
    """settings: the TOML files, the paper trader's first. is_data_absolute: whether the collector's
    file gives the folder of the histories from the root."""

    config: Path
    settings: tuple[RunFile, ...]
    state: RunFile
    ledger: RunFile
    is_data_absolute: bool

    def history(self, folder: Path) -> RunFile:
        """The history that the state file or the ledger names."""
        return _data(folder, self.config, is_absolute=self.is_data_absolute)


def run_files(config: Path) -> RunFiles:
    """Of the paper trader's file, and of the collector's and the chain's as far as they are there.

    Raises ConfigError or ConfigErrors.
    """
    paths = config_paths(config)
    general = _table(config, "general")
    settings = [RunFile(config, config.name)]
    state_named, data_named = general.get("state_file"), None
    collector = config.with_name(COLLECTOR_FILE)
    if collector.is_file() and collector != config:
        settings.append(RunFile(collector, collector.name))
        table = _table(collector, "collector")
        data_named = table.get("data_dir")
        named = table.get("chain")
        if isinstance(named, str) and (chain := collector.parent / named).is_file():
            is_absolute = Path(named).is_absolute()
            settings.append(_placed(chain, config.parent, is_absolute=is_absolute))
    return RunFiles(
        config,
        tuple(settings),
        _data(paths.state_file, config, is_absolute=_is_absolute(state_named)),
        _data(paths.ledger_file, config, is_absolute=_is_absolute(general.get("ledger_file"))),
        _is_absolute(state_named if data_named is None else data_named),
    )


def _data(path: Path, config: Path, *, is_absolute: bool) -> RunFile:
    return _placed(path, base_folder(config), is_absolute=is_absolute)


def _placed(path: Path, base: Path, *, is_absolute: bool) -> RunFile:
    whole = path.absolute()
    home = str(whole) if is_absolute else os.path.relpath(whole, base.absolute())
    return RunFile(path, home)


def _is_absolute(named: object) -> bool:
    return isinstance(named, str) and Path(named).is_absolute()


def _table(path: Path, name: str) -> Mapping[str, Any]:
    """Empty where it is not to be had: what is wrong with a file is told by those who load it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig")).get(name)
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}
