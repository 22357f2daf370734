"""Runs that nobody sends, on a real node: amounts to the wei, gas, and refusals in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.core.gas_schedule import ETHEREUM
from dexarb.ends.refusal import WORDLESS, refusal
from dexarb.errors import RpcError, TransportError
from dexarb.study.flash_gas import least_limit
from tests.executor.arena import Trade
from tests.executor.attackers import Habit
from tests.executor.ground import Ground, behave, built, collected, ground
from tests.support.command import Dexarb, dexarb

__all__ = ["built", "dexarb", "ground"]

TRADES = 36


def test_runs_come_out_to_the_wei_and_cost_what_we_say(ground: Ground) -> None:
    arena = ground.arena
    arena.shake()
    trades: list[Trade] = []
    while len(trades) < TRADES:
        trade = arena.any_trade(2 + len(trades) % 3)
        if trade.amount_out >= trade.amount_in:
            trades.append(trade)
    for trade, ran in zip(trades, ground.ran(*trades), strict=True):
        assert (ran.amount_out, ran.refusal) == (trade.amount_out, None)
        expected = least_limit(trade.cycle, trade.amount_in, arena.pools, ETHEREUM, {})
        assert ran.gas == pytest.approx(expected, rel=0.08)


def test_pools_that_have_moved_are_found(ground: Ground) -> None:
    arena, trade = ground.arena, ground.round_trip()
    ours = dict(arena.pools)
    arena.swap(arena.pools[ground.pairs[0]].address, ground.wayward, 10**6)
    arena.pools = ours
    (ran,) = ground.ran(trade)
    assert ran.amount_out is not None
    assert ran.amount_out > trade.amount_out


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        (Habit.TAKES_A_FEE, "a fee on transfers"),
        (Habit.IS_PAUSED, "it is paused, or bars"),
        (Habit.RETURNS_FALSE, "could not send its token"),
    ],
)
def test_a_token_that_misbehaves_is_found_with_words(
    ground: Ground, habit: Habit, said: str
) -> None:
    trade = ground.round_trip()
    (ran,) = ground.ran(trade)
    assert ran.amount_out == trade.amount_out
    behave(ground, habit)
    (ran,) = ground.ran(trade)
    assert (ran.amount_out, ran.gas) == (None, None)
    assert ran.refusal is not None
    assert said in ran.refusal


def test_a_token_that_bars_a_pair_is_found_with_its_own_words(ground: Ground) -> None:
    pair = ground.arena.pools[ground.pairs[1]].address
    ground.arena.tell(ground.wayward, "bar(address)", pair)
    (ran,) = ground.ran(ground.round_trip())
    barred = "a token of the route bars an address of it"
    assert ran.refusal == f'"Blacklistable: account is blacklisted": {barred}'


@pytest.mark.parametrize(
    ("data", "message", "said"),
    [
        ("0xd93c0665", "execution reverted", '"EnforcedPause()": a token of the route is paused'),
        ({"data": "0xd93c0665"}, "reverted", '"EnforcedPause()": a token of the route is paused'),
        ("Reverted 0x12345678", "reverted", '"error 0x12345678"'),
        ("0x4e487b71" + "11".rjust(64, "0"), "execution reverted", '"panic 0x11"'),
        (None, "execution reverted: AS", '"AS": a pool was given nothing to swap'),
        (None, "execution reverted: a\x1b[2Jb\nc", '"a[2Jb c"'),
        ("0x", "execution reverted", WORDLESS),
    ],
)
def test_refusals_are_told_however_nodes_tell_them(data: object, message: str, said: str) -> None:
    assert refusal(RpcError("eth_call", 3, message, data)) == said


# -- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_agrees_and_what_does_not(
    ground: Ground, dexarb: Dexarb, tmp_path: Path
) -> None:
    settings = collected(ground, tmp_path)
    told = dexarb("probe", "--collector", settings, "--json").json
    assert told["ok"]
    assert len(told["probed"]) == min(5, told["open_cycles"]) > 1
    for each in told["probed"]:
        assert each["equal"]
        assert each["chain_amount_out"] == each["amount_out"]
    behave(ground, Habit.TAKES_A_FEE)
    settings = collected(ground, tmp_path / "later")
    said = dexarb("probe", "--collector", settings, "--count", 50)
    assert said.code == 1
    assert "a fee on transfers" in said.words
    assert "hush" not in said.out + said.err


def test_nobody_to_ask_is_told(ground: Ground, dexarb: Dexarb, tmp_path: Path) -> None:
    settings = collected(ground, tmp_path)
    settings.write_text(settings.read_text().replace(ground.url, "http://127.0.0.1:9"))
    said = dexarb("probe", "--collector", settings)
    assert said.code == TransportError.exit_code
    assert "no endpoint runs a call" in said.err.replace(":", "")
