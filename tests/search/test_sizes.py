"""No independent optimiser finds more than the search, beyond a grain or 1e-6 of the profit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import Pool
from dexarb.search.polish import polish
from tests.search.losses import Tally, offers
from tests.search.markets import MARKETS, STARTS
from tests.search.optimiser import ExactCycle
from tests.search.scanning import scanner
from tests.support.worlds.pools import rng_of

COUNTS = {"world": (50, 600), "ring": (250, 4000)}
"""How many markets in every run, and how many in the long one."""


def compare(kind: str, seed: int, tally: Tally, cycles: int = 5) -> None:
    market = MARKETS[kind](rng_of(kind, seed))
    scan = scanner(market, STARTS).scan
    offered = offers(scan)
    for key, each in list(scan.open_cycles.items())[:cycles]:
        exact = ExactCycle(each.cycle, market.pools)
        tally.add(f"{kind} {seed}", exact, exact.best_found(), offered.get(key))


@pytest.mark.parametrize("kind", MARKETS)
def test_no_optimiser_finds_more(kind: str) -> None:
    tally = Tally()
    for seed in range(COUNTS[kind][0]):
        compare(kind, seed, tally)
    assert tally.compared.total() > 150
    assert len(tally.compared) == 3, f"not all numbers of hops: {tally}"
    tally.judge()


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", MARKETS)
def test_no_optimiser_finds_more_in_a_long_run(kind: str) -> None:
    """One cycle in a thousand may lose three grains: see docs/search.md."""
    tally = Tally()
    quick, long = COUNTS[kind]
    for seed in range(quick, quick + long):
        compare(kind, seed, tally)
    print(f"{kind}: {tally}")  # noqa: T201
    above = [loss for loss in tally.losses if loss.bound > 1]
    assert len(above) <= tally.compared.total() / 1000, "\n".join(map(str, above))
    assert all(loss.bound <= 3 for loss in above), "\n".join(map(str, above))


@pytest.mark.parametrize("kind", MARKETS)
def test_to_lose_less_than_is_worth_looking_for_ends_the_search(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run through the pools at the best size, where that loses no more, and not one quote."""
    quotes = Counter[str]()
    monkeypatch.setattr(UniswapV3Pool, "quote", counted(UniswapV3Pool.quote, quotes))
    ended_at_once = searched = 0
    for seed in range(100):
        market = MARKETS[kind](rng_of(kind, "worth", seed))
        table = scanner(market, STARTS).scan.table
        for row, cycle in table.cycles()[:3]:
            amount, profit = (float(c[row]) for c in (table.rows.amount_in, table.rows.profit))
            finest = polish(cycle, amount, profit, market.pools)
            if finest is None:
                continue
            worth = 1e-3 * profit
            quotes.clear()
            coarse = polish(cycle, amount, profit, market.pools, worth)
            assert coarse is not None
            assert finest.profit - coarse.profit <= worth
            nearest = ExactCycle(cycle, market.pools).profit(max(1, round(amount)))
            if profit - nearest < worth:
                assert not quotes
                assert coarse.profit == nearest
                ended_at_once += 1
            searched += 1
    assert ended_at_once > 0.5 * searched > 20


def counted(quote: Callable[..., int], calls: Counter[str]) -> Callable[..., int]:
    def counting(pool: Pool, *args: object) -> int:
        calls[pool.key] += 1
        return quote(pool, *args)

    return counting
