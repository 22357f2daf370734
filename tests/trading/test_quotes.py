"""Quotes that are looked at in one compiled call are those of the pools."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from dexarb.core.route import Cycle
from dexarb.search.exact import FITS
from dexarb.trading.decide.quotes import Quotes
from dexarb.trading.models.reality import REALITY
from tests.search.markets import MARKETS, STARTS
from tests.search.scanning import scanner
from tests.support.worlds.pools import rng_of

SURCHARGES = {STARTS[0]: 7_000}


@pytest.mark.parametrize("kind", MARKETS)
def test_a_compiled_quote_is_that_of_the_pools(kind: str) -> None:
    met: Counter[str] = Counter()
    for seed in range(4):
        rng, market = Random(f"{kind} {seed}"), MARKETS[kind](rng_of(kind, "quotes", seed))
        table = scanner(market, STARTS).scan.table
        cycles = dict(table.cycles())
        wanted: list[tuple[int, Cycle, int]] = []
        for row, cycle in cycles.items():
            best = max(1, int(table.rows.amount_in[row]))
            sizes = [1, best, rng.randint(1, best), 1_000 * best, FITS - 1, FITS, 2**200]
            wanted += [(row, cycle, size) for size in sizes]
        at_once, one_by_one = Quotes(), Quotes()
        for quotes in (at_once, one_by_one):
            quotes.open(cycles.values(), market.ahead, REALITY.gas, SURCHARGES)
        at_once.look_at(table, wanted)
        for _, cycle, size in wanted:
            met["at once" if size in at_once._known[cycle.id].by_size else "one by one"] += 1
            assert at_once.of(cycle, size) == one_by_one.of(cycle, size)
    assert met["one by one"] > 5
    assert met["at once"] > 5
