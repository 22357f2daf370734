"""Exact prices of many terms at once are those of Python's integers, at any size."""

from __future__ import annotations

from random import Random

import numpy as np

from dexarb.core.trade import Funding
from dexarb.core.units import PPM
from dexarb.trading.decide.arrays import LARGEST
from dexarb.trading.decide.columns import StrategyColumns, Terms
from dexarb.trading.decide.pricing import GAS, PROFIT, VALUE, gas_market, nothing_valued, price
from dexarb.trading.decide.rules import TOO_SMALL, no_offers
from dexarb.trading.models.value import PRICE_SHIFT, rounded_up
from tests.support.worlds.small_chain import settings

GWEI, STRATEGIES, MARKETS = 10**9, 60, 300
LARGEST_FEE, LARGEST_WORTH = 10**6 * GWEI, 2**53


def of_any_size(rng: Random, most: int) -> int:
    """Small ones and large ones alike, and the ends."""
    return rng.choice([0, most, rng.getrandbits(rng.randint(1, most.bit_length())) % (most + 1)])


def columns_drawn(rng: Random) -> StrategyColumns:
    bids: tuple[dict[str, int], ...]
    bids = ({}, {"priority_fee": of_any_size(rng, LARGEST_FEE)}, {"bid_ppm": of_any_size(rng, PPM)})
    return StrategyColumns(
        [
            settings(
                f"s{number}",
                max_trade_size_micro_usd=rng.randint(1, 4) * 10**8,
                funding=rng.choice(list(Funding)),
                max_gas_price=of_any_size(rng, LARGEST_FEE),
                gas_cost_micro_usd=of_any_size(rng, LARGEST_WORTH) if rng.random() < 0.2 else None,
                slippage_haircut_ppm=of_any_size(rng, PPM),
                **rng.choice(bids),
            )
            for number in range(STRATEGIES)
        ]
    )


def priced(
    terms: Terms, profit: int, gas: int, limit: int, base_fee: int, native: int, default: int
) -> tuple[int, bool, int]:
    """Net, whether the gas price is above the limit, and what gas binds."""
    gain = max(profit, 0)
    if terms.bid_ppm is not None:
        bid = ((gain * terms.bid_ppm // PPM) << PRICE_SHIFT) // native // gas
    else:
        bid = default if terms.priority_fee is None else terms.priority_fee
    gas_price = base_fee + bid
    cost = reserve = terms.gas_cost
    if cost is None or reserve is None:
        cost = rounded_up(gas * gas_price * native)
        reserve = rounded_up(limit * terms.max_gas_price * native)
    net = profit - min(cost, LARGEST) + -gain * terms.haircut_ppm // PPM
    return max(net, -LARGEST), gas_price > terms.max_gas_price, min(reserve, LARGEST)


def test_columns_agree_with_whole_numbers() -> None:
    rng, bound = Random("pricing"), 0
    for _ in range(MARKETS):
        columns = columns_drawn(rng)
        native = of_any_size(rng, 2 ** rng.choice([60, 120, 200])) or 1
        base_fee, default = of_any_size(rng, 2**70), of_any_size(rng, LARGEST_FEE)
        valued, offers = nothing_valued(1, len(columns.sizes)), no_offers(1, len(columns.terms))
        offers.asked[:] = np.array([rng.random() < 0.9 for _ in columns.terms])
        for size in range(len(columns.sizes)):
            valued[0, size, PROFIT] = rng.choice([-1, 1]) * of_any_size(rng, LARGEST_WORTH)
            valued[0, size, VALUE] = of_any_size(rng, LARGEST_WORTH)
            valued[0, size, GAS:] = [rng.randint(21_000, 2**32) for _ in range(4)]
        price(valued, columns.exact_terms, gas_market(base_fee, native, default), offers)
        for k, terms in enumerate(columns.terms):
            if not offers.asked[0, k]:
                assert offers.exact[0, k] == TOO_SMALL
                continue
            flash, size = terms.funding is Funding.FLASH, columns.sizes.index(terms.size)
            profit, value, *of_gas = valued[0, size].tolist()
            gas, limit = of_gas[flash::2]
            net, dear, reserve = priced(terms, profit, gas, limit, base_fee, native, default)
            found = offers.exact[0, k], offers.dear[0, k], offers.gas[0, k], offers.capital[0, k]
            assert found == (net, dear, reserve, 0 if flash else value)
            bound += reserve == LARGEST
    assert bound > 30
