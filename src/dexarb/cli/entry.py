"""The installed programs: what `dexarb.cli` has, and an end at once.

Python takes everything apart before it leaves, and so do the libraries beneath numba: a fifth of a
second in which nobody learns anything more. What had to be closed is closed by then.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from dexarb import cli


def dexarb() -> None:
    _run(cli.main)


def data_collector() -> None:
    _run(cli.data_collector)


def paper_trading() -> None:
    _run(cli.paper_trading)


def dexarb_bot() -> None:
    _run(cli.dexarb_bot)


def _run(program: Callable[[], None]) -> None:
    try:
        program()
    except SystemExit as end:
        if any(not each.daemon for each in threading.enumerate()[1:]):
            raise  # whoever is still at work is waited for
        logging.shutdown()
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
