"""Where the files of a configuration are, without checking the rest of it.

Screens that only read the ledger start at once: the whole configuration can be ten thousand
strategies, and what checks it takes longer to load than they run.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CONFIG_FOLDER = "config"
DEFAULT_STATE_FILE = Path("data/pool_state.json")
DEFAULT_LEDGER_FILE = Path("data/ledger.sqlite")
DEFAULT_JOURNAL_FILE = Path("data/live/journal.sqlite")
DEFAULT_MAX_STATE_AGE_S = 10
"""These last four are defaults for the programs as well, so that all look at the same files."""
BOT_FILE = "live.toml"
BOT_LEDGER_FILE = Path("data/live/ledger.sqlite")
"""As a bot's file comes; it says so itself."""
_REHEARSAL = "-rehearsal"


@dataclass(frozen=True, slots=True)
class ConfigPaths:
    """max_state_age_s: a block older than this when it was seen is not traded on."""

    state_file: Path
    ledger_file: Path
    max_state_age_s: float


def base_folder(config: Path) -> Path:
    """Of the relative paths in a configuration file: its own folder, and where that is called
    `config`, the folder around it, so that `data` lies beside `config`. Wherever one starts from.
    """
    folder = config.parent
    if Path(os.path.normpath(folder.absolute())).name != CONFIG_FOLDER:
        return folder
    return folder.parent if folder.name == CONFIG_FOLDER else folder / ".."


def nearest(folder: Path) -> Path:
    """Itself, or the folder around it that is there, which it will be made in."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def config_paths(config: Path) -> ConfigPaths:
    """From the [general] table. Of a bot that has traded nothing yet, the ledger is that of its
    rehearsals. Raises ConfigError or ConfigErrors."""
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8"))
        general, base = tables.get("general", {}), base_folder(config)
        ledger = base / general.get("ledger_file", DEFAULT_LEDGER_FILE)
        return ConfigPaths(
            base / general.get("state_file", DEFAULT_STATE_FILE),
            _books_of(ledger) if "live" in tables else ledger,
            float(general.get("max_state_age_secs", DEFAULT_MAX_STATE_AGE_S)),
        )
    except (OSError, ValueError, TypeError, AttributeError):
        # Whatever is wrong with the file: the thorough reading says it with line and remedy.
        from dexarb.config.paper import load_paper

        checked = load_paper(config).general
        age_s = float(checked.max_state_age_secs)
        return ConfigPaths(checked.state_file, checked.ledger_file, age_s)


def rehearsal_ledger(ledger: Path) -> Path:
    """Where the books of a bot's rehearsals are, beside those of its trades."""
    return ledger.with_name(f"{ledger.stem}{_REHEARSAL}{ledger.suffix}")


def is_rehearsal(ledger: Path) -> bool:
    return ledger.stem.endswith(_REHEARSAL)


def _books_of(ledger: Path) -> Path:
    """Of a bot: those of its trades, as soon as there are any."""
    rehearsal = rehearsal_ledger(ledger)
    return rehearsal if rehearsal.is_file() and not ledger.is_file() else ledger


class BotPaths(NamedTuple):
    journal_file: Path
    ledger_file: Path


def bot_paths(config: Path) -> BotPaths:
    """Of the bot beside a paper trader: as its file says, which lies beside the trader's; where it
    does not, or says nothing that can be read, where a bot's files are by default."""
    try:
        tables = tomllib.loads(config.with_name(BOT_FILE).read_text(encoding="utf-8"))
        live, general = tables["live"], tables["general"]
        journal = Path(live.get("journal_file", DEFAULT_JOURNAL_FILE))
        ledger = Path(general.get("ledger_file", DEFAULT_LEDGER_FILE))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        journal, ledger = DEFAULT_JOURNAL_FILE, BOT_LEDGER_FILE
    base = base_folder(config)
    return BotPaths(base / journal, base / ledger)
