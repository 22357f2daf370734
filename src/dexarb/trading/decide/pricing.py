"""Compiled: what opportunities net on all terms that could be enough for somebody, exactly.

`Desk.offer` is the same for one of them, in Python's integers. Here products of gas, prices and
fees are limbs, as they exceed 64 bits; what columns hold is cut to LARGEST.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dexarb.compiled import kernel, kernel_part
from dexarb.core.units import PPM
from dexarb.limbs import N0, Limb, Limbs, add, divide, is_zero, less, mul
from dexarb.trading.decide.arrays import LARGEST, Ints
from dexarb.trading.decide.columns import ExactTerms
from dexarb.trading.decide.rules import Offers

LimbArray = npt.NDArray[np.uint64]

N32, LOWER_HALF = Limb(32), Limb(2**32 - 1)
MOST = Limb(LARGEST)


PROFIT, VALUE, GAS, LIMIT = 0, 1, 2, 4
FIGURES = 6
"""Of an opportunity at a size, micro-USD: the profit rounded down, the value of the input rounded
up. Units of gas of a run, and its limit: with own capital, then with a flash swap."""


def nothing_valued(opportunities: int, sizes: int) -> Ints:
    """FIGURES by opportunity and distinct size; read where somebody asks."""
    return np.zeros((opportunities, sizes, FIGURES), dtype=np.int64)


class GasMarket(NamedTuple):
    """base_fee: wei per gas. native: the price of `Valuation`, which a shift by 96 bits brings to
    micro-USD per wei; both as limbs. fee: the chain's default bid in wei per gas."""

    base_fee: LimbArray
    native: LimbArray
    fee: int


def gas_market(base_fee: int, native: int, fee: int) -> GasMarket:
    # No product of gas, fees and bids passes 256 bits; what costs so much is worth it to nobody.
    return GasMarket(_limbs(min(base_fee, 2**160)), _limbs(min(native, 2**256 - 1)), fee)


def _limbs(number: int) -> LimbArray:
    return np.frombuffer(number.to_bytes(32, "little"), dtype="<u8").astype(np.uint64)


@kernel
def price(valued: Ints, terms: ExactTerms, market: GasMarket, offers: Offers) -> None:
    """Fill in what is asked for, except where misses are weighed."""
    base_fee, native = _of(market.base_fee), _of(market.native)
    for at in range(len(offers.asked)):
        for k in range(len(terms.size)):
            if not offers.asked[at, k] or terms.weighs[k]:
                continue
            size, flash = terms.size[k], terms.flash[k]
            profit, value = valued[at, size, PROFIT], valued[at, size, VALUE]
            gain, gas = max(profit, 0), _whole(valued[at, size, GAS + flash])
            if terms.bid_ppm[k] >= 0:
                bid = _per_gas(_share(gain, terms.bid_ppm[k]), native, gas)
            else:
                bid = _whole(terms.fee[k] if terms.fee[k] >= 0 else market.fee)
            gas_price, _ = add(base_fee, bid)
            most = _whole(terms.max_gas_price[k])
            if terms.fixed_cost[k] >= 0:
                cost = reserve = terms.fixed_cost[k]
            else:
                cost = _cost(gas, gas_price, native)
                reserve = _cost(_whole(valued[at, size, LIMIT + flash]), most, native)
            # Of a loss no haircut is taken, so this stays within 64 bits.
            net = profit - cost + _share(-gain, terms.haircut_ppm[k])
            offers.exact[at, k] = max(net, -LARGEST)
            offers.dear[at, k] = less(most, gas_price)
            offers.capital[at, k] = 0 if flash else value
            offers.gas[at, k] = reserve


@kernel_part
def _of(limbs: LimbArray) -> Limbs:
    return limbs[0], limbs[1], limbs[2], limbs[3]


@kernel_part
def _whole(number: int) -> Limbs:
    return Limb(number), N0, N0, N0


@kernel_part
def _share(amount: int, ppm: int) -> int:
    """Rounded down, of a loss too; without the product, which may not fit."""
    return amount // PPM * ppm + amount % PPM * ppm // PPM


@kernel_part
def _per_gas(money: int, native: Limbs, gas: Limbs) -> Limbs:
    """Wei per gas that the money buys for so much gas, rounded down."""
    p0, p1, p2, p3, p4, p5, p6, p7 = mul(native, gas)
    if not is_zero((p4, p5, p6, p7)):
        return N0, N0, N0, N0
    limb = Limb(money)
    dividend = N0, limb << N32, limb >> N32, N0, N0, N0, N0, N0
    quotient, _ = divide(dividend, (p0, p1, p2, p3))
    return quotient


@kernel_part
def _cost(gas: Limbs, gas_price: Limbs, native: Limbs) -> int:
    """Micro-USD, rounded up."""
    w0, w1, w2, w3, _, _, _, _ = mul(gas_price, gas)
    p0, p1, p2, p3, p4, p5, p6, p7 = mul((w0, w1, w2, w3), native)
    cost = p2 << N32 | p1 >> N32
    if not is_zero((p2 >> N32 | p3, p4, p5, p6 | p7)) or cost >= MOST:
        return LARGEST
    # To numba a signed or an unsigned integer is a float.
    whole = np.int64(cost)
    return int(whole + 1) if p0 != N0 or p1 & LOWER_HALF != N0 else int(whole)
