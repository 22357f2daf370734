"""Settling ten thousand decisions on a few opportunities, against each of them alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.harness import Row, compare
from dexarb.core.block import BlockUpdate
from dexarb.core.ledger import Ledger
from dexarb.core.market import Market
from dexarb.core.trade import Decision, Fill, Opportunity, Position, StrategyHash
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import View
from dexarb.trading.settle.paper_executor import PaperExecutor
from tests.support.scripted import plain_decision
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.engines import engine
from tests.support.worlds.random_chain import RandomChain

DECISIONS = 10_000
OPPORTUNITIES = 5
SIZES = 4
SLIPPAGES = 3
BIDS = 5
ALONE = 100
"""Decisions that the baseline settles, each with nothing to share."""


class Scene(NamedTuple):
    """Decisions that are open when `update` has been applied, and prices from before it."""

    decisions: Sequence[Decision]
    market: Market
    update: BlockUpdate
    valuation: Valuation


def scene(*, own_bids: bool) -> Scene:
    """Of strategies that differ in size, slippage, bid and place; own_bids: in the bid all do."""
    chain = RandomChain("settlement", 4, noise=0.01)
    made = engine(chain.first, ())
    found = made.step(chain.mine(busy=0)).opportunities[:OPPORTUNITIES]
    assert len(found) == OPPORTUNITIES
    view = View(made.market, made.valuation, made.ledger, made.scan, made.episodes, stale=False)
    decisions = [varied(view, found, number, own_bids=own_bids) for number in range(DECISIONS)]
    market, update = Market(made.market.keyframe()), chain.mine(busy=6)
    market.apply(update)
    assert len(market.touching(market.pools)) >= 3
    return Scene(decisions, market, update, made.valuation)


def varied(view: View, found: Sequence[Opportunity], number: int, *, own_bids: bool) -> Decision:
    rng = np.random.default_rng(number)
    size, slippage, bid = (int(rng.integers(count)) for count in (SIZES, SLIPPAGES, BIDS))
    plain = plain_decision(StrategyHash(f"s{number}"), view, found[number % OPPORTUNITIES])
    amount_in = plain.amount_in // (size + 1)
    return plain._replace(
        amount_in=amount_in,
        min_amount_out=amount_in + slippage,
        priority_fee=(bid * 10 + 5) * GWEI + (number if own_bids else 0),
        position=tuple(Position)[int(rng.integers(4))],
    )


def settled(of: Scene, decisions: Sequence[Decision]) -> list[Fill]:
    executor = PaperExecutor(REALITY)
    executor.submit(decisions, of.valuation)
    return executor.settle(of.market, of.update, of.valuation)


def rows() -> list[Row]:
    return [*settling(), booking()]


def together(name: str, of: Scene) -> Row:
    alone = of.decisions[:ALONE]
    assert [settled(of, [each])[0] for each in alone] == settled(of, of.decisions)[:ALONE]
    return compare(
        f"settle a decision, 10,000 on {OPPORTUNITIES} opportunities{name}",
        lambda: settled(of, of.decisions),
        lambda: [settled(of, [each]) for each in alone],
        goal=10,
        each=DECISIONS,
        baseline_each=ALONE,
        repeat=5,
        in_every_round=True,
    )


def settling() -> list[Row]:
    made = [
        together("", scene(own_bids=False)),
        together(", all bids differ", scene(own_bids=True)),
    ]
    of = scene(own_bids=False)
    fills = settled(of, of.decisions)
    made.append(
        compare(
            "settle a decision, and only create its Fill",
            lambda: settled(of, of.decisions),
            lambda: [Fill(*each) for each in fills],
            goal=None,
            each=DECISIONS,
            baseline_each=DECISIONS,
            repeat=5,
        )
    )
    return made


def booking() -> Row:
    """Into the ledger, together and one by one."""
    of = scene(own_bids=False)
    fills = settled(of, of.decisions)

    def ledger() -> Ledger:
        made = Ledger()
        made.open_rows(each.strategy for each in of.decisions)
        made.start_block(of.update.block.hash)
        made.send(of.decisions)
        return made

    ledgers = iter([ledger() for _ in range(1 + 5 * 4 + 1 + 5 * 2)])

    def at_once() -> None:
        next(ledgers).settle(fills)

    def one_by_one() -> None:
        books = next(ledgers)
        for fill in fills:
            books.settle([fill])

    return compare(
        "book a fill, 10,000 at once",
        at_once,
        one_by_one,
        goal=5,
        each=DECISIONS,
        baseline_each=DECISIONS,
        repeat=4,
        repeat_baseline=2,
    )
