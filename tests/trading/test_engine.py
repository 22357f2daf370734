"""The loop on a hand-made chain: what is decided, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from dexarb.core.block import BlockHash
from dexarb.core.market import Market
from dexarb.core.route import run
from dexarb.core.trade import FillStatus
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    USDC,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    weth_pool,
)


def counts(made: object, key: str) -> dict[str, int]:
    ledger = made.ledger  # type: ignore[attr-defined]
    names = ("seen", "sent", "filled", "reverted", "lost", "expired", "reorged", "open")
    return {name: ledger.value(key, name) for name in names if ledger.value(key, name)}


def test_no_spread_no_decision() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    step = made.step(chain.mine())
    assert not step.opportunities
    assert not step.decisions


def test_a_decision_is_never_settled_in_the_block_it_was_made_on() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    opened = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert [d.cycle.start_token for d in opened.decisions] == [USDC]
    assert not opened.fills
    decision = opened.decisions[0]
    assert decision.first_block == opened.block.number + 1
    settled = made.step(chain.mine())
    assert [fill.decision.id for fill in settled.fills] == [decision.id]
    assert settled.fills[0].block.number == opened.block.number + 1


def test_a_fill_is_what_the_pools_pay_at_the_end_of_the_inclusion_block() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    decision = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    # The cheap pool moves a little against us, still within the slippage allowed.
    fill = made.step(chain.mine(weth_pool(CHEAP, 2_452))).fills[0]
    paid = run(decision.cycle, decision.amount_in, made.market.pools.__getitem__)[-1].amount_out
    assert fill.status is FillStatus.FILLED
    assert (fill.amount_in, fill.amount_out) == (decision.amount_in, paid)
    assert fill.amount_out < decision.amount_out
    assert fill.net_micro_usd == fill.profit - fill.gas_cost_micro_usd  # USDC is micro-USD here


def test_the_size_is_capped_and_paid_in_full() -> None:
    first = keyframe()
    made, chain = (
        threshold_engine(first, settings(max_trade_size_micro_usd=500_000_000)),
        SmallChain(first),
    )
    decision = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    assert decision.amount_in == 500_000_000


def test_a_spread_that_closed_before_us_reverts_and_pays_gas() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    fill = made.step(chain.mine(weth_pool(CHEAP, 2_500))).fills[0]
    assert fill.status is FillStatus.REVERTED
    assert (fill.amount_in, fill.amount_out) == (0, 0)
    assert fill.gas_cost_micro_usd > 0
    assert fill.net_micro_usd == -fill.gas_cost_micro_usd
    # At the top of the block it would still have paid: the band says so.
    low, high = fill.band_micro_usd
    assert low == fill.net_micro_usd
    assert high > 0


def test_a_spread_is_taken_once_and_again_only_after_it_was_closed() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    assert made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    # It stays open: nobody took it, and our paper trade did not move the chain.
    for _ in range(5):
        assert not made.step(chain.mine()).decisions
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    assert made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    key = settings().hash
    assert counts(made, key) == {"seen": 2, "sent": 2, "filled": 1, "open": 1}


def test_seen_counts_episodes_not_blocks() -> None:
    first = keyframe()
    made = threshold_engine(first, settings(min_profit_micro_usd=10**12))
    chain = SmallChain(first)
    for _ in range(4):
        made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert counts(made, settings(min_profit_micro_usd=10**12).hash) == {"seen": 1}


def test_a_base_fee_above_the_limit_expires_without_gas() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    fill = made.step(chain.mine(base_fee=90 * GWEI)).fills[0]
    assert fill.status is FillStatus.EXPIRED
    assert fill.net_micro_usd == 0
    assert fill.gas_used == 0


def test_the_coin_at_rate_one_loses_everything_and_pays_for_the_revert() -> None:
    certain = settings(competition_rate_ppm=1_000_000)
    first = keyframe()
    made, chain = threshold_engine(first, certain), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    fill = made.step(chain.mine()).fills[0]
    assert fill.status is FillStatus.LOST
    assert fill.net_micro_usd == -fill.gas_cost_micro_usd < 0


def test_a_stale_block_is_not_traded_on() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    update = chain.mine(weth_pool(CHEAP, 2_450))
    late = replace(update, block=replace(update.block, seen_at=update.block.timestamp + 10.5))
    step = made.step(late)
    assert step.stale
    assert not step.decisions


def test_consecutive_losses_stop_a_strategy_until_it_has_cooled_down() -> None:
    careful = settings(max_consecutive_losses=1, cooldown_blocks=3)
    first = keyframe()
    made, chain = threshold_engine(first, careful), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    lost = made.step(chain.mine(weth_pool(CHEAP, 2_500))).block.number
    assert not made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    after = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert after.block.number == lost + 3
    assert after.decisions


def test_daily_trades_are_those_of_the_utc_day() -> None:
    once = settings(max_daily_trades=1)
    first = keyframe()
    made, chain = threshold_engine(first, once), SmallChain(first)
    assert made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    assert not made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    update = chain.mine(weth_pool(CHEAP, 2_450))
    tomorrow = replace(update.block, timestamp=update.block.timestamp + 86_400)
    assert made.step(replace(update, block=tomorrow)).decisions


def test_a_strategy_does_not_care_for_other_pairs() -> None:
    other = settings(pairs=(tuple(sorted((USDC, "0x" + "03" * 20))),))
    first = keyframe()
    made, chain = threshold_engine(first, other), SmallChain(first)
    assert not made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    assert made.ledger.value(other.hash, "seen") == 0


def test_negative_minimum_makes_every_open_cycle_a_decision() -> None:
    eager = settings("eager", min_profit_micro_usd=-1_000_000)
    strict = settings("strict", min_profit_micro_usd=100_000)
    first = keyframe()
    made, chain = threshold_engine(first, eager, strict), SmallChain(first)
    # 64 basis points, 4 above both fees: a few cents at the best size.
    step = made.step(chain.mine(weth_pool(CHEAP, 2_500), weth_pool(DEAR, 2_516)))
    assert [d.strategy for d in step.decisions] == [eager.hash]
    assert -1_000_000 <= step.decisions[0].expected_net_micro_usd < 100_000


# -- reorganisations ---------------------------------------------------------------------------


def test_a_reorg_takes_fills_back_and_settles_on_the_new_branch() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    opened = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    dead = made.step(chain.mine())
    assert dead.fills[0].status is FillStatus.FILLED
    # On the new branch the spread was closed in the inclusion block.
    step = made.step(chain.mine(weth_pool(CHEAP, 2_500), parent=opened.block, branch="b"))
    assert step.undone == tuple(dead.fills)
    assert [fill.status for fill in step.fills] == [FillStatus.REVERTED]
    assert counts(made, settings().hash) == {"seen": 1, "sent": 1, "reverted": 1}
    assert made.ledger.value(settings().hash, "profit_micro_usd") == step.fills[0].net_micro_usd


def test_a_decision_of_a_dead_block_stays_sent() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    # The block it was decided on dies; the next one on the new branch has the same number.
    reorg = made.step(chain.mine(parent=first.block, branch="b"))
    assert not reorg.fills
    assert counts(made, settings().hash) == {"seen": 1, "sent": 1, "open": 1}
    settled = made.step(chain.mine(branch="b"))
    assert [fill.status for fill in settled.fills] == [FillStatus.REVERTED]


def test_an_engine_after_a_reorg_equals_one_that_never_saw_the_dead_branch() -> None:
    first = keyframe()
    seen_both, chain = threshold_engine(first), SmallChain(first)
    seen_both.step(chain.mine(weth_pool(CHEAP, 2_490)))
    seen_both.step(chain.mine(weth_pool(DEAR, 2_480)))
    seen_both.step(chain.mine(weth_pool(DEAR, 2_505), parent=first.block, branch="b"))
    only_new, other = threshold_engine(first), SmallChain(first)
    only_new.step(other.mine(weth_pool(DEAR, 2_505), parent=first.block, branch="b"))
    assert seen_both.market.pools == only_new.market.pools
    assert seen_both.episodes.by_id() == only_new.episodes.by_id()
    for token in seen_both.market.tokens:
        assert seen_both.valuation.price(token) == only_new.valuation.price(token)


def test_a_resync_voids_what_can_no_longer_be_told() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    far = keyframe()
    step = made.step(
        replace(far, seq=9, block=replace(far.block, number=900, hash=BlockHash("0xfar")))
    )
    assert len(step.voided) == 1
    assert counts(made, settings().hash) == {"seen": 1, "sent": 1, "reorged": 1}
    assert isinstance(made.market, Market)
    assert made.market.block.number == 900


def test_events_that_cannot_follow_stop_trading_until_the_next_keyframe() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    bad = chain.mine(weth_pool(CHEAP, 2_500))
    bad = replace(bad, logs=(structs.replace(bad.logs[0], data=b"\xff" * 64),))
    assert not made.step(bad).fills
    assert not made.step(chain.mine()).fills
    step = made.step(replace(keyframe(), seq=9, block=chain.tip))
    assert len(step.voided) == 1
    assert made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
