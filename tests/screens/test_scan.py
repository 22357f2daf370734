"""dexarb scan: what was open at any block, with the figures that the pools themselves give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dexarb.cli import main
from dexarb.core.pool import Pool
from dexarb.core.profile import ChainProfile
from tests.support.recorded import record
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    PROFILE,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    weth_pool,
)

OPENED, WIDER, CLOSED = 102, 103, 105
POLYGON_DEFAULT_BID = 30 * GWEI


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five blocks: nothing, a spread, a wider one, no change, closed."""
    first = keyframe()
    chain = SmallChain(first)
    updates = [
        chain.mine(),
        chain.mine(weth_pool(CHEAP, 2_450)),
        chain.mine(weth_pool(CHEAP, 2_400)),
        chain.mine(),
        chain.mine(weth_pool(CHEAP, 2_500)),
    ]
    return record(tmp_path_factory.mktemp("scan"), first, updates)


def dexarb(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the command."""
    monkeypatch.setattr("sys.argv", ["dexarb", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def scan(history: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> Any:
        assert dexarb(monkeypatch, "scan", str(history), "--json", *arguments) == 0
        return json.loads(capsys.readouterr().out)

    return run


def paid(buy: Pool, sell: Pool, amount_in: int) -> int:
    """USDC out of a round trip: WETH bought in one pool and sold in the other."""
    return sell.swap(WETH, buy.swap(USDC, amount_in).amount_out).amount_out


def test_the_figures_are_what_the_pools_pay(scan: Any) -> None:
    told = scan("--block", str(OPENED))
    assert told["block"] == OPENED
    (found,) = told["opportunities"]
    assert found["route"] == [CHEAP, DEAR]
    assert found["tokens"] == [USDC, WETH]
    amount_in, amount_out = int(found["amount_in"]), int(found["amount_out"])
    cheap, dear = weth_pool(CHEAP, 2_450), weth_pool(DEAR, 2_500)
    assert amount_out == paid(cheap, dear, amount_in)
    assert int(found["gross"]) == amount_out - amount_in > 0
    for other in (amount_in * 99 // 100, amount_in * 101 // 100):
        assert paid(cheap, dear, other) - other < amount_out - amount_in
    assert found["gross_usd"] == int(found["gross"]) / 10**6
    gas_price = 30 * GWEI + POLYGON_DEFAULT_BID
    gas_usd = found["gas_units"] * gas_price / 10**18 * 0.5  # WMATIC is at half a USDC
    assert found["net_usd"] == pytest.approx(found["gross_usd"] - gas_usd, abs=2e-6)
    assert found["binding"]["pool"] in (CHEAP, DEAR)


def test_any_block_can_be_opened_again(scan: Any) -> None:
    counts = {n: len(scan("--block", str(n))["opportunities"]) for n in range(101, 106)}
    assert counts == {101: 0, OPENED: 1, WIDER: 1, 104: 1, CLOSED: 0}
    assert scan("--block", str(WIDER))["opportunities"] == scan("--block", "104")["opportunities"]


@pytest.mark.parametrize(
    "profile",
    [replace(PROFILE, exclude_pools=(DEAR,)), replace(PROFILE, exclude_tokens=(WETH,))],
    ids=["a pool", "a token"],
)
def test_what_the_profile_excludes_is_not_searched(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    profile: ChainProfile,
) -> None:
    first = keyframe()
    chain = SmallChain(first)
    history = record(
        tmp_path, replace(first, profile=profile), [chain.mine(weth_pool(CHEAP, 2_400))]
    )
    assert dexarb(monkeypatch, "scan", str(history), "--json") == 0
    assert json.loads(capsys.readouterr().out)["opportunities"] == []


def test_without_a_block_it_is_the_newest(scan: Any) -> None:
    assert scan() == scan("--block", str(CLOSED))


def test_the_configuration_leads_to_the_history(
    history: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = history.parent.parent / "pool_state.json"
    config = history.parent.parent / "paper.toml"
    config.write_text(f'[general]\nstate_file = "{state}"\n')
    assert dexarb(monkeypatch, "scan", "--config", str(config), "--json") == 0
    assert json.loads(capsys.readouterr().out)["block"] == CLOSED


def test_nothing_open_says_where_to_look(
    history: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dexarb(monkeypatch, "scan", str(history)) == 0
    closed = capsys.readouterr().out
    assert f"Block {CLOSED}: 0 open cycles, 0 shown" in closed
    assert "`dexarb spreads`" in closed
    at = ("--block", str(OPENED), "--min-profit-usd", "1e6")
    assert dexarb(monkeypatch, "scan", str(history), *at) == 0
    assert "--min-profit-usd" in capsys.readouterr().out


def test_the_least_profit_is_net_of_gas(scan: Any) -> None:
    (found,) = scan("--block", str(OPENED))["opportunities"]
    net = found["net_usd"]
    assert net < found["gross_usd"]
    at = ("--block", str(OPENED), "--min-profit-usd")
    assert len(scan(*at, f"{net - 0.01}")["opportunities"]) == 1
    assert not scan(*at, f"{net + 0.01}")["opportunities"]


@pytest.mark.parametrize(
    "option", ["scan|--min-profit-usd=nan", "scan|--min-profit-usd=-1e30", "spreads|--size=inf"]
)
def test_what_is_no_amount_of_money_is_told(
    history: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    command, asked = option.split("|")
    assert dexarb(monkeypatch, command, str(history), asked) == 2
    told = capsys.readouterr().err
    assert asked.partition("=")[0] in told
    assert "is no amount in USD" in told


def test_people_get_a_table(
    history: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert dexarb(monkeypatch, "scan", str(history), "--block", str(OPENED)) == 0
    said = capsys.readouterr().out
    assert f"Block {OPENED}: 1 open cycle, 1 shown" in said
    assert "USDC > WETH > USDC" in said
    assert "QuickSwap 0.30% -" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--block", "7"), 2, "block 7 is not in"),
        (("--block", "900"), 2, "which ends at 105"),
    ],
)
def test_a_block_that_is_not_there_is_named(
    history: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert dexarb(monkeypatch, "scan", str(history), *arguments) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert not captured.out


def test_no_history_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dexarb(monkeypatch, "scan", str(tmp_path)) == 3
    assert "Start data-collector" in capsys.readouterr().err
