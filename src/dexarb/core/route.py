"""Hops and cycles: the way a trade takes through pools."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NewType

from dexarb.core.pool import Pool, PoolKey, SwapResult
from dexarb.core.token import Address

CycleId = NewType("CycleId", str)
"""See `cycle_id`."""


@dataclass(frozen=True, slots=True)
class Hop:
    pool: PoolKey
    token_in: Address
    token_out: Address


@dataclass(frozen=True, slots=True)
class Cycle:
    """A closed route that uses no pool twice. Two rotations of it are the same cycle: same id."""

    hops: tuple[Hop, ...]
    id: CycleId = field(init=False, compare=False)
    pools: tuple[PoolKey, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", cycle_id(self.hops))
        object.__setattr__(self, "pools", tuple([hop.pool for hop in self.hops]))

    def __hash__(self) -> int:
        """That of its id, which Python computes once: cycles are looked up all the time."""
        return hash(self.id)

    @property
    def start_token(self) -> Address:
        return self.hops[0].token_in

    @property
    def start_pool(self) -> PoolKey:
        return self.hops[0].pool

    @property
    def tokens(self) -> tuple[Address, ...]:
        return tuple(hop.token_in for hop in self.hops)

    def starting_at(self, token: Address) -> Cycle:
        """The same cycle, entered at the first hop that sells `token`."""
        for place, hop in enumerate(self.hops):
            if hop.token_in == token:
                return self if place == 0 else Cycle(self.hops[place:] + self.hops[:place])
        raise ValueError(f"cycle {self.id} does not pass {token}")


def cycle_id(hops: Iterable[Hop]) -> CycleId:
    """16 hexadecimal digits of SHA-256 over the hops, turned so that the least hop is first."""
    keys = [f"{hop.pool}:{hop.token_in}" for hop in hops]
    least = keys.index(min(keys))
    digest = hashlib.sha256(",".join(keys[least:] + keys[:least]).encode()).hexdigest()
    return CycleId(digest[:16])


def surcharge_of(tokens: Iterable[Address], surcharges: Mapping[Address, int]) -> int:
    """Gas units that these tokens take beyond plain ERC-20s, each once."""
    return sum([surcharges.get(token, 0) for token in set(tokens)]) if surcharges else 0


def run(cycle: Cycle, amount_in: int, pool_at: Callable[[PoolKey], Pool]) -> tuple[SwapResult, ...]:
    """Send amount_in through all hops with exact integers. Raises what the pools raise.

    Hops are independent of each other because a cycle uses no pool twice.
    """
    results: list[SwapResult] = []
    amount = amount_in
    for hop in cycle.hops:
        result = pool_at(hop.pool).swap(hop.token_in, amount, hop.token_out)
        results.append(result)
        amount = result.amount_out
    return tuple(results)


def most_out(cycle: Cycle, amount_in: int, pools: Iterable[Pool]) -> int | None:
    """More than this `run` never gives; None where the last pools do not tell.

    pools: of the hops, in order. The executor starts no run that has to give more, see
    docs/executor.md.
    """
    amount: int | None = amount_in
    for hop, pool in zip(cycle.hops, pools, strict=True):
        if amount is None:
            break
        amount = pool.most_out(hop.token_in, amount, hop.token_out)
    return amount
