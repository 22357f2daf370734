"""The search as all programs run it: over what the chain's profile says."""

from __future__ import annotations

from dexarb.core.market import Market
from dexarb.search.result import Dust, MinGross, Searched, any_gain, no_dust
from dexarb.search.scan import Scanner
from dexarb.trading.models.gas import GasModel

MAX_HOPS = 4


def scanner_of(
    market: Market,
    gas: GasModel,
    *,
    at: Searched | None = None,
    max_hops: int = MAX_HOPS,
    min_gross: MinGross = any_gain,
    dust: Dust = no_dust,
) -> Scanner:
    """Cycles from the profile's start tokens, without what it excludes; see Scanner. at: where
    inside its latest block, else at its end."""
    profile = market.profile
    return Scanner(
        at or market,
        start_tokens=profile.start_tokens,
        gas_units=lambda work: gas.under(market.next_gas_schedule).units(work),
        max_hops=max_hops,
        exclude_pools=profile.exclude_pools,
        exclude_tokens=profile.exclude_tokens,
        min_gross=min_gross,
        dust=dust,
    )
