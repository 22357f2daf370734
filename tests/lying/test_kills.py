"""A collector that is killed at any moment and started again: nothing lost, doubled or false."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from pathlib import Path
from random import Random

import pytest

from tests.support.collecting import assert_true, collecting, history_of
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode, transport
from tests.support.virtual_time import run_at_once

BLOCKS_A_LIFE = 40
MOST_BYTES_A_LIFE = 40_000
PATIENCE_S = 1.0


class Course:
    """A chain that takes the same course wherever it is played, reorganisations included."""

    def __init__(self, seed: int, blocks: int) -> None:
        self.chain = TrueChain(seed)
        self._rng = Random(seed)
        for _ in range(blocks):
            self.go_on()

    def go_on(self) -> None:
        self.chain.mine()
        if self._rng.random() < 0.1:
            self.chain.reorg(self._rng.randrange(1, 6))


def live(folder: Path, seed: int, begun_at: int) -> None:
    """A process' life: so many blocks as fast as they come, then it waits for its end."""

    async def collect() -> None:
        course = Course(seed, begun_at)
        node = transport(TrueNode(course.chain))
        async with collecting(folder, course.chain, node, segment_blocks=30):
            for _ in range(BLOCKS_A_LIFE):
                await asyncio.sleep(0.3)
                course.go_on()
            await asyncio.to_thread(time.sleep, 60)

    run_at_once(collect())


async def collect_to_the_end(folder: Path, course: Course) -> None:
    async with collecting(folder, course.chain, transport(TrueNode(course.chain))) as run:
        for _ in range(3):
            course.go_on()
            await asyncio.sleep(1)
        await run.reach()


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in history_of(folder).rglob("*.jsonl"))


def wait_for_bytes(folder: Path, wanted: int) -> None:
    """Until the history has grown so far, or grows no more."""
    deadline = time.monotonic() + PATIENCE_S
    while size(folder) < wanted and time.monotonic() < deadline:
        time.sleep(0.001)


def check_kills(folder: Path, kills: int, seed: int) -> None:
    rng = Random(seed)
    run_at_once(collect_to_the_end(folder, Course(seed, 15)))  # all that it needs is imported now
    fork = multiprocessing.get_context("fork")
    for life in range(kills):
        process = fork.Process(target=live, args=(folder, seed, 20 + life * BLOCKS_A_LIFE))
        process.start()
        wait_for_bytes(folder, size(folder) + rng.randrange(MOST_BYTES_A_LIFE))
        assert process.is_alive(), "it ended by itself"
        process.kill()
        process.join()
        process.close()

    last = Course(seed, 20 + kills * BLOCKS_A_LIFE)
    run_at_once(collect_to_the_end(folder, last))
    found = assert_true(folder, last.chain)
    assert found.blocks > kills * BLOCKS_A_LIFE / 2


def test_ten_kills(tmp_path: Path) -> None:
    check_kills(tmp_path, 10, seed=1)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_hundred_kills(tmp_path: Path, seed: int) -> None:
    check_kills(tmp_path, 10, seed)
