"""dexarb config check of any of the TOML files; the paper trader's has more to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from dexarb.config import veil
from dexarb.config.chain_profile import LoadedChain, load_chain
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.config.importing import ImportConfig, load_import
from dexarb.config.kinds import Kind, kind_of
from dexarb.config.live import LiveConfig, load_live
from dexarb.config.unpriced import REMEDY, consequence
from dexarb.core.profile import own_names
from dexarb.core.text import as_name
from dexarb.errors import ConfigError, ConfigErrors
from dexarb.screens import config_check
from dexarb.screens.answer import Answer
from dexarb.screens.config_check import WRONG, json_value, problem_json
from dexarb.screens.output import problem_lines


@dataclass(frozen=True, slots=True)
class CheckedSettings(Answer):
    """Any but the paper trader's. values: what it means, without what is secret."""

    path: Path
    kind: Kind
    errors: Sequence[ConfigError]
    warnings: Sequence[ConfigError]
    values: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """2 for a file that cannot be used."""
        return WRONG if self.errors else 0

    def problems(self) -> Iterator[str]:
        yield from problem_lines(self.errors, self.warnings)

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "kind": self.kind,
            "ok": not self.errors,
            "errors": [problem_json(each) for each in self.errors],
            "warnings": [problem_json(each) for each in self.warnings],
            "values": self.values,
        }

    def render(self) -> RenderableType:
        """Of a file that cannot be used, the problems say it all."""
        if self.errors:
            return Group()
        table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
        for key, value in self.values.items():
            if isinstance(value, dict):
                value = [f"{name} = {meaning}" for name, meaning in value.items()]
            texts = value if isinstance(value, list) else [value]
            shown = ", ".join(as_name(str(each)) for each in texts if each is not None)
            table.add_row(Text(key), Text(shown or "none"))
        return table


def answer(path: Path, *, chain: Path | None) -> Answer:
    """chain: of the paper trader's file, where its names come from instead of the history.

    Raises ConfigError for a file that is no TOML, and StoreError for a ledger that cannot be read.
    """
    kind = kind_of(path)
    if kind == "paper":
        return config_check.answer(path, chain=chain)
    try:
        if kind == "chain":
            profile = load_chain(path)
            return CheckedSettings(path, kind, (), _unpriced(profile), _of_chain(profile))
        if kind == "live":
            return CheckedSettings(path, kind, (), (), _of_bot(load_live(path)))
        if kind == "import":
            wanted = load_import(path)
            return CheckedSettings(path, kind, (), _unpriced(wanted.chain), _of_import(wanted))
        config = load_collector(path)
    except (ConfigError, ConfigErrors) as error:
        return CheckedSettings(path, kind, error.errors, (), {})
    return CheckedSettings(path, kind, (), _unpriced(config.chain), _of_collector(config))


def _unpriced(chain: LoadedChain) -> list[ConfigError]:
    """What is allowed, and hardly meant."""
    return [
        ConfigError(
            consequence(name, chain.chain.wrapped_native), file=str(chain.path), remedy=REMEDY
        )
        for name in chain.unpriced
    ]


def _of_collector(config: CollectorConfig) -> dict[str, Any]:
    settings = {key: json_value(value) for key, value in config.settings}
    return {
        **settings,
        "endpoints": [veil.without_urls(each) for each in config.endpoints],
        "timeout_s": config.timeout_s,
        "pairs": [f"{each.token_a}/{each.token_b} on {each.dex}" for each in config.choices],
    }


def _of_bot(config: LiveConfig) -> dict[str, Any]:
    return {
        "armed": config.armed,
        "executor": config.executor,
        "owner": config.owner,
        "journal_file": str(config.journal_file),
        "collector": str(config.collector),
        "lanes": [str(each.key_file) for each in config.lanes],
        "ways": [f"{each.name} by {each.method}" for each in config.ways],
        "limits": {key: json_value(value) for key, value in config.limits_table},
        "strategies": [each.table.name for each in config.paper.strategies if each.table.enabled],
        "verdicts": dict(config.verdicts),
    }


def _of_import(config: ImportConfig) -> dict[str, Any]:
    names = own_names(config.chain.tokens)
    return {
        "chain": config.chain.chain.name,
        "gas_limit": config.gas_limit,
        "decimals": {names[token]: number for token, number in config.decimals.items()},
        "pairs": [f"{each.token_a}/{each.token_b} on {each.dex}" for each in config.choices],
        "pools": [f"{each.found.key} on {each.dex}" for each in config.named],
    }


def _of_chain(profile: LoadedChain) -> dict[str, Any]:
    settings = {key: json_value(value) for key, value in profile.chain}
    return {
        **settings,
        "tokens": [name for name in profile.tokens if name not in profile.aliases],
        "aliases": dict(profile.aliases),
        "dexes": list(profile.dexes),
        "priced": list(dict.fromkeys(each.token for each in profile.references)),
    }
