"""Scans as the tests of the search have them."""

from __future__ import annotations

from collections.abc import Sequence

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.search.result import HopWork
from dexarb.search.scan import Scan, Scanner


def gas_units(hops: Sequence[HopWork]) -> int:
    return 50_000 + sum(80_000 + 20_000 * hop.crossed_ticks for hop in hops)


def scanner(market: Market, starts: Sequence[Address], max_hops: int = 4) -> Scanner:
    return Scanner(market, start_tokens=starts, gas_units=gas_units, max_hops=max_hops)


def content(scan: Scan) -> tuple[object, ...]:
    """What two scans of the same market have in common, whatever the way there."""
    return scan.block, scan.opportunities, scan.open_cycles
