"""Tokens that take more gas than plain ones: in decisions, in fills, and in the reality they are
of."""

from __future__ import annotations

from dataclasses import replace

from dexarb.core.market import Keyframe
from dexarb.core.profile import TokenSurcharge
from dexarb.core.trade import Decision, Fill, FillStatus
from dexarb.trading.models.reality import REALITY
from tests.support.worlds.small_chain import (
    CHEAP,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    weth_pool,
)

DEAR = (TokenSurcharge(0, USDC, 9_000), TokenSurcharge(0, WETH, 500))
LATER = (TokenSurcharge(0, USDC, 9_000), TokenSurcharge(103, USDC, 20_000))


def first(surcharges: tuple[TokenSurcharge, ...]) -> Keyframe:
    plain = keyframe()
    return replace(plain, profile=replace(plain.profile, surcharges=surcharges))


def traded(
    surcharges: tuple[TokenSurcharge, ...], *, closes: bool = False, latency: int = 1
) -> tuple[Decision, Fill]:
    """Decided after block 101. closes: before it is settled."""
    begins = first(surcharges)
    chain, made = (
        SmallChain(begins),
        threshold_engine(begins, settings("a", latency_blocks=latency)),
    )
    (decision,) = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    fills: list[Fill] = []
    while not fills:
        moved = [weth_pool(CHEAP, 2_500)] if closes else []
        fills += made.step(chain.mine(*moved)).fills
    return decision, fills[0]


def test_a_trade_takes_it_once_for_each_token() -> None:
    plain, dear = traded(()), traded(DEAR)
    assert dear[0].gas_units == plain[0].gas_units + 9_500
    assert dear[1].gas_used == plain[1].gas_used + 9_500
    assert dear[0].expected_net_micro_usd < plain[0].expected_net_micro_usd


def test_a_run_that_moves_nothing_takes_none() -> None:
    plain, dear = traded((), closes=True), traded(DEAR, closes=True)
    assert plain[1].status is dear[1].status is FillStatus.REVERTED
    assert dear[1].gas_used == plain[1].gas_used


def test_it_holds_from_its_block_on() -> None:
    plain, later = traded((), latency=2), traded(LATER, latency=2)
    assert later[1].block.number == 103
    assert later[0].gas_units == plain[0].gas_units + 9_000
    assert later[1].gas_used == plain[1].gas_used + 20_000


def test_it_is_another_reality_and_one_that_can_be_told() -> None:
    told = REALITY.on(first(DEAR).profile)
    assert told.hash != REALITY.hash
    assert REALITY.on(first(()).profile).hash == REALITY.hash
    assert REALITY.as_told(told.canonical) == REALITY
    assert REALITY.changes(told.canonical) == ("gas",)
