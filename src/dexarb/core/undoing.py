"""Pools as they were before blocks, by the events in these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.block import Log
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address

Happened = Sequence[tuple[int, Sequence[Log]]]
"""Blocks by ascending number, each with its events in order."""


@dataclass(frozen=True, slots=True)
class Undone:
    """before: the pools as they were before all of it. begins: those of which that is not known, by
    the number of the block at whose end they are, as they were there."""

    before: Mapping[PoolKey, Pool]
    begins: Mapping[int, Sequence[Pool]]


def events_by_pool(pools: Iterable[Pool], happened: Happened) -> dict[PoolKey, list[Log]]:
    """In order, of the pools that have any."""
    kinds: dict[Address, type[Pool]] = {pool.address: type(pool) for pool in pools}
    keys = {pool.key for pool in pools}
    found: dict[PoolKey, list[Log]] = {}
    for _, logs in happened:
        for log in logs:
            kind = kinds.get(log.address)
            key = None if kind is None else kind.key_of(log)
            if key is not None and key in keys:
                found.setdefault(key, []).append(log)
    return found


def unplaced(pools: Mapping[PoolKey, Pool], happened: Happened) -> list[Pool]:
    """Those of which the last placing event before all of it has to be found: see `Pool.undo`."""
    return [
        pools[key]
        for key, logs in events_by_pool(pools.values(), happened).items()
        if any(log.topics[0] in pools[key].placing_topics for log in logs)
    ]


def undo(
    pools: Mapping[PoolKey, Pool], happened: Happened, placed: Mapping[PoolKey, Log]
) -> Undone:
    """pools: as they are after all of it. placed: of each that is `unplaced` the event; without it
    nothing is known of the pool before its first such event.

    Raises InvalidPoolState for events that cannot have led to these pools.
    """
    events = events_by_pool(pools.values(), happened)
    before = {key: pool for key, pool in pools.items() if key not in events}
    begins: dict[int, list[Pool]] = {}
    numbers = {id(log): number for number, logs in happened for log in logs}
    for key, logs in events.items():
        pool, last = pools[key], placed.get(key)
        places: list[Log | None] = []
        for log in logs:
            places.append(last)
            last = log if log.topics[0] in pool.placing_topics else last
        at_end, end = pool, -1
        for log, place in zip(reversed(logs), reversed(places), strict=True):
            if numbers[id(log)] != end:
                at_end, end = pool, numbers[id(log)]
            is_placing = log.topics[0] in pool.placing_topics
            earlier = None if is_placing and place is None else pool.undo(log, place)
            if earlier is None:
                begins.setdefault(end, []).append(at_end)
                break
            pool = earlier
        else:
            before[key] = pool
    return Undone(before, begins)
