"""Spreads: how far the pools of a pair stand apart, and what their fees ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from dexarb.core.pool import PIPS, Pool, places_of_ways
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


class Sides(NamedTuple):
    """The rates, after the fee, at which a pool sells a token and at which it buys it back: of the
    token per what is paid, and the other way round. 0 where there is no liquidity."""

    buying: float
    selling: float


def sides_of(pool: Pool, token: Address, paid: Address) -> Sides:
    """token: what is bought with `paid` and sold again."""
    segments, places = pool.first_segments(), places_of_ways(pool.tokens)
    return Sides(segments[places[paid, token]].rate, segments[places[token, paid]].rate)


def nearer_to_paying(one: Sides, other: Sides) -> tuple[float, bool] | None:
    """What a round trip of size zero multiplies money by after fees, in the better direction, and
    whether that one buys in `one`. None where a pool has no liquidity."""
    if not (one.buying and one.selling and other.buying and other.selling):
        return _only_way(one, other)
    forth, back = one.buying * other.selling, other.buying * one.selling
    return (forth, True) if forth >= back else (back, False)


def _only_way(one: Sides, other: Sides) -> tuple[float, bool] | None:
    """Where liquidity ends at the price, there may be one direction left."""
    if one.buying and other.selling:
        return one.buying * other.selling, True
    if other.buying and one.selling:
        return other.buying * one.selling, False
    return None


def kept_after_fees(one: Pool, other: Pool) -> float:
    """The share of the money that the fees of two swaps leave."""
    return (1 - one.fee_pips / PIPS) * (1 - other.fee_pips / PIPS)


def spread_between(tokens: tuple[Address, Address], one: Pool, other: Pool) -> Spread | None:
    """In the direction that is nearer to paying: tokens[0] is bought in one pool with tokens[1]
    and sold in the other. None where one of the two has no liquidity."""
    found = nearer_to_paying(sides_of(one, *tokens), sides_of(other, *tokens))
    if found is None:
        return None
    after_fees, buys_in_one = found
    kept = kept_after_fees(one, other)
    return Spread(
        tokens,
        one if buys_in_one else other,
        other if buys_in_one else one,
        (after_fees / kept - 1) * BPS,
        (1 / kept - 1) * BPS,
        (after_fees - 1) * BPS,
    )
