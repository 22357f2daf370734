"""What a reload says that it changes: line by line, in figures as a file states them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.config.difference import MAX_LINES, Difference, compare
from dexarb.core.trade import Funding
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import TOKENS, WETH, WMATIC, settings

ONE = settings("One")
NAMES = {token.address: token.symbol for token in TOKENS}


def test_a_reload_that_only_renames_is_one() -> None:
    """Its books go on under the new name; nothing starts and nothing stops."""
    found = compare([ONE], [replace(ONE, name="First")])
    assert not found.is_empty
    assert (found.added, found.removed, found.changed) == ((), (), ())
    assert found.lines(NAMES) == ['= "One" is now called "First"; its books go on']
    assert found.counts() == {"unchanged": 0, "changed": 0, "new": 0, "closed": 0, "renamed": 1}


def test_a_reload_of_the_same_changes_nothing() -> None:
    two = settings("Two", max_hops=3)
    found = compare([ONE, two], [two, ONE])
    assert found.is_empty
    assert found.lines(NAMES) == []
    assert found.counts() == {"unchanged": 2, "changed": 0, "new": 0, "closed": 0, "renamed": 0}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"max_gas_price": 120_500_000_000}, "max_gas_gwei 100 -> 120.5"),
        ({"max_gas_price": 1}, "max_gas_gwei 100 -> 0.000000001"),
        ({"max_slippage_ppm": 1}, "max_slippage_percent 0.5 -> 0.0001"),
        ({"min_profit_micro_usd": -1}, "min_profit_usd 1 -> -0.000001"),
        ({"priority_fee": 30 * GWEI}, "priority_fee_gwei none -> 30"),
        ({"max_daily_trades": 5}, "max_daily_trades none -> 5"),
        ({"funding": Funding.FLASH}, "funding own -> flash"),
        ({"dexes": ("QuickSwap", "SushiSwap")}, "dexes all -> QuickSwap+SushiSwap"),
        ({"pairs": ((WETH, WMATIC),)}, "pairs WETH/USDC -> WETH/WMATIC"),
        (
            {"max_gas_price": 5 * GWEI, "max_hops": 2},
            "max_gas_gwei 100 -> 5, max_hops 4 -> 2",
        ),
    ],
)
def test_the_line_of_a_change(change: dict[str, object], line: str) -> None:
    after = replace(ONE, **change)  # type: ignore[arg-type]
    assert compare([ONE], [after]).lines(NAMES) == [f'~ "One" changes: {line}; new books']
    assert compare([ONE], [after], known={after.hash}).lines(NAMES) == [
        f'~ "One" changes: {line}; its earlier books go on'
    ]


def test_what_starts_and_stops() -> None:
    two = settings("Two", max_hops=3)
    assert compare([ONE], [two]).lines(NAMES) == [
        '+ "Two" starts; new books',
        '- "One" stops; its books are kept',
    ]
    assert compare([ONE], [two]).counts() == {
        "unchanged": 0,
        "changed": 0,
        "new": 1,
        "closed": 1,
        "renamed": 0,
    }


@pytest.mark.parametrize(
    ("changes", "last"), [(0, None), (1, "and 1 more"), (1900, "and 1,900 more")]
)
def test_more_lines_than_anybody_reads_are_counted(changes: int, last: str | None) -> None:
    many = tuple(settings(f"S{n}") for n in range(MAX_LINES + changes))
    lines = Difference(many, (), (), (), 0).lines(NAMES)
    assert lines[:1] == ['+ "S0" starts; new books']
    assert len([line for line in lines if line.startswith("+")]) == MAX_LINES
    assert lines[MAX_LINES:] == ([] if last is None else [last])
