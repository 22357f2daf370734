"""Every cycle over some pools by brute force, and which of them are open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from dexarb.core.pool import Pool, ways
from dexarb.core.route import Cycle, CycleId, Hop
from dexarb.core.token import Address


def cycles_from(start: Address, pools: Collection[Pool], max_hops: int) -> Iterator[Cycle]:
    """All from a token back to it that pass no token and no pool twice."""

    def onward(hops: tuple[Hop, ...], token_in: Address) -> Iterator[Cycle]:
        for pool in pools:
            for sold, bought in ways(pool.tokens):
                if sold != token_in or any(hop.pool == pool.key for hop in hops):
                    continue
                path = (*hops, Hop(pool.key, sold, bought))
                if bought == start:
                    yield Cycle(path)
                elif len(path) < max_hops and all(hop.token_in != bought for hop in path):
                    yield from onward(path, bought)

    return onward((), start)


def all_cycles(pools: Iterable[Pool], max_hops: int) -> Iterator[Cycle]:
    """Every cycle once, in one of its rotations."""
    pools = list(pools)
    for start in sorted({token for pool in pools for token in pool.tokens}):
        for cycle in cycles_from(start, pools, max_hops):
            if start == min(hop.token_in for hop in cycle.hops):
                yield cycle


def first_rate(pool: Pool, token_in: Address) -> float:
    """The marginal rate, read from the pool directly."""
    return next((s.rate for s in pool.segments(token_in) if s.rate > 0 and s.input_limit > 0), 0.0)


def open_cycles(
    pools: Iterable[Pool], start_tokens: Sequence[Address], max_hops: int
) -> dict[CycleId, tuple[Cycle, float]]:
    """By id, from their first start token, with their marginal rates."""
    by_key = {pool.key: pool for pool in pools}
    found = {}
    for cycle in all_cycles(by_key.values(), max_hops):
        start = next((each for each in start_tokens if each in cycle.tokens), None)
        if start is None:
            continue
        turned = cycle.starting_at(start)
        rate = 1.0
        for hop in turned.hops:
            rate *= first_rate(by_key[hop.pool], hop.token_in)
        if rate > 1.0:
            assert turned.id not in found
            found[turned.id] = turned, rate
    return found
