"""Columns decide what the plain loop decides: row by row, reasons and counters included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.core.market import Market
from dexarb.core.probes import Probe
from dexarb.core.token import Address
from dexarb.core.trade import OF_A_BOT, Funding, Opportunity, Position, SkipReason
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View
from dexarb.trading.strategy import StrategySettings
from tests.oracles.deciding import Outcome, PlainLoop
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.engines import engine, thorough
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_trading import PAIRS, keyframe, random_block, settings_drawn

THRESHOLDS = (SkipReason.SPREAD, SkipReason.PROFIT, SkipReason.EXPECTED)


class Both:
    """Decides with columns, and with the plain loop on the same view."""

    def __init__(self, drawn: Sequence[StrategySettings]) -> None:
        self.columns = ThresholdStrategies(drawn, REALITY)
        self.plain = PlainLoop(drawn, REALITY.gas)
        self.hashes = self.columns.hashes
        self.reasons: Counter[str] = Counter()

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self.columns.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:  # noqa: ARG002
        seen = view.ledger.column("seen").copy()
        expected = self.plain.decide(view)
        counted = SkipTally()
        decided = self.columns.decide(view, counted)
        assert list(decided.decisions) == expected.decisions
        grown = view.ledger.column("seen") - seen
        times = Counter(expected.seen)
        assert [grown[view.ledger.rows[name]] for name in self.hashes] == [
            times[name] for name in self.hashes
        ]
        same_skips(counted, expected, view)
        self.reasons.update(each.reason.value for each in expected.skips)
        self.reasons["decided"] += len(decided.decisions)
        return decided


def same_skips(counted: SkipTally, expected: Outcome, view: View) -> None:
    drained = list(counted.drain(hour=7))
    assert {(each.strategy, each.reason): each.times for each in drained} == Counter(
        (each.strategy, each.reason) for each in expected.skips
    )
    for each in drained:
        missed = [
            skip
            for skip in expected.skips
            if (skip.strategy, skip.reason) == (each.strategy, each.reason)
        ]
        exact = [skip.best for skip in missed if skip.best is not None]
        is_threshold = each.reason in THRESHOLDS
        if not is_threshold or all(skip.is_dust for skip in missed):
            assert (each.needed, each.best, each.block) == (None, None, None)
            continue
        assert each.block == view.market.block.number
        assert each.needed == missed[0].needed
        assert each.best is not None
        assert each.needed is not None
        assert each.best < each.needed
        if exact:
            # The most there could have been is never less than what there was.
            assert each.best >= max(exact)
        if each.reason is not SkipReason.PROFIT:
            assert each.best == max(exact)


def refused(opportunity: Opportunity) -> Probe:
    """By a node, and passed over in two more blocks."""
    block, amount = opportunity.block, opportunity.amount_in
    cycle, until = opportunity.cycle, block.number + 3
    return Probe(
        cycle, block.number, block.hash, amount, amount, None, 1, refusal="no", until_block=until
    )


EVERY_REASON = set(SkipReason) - OF_A_BOT - {SkipReason.DISABLED, SkipReason.DECLINED}


def test_columns_are_the_plain_loop() -> None:
    reasons: Counter[str] = Counter()

    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 10**6),
        drawn=st.lists(settings_drawn, min_size=1, max_size=12, unique_by=lambda each: each.hash),
    )
    def compare(seed: int, drawn: list[StrategySettings]) -> None:
        rng = rng_of("history", seed)
        both = Both(drawn)
        made = engine(keyframe(seed), [both], scanner=thorough)
        made.weighing = True
        for place in range(8):
            for opportunity in made.scan.opportunities[:: 2 + place]:
                made.barred.add(made.seq + 1, refused(opportunity))
            made.step(random_block(made.market, rng, moved=int(rng.integers(0, 5))))
        reasons.update(both.reasons)

    compare()
    # What was compared was not the same few cases over and over.
    assert reasons.keys() >= EVERY_REASON | {"decided"}


USD = 10**6
EAGER = StrategySettings(
    name="eager",
    pairs=PAIRS,
    min_profit_micro_usd=-USD,
    max_trade_size_micro_usd=1_000 * USD,
    max_slippage_ppm=5_000,
    max_gas_price=200 * GWEI,
)
OTHERWISE: dict[str, object] = {
    "pairs": PAIRS[:6],
    "min_profit_micro_usd": 0,
    "max_trade_size_micro_usd": 100 * USD,
    "max_slippage_ppm": 20_000,
    "max_gas_price": 300 * GWEI,
    "competition_rate_ppm": 1_000_000,
    "max_daily_trades": 3,
    "daily_loss_limit_micro_usd": USD,
    "max_consecutive_losses": 1,
    "cooldown_blocks": 5,
    "max_hops": 2,
    "min_spread_ppm": 2_000,
    "dexes": ("one",),
    "capital_micro_usd": 5_000 * USD,
    "priority_fee": GWEI,
    "bid_ppm": 100_000,
    "gas_balance_micro_usd": USD,
    "min_profit_onchain_micro_usd": 50 * USD,
    "funding": Funding.FLASH,
    "gas_cost_micro_usd": USD,
    "slippage_haircut_ppm": 50_000,
    "latency_blocks": 2,
    "latency_ms": 100,
    "deadline_blocks": 3,
    "position": Position.BOTTOM,
    "min_expected_micro_usd": -USD,
}


def test_who_differs_in_one_parameter_sends_no_decision_of_another() -> None:
    """Those that are alike share what they send; every parameter is one that could tell."""
    own = {each.name for each in fields(StrategySettings) if each.init}
    assert OTHERWISE.keys() == own - {"name", "kind", "parameters", "code"}
    both = Both([EAGER, *(replace(EAGER, **{name: value}) for name, value in OTHERWISE.items())])  # type: ignore[arg-type]
    rng = rng_of("alike")
    made = engine(keyframe(3), [both], scanner=thorough)
    for _ in range(6):
        made.step(random_block(made.market, rng, moved=3))
    assert both.reasons["decided"] > len(OTHERWISE)
