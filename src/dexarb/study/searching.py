"""The search as all programs run it: over what the chain's profile says."""

from __future__ import annotations

from dexarb.core.market import Market
from dexarb.search.result import MinGross, any_gain
from dexarb.search.scan import Scanner
from dexarb.trading.models.gas import GasModel

MAX_HOPS = 4


def scanner_of(market: Market, gas: GasModel, min_gross: MinGross = any_gain) -> Scanner:
    """Cycles of up to MAX_HOPS from the profile's start tokens, without what it excludes."""
    profile = market.profile
    return Scanner(
        market,
        start_tokens=profile.start_tokens,
        gas_units=gas.units,
        max_hops=MAX_HOPS,
        exclude_pools=profile.exclude_pools,
        exclude_tokens=profile.exclude_tokens,
        min_gross=min_gross,
    )
