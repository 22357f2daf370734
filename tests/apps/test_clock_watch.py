"""A wrong clock is told once, with how far it is off; nothing else is taken for one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dexarb.apps.clock_watch import BLOCKS, FAR_S, ClockWatch
from dexarb.core.block import BlockUpdate
from dexarb.store.history_writer import HistoryWriter
from tests.support.chain_driver import run
from tests.support.collector import collecting
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.traded import configure, strategy
from tests.support.trader import run_trader
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool

GENESIS = 1_700_000_000
HOUR = 3_600.0


def told(delays: Iterable[float]) -> list[tuple[str, float | None]]:
    """What is logged of blocks that come so long after their timestamps."""
    watch = ClockWatch()
    with capture_logs() as logs:
        for number, delay in enumerate(delays):
            watch.note(GENESIS + 2 * number + delay, GENESIS + 2 * number)
    return [(line["event"], line.get("is_off_by_s")) for line in logs]


def around(offset: float, blocks: int = 3 * BLOCKS) -> list[float]:
    """Of an endpoint that is a little late now and then."""
    return [offset + (0.3, 0.5, 2.4, 0.4)[number % 4] for number in range(blocks)]


@pytest.mark.parametrize("offset", [HOUR, -HOUR, FAR_S + 1, -FAR_S - 3])
def test_it_is_told_once_with_the_offset(offset: float) -> None:
    ((event, found),) = told(around(offset))
    assert event == "clock"
    assert found == pytest.approx(offset + 0.3, abs=0.1)
    assert told(around(offset, BLOCKS - 1)) == []


def test_it_is_over_when_the_clock_is_set() -> None:
    heard = told([*around(HOUR), *around(0.0), *around(-HOUR)])
    assert [event for event, _ in heard] == ["clock", "clock.over", "clock"]


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
    assert [event for event, _ in told(edge)] == ["clock"]


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


def test_a_trader_whose_blocks_all_come_too_late_says_so(tmp_path: Path, dexarb: Dexarb) -> None:
    world = configure(tmp_path, strategy("one"))
    first = keyframe()
    chain = SmallChain(first)
    record(tmp_path / "data", first, [chain.mine() for _ in range(2)])

    def heard(update: BlockUpdate, late_s: float) -> BlockUpdate:
        seen_at = update.block.timestamp + late_s
        return replace(update, block=replace(update.block, seen_at=seen_at))

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            yield writer.append(heard(chain.mine(weth_pool(CHEAP, 2_450)), HOUR))
            for _ in range(12):
                yield writer.append(heard(chain.mine(), HOUR))
            yield writer.append(heard(chain.mine(), 1.0))
            yield None

    with capture_logs() as logs:
        run_trader(world, happens())
    lines = [line for line in logs if line["event"].startswith("stale")]
    assert [line["event"] for line in lines] == ["stale", "stale.over"]
    assert (lines[0]["blocks_in_a_row"], lines[0]["seconds_late"]) == (10, HOUR)
    assert dexarb("why", "one", "-c", world.config, "--json").json["stopped"]["stale"] == 13
