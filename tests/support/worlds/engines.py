"""Engines as tests have them, over the real search or over brute force."""

from __future__ import annotations

from collections.abc import Sequence

from dexarb.core.market import Keyframe, Market
from dexarb.search.result import Dust, HopWork, MinGross, any_gain, no_dust
from dexarb.search.scan import Scan, Scanner
from dexarb.study.searching import scanner_of
from dexarb.trading.engine import Engine
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import ScannerFactory, Strategy
from dexarb.trading.settle.paper_executor import PaperExecutor
from tests.oracles.simple import SimpleScanner


def searching(
    market: Market, dust: Dust = no_dust, *, max_hops: int = 3, min_gross: MinGross = any_gain
) -> Scanner:
    """The real search."""
    return scanner_of(market, REALITY.gas, max_hops=max_hops, min_gross=min_gross, dust=dust)


def thorough(market: Market, _dust: Dust, *, min_gross: MinGross = any_gain) -> Scanner:
    """The real search where nothing is dust."""
    return searching(market, min_gross=min_gross)


def plain(market: Market, _dust: Dust) -> SimpleScanner:
    """Brute force over cycles of two pools."""

    def gas_units(work: Sequence[HopWork]) -> int:
        return REALITY.gas.under(market.next_gas_schedule).units(work)

    return SimpleScanner(market, start_tokens=market.profile.start_tokens, gas_units=gas_units)


def scanned_anew(market: Market, valuation: Valuation) -> Scan:
    """What a new search finds there, with the same dust as an engine's."""
    least_gas = LeastGas(REALITY.gas)
    return searching(market, lambda token: least_gas.dust(token, market, valuation)).scan


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
