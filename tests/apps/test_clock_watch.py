"""A wrong clock is told once, with how far it is off; nothing else is taken for one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dexarb.apps.clock_watch import BLOCKS, FAR_S, ClockWatch
from dexarb.core.block import BlockUpdate
from dexarb.store.history_writer import HistoryWriter
from tests.support.chain_driver import run
from tests.support.collector import collecting
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.traded import World, configure, strategy
from tests.support.trader import run_trader
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool

GENESIS = 1_700_000_000
HOUR = 3_600.0


def told(delays: Iterable[float]) -> list[float | None]:
    """What becomes known of the clock by blocks that come so long after their timestamps."""
    watch = ClockWatch()
    return [
        watch.offset_s
        for number, delay in enumerate(delays)
        if watch.note(GENESIS + 2 * number + delay, GENESIS + 2 * number)
    ]


def around(offset: float, blocks: int = 3 * BLOCKS) -> list[float]:
    """Of an endpoint that is a little late now and then."""
    return [offset + (0.3, 0.5, 2.4, 0.4)[number % 4] for number in range(blocks)]


@pytest.mark.parametrize("offset", [HOUR, -HOUR, FAR_S + 1, -FAR_S - 3])
def test_it_is_told_once_with_the_offset(offset: float) -> None:
    assert told(around(offset)) == [pytest.approx(offset + 0.3, abs=0.1)]
    assert told(around(offset, BLOCKS - 1)) == []


def test_it_is_over_when_the_clock_is_set() -> None:
    heard = told([*around(HOUR), *around(0.0), *around(-HOUR)])
    assert [None if each is None else round(each) for each in heard] == [3_600, None, -3_600]


@pytest.mark.parametrize(
    "delays",
    [
        around(0.0),
        around(12.0),  # slow, or dated ahead a little
        around(-12.0),
        [0.4] * 10 + [HOUR] * 5 + [0.4] * 30,  # a hiccup
        [HOUR - 2 * number for number in range(60)],  # an endpoint that catches up
        [-0.8 * number for number in range(200)],  # a chain that is mined faster than its time
    ],
    ids=["right", "slow", "ahead", "hiccup", "catching up", "fast"],
)
def test_a_right_clock_is_not_blamed(delays: list[float]) -> None:
    assert told(delays) == []


def test_at_the_edge_nothing_is_told_again_and_again() -> None:
    edge = [FAR_S + 1, *[FAR_S + (1 if n % 40 < 20 else -4) for n in range(400)]]
    assert told(edge) == [FAR_S + 1]


def test_a_clock_that_drifts_is_told_now_and_then() -> None:
    drifting = [HOUR + number / 10 for number in range(200)]
    steps = [HOUR + drift for drift in (0.0, 5.1, 10.2, 15.3)]
    assert told(drifting) == [pytest.approx(step, abs=0.15) for step in steps]


@pytest.mark.parametrize(
    ("offset", "surely"), [(0.0, 0.0), (60.0, 0.0), (HOUR, HOUR), (-60.0, -60.0)]
)
def test_what_endpoints_that_lag_explain_is_not_sure(offset: float, surely: float) -> None:
    watch = ClockWatch()
    for number in range(BLOCKS):
        watch.note(GENESIS + number + offset, GENESIS + number)
    assert watch.surely_s == surely


def test_the_collector_tells_it_in_its_log_and_its_state(tmp_path: Path) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        chain.dated = lambda _: int(time.time() - HOUR)
        here = collecting(tmp_path, TrueNode(chain))
        async with here.running():
            await here.until_at(chain.head)
            assert here.state["clock_offset_s"] is None
            for _ in range(BLOCKS + 3):
                await here.until_at(chain.mine())
            await here.until(lambda: here.state["clock_offset_s"] is not None)
            assert here.state["clock_offset_s"] == pytest.approx(HOUR, abs=2.0)

    with capture_logs() as logs:
        run(play())
    assert [line["event"] for line in logs if line["event"].startswith("clock")] == ["clock"]


def heard(update: BlockUpdate, late_s: float) -> BlockUpdate:
    seen_at = update.block.timestamp + late_s
    return replace(update, block=replace(update.block, seen_at=seen_at))


def traded_on(
    folder: Path, delays: Iterable[float]
) -> tuple[World, list[MutableMapping[str, Any]]]:
    """A trader sees blocks so late, by its clock; what it says of that. The last but one opens a
    spread."""
    world = configure(folder, strategy("one"), strategy("two", size_usd=100.0))
    first = keyframe()
    chain = SmallChain(first)
    record(folder / "data", first, [chain.mine() for _ in range(2)])
    *early, opening, last = delays

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            for late_s in early:
                yield writer.append(heard(chain.mine(), late_s))
            yield writer.append(heard(chain.mine(weth_pool(CHEAP, 2_450)), opening))
            yield writer.append(heard(chain.mine(), last))
            yield None

    with capture_logs() as logs:
        run_trader(world, happens())
    return world, [line for line in logs if line["event"].partition(".")[0] in ("stale", "clock")]


def test_a_trader_whose_blocks_all_come_too_late_says_so(tmp_path: Path, dexarb: Dexarb) -> None:
    world, lines = traded_on(tmp_path, [60.0] * 12 + [60.0, 1.0])
    assert [line["event"] for line in lines] == ["stale", "stale.over"]
    assert (lines[0]["blocks_in_a_row"], lines[0]["seconds_late"]) == (10, 60.0)
    told = dexarb("why", "one", "-c", world.config, "--json").json
    assert (told["sent"], told["stopped"]) == (1, {"stale": 1})


@pytest.mark.parametrize(
    ("offset", "opening_late_s", "sent"),
    [(HOUR, 1.0, 2), (HOUR, 30.0, 0), (-HOUR, 1.0, 2), (-HOUR, 30.0, 0), (60.0, 1.0, 0)],
)
def test_a_wrong_clock_does_not_decide_what_is_stale(
    tmp_path: Path, dexarb: Dexarb, offset: float, opening_late_s: float, sent: int
) -> None:
    """Where nothing but the clock explains it; a minute may be a lag of the endpoints."""
    delays = [offset + 1.0] * (BLOCKS + 1) + [offset + opening_late_s] * 2
    world, lines = traded_on(tmp_path, delays)
    (line,) = [line for line in lines if line["event"] == "clock"]
    assert line["is_off_by_s"] == offset + 1.0
    told = dexarb("status", "-c", world.config, "--json").json["strategies"]
    assert sum(each["sent"] for each in told) == sent
    # Deciding again goes by the limits that held.
    both = dexarb("why", "one", "two", "-c", world.config, "--json")
    assert (both.json["decisions_differing_from_ledger"], both.err) == (0, "")
