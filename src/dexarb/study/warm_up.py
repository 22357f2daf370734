"""Compiling before the first block, not in it."""

from __future__ import annotations

from dexarb import amm
from dexarb.compiled import cache_folder, one_at_a_time, require_writable_cache
from dexarb.search import scan
from dexarb.trading.decide import judge


def warm_up() -> None:
    """Compile all kernels of search, swaps and deciding, or load them from the cache.

    Raises StoreError where the cache cannot be written.
    """
    require_writable_cache()
    with one_at_a_time():
        scan.warm_up()
        amm.warm_up()
        judge.warm_up()


def require_kept_kernels() -> str:
    """Where compiled kernels are kept. Raises StoreError where they cannot be."""
    require_writable_cache()
    return cache_folder() or "the cache of Python"
