"""dexarb promote: a strategy's tables for live trading, with the evidence for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.paper import load_paper
from dexarb.config.paths import BOT_FILE
from dexarb.config.strategy_table import StrategyTable, plain
from dexarb.core.text import as_name
from dexarb.core.units import MICRO_USD
from dexarb.errors import InputError, StoreError
from dexarb.screens.answer import Answer
from dexarb.screens.names import find_strategy
from dexarb.screens.verdict import verdicts_of
from dexarb.screens.when import utc
from dexarb.store.files import disk_errors
from dexarb.study.verdict.canary import live_hash
from dexarb.study.verdict.judging import Considered, Verdicts
from dexarb.study.verdict.verdict import Word

NOT_LIVE = ("simulate_competition", "competition_rate", "latency_ms")
"""The chain's rivals and the bot's own latency are real there."""
CANARY_GAS_USD = 5
CANARY_TRADES = 30


@dataclass(frozen=True, slots=True)
class Promoted(Answer):
    """file: None where nothing was written, as its verdict does not allow it."""

    considered: Considered
    live_hash: str
    file: Path | None

    @property
    def exit_code(self) -> int:
        """1 where nothing was written."""
        return 0 if self.file else 1

    def as_json(self) -> dict[str, Any]:
        judged = self.considered.judged
        return {
            "name": self.considered.row.name,
            "hash": self.considered.row.hash,
            "live_hash": self.live_hash,
            "verdict": judged.word.value,
            "reason": judged.reason,
            "file": str(self.file) if self.file else None,
        }

    def render(self) -> RenderableType:
        judged = self.considered.judged
        lines = [Text(f"{as_name(self.considered.row.name)}: {judged.word}, {judged.reason}.")]
        if self.file is None:
            lines.append(Text("Nothing was written: only CANARY or PROMOTE trade.", style="yellow"))
        else:
            lines.append(Text(f"Written: {self.file}", no_wrap=True, overflow="ignore"))
            lines.append(Text("It lacks executor, lanes and ways to send, which are yours to say."))
        return Group(*lines)


def answer(config: Path, name: str, out: Path | None, now: int) -> Promoted:
    """out: the file to write, else live.toml beside the config; one that is there stays. now: UTC
    second. Raises ConfigError, InputError, StoreError."""
    found = verdicts_of(config)
    active = {each.row.hash for each in found.strategies if each.is_active}
    row = find_strategy(name, [each.row for each in found.strategies], active)
    considered = next(each for each in found.strategies if each.row.hash == row.hash)
    traded_as = live_hash(row)
    if considered.judged.word not in (Word.CANARY, Word.PROMOTE):
        return Promoted(considered, traded_as, None)
    tables = {each.table.name: each.table for each in load_paper(config).strategies}
    if row.hash not in active or row.name not in tables:
        raise InputError(f'"{as_name(row.name)}" is not in {config} any more: put it back first')
    target = config.with_name(BOT_FILE) if out is None else out
    text = live_text(found, considered, tables[row.name], traded_as, now)
    try:
        with disk_errors(target, "cannot be written"), target.open("x", encoding="utf-8") as file:
            file.write(text)
    except StoreError as error:
        if isinstance(error.__cause__, FileExistsError):
            raise InputError(f"{target} is there already: name another file with --out") from None
        raise
    return Promoted(considered, traded_as, target)


def live_text(
    found: Verdicts, considered: Considered, table: StrategyTable, live_hash: str, now: int
) -> str:
    """The tables as TOML."""
    judged, series = considered.judged, considered.case.series
    stated = {
        key: value
        for key, value in table
        if key in table.model_fields_set and key not in (*NOT_LIVE, "enabled")
    }
    evidence = {
        "hash": live_hash,
        "verdict": str(judged.word),
        "reason": judged.reason,
        "paper_hash": considered.row.hash,
        "at": utc(now),
        "block": found.block,
        "family_size": found.family_size,
        "rank": considered.rank,
        "days": series.days,
        "settled": len(considered.case.trades.counted),
        "net_usd": Decimal(int(considered.case.trades.counted.net.sum())) / MICRO_USD,
        "gates": {gate.name: gate.says for gate in judged.gates},
    }
    if judged.word is Word.CANARY:
        evidence |= {"daily_gas_usd": CANARY_GAS_USD, "trades": CANARY_TRADES}
    return "\n".join(
        [
            "# Written by dexarb promote. The bot asks for [live], [[lane]] and [[way]] as well.",
            "",
            "[[strategy]]",
            *(f"{key} = {_toml(value)}" for key, value in stated.items()),
            "",
            "[[evidence]]",
            *(f"{key} = {_toml(value)}" for key, value in evidence.items()),
            "",
        ]
    )


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_text(str(key))} = {_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | int | Decimal):
        return plain(value)
    return _text(str(value))


def _text(text: str) -> str:
    """A basic string. JSON's are such but for DEL, which it does not escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
