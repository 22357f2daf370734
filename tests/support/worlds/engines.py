"""Engines as tests have them, over the real search or over brute force."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dexarb.core.market import Keyframe, Market
from dexarb.study.searching import scanner_of
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.seams import ScannerFactory, Strategy
from dexarb.trading.settle.paper_executor import PaperExecutor
from tests.oracles.simple import SimpleScanner

searching = partial(scanner_of, gas=REALITY.gas, max_hops=3)
"""The real search; see scanner_of for what else it takes."""


def plain(market: Market) -> SimpleScanner:
    """Brute force over cycles of two pools."""
    return SimpleScanner(
        market, start_tokens=market.profile.start_tokens, gas_units=REALITY.gas.units
    )


def engine(
    first: Keyframe,
    strategies: Sequence[Strategy],
    *,
    scanner: ScannerFactory = searching,
    reality: Reality = REALITY,
    max_state_age_s: float = 10,
) -> Engine:
    """It decides from the next block on."""
    made = Engine(first, scanner, PaperExecutor(reality), reality, max_state_age_s=max_state_age_s)
    made.use(strategies)
    made.deciding = True
    return made
