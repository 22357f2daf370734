"""Spreads: how far the pools of a pair stand apart, and what their fees ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from dexarb.core.pool import PIPS, Pool
from dexarb.core.token import Address, pairs_of
from dexarb.core.units import BPS


@dataclass(frozen=True, slots=True)
class Spread:
    """Between the pool to buy token0 from and the pool to sell it to, in basis points.

    raw_bps: how much higher the second's mid price is. needed_bps: the raw spread at which both
    fees are paid for. after_fees_bps: what a trade of size zero would earn; above 0 it is open.
    """

    tokens: tuple[Address, Address]
    buy: Pool
    sell: Pool
    raw_bps: float
    needed_bps: float
    after_fees_bps: float


def best_spreads(pools: Iterable[Pool]) -> Mapping[tuple[Address, Address], Spread]:
    """For every pair with two pools or more, the spread nearest to paying (or paying most)."""
    by_pair: dict[tuple[Address, Address], list[Pool]] = defaultdict(list)
    for pool in pools:
        for pair in pairs_of(pool.tokens):
            by_pair[pair].append(pool)
    best: dict[tuple[Address, Address], Spread] = {}
    for tokens, candidates in by_pair.items():
        for one, other in combinations(candidates, 2):
            spread = spread_between(tokens, one, other)
            if spread and (
                tokens not in best or spread.after_fees_bps > best[tokens].after_fees_bps
            ):
                best[tokens] = spread
    return best


def spread_between(tokens: tuple[Address, Address], one: Pool, other: Pool) -> Spread | None:
    """In the direction that is nearer to paying: tokens[0] is bought in one pool with tokens[1]
    and sold in the other. None where one of the two has no liquidity."""
    both = [_spread(tokens, one, other), _spread(tokens, other, one)]
    found = [spread for spread in both if spread is not None]
    return max(found, key=lambda spread: spread.after_fees_bps, default=None)


def _spread(tokens: tuple[Address, Address], buy: Pool, sell: Pool) -> Spread | None:
    """None where one of the two has no liquidity."""
    token0, token1 = tokens
    bought = next(iter(buy.segments(token1, token0)), None)
    sold = next(iter(sell.segments(token0, token1)), None)
    if bought is None or sold is None:
        return None
    after_fees = bought.rate * sold.rate
    kept = (1 - buy.fee_pips / PIPS) * (1 - sell.fee_pips / PIPS)
    return Spread(
        tokens,
        buy,
        sell,
        (after_fees / kept - 1) * BPS,
        (1 / kept - 1) * BPS,
        (after_fees - 1) * BPS,
    )
