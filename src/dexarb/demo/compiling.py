"""Compiling for this machine in a process of its own: `python -m dexarb.demo.compiling`.

It takes half a minute at a first start, and a thread could not be ended meanwhile. What it makes
reaches the paper trader through the cache.
"""

from __future__ import annotations

import sys

from dexarb.errors import DexarbError
from dexarb.screens.output import complain
from dexarb.study.warm_up import warm_up


def main() -> int:
    """Returns the exit code."""
    try:
        warm_up()
    except DexarbError as error:
        complain(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
