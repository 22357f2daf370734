"""The desk: exact quotes, the rules of a single trade, and the decision that is sent.

Whoever chooses what to trade, the built-in strategy or an own one, trades through it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dexarb.core.block import BlockHash
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, CycleId
from dexarb.core.token import Address
from dexarb.core.trade import (
    Decision,
    DecisionId,
    Funding,
    Opportunity,
    StrategyHash,
)
from dexarb.core.units import PPM
from dexarb.search.open_cycles import OpenCycles
from dexarb.search.result import HopWork
from dexarb.trading.decide.arrays import LARGEST, TAKEN
from dexarb.trading.decide.columns import Terms
from dexarb.trading.decide.pricing import GasMarket, gas_market
from dexarb.trading.decide.quotes import Quote, Quoted, Quotes
from dexarb.trading.decide.rules import GasPrices, PriceList
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import MOST_MICRO_USD, PRICE_SHIFT, Valuation
from dexarb.trading.seams import View
from dexarb.trading.strategy import StrategySettings

PRICE_UNIT = 2.0**PRICE_SHIFT
"""What `Valuation.price` is scaled by."""


class Offer(NamedTuple):
    """A quote on certain terms. Micro-USD; the bid and the whole gas price in wei per gas.

    net: expected profit less gas (rounded up) less the haircut. capital and gas_reserve: what a
    decision would bind. p_fill_ppm: how likely it is to be filled, expected: what it is worth then,
    misses counted in, rounded down; None where the terms do not ask.
    """

    quote: Quote
    priority_fee: int
    gas_price: int
    net: int
    capital: int
    gas_reserve: int
    p_fill_ppm: int | None = None
    expected: int | None = None


@dataclass(slots=True)
class Account:
    """What a strategy has bound and used up; grows with each decision within a block.

    limit: the code of a limit on trades or losses that stops it, or TAKEN.
    """

    capital: int
    gas: int
    trades: int
    limit: int = TAKEN
    pools: set[PoolKey] = field(default_factory=set)

    def bind(self, offer: Offer, pools: Iterable[PoolKey]) -> None:
        """By one more trade."""
        self.capital += offer.capital
        self.gas += offer.gas_reserve
        self.trades += 1
        self.pools.update(pools)


class Valued(NamedTuple):
    """A size at this block's prices, in micro-USD: profit rounded down, input rounded up. quotes:
    paid by own capital, and by a flash swap."""

    quotes: Quoted
    profit: int
    value: int


class Desk:
    """Mutable: holds the latest block and what has been computed in it. `open` comes first."""

    def __init__(self, reality: Reality) -> None:
        self._model = self._gas = reality.gas
        self._surcharges: Mapping[Address, int] = {}
        self._competition = reality.competition
        self._view: View
        self._pools: Mapping[PoolKey, Pool]
        self._base_fee: int
        self._quotes = Quotes()
        self._amounts: dict[tuple[Address, int], int | None] = {}
        self._gas_costs: dict[int, int] = {}
        self._opened: dict[CycleId, int] = {}
        self._table: OpenCycles | None = None
        self._mixes: list[tuple[int, int]] = []
        """Of that table: the gas of a cycle through such pools, without a tick crossed, with own
        capital and with a flash swap."""
        self._valued: dict[tuple[CycleId, int], Valued] = {}

    def open(self, view: View) -> None:
        """Trade at the end of this block. Quotes of pools that did not change stay good."""
        self._view = view
        self._amounts.clear()
        self._gas_costs.clear()
        self._opened.clear()
        self._valued.clear()
        self._pools = view.market.ahead
        self._base_fee = view.market.block.base_fee_per_gas
        gas = self._model.under(view.market.next_gas_schedule)
        surcharges = view.market.next_surcharges
        if gas is not self._gas or surcharges != self._surcharges:
            self._gas, self._surcharges, self._table = gas, surcharges, None
            self._quotes.clear()
        cycles = (each.cycle for each in view.opportunities)
        self._quotes.open(cycles, self._pools, gas, surcharges)

    def price_list(self, table: OpenCycles) -> PriceList:
        """At the end of the block, for the start tokens and mixes of pools in the table."""
        valuation = self._view.valuation
        prices = gas_prices(self._view.market, valuation)
        units, least_sizes = [], []
        for token in table.index.start_tokens:
            unit = (valuation.price(token) or 0) if prices.wei else 0
            units.append(unit / PRICE_UNIT)
            least = valuation.cost_micro_usd(token, 1) if unit else 0
            least_sizes.append(min(least or 0, LARGEST))
        if table is not self._table:
            self._table, self._mixes = table, []
        while len(self._mixes) < table.mixes:
            work = [HopWork(cost, 0) for cost in table.mix(len(self._mixes))]
            self._mixes.append((self._gas.units(work), self._gas.units(work, flash=True)))
        gas = np.array(self._mixes, dtype=np.float64).reshape(-1, 2)
        return PriceList(
            np.array(units, dtype=np.float64),
            np.array(least_sizes, dtype=np.int64),
            gas[:, 0].copy(),
            gas[:, 1].copy(),
            prices,
        )

    def can_be_true(self, opportunity: Opportunity) -> bool:
        """Whether its start token and gas have prices, and not such that nothing is worth that."""
        view = self._view
        worth = view.valuation.micro_usd(opportunity.cycle.start_token, opportunity.amount_out)
        return bool(worth is not None and worth <= MOST_MICRO_USD)

    # -- quoting ------------------------------------------------------------------------------

    def offer(
        self,
        opportunity: Opportunity,
        terms: Terms,
        *,
        at_most: int | None = None,
        priority_fee: int | None = None,
    ) -> Offer | None:
        """The opportunity as large as the terms allow. None: they buy nothing, or have no price.

        at_most: smallest units of the start token. priority_fee: instead of the terms' own bid.
        """
        view = self._view
        cap = self._amount(opportunity.cycle.start_token, terms.size)
        if not cap or not view.valuation.price(view.market.profile.wrapped_native):
            return None
        amount_in = min(opportunity.amount_in, cap, cap if at_most is None else at_most)
        quotes, profit, value = self._value(opportunity.cycle, amount_in)
        quote = quotes[terms.funding is Funding.FLASH]
        gain = max(profit, 0)
        bid = self._bid(terms, quote, gain) if priority_fee is None else priority_fee
        gas_price = self._base_fee + bid
        if terms.gas_cost is None:
            cost = self._gas_cost(quote.gas_units * gas_price)
            reserve = self._gas_cost(self.gas_limit(quote) * terms.max_gas_price)
        else:
            cost = reserve = terms.gas_cost
        net = profit - cost
        if terms.haircut_ppm:
            net -= -(-gain * terms.haircut_ppm // PPM)
        capital = 0 if terms.funding is Funding.FLASH else value
        offer = Offer(quote, bid, gas_price, net, capital, reserve)
        return offer if terms.footing is None else self._weighed(offer, opportunity.cycle, terms)

    def valued(self, wanted: Sequence[tuple[Opportunity, int, int]]) -> Iterator[Valued]:
        """Opportunities, their rows in the table of open cycles, and sizes in micro-USD that buy
        something; see `pricing`."""
        amounts = []
        for opportunity, row, size in wanted:
            cap = self._amount(opportunity.cycle.start_token, size)
            assert cap
            amounts.append((row, opportunity.cycle, min(opportunity.amount_in, cap)))
        self._quotes.look_at(self._view.scan.table, amounts)
        return (self._value(cycle, amount_in) for _, cycle, amount_in in amounts)

    def gas_market(self) -> GasMarket:
        """For `pricing`, where gas has a price."""
        profile, native = self._view.market.profile, self._view.valuation.native_price
        assert native
        return gas_market(self._base_fee, native, profile.default_priority_fee)

    def gas_limit(self, quote: Quote) -> int:
        """Of its transaction. A pool that runs dry can cost all of it."""
        return self._gas.limit(quote.gas_units)

    def _weighed(self, offer: Offer, cycle: Cycle, terms: Terms) -> Offer:
        """With its chances. A miss is a run that the executor does not start, since whoever was
        first has moved the pools."""
        assert terms.footing is not None
        market = self._view.market
        age = market.block.number - self._opened_at(cycle)
        ordered = market.profile.ordering == "fee"
        p_fill = self._view.chances.p_fill_ppm(
            cycle, age, terms.footing, offer.priority_fee, ordered=ordered
        )
        miss = terms.gas_cost
        if miss is None:
            units = self._gas.before_run([self._pools[pool].gas for pool in cycle.pools])
            units = min(units, self._gas.limit(offer.quote.gas_units))
            miss = self._gas_cost(units * offer.gas_price)
        expected = (p_fill * offer.net - (PPM - p_fill) * miss) // PPM
        return offer._replace(p_fill_ppm=p_fill, expected=expected)

    def _bid(self, terms: Terms, quote: Quote, gain: int) -> int:
        """Wei per gas, rounded down: a share of the gain, a fee, or what the chain is used to."""
        if terms.bid_ppm is not None:
            native = self._view.market.profile.wrapped_native
            return (self._amount(native, gain * terms.bid_ppm // PPM) or 0) // quote.gas_units
        if terms.priority_fee is not None:
            return terms.priority_fee
        return self._view.market.profile.default_priority_fee

    def _amount(self, token: Address, micro_usd: int) -> int | None:
        key = (token, micro_usd)
        if key not in self._amounts:
            self._amounts[key] = self._view.valuation.amount(token, micro_usd)
        return self._amounts[key]

    def _gas_cost(self, wei: int) -> int:
        known = self._gas_costs.get(wei)
        if known is None:
            known = self._gas_costs[wei] = self._view.valuation.gas_cost_micro_usd(wei)
        return known

    def _value(self, cycle: Cycle, amount_in: int) -> Valued:
        known = self._valued.get((cycle.id, amount_in))
        if known is None:
            valuation, token = self._view.valuation, cycle.start_token
            quotes = self._quotes.of(cycle, amount_in)
            profit = valuation.micro_usd(token, quotes[0].amount_out - amount_in)
            value = valuation.cost_micro_usd(token, amount_in)
            assert profit is not None
            assert value is not None
            known = self._valued[cycle.id, amount_in] = Valued(quotes, profit, value)
        return known

    # -- trading ------------------------------------------------------------------------------

    def decide(
        self,
        opportunity: Opportunity,
        offer: Offer,
        settings: StrategySettings,
        strategy: StrategyHash,
    ) -> Decision:
        """To send it. strategy: the hash of the settings."""
        view, quote, cycle = self._view, offer.quote, opportunity.cycle
        block = view.market.block
        # Rounded up, so that the slippage allowed is never more than what was configured.
        tolerated = -(-quote.amount_out * (PPM - settings.max_slippage_ppm) // PPM)
        demanded = self._amount_up(cycle.start_token, settings.min_profit_onchain_micro_usd)
        first_block = block.number + settings.latency_blocks
        return Decision(
            id=decision_id(strategy, block.hash, cycle.id),
            strategy=strategy,
            block=block,
            cycle=cycle,
            amount_in=quote.amount_in,
            amount_out=quote.amount_out,
            min_amount_out=max(tolerated, quote.amount_in + demanded),
            gas_units=quote.gas_units,
            expected_net_micro_usd=offer.net,
            capital_micro_usd=offer.capital,
            priority_fee=offer.priority_fee,
            max_base_fee=settings.max_gas_price - offer.priority_fee,
            first_block=first_block,
            deadline_block=first_block + settings.deadline_blocks,
            position=settings.position,
            funding=settings.funding,
            latency_ms=settings.latency_ms,
            gas_reserve_micro_usd=offer.gas_reserve,
            fixed_gas_cost_micro_usd=settings.gas_cost_micro_usd,
            competition_lost=self._competition.is_lost(
                view.market.chain_id,
                cycle.id,
                self._opened_at(cycle),
                settings.competition_rate_ppm,
            ),
            p_fill_ppm=offer.p_fill_ppm,
        )

    def _opened_at(self, cycle: Cycle) -> int:
        known = self._opened.get(cycle.id)
        if known is None:
            known = self._opened[cycle.id] = self._view.episodes.opened(cycle)
        return known

    def _amount_up(self, token: Address, micro_usd: int) -> int:
        """The least amount that is worth the money."""
        if not micro_usd:
            return 0
        amount = self._amount(token, micro_usd)
        assert amount is not None
        worth = self._view.valuation.micro_usd(token, amount)
        return amount + (worth is not None and worth < micro_usd)


def as_sent_by(strategy: StrategyHash, decision: Decision) -> Decision:
    """The same decision of another strategy that does not differ in what it depends on."""
    name = decision_id(strategy, decision.block.hash, decision.cycle.id)
    return Decision._make((name, strategy, *decision[2:]))


def gas_prices(market: Market, valuation: Valuation) -> GasPrices:
    """At the end of the block; a wei is worth 0 where the native token has no price."""
    wei = valuation.native_price or 0
    fee = float(market.profile.default_priority_fee)
    return GasPrices(float(market.block.base_fee_per_gas), fee, wei / PRICE_UNIT)


def decision_id(strategy: StrategyHash, block_hash: BlockHash, cycle_id: CycleId) -> DecisionId:
    """16 hexadecimal digits of SHA-256: the same decision has the same id in every run."""
    digest = hashlib.sha256(f"{strategy}:{block_hash}:{cycle_id}".encode()).hexdigest()
    return DecisionId(digest[:16])
