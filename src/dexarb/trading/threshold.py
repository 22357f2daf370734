"""The built-in strategy: take what pays more than a threshold, all configs as columns.

Detection and sizing are done once a block for all; what differs between configs is a table that
is compared with each opportunity. Rules are those of docs/honest-fills.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dexarb.core.ledger import Ledger
from dexarb.core.market import Market
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Opportunity, SkipReason
from dexarb.errors import PoolError
from dexarb.search.result import hop_work
from dexarb.trading.coin import PPM, is_lost, toss_ppm
from dexarb.trading.costs import GasModel
from dexarb.trading.skips import REASON_CODE, SkipTally, one
from dexarb.trading.strategy import Pair, StrategySettings, View, pair_of

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class _Quote:
    """A cycle at one size: exact amounts, gas units, and the profit in micro-USD."""

    amount_in: int
    amount_out: int
    gas_units: int
    profit_micro_usd: int


class ThresholdStrategies:
    """All configs of the built-in strategy. Settings fixed at construction, books in the ledger."""

    def __init__(self, settings: Sequence[StrategySettings], gas: GasModel) -> None:
        self.settings = tuple(settings)
        self.hashes = tuple(each.hash for each in self.settings)
        self._gas = gas
        self._min_profit = self._column(lambda s: s.min_profit_micro_usd)
        self._max_gas_price = self._column(lambda s: s.max_gas_price)
        self._min_spread = self._column(lambda s: s.min_spread_ppm)
        self._max_hops = self._column(lambda s: s.max_hops)
        self._capital = self._column(lambda s: s.capital_micro_usd or s.max_trade_size_micro_usd)
        self._daily_trades = self._column(lambda s: s.max_daily_trades)
        self._daily_loss = self._column(lambda s: s.daily_loss_limit_micro_usd)
        self._losses_in_a_row = self._column(lambda s: s.max_consecutive_losses)
        self._cooldown = self._column(lambda s: s.cooldown_blocks)
        self._haircut = self._column(lambda s: s.slippage_haircut_ppm)
        # Sizes and bids repeat: each distinct one is evaluated once and spread over the configs.
        self._sizes, self._size_of = np.unique(
            self._column(lambda s: s.max_trade_size_micro_usd), return_inverse=True
        )
        self._bids, self._bid_of = np.unique(
            self._column(lambda s: -1 if s.priority_fee is None else s.priority_fee),
            return_inverse=True,
        )
        self._gas_override = self._column(
            lambda s: -1 if s.gas_cost_micro_usd is None else s.gas_cost_micro_usd
        )
        self._pairs: dict[Pair, Mask] = {}
        for index, each in enumerate(self.settings):
            for pair in each.pairs:
                self._pairs.setdefault(pair, np.zeros(len(self), dtype=bool))[index] = True
        self._dexes = {dex for each in self.settings for dex in each.dexes}
        self._scope: dict[str, tuple[Mask, Mask]] = {}

    def __len__(self) -> int:
        return len(self.settings)

    def _column(self, value: Callable[[StrategySettings], int | None]) -> Ints:
        values = (value(each) for each in self.settings)
        return np.array([NO_LIMIT if v is None else v for v in values], dtype=np.int64)

    # -- deciding -----------------------------------------------------------------------------

    def decide(self, view: View, skips: SkipTally) -> list[Decision]:
        """One decision at most per config and cycle; the reasons for all others go to `skips`."""
        if not self.settings:
            return []
        ledger = view.ledger
        rows = np.array([ledger.rows[name] for name in self.hashes], dtype=np.intp)
        count_new_episodes(self, view, rows)
        blocked = self._blocked(ledger, rows, view.market.block.number)
        offers: list[tuple[Opportunity, Ints, list[_Quote | None]]] = []
        number = view.market.block.number
        for opportunity in view.opportunities:
            reasons, net, quotes = self._screen(view, opportunity, blocked, rows)
            skips.add_column(self.hashes, reasons, self._min_profit, net, number)
            if (reasons < 0).any():
                offers.append((opportunity, np.where(reasons < 0, net, -NO_LIMIT), quotes))
        return self._take(view, offers, rows, skips)

    def _blocked(self, ledger: Ledger, rows: npt.NDArray[np.intp], number: int) -> Ints:
        """The limit that stops each config at the start of the block, as a reason code, else -1."""
        reasons = np.full(len(self), -1, dtype=np.int64)
        losses = ledger.column("consecutive_losses")[rows]
        resting = (losses >= self._losses_in_a_row) & (
            (self._cooldown == 0)
            | (number < ledger.column("last_loss_block")[rows] + self._cooldown)
        )
        reasons[resting] = REASON_CODE[SkipReason.CONSECUTIVE_LOSSES]
        lost = -ledger.column("day_net_micro_usd")[rows] >= self._daily_loss
        reasons[lost] = REASON_CODE[SkipReason.DAILY_LOSS]
        spent = ledger.column("day_trades")[rows] >= self._daily_trades
        reasons[spent] = REASON_CODE[SkipReason.DAILY_TRADES]
        return reasons

    def _screen(
        self,
        view: View,
        opportunity: Opportunity,
        blocked: Ints,
        rows: npt.NDArray[np.intp],
    ) -> tuple[npt.NDArray[np.int8], Ints, list[_Quote | None]]:
        """Reason codes, expected net micro-USD, and a quote for each distinct size."""
        reasons = np.full(len(self), -1, dtype=np.int8)

        def refuse(mask: Mask, reason: SkipReason) -> None:
            reasons[mask & (reasons < 0)] = REASON_CODE[reason]

        net = np.full(len(self), -NO_LIMIT, dtype=np.int64)
        everyone = np.ones(len(self), dtype=bool)
        if view.stale:
            refuse(everyone, SkipReason.STALE)
            return reasons, net, []
        pairs, hops = self.scope(view.market, opportunity.cycle)
        refuse(~pairs, SkipReason.PAIR)
        refuse(~hops, SkipReason.HOPS)
        if not (reasons < 0).any():
            return reasons, net, []
        gas_price = view.market.block.base_fee_per_gas + self._priority_fees(view.market)
        quotes = [self._quote(view, opportunity, int(size)) for size in self._sizes]
        priced = view.valuation.price(opportunity.cycle.start_token) is not None
        if not priced or view.valuation.price(view.market.profile.wrapped_native) is None:
            refuse(everyone, SkipReason.NO_PRICE)
            return reasons, net, []
        refuse((opportunity.rate - 1.0) * PPM < self._min_spread, SkipReason.SPREAD)
        sized = np.array([quote is not None for quote in quotes])[self._size_of]
        refuse(~sized, SkipReason.SIZE)
        net = self._net(view, quotes, gas_price)
        refuse(net < self._min_profit, SkipReason.PROFIT)
        refuse(gas_price > self._max_gas_price, SkipReason.GAS_PRICE)
        capital = view.ledger.column("open_capital_micro_usd")[rows]
        refuse(capital + self._sizes[self._size_of] > self._capital, SkipReason.CAPITAL)
        limited = (reasons < 0) & (blocked >= 0)
        reasons[limited] = blocked[limited]
        busy = np.isin(rows, view.ledger.busy_rows(opportunity.cycle.pools))
        refuse(busy, SkipReason.POOL_BUSY)
        return reasons, net, quotes

    def scope(self, market: Market, cycle: Cycle) -> tuple[Mask, Mask]:
        """Which configs want the cycle's pairs, and which its length and DEXes."""
        known = self._scope.get(cycle.id)
        if known is None:
            nobody = np.zeros(len(self), dtype=bool)
            pairs = np.ones(len(self), dtype=bool)
            for hop in cycle.hops:
                pairs = pairs & self._pairs.get(pair_of(hop.token_in, hop.token_out), nobody)
            hops = self._max_hops >= len(cycle.hops)
            if self._dexes:
                used = {market.pools[pool].dex for pool in cycle.pools}
                hops = hops & np.array(
                    [not each.dexes or used <= set(each.dexes) for each in self.settings]
                )
            known = self._scope[cycle.id] = (pairs, hops)
        return known

    def _priority_fees(self, market: Market) -> Ints:
        default = market.profile.default_priority_fee
        fees: Ints = np.where(self._bids < 0, default, self._bids)[self._bid_of]
        return fees

    def _quote(self, view: View, opportunity: Opportunity, size: int) -> _Quote | None:
        """The opportunity at most `size` micro-USD large, exactly. None: too small to trade."""
        token = opportunity.cycle.start_token
        cap = view.valuation.amount(token, size)
        if cap is None:
            return None
        amount_in = min(opportunity.amount_in, cap)
        if amount_in <= 0:
            return None
        amount_out, gas_units = opportunity.amount_out, opportunity.gas_units
        if amount_in < opportunity.amount_in:
            pools = [view.market.pools[pool] for pool in opportunity.cycle.pools]
            try:
                results = run(opportunity.cycle, amount_in, view.market.pools.__getitem__)
            except PoolError:
                return None
            amount_out = results[-1].amount_out
            gas_units = self._gas.units(hop_work(pools, results))
        profit = view.valuation.micro_usd(token, amount_out - amount_in)
        assert profit is not None  # the token has a price, or `amount` would have said so
        return _Quote(amount_in, amount_out, gas_units, profit)

    def _net(self, view: View, quotes: Sequence[_Quote | None], gas_price: Ints) -> Ints:
        """Expected net micro-USD a config: profit less gas (rounded up) less the haircut."""
        profits = np.array([q.profit_micro_usd if q else 0 for q in quotes], dtype=np.int64)
        profit = profits[self._size_of]
        # A cost depends on the quote and the bid alone: one integer product for each pair of them.
        costs = np.zeros((len(quotes), len(self._bids)), dtype=np.int64)
        first_of_bid = np.unique(self._bid_of, return_index=True)[1]
        for i, quote in enumerate(quotes):
            for j, config in enumerate(first_of_bid):
                wei = quote.gas_units * int(gas_price[config]) if quote else 0
                costs[i, j] = view.valuation.gas_cost_micro_usd(wei)
        cost = costs[self._size_of, self._bid_of]
        cost = np.where(self._gas_override >= 0, self._gas_override, cost)
        haircut = -(-np.maximum(profit, 0) * self._haircut // PPM)
        net: Ints = profit - cost - haircut
        return net

    # -- taking -------------------------------------------------------------------------------

    def _take(
        self,
        view: View,
        offers: Sequence[tuple[Opportunity, Ints, list[_Quote | None]]],
        rows: npt.NDArray[np.intp],
        skips: SkipTally,
    ) -> list[Decision]:
        """Each config takes what it wants by net USD descending, then cycle id.

        What it takes first may use up a limit or a pool that the next would need.
        """
        if not offers:
            return []
        decisions: list[Decision] = []
        nets = np.stack([net for _, net, _ in offers])
        for config in np.flatnonzero((nets > -NO_LIMIT).any(axis=0)):
            wanted = [index for index in range(len(offers)) if nets[index, config] > -NO_LIMIT]
            wanted.sort(key=lambda index: (-nets[index, config], offers[index][0].cycle.id))
            taken_pools: set[Address] = set()
            row = rows[config]
            trades = int(view.ledger.column("day_trades")[row])
            capital = int(view.ledger.column("open_capital_micro_usd")[row])
            for index in wanted:
                opportunity, net, quotes = offers[index]
                quote = quotes[self._size_of[config]]
                assert quote is not None  # configs without a quote were refused by size
                reason = None
                if capital + self._sizes[self._size_of[config]] > self._capital[config]:
                    reason = SkipReason.CAPITAL
                elif trades >= self._daily_trades[config]:
                    reason = SkipReason.DAILY_TRADES
                elif not taken_pools.isdisjoint(opportunity.cycle.pools):
                    reason = SkipReason.POOL_BUSY
                if reason is not None:
                    codes = one(self.hashes, int(config), reason)
                    skips.add_column(self.hashes, codes, net, net, view.market.block.number)
                    continue
                decision = self._decision(view, opportunity, quote, int(config), int(net[config]))
                decisions.append(decision)
                taken_pools.update(opportunity.cycle.pools)
                trades += 1
                capital += decision.capital_micro_usd
        return decisions

    def _decision(
        self, view: View, opportunity: Opportunity, quote: _Quote, config: int, net: int
    ) -> Decision:
        settings, name = self.settings[config], self.hashes[config]
        block, cycle, market = view.market.block, opportunity.cycle, view.market
        priority_fee = int(self._priority_fees(market)[config])
        # Rounded up, so that the slippage allowed is never more than what was configured.
        tolerated = -(-quote.amount_out * (PPM - settings.max_slippage_ppm) // PPM)
        capital = view.valuation.cost_micro_usd(cycle.start_token, quote.amount_in)
        assert capital is not None
        toss = toss_ppm(market.chain_id, cycle.id, view.opened[cycle.id])
        first_block = block.number + settings.latency_blocks
        return Decision(
            id=decision_id(name, block.hash, cycle.id),
            strategy=name,
            block=block,
            cycle=cycle,
            amount_in=quote.amount_in,
            amount_out=quote.amount_out,
            min_amount_out=max(tolerated, quote.amount_in),
            gas_units=quote.gas_units,
            expected_net_micro_usd=net,
            capital_micro_usd=capital,
            priority_fee=priority_fee,
            max_base_fee=settings.max_gas_price - priority_fee,
            first_block=first_block,
            deadline_block=first_block,
            position=settings.position,
            fixed_gas_cost_micro_usd=settings.gas_cost_micro_usd,
            competition_lost=is_lost(toss, settings.competition_rate_ppm),
        )


def count_new_episodes(
    strategies: ThresholdStrategies, view: View, rows: npt.NDArray[np.intp]
) -> None:
    """`seen`: each config counts the episodes within its pairs, hops and DEXes, once each."""
    number = view.market.block.number
    for opportunity in view.opportunities:
        if view.opened.get(opportunity.cycle.id) == number:
            pairs, hops = strategies.scope(view.market, opportunity.cycle)
            view.ledger.see(rows[pairs & hops])


def decision_id(strategy: str, block_hash: str, cycle_id: str) -> str:
    """16 hexadecimal digits of SHA-256: the same decision has the same id in every run."""
    return hashlib.sha256(f"{strategy}:{block_hash}:{cycle_id}".encode()).hexdigest()[:16]
