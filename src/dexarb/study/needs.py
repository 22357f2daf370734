"""What each strategy asks for, against the best that there was for it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle, CycleId
from dexarb.core.token import pair_of
from dexarb.core.units import BPS, PPM_PER_BPS
from dexarb.study.ladder import Best
from dexarb.trading.strategy import StrategySettings


@dataclass(frozen=True, slots=True)
class Need:
    """What a strategy asks for, and what there was for it.

    size_micro_usd: the size it is counted at, its own or the next smaller of the sizes. bps: after
    fees, at that size. best: micro-USD after gas, None where nothing in its scope was open.
    """

    settings: StrategySettings
    size_micro_usd: int
    bps: float
    best_micro_usd: int | None
    best_block: int | None
    episodes: int


def needs(
    settings: Sequence[StrategySettings],
    episodes: Sequence[Best],
    *,
    sizes: Sequence[int],
    gas_micro_usd: int,
    dexes: Mapping[PoolKey, str],
) -> Iterator[Need]:
    """sizes: those of the episodes, ascending, in micro-USD. gas: of a trade through two pools.
    dexes: of all pools, also those that are gone.

    Strategies with the same scope and size share one look at the episodes.
    """
    known: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    cycles = {best.cycle.id: best.cycle for best in episodes}
    for each in settings:
        index = max(bisect_right(sizes, each.max_trade_size_micro_usd) - 1, 0)
        key = (each.pairs, each.max_hops, each.dexes, index)
        if key not in known:
            scope = set(_in_scope(each, cycles.values(), dexes))
            known[key] = sorted(
                (net, best.block[index])
                for best in episodes
                if best.cycle.id in scope and (net := best.net_micro_usd[index]) is not None
            )
        nets = known[key]
        size = sizes[index]
        gas = each.gas_cost_micro_usd if each.gas_cost_micro_usd is not None else gas_micro_usd
        by_profit = (each.min_profit_micro_usd + gas) / size * BPS
        enough = len(nets) - bisect_right(nets, (each.min_profit_micro_usd, -1))
        best_net, best_block = nets[-1] if nets else (None, None)
        needed = max(by_profit, each.min_spread_ppm / PPM_PER_BPS)
        yield Need(each, size, needed, best_net, best_block, enough)


def _in_scope(
    settings: StrategySettings, cycles: Collection[Cycle], dexes: Mapping[PoolKey, str]
) -> Iterator[CycleId]:
    """The cycles that the strategy looks at."""
    pairs = set(settings.pairs)
    for cycle in cycles:
        if (
            len(cycle.hops) <= settings.max_hops
            and all(pair_of(hop.token_in, hop.token_out) in pairs for hop in cycle.hops)
            and (not settings.dexes or all(dexes[pool] in settings.dexes for pool in cycle.pools))
        ):
            yield cycle.id
