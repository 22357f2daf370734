"""What the collector makes of a bootstrap that is not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.apps.collect_plan import chain_profile, what_is_lost
from dexarb.chain.bootstrap.sync import Bootstrap
from dexarb.chain.bootstrap.tokens import OddToken
from dexarb.config.chain_profile import load_chain
from tests.support.worlds.small_chain import keyframe

POLYGON = load_chain(Path(__file__).parents[2] / "config" / "polygon.toml")


def without(*names: str) -> Bootstrap:
    odd = tuple(OddToken(POLYGON.tokens[name], f"token {name} is odd") for name in names)
    return Bootstrap(keyframe().block, (), (), (), odd)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        (POLYGON.chain.numeraire, "Nothing has a price"),
        (POLYGON.chain.wrapped_native, "Gas has no price, so no profit has"),
        ("WBTC", "Its pools are left out"),
    ],
)
def test_what_an_odd_token_costs_is_told(name: str, loss: str) -> None:
    assert what_is_lost(POLYGON, without(name)) == [f"token {name} is odd. {loss}"]


def test_there_is_a_profile_without_any_of_its_tokens() -> None:
    found = without(POLYGON.chain.numeraire, POLYGON.chain.wrapped_native)
    profile = chain_profile(POLYGON, found.tokens, found.pools)
    assert profile.numeraire == POLYGON.tokens[POLYGON.chain.numeraire]
    assert not any(profile.reference_pools.values())


def test_polygon_charges_as_ethereum_before_chicago_and_otherwise_from_it_on() -> None:
    odd = without()
    profile = chain_profile(POLYGON, odd.tokens, odd.pools)
    names = [profile.gas_schedule(block).name for block in (0, 87_218_599, 87_218_600, 90_000_000)]
    assert names == ["ethereum", "ethereum", "polygon-chicago", "polygon-chicago"]


def test_aliases_travel_behind_the_names_of_their_tokens() -> None:
    """So that strategies may use them, while the history knows what a token is called."""
    odd = without()
    profile = chain_profile(POLYGON, odd.tokens, odd.pools)
    assert profile.tokens["POL"] == profile.tokens["WPOL"] == profile.wrapped_native
    assert profile.native_name == profile.name_of(profile.tokens["POL"]) == "WMATIC"
