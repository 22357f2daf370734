"""The installed programs: what `dexarb.cli` has, and an end at once.

Python takes everything apart before it leaves, and so do the libraries beneath numba: a fifth of a
second in which nobody learns anything more. What had to be closed is closed by then.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress

from dexarb.cli import app, live, program_of, programs, run


def dexarb() -> None:
    _end(run(app))


def data_collector() -> None:
    _end(run(program_of(None, programs.collect)))


def paper_trading() -> None:
    _end(run(program_of(None, programs.paper)))


def dexarb_bot() -> None:
    _end(run(live))


def _end(code: int) -> None:
    if any(not each.daemon for each in threading.enumerate()[1:]):
        sys.exit(code)  # whoever is still at work is waited for
    logging.shutdown()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
