"""A token that nothing gives a price is told by its name: by the collector, `config check`, the
trader, `status` and `why`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dexarb.core.token import Address
from tests.support import collector
from tests.support.chain_driver import run
from tests.support.collector import collecting
from tests.support.command import Dexarb
from tests.support.traded import World, configure, record_and_trade, strategy
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode
from tests.support.worlds.small_chain import PROFILE, WETH, WMATIC, SmallChain, keyframe

GAS = "WMATIC pays for gas and has no price, so nothing is ever traded"
START = "WETH has no price, so no cycle that begins with it is ever traded"
REMEDY = "Add a [[reference]]"


def without(profile: str, token: str) -> str:
    """The chain's file without what prices a token."""
    head, *references = profile.split("[[reference]]")
    kept = [each for each in references if f'token = "{token}"' not in each]
    assert len(kept) < len(references)
    return "[[reference]]".join([head, *kept])


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [((), ()), ((WETH,), ("WETH",)), ((WETH, WMATIC), ("WMATIC", "WETH"))],
)
def test_the_native_token_comes_first(
    lacking: tuple[Address, ...], expected: tuple[str, ...]
) -> None:
    kept = {key: pools for key, pools in PROFILE.reference_pools.items() if key not in lacking}
    assert replace(PROFILE, reference_pools=kept).unpriced == expected
    # References of which none is collected give no price either.
    none: dict[Address, tuple[()]] = dict.fromkeys(lacking, ())
    assert replace(PROFILE, reference_pools=kept | none).unpriced == expected


def test_the_collector_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "_PROFILE", without(collector._PROFILE, "WMATIC"))

    async def play() -> None:
        chain = TrueChain(1)
        here = collecting(tmp_path, TrueNode(chain))
        async with here.running():
            await here.until_at(chain.head)
            await here.until_at(chain.mine())
            assert here.state["unpriced"] == {"WMATIC": GAS}

    with capture_logs() as logs:
        run(play())
    told = [line for line in logs if line["event"] == "price.missing"]
    assert [line["problem"] for line in told] == [GAS]
    assert REMEDY in told[0]["remedy"]


def test_config_check_says_so(tmp_path: Path, dexarb: Dexarb) -> None:
    world = configure(tmp_path, strategy("one"), strategy("two", pair="WMATIC/USDC"))
    for token, said in (("WMATIC", GAS), ("WETH", START)):
        chain = tmp_path / f"{token}.toml"
        chain.write_text(without(collector._PROFILE, token))
        told = dexarb("config", "check", "-c", world.config, "--chain", chain, "--json").json
        (warning,) = told["warnings"]
        assert warning["problem"] == said
        assert REMEDY in warning["remedy"]
        assert warning["line"]


def test_status_and_why_say_so(tmp_path: Path, dexarb: Dexarb) -> None:
    world = World(tmp_path)
    record_and_trade(tmp_path, keyframe(), [SmallChain(keyframe()).mine()], strategy("one"))
    state = json.loads(world.state.read_text())
    state["metrics"]["unpriced"] = {"WMATIC": GAS}
    world.state.write_text(json.dumps(state))
    for command in (["status"], ["why"], ["why", "one"]):
        said = dexarb(*command, "-c", world.config).words
        assert f"{GAS}. {REMEDY}" in said, command
