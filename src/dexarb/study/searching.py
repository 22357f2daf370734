"""The search as all programs run it: over what the chain's profile says."""

from __future__ import annotations

from collections.abc import Callable

from dexarb.core.market import Market
from dexarb.search.found import Found
from dexarb.search.result import Dust, MinGross, Searched, any_gain, no_dust
from dexarb.search.scan import Scanner
from dexarb.trading.models.gas import GasModel

MAX_HOPS = 4


def scanner_of(
    market: Market,
    gas: GasModel,
    *,
    at: Callable[[], Searched] | None = None,
    max_hops: int = MAX_HOPS,
    min_gross: MinGross = any_gain,
    dust: Dust = no_dust,
    told: Callable[[Found], None] | None = None,
) -> Scanner:
    """Cycles from the profile's start tokens, without what it excludes; see Scanner. at: where
    inside its latest block the search is, else at its end."""
    profile = market.profile

    def here() -> Searched:
        return at() if at else market

    return Scanner(
        here(),
        start_tokens=profile.start_tokens,
        gas_units=lambda work: gas.under(here().next_gas_schedule).units(work),
        max_hops=max_hops,
        exclude_pools=profile.exclude_pools,
        exclude_tokens=profile.exclude_tokens,
        min_gross=min_gross,
        dust=dust,
        told=told,
    )
