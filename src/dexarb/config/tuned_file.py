"""A strategies' file with other values, comments and order kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import tomlkit
from tomlkit.items import AoT, Item, Table

from dexarb.config.strategy_table import SCALED
from dexarb.trading.strategy import StrategySettings

_KEYS = {each.field: each for each in SCALED}


def with_values(
    text: str, chosen: Mapping[str, StrategySettings], fields: Mapping[str, Sequence[str]]
) -> tuple[str, list[str]]:
    """The file with these fields of these strategies, by name, and the names of those that have no
    [[strategy]] of their own, which stay as they are: a grid's row has none."""
    document = tomlkit.parse(text)
    tables = document.get("strategy")
    missing = set(chosen)
    for table in tables if isinstance(tables, AoT) else ():
        name = str(table.get("name"))
        if name in chosen:
            missing.discard(name)
            _set(table, chosen[name], fields[name])
    return tomlkit.dumps(document), sorted(missing)


def _set(table: Table, settings: StrategySettings, fields: Sequence[str]) -> None:
    for field in fields:
        scaled = _KEYS[field]
        if getattr(settings, field) is None:
            continue
        value = Decimal(getattr(settings, field)) / scaled.scale
        item = tomlkit.float_(_plain(value))
        before = table.item(scaled.key) if scaled.key in table else None
        if isinstance(before, Item):
            item.trivia.comment_ws = before.trivia.comment_ws
            item.trivia.comment = before.trivia.comment
        table[scaled.key] = item


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text if "." in text else f"{text}.0"
