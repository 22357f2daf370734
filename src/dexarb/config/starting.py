"""The files that a run begins with: those that are shipped, with every other key as a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from dexarb.config.alerts import AlertsTable
from dexarb.config.collector import CollectorTable, RpcTable
from dexarb.config.described import DESCRIPTIONS
from dexarb.config.kinds import KINDS, kind_of
from dexarb.config.live import LaneTable, LimitsTable, LiveTable, WayTable
from dexarb.config.paper import GeneralTable
from dexarb.config.run_files import COLLECTOR_FILE
from dexarb.config.schema import schema_text
from dexarb.config.shipped_files import CLASSIC_STRATEGIES, LIVE_BOT, SHIPPED
from dexarb.config.strategy_table import StrategyTable, plain
from dexarb.config.toml_file import TomlTable, did_you_mean, read_toml
from dexarb.errors import ConfigError

_TABLES: Mapping[str, type[TomlTable]] = {
    "[collector]": CollectorTable,
    "[rpc]": RpcTable,
    "[general]": GeneralTable,
    "[[strategy]]": StrategyTable,
    "# [alerts]": AlertsTable,
    "[live]": LiveTable,
    "[[lane]]": LaneTable,
    "[[way]]": WayTable,
    "[limits]": LimitsTable,
}
_KEY = re.compile(r"^(?:# )?([a-z_0-9]+) *=")
_SCHEMA_LINE = re.compile(r"^#:schema .*/([a-z]+\.json)$", re.MULTILINE)
_NAME = re.compile(r"\$\{([A-Za-z_0-9]+)\}")


def chains() -> dict[str, Path]:
    """The chain profiles that are shipped, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml")) if kind_of(path) == "chain"}


def starting_files(chain: str) -> dict[str, str]:
    """By their names in the folder of the settings, the texts of a run on a chain.

    Raises ConfigError for a chain that is not shipped.
    """
    known = chains()
    collector = SHIPPED / COLLECTOR_FILE
    named = read_toml(collector).data["collector"]["chain"]
    if chain not in known or known[chain].name != named:
        remedy = did_you_mean(chain, [Path(named).stem])
        raise ConfigError(f'no settings are shipped for a chain "{chain}"', remedy=remedy)
    texts = {
        path.name: _text(path) for path in (collector, CLASSIC_STRATEGIES, LIVE_BOT, known[chain])
    }
    return texts | {f"schema/{kind}.json": schema_text(kind) for kind in KINDS}


def variables(texts: Mapping[str, str]) -> list[str]:
    """Of the environment, that the files take something from."""
    return list(dict.fromkeys(_NAME.findall(texts[COLLECTOR_FILE])))


def _text(path: Path) -> str:
    """With its schema beside it, and the keys that it does not state as comments."""
    lines = _SCHEMA_LINE.sub(r"#:schema schema/\1", path.read_text(encoding="utf-8")).splitlines()
    for header, model in _TABLES.items():
        at = next((n for n, line in enumerate(lines) if line.startswith(header)), None)
        if at is not None:
            _complete(lines, at, model)
    return "\n".join(lines) + "\n"


def _complete(lines: list[str], header: int, model: type[TomlTable]) -> None:
    """Add the table's other keys behind its last one."""
    last, stated = header, set()
    for place in range(header + 1, len(lines)):
        if lines[place].startswith(("[", "# [")):  # one that is not in use ends it as well
            break
        if found := _KEY.match(lines[place]):
            last = place
            stated.add(found[1])
    lines[last + 1 : last + 1] = [
        _comment(model, key) for key in model.model_fields if key not in stated
    ]


def _comment(model: type[TomlTable], key: str) -> str:
    """`# key = default  # what it means`; where there is no default, without the value."""
    field = model.model_fields[key]
    default = field.get_default(call_default_factory=True, validated_data={})
    value = "" if default is None else f" {_toml(default)}"
    return f"# {key} ={value}  # {DESCRIPTIONS[model].get(key, '')}".rstrip(" #")


def _toml(value: Any) -> str:
    if isinstance(value, bool | Decimal | int):
        return plain(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, tuple):
        return plain(value[0]) if len(value) == 1 else json.dumps(list(value))
    return json.dumps(str(value))
