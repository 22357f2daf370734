"""What the paper executor books, sent for real: equal to the wei, or it is a defect."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.trade import Fill, FillStatus
from dexarb.search.scan import warm_up
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Executor
from dexarb.trading.settle.paper_executor import PaperExecutor
from tests.truth.lab import open_lab
from tests.truth.trials import Findings, try_blocks

WITHIN_S = 900.0
ALL_KINDS = 28
"""Ways to mix two kinds of pools over two to four hops."""


def findings(seed: int, blocks: int, varied: int, executor: Executor | None = None) -> Findings:
    async def play() -> Findings:
        async with open_lab(seed) as lab:
            return await try_blocks(lab, seed, blocks, varied=varied, executor=executor)

    warm_up()  # before anything is connected that would wait for it
    return asyncio.run(asyncio.wait_for(play(), WITHIN_S))


def assert_gas_is_true(found: Findings) -> None:
    for outcome in ("filled", "moved", "reverted", ""):
        _, p95, greatest = found.gas_errors(outcome)
        assert p95 <= 0.05, (outcome, str(found))
        assert greatest <= 0.15, (outcome, str(found))


def assert_covers(found: Findings, share: float) -> None:
    """share: of all decisions, that every common property must have at least."""
    few = round(found.decisions * share)
    shapes = found.shapes
    for name in (
        *(f"hops: {hops}" for hops in (2, 3, 4)),
        *(f"funding: {name}" for name in ("own", "flash")),
        *(f"outcome: {name}" for name in ("filled", "moved")),
        *(f"position: {name}" for name in ("contested", "fee", "top", "bottom")),
        *(f"token0 first: {order}" for order in (True, False)),
        *(f"by: {name}" for name in ("strategies", "variety")),
        *(f"cycle moved {where} us" for where in ("before", "behind")),
        *(f"arbitrageur {where}" for where in ("in front", "behind")),
        "in the middle of the block",
    ):
        assert shapes[name] >= few, (name, str(found))


def test_paper_fills_are_what_the_chain_does() -> None:
    found = findings(seed=24, blocks=14, varied=6)
    assert found.decisions >= 150, str(found)
    assert found.bands >= 5, str(found)
    assert found.probes >= 60, str(found)
    assert found.shapes["outcome: reverted"] >= 5, str(found)
    assert found.shapes["not included"] >= 3, str(found)
    assert_covers(found, share=0.05)
    assert_gas_is_true(found)


class OneTooMany(PaperExecutor):
    """Books a grain more than the chain pays."""

    def settle(self, market: Market, update: BlockUpdate, valuation: Valuation) -> list[Fill]:
        return [
            fill._replace(amount_out=fill.amount_out + 1)
            if fill.status is FillStatus.FILLED
            else fill
            for fill in super().settle(market, update, valuation)
        ]


class Misplaced(PaperExecutor):
    """Says that it stood at the top of the block, whatever the place it reckoned with."""

    def settle(self, market: Market, update: BlockUpdate, valuation: Valuation) -> list[Fill]:
        return [fill._replace(place=0) for fill in super().settle(market, update, valuation)]


@pytest.mark.parametrize("executor", [OneTooMany, Misplaced])
def test_paper_fills_that_are_not_true_are_found(executor: type[PaperExecutor]) -> None:
    with pytest.raises(AssertionError):
        findings(seed=1, blocks=20, varied=6, executor=executor(REALITY))


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(20, 24))
def test_paper_fills_are_what_the_chain_does_in_long_runs(seed: int) -> None:
    found = findings(seed=seed, blocks=60, varied=8)
    print(found)  # noqa: T201
    assert found.decisions >= 1_000, str(found)
    assert found.bands >= 30, str(found)
    assert found.probes >= 300, str(found)
    assert np.quantile(found.probed_gas, 0.95) <= 0.10, str(found)
    assert found.shapes["band: several outcomes"] >= 5, str(found)
    assert_covers(found, share=0.05)
    assert sum(name.startswith("kinds: ") for name in found.shapes) == ALL_KINDS, str(found)
    for outcome in ("filled", "moved"):
        for funding in ("own", "flash"):
            for hops in (2, 3, 4):
                name = f"outcome: {outcome} {funding} of {hops} hops"
                assert found.shapes[name] >= 10, (name, str(found))
    assert found.shapes["outcome: reverted"] >= 8, str(found)
    assert_gas_is_true(found)
