"""The compiled polish comes to the integers of the one in Python, over all that a market can be."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.compiled import kernel
from dexarb.core.market import Market
from dexarb.core.trade import Curve
from dexarb.search import exact as exact_rows
from dexarb.search import polish_rows
from dexarb.search.exact import Exact, ExactRows
from dexarb.search.found import Polished
from dexarb.search.polish import polish
from dexarb.search.polish_rows import Made
from dexarb.search.result import hop_work
from dexarb.search.scan import Scan
from tests.search.markets import MARKETS, STARTS
from tests.search.scanning import gas_units, scanner
from tests.search.test_polish import tiny_ring
from tests.support.worlds.pools import rng_of

KINDS = {**MARKETS, "tiny": tiny_ring}
WORTHS = (0.0, 1e-4, 0.01)
"""Shares of the profit that are not worth looking for."""


def judge(kind: str, seeds: range, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """All open cycles of these markets, at their best sizes and at worse ones."""
    met: Counter[str] = Counter()

    def counted(*args: object) -> object:
        met["in Python"] += 1
        return polish(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(exact_rows, "polish", counted)
    for seed in seeds:
        rng = Random(f"{kind} {seed}")
        market = KINDS[kind](rng_of(kind, "rows", seed))
        scan = scanner(market, STARTS).scan
        compare(scan, market, rng.choice(WORTHS), met)
        # Of a profit that nobody can have the polish would go on looking for the rest.
        for column, most in ((scan.table.rows.amount_in, 1.5), (scan.table.rows.profit, 1.0)):
            column[:] *= [rng.choice((1.0, 1.0, rng.uniform(0.5, most))) for _ in column]
        compare(scan, market, 0.0, met)
    return met


def compare(scan: Scan, market: Market, share: float, met: Counter[str]) -> None:
    told: list[Polished] = []
    table = scan.table
    rows = table.all_rows()
    worth = share * table.rows.profit[rows]
    found = ExactRows(table, gas_units, told.append).of(rows, worth, market)
    assert [each.row for each in told] == rows.tolist()
    for row, least, exact in zip(rows.tolist(), worth.tolist(), found, strict=True):
        size, profit = (float(each[row]) for each in (table.rows.amount_in, table.rows.profit))
        cycle = table.cycle(row)
        sized = polish(cycle, size, profit, market.pools, least)
        met[str(sized is not None)] += 1
        if sized is None:
            assert exact == Exact(cycle, 0, 0, 0, Curve(())), (size, profit)
            continue
        work = hop_work([market.pools[key] for key in cycle.pools], sized.results)
        amount_out = sized.results[-1].amount_out
        expected = Exact(cycle, sized.amount_in, amount_out, gas_units(work), table.curve(row))
        assert exact == expected, (size, profit, least)
        met["crossing"] += any(each.crossed_ticks for each in work)
        met["off"] += sized.amount_in != max(1, round(size))


def assert_varied(met: Counter[str], cycles: int) -> None:
    compiled = met["True"] + met["False"] - met["in Python"]
    assert compiled > cycles, met
    assert met["crossing"] > 0.1 * cycles, met
    assert met["off"] > 0.1 * cycles, met


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_to_the_same_integers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_varied(judge(kind, range(60), monkeypatch), 60)


@kernel
def coarsest(made: Made, reached: int) -> int:
    return polish_rows.coarsest(made, reached)[0]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=5))
def test_the_coarsest_is_the_last_of_equals(amounts: list[int]) -> None:
    made = polish_rows.room_for_rows(0)
    made.amounts[: len(amounts), 0] = amounts
    expected = min(range(1, len(amounts)), key=lambda place: (amounts[place], -place))
    assert coarsest(made, len(amounts) - 1) == expected


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_to_the_same_integers_in_a_long_run(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = judge(kind, range(60, 6000), monkeypatch)
    print(f"{kind}: {dict(met)}")  # noqa: T201
    assert_varied(met, 6000)
