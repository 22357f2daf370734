"""Tasks on the cores of this machine: processes that are given one after the other.

A process that dies costs what it had begun, which another one does again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from dexarb.errors import DexarbError, OutsideError

Work = Callable[[int], Iterable[object]]
"""Does a task, and yields whenever it has come a little further. Can be pickled."""

TOLD_EVERY = 64
"""Of what a task yields, so much makes a tick."""


def on_cores(work: Work, tasks: Iterable[int], cores: int) -> Iterator[int]:
    """Do all tasks; yields how many ticks have come, again and again. Raises what a task raises,
    OutsideError where no process is left to do them."""
    waiting = deque(tasks)
    context = get_context("spawn")
    workers: dict[Connection, tuple[SpawnProcess, int | None]] = {}
    try:
        for _ in range(min(cores, len(waiting))):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(work, theirs), daemon=True)
            process.start()
            theirs.close()
            workers[ours] = process, None
        for line, (process, _) in workers.items():
            workers[line] = process, _give(line, waiting)
        while any(task is not None for _, task in workers.values()):
            busy = [line for line, (_, task) in workers.items() if task is not None]
            heard = wait(busy)
            for line in [each for each in busy if each in heard]:
                process, task = workers[line]
                assert task is not None
                try:
                    told = line.recv()
                except (EOFError, OSError):
                    del workers[line]
                    waiting.appendleft(task)
                    _hand_out(workers, waiting)
                    continue
                if isinstance(told, BaseException):
                    raise told
                if told is None:
                    workers[line] = process, _give(line, waiting)
                else:
                    yield told
        if waiting:
            raise OutsideError(
                "all processes have died, most likely for want of memory. Start it again, which"
                " goes on from here, with fewer --cores"
            )
    finally:
        for line, (process, _) in workers.items():
            line.close()
            process.terminate()
        for process, _ in workers.values():
            process.join()


def _give(line: Connection, waiting: deque[int]) -> int | None:
    if not waiting:
        return None
    task = waiting.popleft()
    with suppress(OSError):  # it has died, which is found out where it is listened to
        line.send(task)
    return task


def _hand_out(
    workers: dict[Connection, tuple[SpawnProcess, int | None]], waiting: deque[int]
) -> None:
    """To those that have nothing to do any more."""
    for line, (process, task) in workers.items():
        if task is None:
            workers[line] = process, _give(line, waiting)


def _serve(work: Work, line: Connection) -> None:
    """In a process of its own, until whoever has started it hangs up."""
    try:
        while True:
            task = line.recv()
            try:
                for done, _ in enumerate(work(task)):
                    if done % TOLD_EVERY == TOLD_EVERY - 1:
                        line.send(1)
            except DexarbError as error:  # not all of them can be pickled
                line.send(OutsideError(str(error)))
            else:
                line.send(None)
    except (EOFError, OSError, KeyboardInterrupt):
        return
