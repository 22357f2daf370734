"""What a user could write instead: the honest other side of the ratios."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address
from dexarb.errors import PoolError
from dexarb.search.sizing import DEPTH, IN_FROM, IN_TO, RATE

GOLD = (3.0 - math.sqrt(5.0)) / 2.0
RELATIVE = math.sqrt(2.0**-52)
ABSOLUTE = 1e-5


def brent(f: Callable[..., float]) -> Callable[..., float]:
    """Bounded Brent (parabolas and golden sections) for the maximum of f, as close as scipy's by
    default: to 1.5e-8 of x and 1e-5. Source: Brent 1973, fmin. numba compiles it with a compiled f.
    """

    def search(low: float, high: float, *known: Any) -> float:
        """known: what f is given after x."""
        x = w = v = low + GOLD * (high - low)
        fx = fw = fv = -f(x, *known)
        d = e = 0.0
        for _ in range(500):
            mid = 0.5 * (low + high)
            tol1 = RELATIVE * abs(x) + ABSOLUTE / 3.0
            if abs(x - mid) <= 2 * tol1 - 0.5 * (high - low):
                break
            golden = True
            if abs(e) > tol1:
                r = (x - w) * (fx - fv)
                q = (x - v) * (fx - fw)
                p = (x - v) * q - (x - w) * r
                q = 2 * (q - r)
                p = -p if q > 0 else p
                q = abs(q)
                before, e = e, d
                if abs(p) < abs(0.5 * q * before) and q * (low - x) < p < q * (high - x):
                    d, golden = p / q, False
            if golden:
                e = (low if x >= mid else high) - x
                d = GOLD * e
            u = x + (d if abs(d) >= tol1 else math.copysign(tol1, d))
            fu = -f(u, *known)
            if fu <= fx:
                low, high = (x, high) if u >= x else (low, x)
                v, fv, w, fw, x, fx = w, fw, x, fx, u, fu
            else:
                low, high = (u, high) if u < x else (low, u)
                if fu <= fw or w == x:
                    v, fv, w, fw = w, fw, u, fu
                elif fu <= fv or v in (x, w):
                    v, fv = u, fu
        return x

    return search


Reserves = tuple[int, int]
"""Of the token that goes in, and of the one that comes out."""


def v2_best(first: Reserves, second: Reserves) -> float:
    """The best input for two V2 pairs with a fee of 0.3 %: the closed form, written out."""
    in1, out1 = first
    in2, out2 = second
    rate = 0.997 * out1 / in1 * 0.997 * out2 / in2
    depth = 0.997 / in1 + 0.997 / in2 * 0.997 * out1 / in1
    return (math.sqrt(rate) - 1.0) / depth if rate > 1.0 else 0.0


def v2_best_of_all(reserves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same in numpy. reserves: a row a cycle, in and out of either pair."""
    in1, out1, in2, out2 = reserves.T
    rate1 = 0.997 * out1 / in1
    rate = rate1 * (0.997 * out2 / in2)
    depth = 0.997 / in1 + 0.997 / in2 * rate1
    best: npt.NDArray[np.float64] = np.maximum(np.sqrt(rate) - 1.0, 0.0) / depth
    return best


def exact_profit(cycle: Cycle, pools: Mapping[PoolKey, Pool]) -> Callable[[float], float]:
    """The exact swap of any pools, as the objective of an optimiser."""

    def profit(amount: float) -> float:
        if amount < 1:
            return 0.0
        try:
            return float(run(cycle, int(amount), pools.__getitem__)[-1].amount_out - int(amount))
        except PoolError:
            return -amount

    return profit


def v2_profit(first: Reserves, second: Reserves, amount_in: int) -> int:
    """The exact swaps of two V2 pairs, written out, without checks."""
    in1, out1 = first
    in2, out2 = second
    kept = amount_in * 997
    bought = kept * out1 // (in1 * 1000 + kept)
    kept = bought * 997
    return kept * out2 // (in2 * 1000 + kept) - amount_in


@njit(cache=True)
def compiled_profit(
    x: float,
    rows: npt.NDArray[np.int64],
    data: npt.NDArray[np.float64],
    edges: npt.NDArray[np.int64],
) -> float:
    """The profit of a size, walking the packed segments: an objective for Brent."""
    amount = x
    for edge in edges:
        if edge < 0:
            break
        left, out = amount, 0.0
        first, count = rows[edge]
        for i in range(first, first + count):
            step = min(left, data[i, IN_TO] - data[i, IN_FROM])
            out += data[i, RATE] * step / (1.0 + data[i, DEPTH] * step)
            left -= step
            if left <= 0.0:
                break
        if left > 0.0:
            return -x
        amount = out
    return amount - x


compiled_brent = njit(brent(compiled_profit))


def every_cycle(pools: Sequence[Pool], starts: Sequence[Address]) -> npt.NDArray[np.int64]:
    """All two- and three-pool cycles through a start token, as directed edges 2·pool + side,
    each once; -1 in the third place of a two-pool cycle."""
    between: dict[tuple[Address, Address], list[int]] = {}
    for number, pool in enumerate(pools):
        one, other = pool.tokens
        between.setdefault((one, other), []).append(2 * number)
        between.setdefault((other, one), []).append(2 * number + 1)
    out: dict[Address, set[Address]] = {}
    for one, other in between:
        out.setdefault(one, set()).add(other)
    found = []
    rank = {token: place for place, token in enumerate(starts)}
    for start in starts:
        allowed = [t for t in out[start] if rank.get(t, len(starts)) > rank[start]]
        for other in allowed:
            there, back = between[start, other], between[other, start]
            found += [(a, b, -1) for a in there for b in back if a >> 1 != b >> 1]
        for one, two in permutations(allowed, 2):
            if (one, two) in between:
                found += [
                    (a, b, c)
                    for a in between[start, one]
                    for b in between[one, two]
                    for c in between[two, start]
                ]
    return np.array(found, dtype=np.int64)


@njit(cache=True)
def full_scan(
    cycles: npt.NDArray[np.int64], first: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]
) -> int:
    """Closed-form optimum of every cycle that is open, else 0; first[edge] = (rate, depth)."""
    found = 0
    for n in range(len(cycles)):
        rate, depth = 1.0, 0.0
        for i in range(3):
            edge = cycles[n, i]
            if edge >= 0:
                depth += first[edge, 1] * rate
                rate *= first[edge, 0]
        sizes[n] = 0.0
        if rate > 1.0:
            sizes[n] = (math.sqrt(rate) - 1.0) / depth
            found += 1
    return found
