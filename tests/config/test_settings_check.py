"""dexarb config check of the collector's file and the chain profile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command import Dexarb, dexarb

__all__ = ["dexarb"]

SHIPPED = Path(__file__).parent.parent.parent / "config"
SECRET = "https://user:a-long-password@node.example/v2/0123456789abcdef0123"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLYGON_RPC_URL", SECRET)
    return Path(shutil.copytree(SHIPPED, tmp_path / "config"))


def test_the_collectors_file_is_shown_without_its_keys(config: Path, dexarb: Dexarb) -> None:
    path = config / "collector.toml"
    said = dexarb("config", "check", "--config", path)
    assert (said.code, said.err) == (0, "")
    assert "endpoints https://node.example" in said.words
    assert "WBTC/USDC on SushiSwap" in said.words
    data = dexarb("config", "check", "--config", path, "--json").json
    assert (data["kind"], data["ok"]) == ("collector", True)
    assert len(data["values"]["pairs"]) == 5 * 18
    assert "0123456789abcdef" not in said.out + json.dumps(data)


def test_all_that_is_wrong_with_it_is_told(config: Path, dexarb: Dexarb) -> None:
    path = config / "collector.toml"
    text = path.read_text().replace('"UniswapV3"', '"UniswapV4"').replace("WBTC/USDC", "WBTX/USDC")
    path.write_text(text)
    said = dexarb("config", "check", "--config", path)
    assert (said.code, said.out) == (2, "")
    assert 'unknown DEX "UniswapV4"' in said.err
    assert 'unknown token "WBTX"' in said.err
    lines = [each["line"] for each in json.loads(dexarb_json(dexarb, path))["errors"]]
    assert lines == [text.split(found)[0].count("\n") + 1 for found in ("UniswapV4", "WBTX")]


def dexarb_json(dexarb: Dexarb, path: Path) -> str:
    return dexarb("config", "check", "--config", path, "--json").out


def test_a_chain_profile_warns_of_what_nothing_prices(config: Path, dexarb: Dexarb) -> None:
    path = config / "polygon.toml"
    said = dexarb("config", "check", "--config", path)
    assert (said.code, said.err) == (0, "")
    assert "dexes QuickSwap, SushiSwap, UniswapV2, UniswapV3, SushiSwapV3" in said.words
    assert "aliases WPOL = WMATIC, POL = WMATIC" in said.words
    values = dexarb("config", "check", "--config", path, "--json").json["values"]
    assert values["aliases"] == {"WPOL": "WMATIC", "POL": "WMATIC"}
    assert "WMATIC" in values["tokens"]
    assert "POL" not in values["tokens"]
    text = path.read_text()
    path.write_text(text[: text.index('[[reference]]\ntoken = "USDT"')])
    said = dexarb("config", "check", "--config", path)
    assert said.code == 0
    assert "USDT has no price" in said.err
    path.write_text(text.replace("uniswap_v3", "uniswap_v9"))
    assert dexarb("config", "check", "--config", path).code == 2


def test_what_is_no_toml_is_said_whatever_it_was_to_be(config: Path, dexarb: Dexarb) -> None:
    path = config / "collector.toml"
    path.write_text("[collector\n")
    said = dexarb("config", "check", "--config", path)
    assert (said.code, "collector.toml:1: not valid TOML" in said.err) == (2, True)
