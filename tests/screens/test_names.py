"""What the state file calls a pair or a pool, the market calls it as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.market import Market
from dexarb.screens.names import Names, names_at, names_of, state_beside
from tests.support.recorded import record
from tests.support.scenes import scene
from tests.support.traded import World
from tests.support.worlds.small_chain import CHEAP, USDC, WETH, WMATIC


def named(folder: Path, symbol: str) -> tuple[Names, Names]:
    """By the market and by the state file of a chain where the dollar has this symbol."""
    first, updates = scene()
    tokens = (replace(t, symbol=symbol) if t.address == USDC else t for t in first.tokens)
    first = replace(first, tokens=tuple(tokens))
    record(folder / "data", first, updates)
    return names_at(Market(first)), names_of(state_beside(World(folder).state))


@pytest.mark.parametrize("symbol", ["USDC.e", "DAI", "axlUSDC"])
def test_a_pair_has_one_name_with_the_dollar_last(tmp_path: Path, symbol: str) -> None:
    for names in named(tmp_path, symbol):
        assert names.pair((WETH, USDC)) == names.pair((USDC, WETH)) == f"WETH/{symbol}"
        assert names.pair((USDC, WMATIC)).endswith(f"/{symbol}")


def test_a_pool_has_one_name(tmp_path: Path) -> None:
    by_market, by_file = named(tmp_path, "USDC")
    assert by_market.pools == by_file.pools
    assert by_market.pool(CHEAP) == "QuickSwap 0.30%"


def test_the_numeraire_is_last_whatever_it_is_called(tmp_path: Path) -> None:
    by_market, _ = named(tmp_path, "odd")
    assert by_market.pair((USDC, WETH)) == "WETH/odd"
