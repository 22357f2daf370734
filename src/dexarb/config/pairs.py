"""Pairs as files name them."""

from __future__ import annotations

from collections.abc import Mapping

from dexarb.config.toml_file import TomlFile, did_you_mean
from dexarb.config.toml_lines import Loc
from dexarb.core.token import Address


def split_pair(
    file: TomlFile, loc: Loc, pair: str, tokens: Mapping[str, Address]
) -> tuple[str, str]:
    """`WETH/USDC` as two known token names. Raises ConfigError."""
    names = pair.split("/")
    if len(names) != 2 or not all(names):
        raise file.error(loc, f'"{pair}" is not a pair', 'Write it as "WETH/USDC"')
    for name in names:
        if name not in tokens:
            raise file.error(loc, f'unknown token "{name}" in "{pair}"', did_you_mean(name, tokens))
    if tokens[names[0]] == tokens[names[1]]:
        raise file.error(loc, f'"{pair}" names the same token twice')
    return names[0], names[1]
