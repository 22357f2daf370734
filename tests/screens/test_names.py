"""What the state file calls a pair or a pool, the market calls it as well: as [tokens] does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.screens.names import Names, names_at, names_of, state_beside
from tests.support.recorded import record
from tests.support.scenes import scene
from tests.support.traded import World
from tests.support.worlds.small_chain import CHEAP, USDC, WETH, WMATIC


def named(
    folder: Path, symbols: Mapping[Address, str], given: Mapping[str, Address]
) -> tuple[Names, Names]:
    """By the market and by the state file of a chain where tokens have these symbols, and the
    configuration gives these names."""
    first, updates = scene()
    tokens = tuple(replace(t, symbol=symbols.get(t.address, t.symbol)) for t in first.tokens)
    first = replace(first, tokens=tokens, profile=replace(first.profile, tokens=dict(given)))
    record(folder / "data", first, updates)
    return names_at(Market(first)), names_of(state_beside(World(folder).state))


@pytest.mark.parametrize("symbol", ["USDC.e", "DAI", "axlUSDC", "odd"])
def test_a_pair_has_one_name_with_the_dollar_last(tmp_path: Path, symbol: str) -> None:
    for names in named(tmp_path, {USDC: symbol}, {}):
        assert names.pair((WETH, USDC)) == names.pair((USDC, WETH)) == f"WETH/{symbol}"
        assert names.pair((USDC, WMATIC)) == f"WMATIC/{symbol}"
        assert names.pair((WETH, WMATIC)) == names.pair((WMATIC, WETH))


def test_a_pool_has_one_name(tmp_path: Path) -> None:
    by_market, by_file = named(tmp_path, {}, {})
    assert by_market.pools == by_file.pools
    assert by_market.pool(CHEAP) == "QuickSwap 0.30%"


def test_a_token_is_called_as_the_configuration_calls_it(tmp_path: Path) -> None:
    for names in named(tmp_path, {WETH: "ETH (bridged)"}, {"WETH": WETH, "gas": WMATIC}):
        assert names.pair((USDC, WETH)) == "WETH/USDC"
        assert names.amount(WMATIC, 10**18) == "1.00 gas"


def test_a_token_with_aliases_has_one_name(tmp_path: Path) -> None:
    """The first that the configuration gives, whatever the alphabet and the contract say."""
    given = {"WPOL": WMATIC, "USDC": USDC, "POL": WMATIC, "gas": WMATIC}
    for names in named(tmp_path, {WMATIC: "POL"}, given):
        assert names.pair((USDC, WMATIC)) == "WPOL/USDC"


@pytest.mark.parametrize("given", [{}, {"USDC": USDC}])
def test_no_two_tokens_have_the_same_name(tmp_path: Path, given: dict[str, Address]) -> None:
    """Anyone can call a token USDC; the one of the configuration is that."""
    for names in named(tmp_path, {WETH: "USDC", WMATIC: ""}, given):
        assert names.symbol(WETH) == "USDC 0x01010101..010101"
        assert names.symbol(USDC) == ("USDC" if given else "USDC 0x02020202..020202")
        assert names.symbol(WMATIC) == "0x03030303..030303"
