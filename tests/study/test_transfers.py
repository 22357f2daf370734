"""What plain transfers say of tokens, and of forks that the profile does not know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.gas_schedule import (
    ETHEREUM,
    PLAIN_TRANSFER,
    POLYGON_CHICAGO,
    GasCounts,
    GasSchedule,
)
from dexarb.core.profile import ScheduleChange
from dexarb.core.token import Address
from dexarb.core.traffic import Traffic
from dexarb.study.transfers import ENOUGH, WINDOW, TransferGas
from tests.support.command import Dexarb, dexarb
from tests.support.recorded import record
from tests.support.worlds.blocks import transaction
from tests.support.worlds.pools import rng_of
from tests.support.worlds.small_chain import USDC, WETH, WMATIC, SmallChain, keyframe

__all__ = ["dexarb"]

PROXY = GasCounts(cold_reads=3, accounts=1, rest=700)
"""Beyond a plain ERC-20."""
BLOCKS = 6
"""Windows."""


def transfer(schedule: GasSchedule, *, behind_proxy: bool, calldata: int, shape: int) -> int:
    """shape: the receiver held nothing, the sender keeps nothing, both, or neither."""
    begins = (schedule.set - schedule.reset) * (shape & 1)
    ends = -schedule.cleared * (shape >> 1)
    more = schedule.units(PROXY) if behind_proxy else 0
    return schedule.units(PLAIN_TRANSFER) + more + calldata + begins + ends


def seen(
    tokens: Sequence[tuple[Address, bool]], fork: int | None = None, dated: int | None = None
) -> TransferGas:
    """fork: the window from which on the chain charges as Polygon; dated: the same by profile."""
    rng, found = rng_of("transfers", 1), TransferGas()
    for window in range(BLOCKS):
        real = POLYGON_CHICAGO if fork is not None and window >= fork else ETHEREUM
        held = POLYGON_CHICAGO if dated is not None and window >= dated else ETHEREUM
        for token, is_proxy in tokens:
            for _ in range(3 * ENOUGH):
                shape = int(rng.choice([0, 0, 0, 1, 1, 2, 3]))
                calldata = int(rng.integers(-150, 150))
                gas = transfer(real, behind_proxy=is_proxy, calldata=calldata, shape=shape)
                found.add(window * WINDOW, held.name, token, gas)
    return found


def test_a_token_behind_a_proxy_takes_more_and_a_plain_one_does_not() -> None:
    found = seen([(USDC, True), (WETH, False)]).surcharges()
    assert found[USDC].gas == pytest.approx(ETHEREUM.units(PROXY), abs=150)
    assert found[WETH].gas <= 150
    for each in found.values():
        assert each.explained == each.transfers == BLOCKS * 3 * ENOUGH


def test_under_another_schedule_it_takes_what_it_takes_there() -> None:
    found = seen([(USDC, True)], fork=3, dated=3).surcharges()[USDC]
    assert found.schedule == POLYGON_CHICAGO.name
    assert found.gas == pytest.approx(POLYGON_CHICAGO.units(PROXY), abs=150)


def test_too_few_say_nothing() -> None:
    found = TransferGas()
    for _ in range(ENOUGH - 1):
        found.add(1, ETHEREUM.name, USDC, 50_000)
    assert not found.surcharges()


@pytest.mark.parametrize("fork", [1, 3, 5])
def test_a_fork_that_nobody_told_is_named_with_its_block_and_likeness(fork: int) -> None:
    (missed,) = seen([(USDC, True), (WETH, False), (WMATIC, False)], fork).missed_forks()
    assert missed.from_block == fork * WINDOW
    assert set(missed.tokens) == {USDC, WETH, WMATIC}
    assert (missed.held, missed.looks_like) == (ETHEREUM.name, (POLYGON_CHICAGO.name,))
    plain = POLYGON_CHICAGO.units(PLAIN_TRANSFER) - ETHEREUM.units(PLAIN_TRANSFER)
    assert missed.change == pytest.approx(plain, abs=100)


def test_what_is_dated_alone_or_changes_nothing_is_no_fork() -> None:
    tokens = [(USDC, True), (WETH, False)]
    assert not seen(tokens).missed_forks()
    assert not seen(tokens, fork=3, dated=3).missed_forks()
    assert not seen([(USDC, True)], fork=3).missed_forks()
    # The code of one token changes, that of the other stays.
    upgraded = seen([(USDC, False)])
    for window in range(3, BLOCKS):
        del upgraded.by_token[USDC][window]
        for _ in range(ENOUGH):
            gas = transfer(ETHEREUM, behind_proxy=True, calldata=0, shape=0)
            upgraded.add(window * WINDOW, ETHEREUM.name, USDC, gas)
    upgraded.fold(seen([(WETH, False)]))
    assert not upgraded.missed_forks()


def test_sums_of_parts_are_those_of_the_whole() -> None:
    whole = seen([(USDC, True), (WETH, False)], fork=2)
    parts = TransferGas()
    for each in (seen([(USDC, True)], fork=2), seen([(WETH, False)], fork=2)):
        parts.fold(each)
    assert parts.surcharges().keys() == whole.surcharges().keys()
    assert [each.from_block for each in parts.missed_forks()] == [2 * WINDOW]


# -- by the command -------------------------------------------------------------------------------


def with_transfers(update: BlockUpdate, schedule: GasSchedule) -> BlockUpdate:
    """A block in which each token is transferred a few times."""
    sent = [
        transaction(
            index,
            to=token,
            gas_used=transfer(schedule, behind_proxy=token == USDC, calldata=index, shape=0),
        )
        for index, token in enumerate([USDC, WETH, WMATIC] * ENOUGH)
    ]
    places = tuple(each.index for each in sent)
    return replace(update, transactions=tuple(sent), traffic=Traffic((), (), places))


def test_calibrate_proposes_surcharges_and_names_the_fork(dexarb: Dexarb, tmp_path: Path) -> None:
    first = keyframe()
    chain = SmallChain(first)
    behind = 2 * WINDOW - first.block.number
    updates = [chain.mine() for _ in range(behind + 5)]
    for place, schedule in ((0, ETHEREUM), (behind, POLYGON_CHICAGO)):
        for at in range(place, place + 3):
            updates[at] = with_transfers(updates[at], schedule)
    history = record(tmp_path / "one", first, updates)
    told = dexarb("calibrate", history)
    assert told.code == 1
    assert '[[surcharge]] token = "USDC"' in told.words
    assert "A fork that we missed, about block 1,000" in told.words
    assert "as under polygon-chicago" in told.words
    (missed,) = json.loads(dexarb("calibrate", history, "--json").out)["missed_forks"]
    assert missed["from_block"] == 2 * WINDOW

    dated = replace(first.profile, gas_schedules=(ScheduleChange(2 * WINDOW, "polygon-chicago"),))
    history = record(tmp_path / "two", replace(first, profile=dated), updates)
    told = dexarb("calibrate", history)
    assert told.code == 0
    assert "fork" not in told.out
