"""The installed programs: what `dexarb.cli` has, begun and ended at once.

Python takes everything apart before it leaves, and so do the libraries beneath numba: a fifth of a
second in which nobody learns anything more. What had to be closed is closed by then.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dexarb.cli import asked_for, live, program_of, programs, run

YOUNG = 200_000
"""Objects between two collections of garbage, Python's own number is 700: what a program loads
stays, and looking through it over and over is a tenth of its start. A study makes hundreds a block,
keeps those of the last 128 blocks, and none of them is part of a cycle: that is a seventh of its
time. Programs that go on for long return to Python's number (`keep_for_good`)."""


def dexarb() -> None:
    _go(asked_for(sys.argv[1:]))


def data_collector() -> None:
    _go(program_of(None, programs.collect))


def paper_trading() -> None:
    _go(program_of(None, programs.paper))


def dexarb_bot() -> None:
    _go(live)


def _go(program: Callable[[], Any]) -> None:
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    code = run(program)
    if any(not each.daemon for each in threading.enumerate()[1:]):
        sys.exit(code)  # whoever is still at work is waited for
    logging.shutdown()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
