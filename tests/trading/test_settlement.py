"""Fills against a plain reading of the rules, on random blocks over V2 and V3 pools."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from msgspec import structs

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import most_out, run
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, FillStatus, Funding, Position
from dexarb.errors import InsufficientLiquidity
from dexarb.search.result import hop_work
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.rivals import arbitrages
from dexarb.trading.settle.settlement import Prices, Settlement
from tests.support.scripted import Change, Scripted
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.engines import engine
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_chain import NATIVE, RandomChain, picked

GAS = REALITY.gas


def varied(seed: object) -> Change:
    """Decisions of all kinds, some hopeless."""
    rng = rng_of("varied", seed)

    def change(decision: Decision) -> Decision:
        amount_in = max(1, int(decision.amount_in * 10.0 ** rng.uniform(-2, 0.5)))
        fixed = picked(rng, [-1, -1, 400_000])
        return decision._replace(
            amount_in=amount_in,
            min_amount_out=int(amount_in * rng.uniform(0.999, 1.002)),
            gas_units=int(decision.gas_units * rng.uniform(0.45, 1.2)),
            priority_fee=picked(rng, [0, 10, 30, 35, 70, 10**6, 10**9]) * GWEI,
            position=Position(rng.choice([each.value for each in Position])),
            funding=Funding(rng.choice([each.value for each in Funding])),
            fixed_gas_cost_micro_usd=None if fixed < 0 else fixed,
            competition_lost=bool(rng.random() < 0.1),
        )

    return change


def pools_at(
    before: dict[PoolKey, Pool], update: BlockUpdate, place: int
) -> dict[PoolKey, tuple[Pool, bool]]:
    """Every pool behind `place` transactions, and whether one of them has moved it."""
    now = {address: (pool, False) for address, pool in before.items()}
    for log in update.logs:
        if log.transaction_index < place:
            now[PoolKey(log.address)] = (now[PoolKey(log.address)][0].apply(log), True)
    return now


def by_the_rules(
    decision: Decision, found: dict[PoolKey, tuple[Pool, bool]]
) -> tuple[FillStatus, int, int, int]:
    """Status, amounts and gas where the pools are as found.

    Pools that cannot give enough are found moved; where they could, it is run and seen.
    """
    flash = decision.funding is Funding.FLASH
    limit = 2 * decision.gas_units
    failed = FillStatus.LOST if decision.competition_lost else FillStatus.REVERTED
    pools = [found[address][0] for address in decision.cycle.pools]
    most = most_out(decision.cycle, decision.amount_in, pools)
    least = max(decision.min_amount_out, decision.amount_in)
    if decision.competition_lost or (most is not None and most < least):
        return failed, 0, 0, min(limit, GAS.before_run([pool.gas for pool in pools]))
    try:
        results = run(decision.cycle, decision.amount_in, lambda address: found[address][0])
    except InsufficientLiquidity:
        return failed, 0, 0, limit
    work = [
        hop._replace(touched=found[address][1])
        for hop, address in zip(hop_work(pools, results), decision.cycle.pools, strict=True)
    ]
    paid = results[-1].amount_out
    is_short = flash and paid < decision.amount_in
    needed = GAS.unpaid(work) if is_short else GAS.reverted(work, flash=flash)
    if paid < least or needed > limit:
        return failed, 0, 0, min(limit, needed)
    return FillStatus.FILLED, decision.amount_in, paid, GAS.units(work, flash=flash)


def net_by_the_rules(
    decision: Decision,
    outcome: tuple[FillStatus, int, int, int],
    gas_price: int,
    usd: dict[Address, int],
) -> int:
    """Micro-USD, profit rounded down and cost up."""
    _, amount_in, amount_out, gas_used = outcome
    profit = Fraction((amount_out - amount_in) * usd[decision.cycle.start_token], 1 << 96)
    cost = Fraction(gas_used * gas_price * usd[NATIVE], 1 << 96)
    fixed = decision.fixed_gas_cost_micro_usd
    return profit.__floor__() - (cost.__ceil__() if fixed is None else fixed)


def bound_by_the_rules(
    fill: Fill, before: dict[PoolKey, Pool], update: BlockUpdate, usd: dict[Address, int]
) -> int | None:
    """What it would have made, had it asked for no more than it puts in."""
    if fill.status is not FillStatus.REVERTED or not fill.place_known:
        return None
    modest = fill.decision._replace(min_amount_out=fill.decision.amount_in)
    outcome = by_the_rules(modest, pools_at(before, update, fill.place))
    gas_price = update.block.base_fee_per_gas + modest.priority_fee
    net = net_by_the_rules(modest, outcome, gas_price, usd)
    return net if outcome[0] is FillStatus.FILLED and net > 0 else None


def stood_with(update: BlockUpdate) -> list[int | None]:
    """By transaction its tip, or the least of its sender's before it; None for the chain's own."""
    paid = [each.effective_gas_price for each in update.transactions]
    return [
        min(
            price - update.block.base_fee_per_gas
            for price, earlier in zip(paid, update.transactions[: index + 1], strict=False)
            if price and earlier.sender == each.sender
        )
        if each.effective_gas_price
        else None
        for index, each in enumerate(update.transactions)
    ]


def check_place(fill: Fill, made: Engine, update: BlockUpdate, usd: dict[Address, int]) -> None:
    """Nobody who would come before us is behind us; where a block is out of order, all do."""
    decision, place = fill.decision, fill.place
    position = decision.position
    tips = stood_with(update)
    bids = [tip for tip in tips if tip is not None]
    assert fill.place_known == (
        position in (Position.TOP, Position.BOTTOM) or bids == sorted(bids, reverse=True)
    )
    if position is Position.TOP:
        assert place == 0
        return
    if position is Position.BOTTOM or not fill.place_known:
        assert place == len(update.transactions)
        return
    assert all(tip is None or tip < decision.priority_fee for tip in tips[place:])
    leading = 0
    while (
        leading < len(update.transactions) and not update.transactions[leading].effective_gas_price
    ):
        leading += 1
    assert place >= leading
    if position is Position.CONTESTED:
        paid = fill.gas_used * decision.priority_fee * usd[NATIVE]
        if decision.fixed_gas_cost_micro_usd is not None:
            paid = min(paid, decision.fixed_gas_cost_micro_usd << 96)
        for rival in arbitrages(made.market):
            if rival.transaction_index >= place:
                assert rival.gains
                assert paid > sum(amount * usd[name] for name, amount in rival.gains.items())


def check_block(made: Engine, update: BlockUpdate) -> list[Fill]:
    """Step, and hold every fill against the rules at its place and at all others."""
    before = dict(made.market.pools)
    usd = {name: made.valuation.price(name) or 0 for name in made.market.tokens}
    fills = list(made.step(update).fills)
    for fill in fills:
        decision = fill.decision
        at_place = [
            by_the_rules(decision, pools_at(before, update, place))
            for place in range(len(update.transactions) + 1)
        ]
        outcome = (fill.status, fill.amount_in, fill.amount_out, fill.gas_used)
        assert outcome == at_place[fill.place]
        gas_price = update.block.base_fee_per_gas + decision.priority_fee
        nets = [net_by_the_rules(decision, each, gas_price, usd) for each in at_place]
        assert fill.gas_price == gas_price
        assert fill.net_micro_usd == nets[fill.place]
        assert fill.band_micro_usd == (min(0, *nets), max(0, *nets))
        assert fill.bound_micro_usd == bound_by_the_rules(fill, before, update, usd)
        check_place(fill, made, update, usd)
    return fills


def of_many(update: BlockUpdate) -> BlockUpdate:
    """The block, with another sender for each transaction: nothing excuses its order."""
    senders = [Address(f"0x{each.index:040x}") for each in update.transactions]
    transactions = map(
        lambda each, sender: structs.replace(each, sender=sender), update.transactions, senders
    )
    return replace(update, transactions=tuple(transactions))


def check_worlds(worlds: int, blocks: int) -> list[Fill]:
    fills: list[Fill] = []
    for seed in range(worlds):
        chain = RandomChain(seed)
        made = engine(
            chain.first, [Scripted({f"s{row}": varied((seed, row)) for row in range(12)})]
        )
        for number in range(blocks):
            update = chain.mine()
            fills += check_block(made, update if number % 3 else of_many(update))
    return fills


def test_fills_are_what_the_rules_say_at_their_place_and_at_all_others() -> None:
    fills = check_worlds(6, 15)
    assert len(fills) > 150
    assert {fill.place_known for fill in fills} == {True, False}
    assert any(fill.bound_micro_usd for fill in fills)
    statuses = {fill.status for fill in fills}
    assert statuses == {FillStatus.FILLED, FillStatus.REVERTED, FillStatus.LOST}
    assert any(0 < fill.place < 4 for fill in fills)
    assert any(fill.status is FillStatus.FILLED and fill.net_micro_usd < 0 for fill in fills)
    reverts = [fill.gas_used for fill in fills if fill.status is FillStatus.REVERTED]
    assert min(reverts) < 70_000
    assert max(reverts) > 100_000


def test_what_is_shared_changes_nothing() -> None:
    """Decisions that differ in a single respect, settled together and each alone."""
    chain = RandomChain("shared", 1, noise=0.01)
    made = engine(chain.first, [Scripted({"s": {}})])
    decisions = list(made.step(chain.mine()).decisions)
    market, update = Market(made.market.keyframe()), chain.mine(busy=30)
    market.apply(update)
    assert len(market.touching(market.pools)) > 2
    native = made.valuation.native_price
    assert native is not None
    variants: list[tuple[Decision, Prices]] = []
    for decision in decisions:
        price = made.valuation.price(decision.cycle.start_token)
        assert price is not None
        changes: list[dict[str, object]] = [
            {},
            {"amount_in": decision.amount_in // 2},
            {"min_amount_out": decision.amount_out * 2},
            {"gas_units": decision.gas_units // 3},
            {"priority_fee": 10**15},
            {"position": Position.TOP},
            {"position": Position.FEE},
            {"funding": Funding.FLASH},
            {"fixed_gas_cost_micro_usd": 5},
            {"competition_lost": True},
        ]
        variants += [
            (decision._replace(**change), Prices(price, native))  # type: ignore[arg-type]
            for change in changes
        ]
        variants += [
            (decision, Prices(price * 2, native)),
            (decision, Prices(price, native * 2)),
        ]
    together = Settlement(market, update, made.valuation, REALITY)
    for decision, prices in (*variants, *reversed(variants)):
        alone = Settlement(market, update, made.valuation, REALITY)
        assert together.fill(decision, prices) == alone.fill(decision, prices)


@pytest.mark.fuzz
def test_many_fills_are_what_the_rules_say() -> None:
    assert len(check_worlds(100, 40)) > 10_000
