"""What a scan hands to the strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dexarb.core.block import Block
from dexarb.core.gas_schedule import GasSchedule
from dexarb.core.pool import Pool, PoolKey, SwapGas, SwapResult
from dexarb.core.route import Cycle
from dexarb.core.token import Address


class HopWork(NamedTuple):
    """What one hop of a trade asks of the chain: what pools of its kind cost, and ticks crossed.

    left_tick, more_words: see Pool. By default the least that a hop can ask for, so that sums over
    hops of which nothing is known are bounds. touched: an earlier transaction of the same block has
    moved the pool, which saves it a write.
    """

    gas: SwapGas
    crossed_ticks: int
    left_tick: bool = False
    more_words: int = 0
    touched: bool = False


class Searched(Protocol):
    """What can be searched: a market at the end of a block, or a place inside of one.

    ahead: the pools as a trade would find them. timed: those that change without an event. inexact:
    those whose segments are an approximation. next_gas_schedule and, by token,
    next_surcharges: what a trade there is charged by.
    """

    @property
    def block(self) -> Block: ...
    @property
    def ahead(self) -> Mapping[PoolKey, Pool]: ...
    @property
    def timed(self) -> tuple[PoolKey, ...]: ...
    @property
    def inexact(self) -> frozenset[PoolKey]: ...
    @property
    def next_gas_schedule(self) -> GasSchedule: ...
    @property
    def next_surcharges(self) -> Mapping[Address, int]: ...


GasUnits = Callable[[Sequence[HopWork]], int]
"""Gas units of executing a cycle, by its hops in order."""

MinGross = Callable[[Address], int]
"""By start token: the least gross profit, in its smallest unit, that any strategy could want."""


Dust = Callable[[Address], float]
"""By start token, in its smallest unit: what earns less gross profit than this is worth nothing to
anybody, whoever they are. Infinite where nothing has a price."""


@dataclass(frozen=True, slots=True)
class OpenCycle:
    """A cycle whose marginal rate after fees is above 1 at a block's end, whatever gas and size.

    rate: amount out per amount in at zero size, a float; see docs/search.md for how close to 1
    it can be on the wrong side. A cycle is entered from the first configured start token that it
    passes; one that passes none is not offered at all.
    """

    cycle: Cycle
    rate: float


def any_gain(_token: Address) -> int:
    """The triage that drops nothing which earns at least one grain."""
    return 1


def no_dust(_token: Address) -> float:
    """Every open cycle is looked at."""
    return 0.0


def hop_work(pools: Sequence[Pool], results: Sequence[SwapResult]) -> tuple[HopWork, ...]:
    """What `route.run` on these pools, in order, did to each of them."""
    return tuple(
        HopWork(
            pool.gas,
            pool.crossed_ticks(result.pool),
            pool.left_tick(result.pool),
            pool.more_words(result.pool),
        )
        for pool, result in zip(pools, results, strict=True)
    )
