"""Run as a program: prints what scans of some histories found, hashed.

The markets hear of their blocks as sets of addresses, whose order changes with PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import sys

from dexarb.core.pool import Pool
from dexarb.errors import PoolError
from tests.search.scanning import scanner
from tests.support.worlds.blocks import block_after, market_of, update_of
from tests.support.worlds.events import state_log
from tests.support.worlds.pools import RandomPools, rng_of, token


def digest() -> str:
    found = hashlib.sha256()
    for seed in range(2):
        world = RandomPools.of(rng_of("digest", seed), 5)
        market = market_of(world.pools(12, noise=0.03))
        walked = scanner(market, [token(0), token(1)])
        for number in range(4):
            moved: list[Pool] = []
            for pool in list(market.pools.values())[number::2]:
                sold = pool.tokens[number % 2]
                try:
                    moved.append(pool.swap(sold, int(1e4 / world.values[sold]) + 1).pool)
                except PoolError:
                    continue
            block = block_after(market.block, f"{seed} {number}")
            touched = market.apply(update_of(block, map(state_log, moved, range(len(moved)))))
            scan = walked.update(market, touched)
            assert scan.opportunities, "nothing to compare"
            found.update(repr((dict(scan.open_cycles), scan.opportunities)).encode())
    return found.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(digest())
