"""The rules of docs/honest-fills.md for deciding, one strategy and one opportunity at a time.

The plain loop that `ThresholdStrategies` is compared with, in results and in speed. Everything is
computed exactly; quotes are shared between strategies, as anybody would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from dexarb.core.market import Market
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address, pair_of
from dexarb.core.trade import Decision, Funding, Opportunity, SkipReason, StrategyHash
from dexarb.errors import PoolError
from dexarb.search.result import HopWork, hop_work
from dexarb.trading.decide.desk import decision_id
from dexarb.trading.models.competition import toss_ppm
from dexarb.trading.models.gas import GasModel
from dexarb.trading.seams import View
from dexarb.trading.settle.chances import Footing
from dexarb.trading.strategy import StrategySettings

MILLION = 1_000_000


@dataclass(frozen=True)
class Skip:
    """best: exact where an opportunity misses a threshold, None for one that was never sized.

    is_dust: nobody's nearest miss.
    """

    strategy: str
    cycle: str
    reason: SkipReason
    needed: int | None = None
    best: int | None = None
    is_dust: bool = False


@dataclass
class Outcome:
    decisions: list[Decision] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trade:
    """An opportunity at a strategy's size, with what it expects and binds (micro-USD)."""

    opportunity: Opportunity
    amount_in: int
    amount_out: int
    gas_units: int
    priority_fee: int
    net: int
    capital: int
    gas_reserve: int
    p_fill_ppm: int | None
    expected: int | None


@dataclass(frozen=True)
class Facts:
    """What does not depend on a strategy."""

    cycle: Cycle
    pairs: frozenset[tuple[Address, Address]]
    dexes: frozenset[str]
    spread_ppm: float
    is_new: bool
    is_dust: bool


class PlainLoop:
    """All strategies of a list, in its order."""

    def __init__(self, settings: Sequence[StrategySettings], gas: GasModel) -> None:
        self.settings = list(settings)
        self.hashes = [each.hash for each in self.settings]
        self.pairs = [frozenset(each.pairs) for each in self.settings]
        self.dexes = [frozenset(each.dexes) for each in self.settings]
        self.gas = gas

    def decide(self, view: View) -> Outcome:
        self.view = view
        self.quotes: dict[tuple[str, int, bool], tuple[int, int]] = {}
        self.trades: dict[tuple[object, ...], Trade | None] = {}
        self.caps: dict[tuple[Address, int], int | None] = {}
        by_cycle = {cycle.id: row for row, cycle in view.scan.table.cycles()}
        opportunities = [
            (each, self._facts(by_cycle.pop(each.cycle.id), each.cycle))
            for each in view.opportunities
        ]
        near_misses = [self._facts(row, view.scan.table.cycle(row)) for row in by_cycle.values()]
        outcome = Outcome()
        for i in range(len(self.settings)):
            self._one(i, opportunities, near_misses, outcome)
        return outcome

    def _facts(self, row: int, cycle: Cycle) -> Facts:
        view, rows = self.view, self.view.scan.table.rows
        return Facts(
            cycle,
            frozenset(pair_of(hop.token_in, hop.token_out) for hop in cycle.hops),
            frozenset(view.market.pools[pool].dex for pool in cycle.pools),
            (float(rows.rate[row]) - 1.0) * MILLION,
            view.episodes.opened(cycle) == view.market.block.number,
            self._is_dust(cycle, float(rows.profit[row])),
        )

    def _is_dust(self, cycle: Cycle, profit: float) -> bool:
        """It earns less than the least gas at the base fee: of two hops of the cheapest kinds."""
        market, valuation = self.view.market, self.view.valuation
        price = valuation.price(cycle.start_token)
        native = valuation.price(market.profile.wrapped_native)
        if not price or not native:
            return True
        pools = [HopWork(gas, 0) for gas in market.swap_gas]
        units = min(
            self.gas.units((one, other), flash=flash)
            for one in pools
            for other in pools
            for flash in (False, True)
        )
        return Fraction(profit) * price < units * market.block.base_fee_per_gas * native

    def _one(
        self,
        i: int,
        opportunities: Sequence[tuple[Opportunity, Facts]],
        near_misses: Sequence[Facts],
        outcome: Outcome,
    ) -> None:
        settings, name, skips = self.settings[i], self.hashes[i], outcome.skips
        wanted: list[Trade] = []
        for opportunity, facts in opportunities:
            skip = self._skip(i, facts, outcome, is_offered=True)
            if skip is not None:
                skips.append(skip)
                continue
            trade = self._trade(opportunity, settings)
            cycle, needed = facts.cycle.id, settings.min_profit_micro_usd
            if trade is None:
                skips.append(Skip(name, cycle, SkipReason.SIZE))
            elif trade.net < needed:
                best = None if facts.is_dust else trade.net
                skips.append(Skip(name, cycle, SkipReason.PROFIT, needed, best, facts.is_dust))
            elif trade.expected is not None and trade.expected < self._asked(settings):
                best, needed = None if facts.is_dust else trade.expected, self._asked(settings)
                skips.append(Skip(name, cycle, SkipReason.EXPECTED, needed, best, facts.is_dust))
            else:
                wanted.append(trade)
        for facts in near_misses:
            skip = self._skip(i, facts, outcome)
            if skip is None:
                cycle, needed = facts.cycle.id, settings.min_profit_micro_usd
                skip = Skip(name, cycle, SkipReason.PROFIT, needed, None, facts.is_dust)
                if not self._cap(facts.cycle.start_token, settings.max_trade_size_micro_usd):
                    skip = Skip(name, cycle, SkipReason.SIZE)
            skips.append(skip)
        self._take(i, wanted, outcome)

    @staticmethod
    def _asked(settings: StrategySettings) -> int:
        assert settings.min_expected_micro_usd is not None
        return settings.min_expected_micro_usd

    def _skip(
        self, i: int, facts: Facts, outcome: Outcome, *, is_offered: bool = False
    ) -> Skip | None:
        """What needs no amount: stale, pair, hops, not_executable, no_price, spread. Counts the
        episode."""
        settings, name, cycle = self.settings[i], self.hashes[i], facts.cycle
        reason = self._out_of_scope(i, facts)
        if reason is None and facts.is_new:
            outcome.seen.append(name)
        if self.view.stale:
            return Skip(name, cycle.id, SkipReason.STALE)
        if reason is not None:
            return Skip(name, cycle.id, reason)
        if is_offered and self.view.bars(cycle.id):
            return Skip(name, cycle.id, SkipReason.NOT_EXECUTABLE)
        if not self._has_prices(cycle):
            return Skip(name, cycle.id, SkipReason.NO_PRICE)
        needed = settings.min_spread_ppm
        if facts.spread_ppm < needed:
            best = None if facts.is_dust else floor(facts.spread_ppm)
            return Skip(name, cycle.id, SkipReason.SPREAD, needed, best, facts.is_dust)
        return None

    def _take(self, i: int, wanted: list[Trade], outcome: Outcome) -> None:
        """By net USD descending, then cycle id; what the first uses up counts for the second."""
        settings, name, ledger = self.settings[i], self.hashes[i], self.view.ledger
        row = ledger.rows[name]
        wanted.sort(key=lambda trade: (-trade.net, trade.opportunity.cycle.id))
        capital = ledger.value(name, "open_capital_micro_usd")
        gas = ledger.value(name, "open_gas_micro_usd")
        trades = ledger.value(name, "day_trades")
        busy = {
            pool
            for trade in wanted
            for pool in trade.opportunity.cycle.pools
            if ledger.busy([pool])[row]
        }
        for trade in wanted:
            cycle = trade.opportunity.cycle
            reason = self._limit(settings, name, trade, capital, gas, trades)
            if reason is None and not busy.isdisjoint(cycle.pools):
                reason = SkipReason.POOL_BUSY
            if reason is not None:
                outcome.skips.append(Skip(name, cycle.id, reason))
                continue
            capital += trade.capital
            gas += trade.gas_reserve
            trades += 1
            busy.update(cycle.pools)
            outcome.decisions.append(self._decision(trade, settings, name))

    # -- reasons ------------------------------------------------------------------------------

    def _out_of_scope(self, i: int, facts: Facts) -> SkipReason | None:
        """Every hop is one of the pairs; not more hops than allowed; only the DEXes given."""
        if not facts.pairs <= self.pairs[i]:
            return SkipReason.PAIR
        if len(facts.cycle.hops) > self.settings[i].max_hops:
            return SkipReason.HOPS
        if self.dexes[i] and not facts.dexes <= self.dexes[i]:
            return SkipReason.HOPS
        return None

    def _has_prices(self, cycle: Cycle) -> bool:
        valuation = self.view.valuation
        native = self.view.market.profile.wrapped_native
        return bool(valuation.price(cycle.start_token)) and bool(valuation.price(native))

    def _limit(
        self,
        settings: StrategySettings,
        name: StrategyHash,
        trade: Trade,
        capital: int,
        gas: int,
        trades: int,
    ) -> SkipReason | None:
        ledger, block = self.view.ledger, self.view.market.block
        if block.base_fee_per_gas + trade.priority_fee > settings.max_gas_price:
            return SkipReason.GAS_PRICE
        most = settings.capital_micro_usd
        if most is None:
            most = settings.max_trade_size_micro_usd
        if capital + trade.capital > most:
            return SkipReason.CAPITAL
        balance = settings.gas_balance_micro_usd
        if balance is not None and gas + trade.gas_reserve > balance:
            return SkipReason.CAPITAL
        if settings.max_daily_trades is not None and trades >= settings.max_daily_trades:
            return SkipReason.DAILY_TRADES
        loss = settings.daily_loss_limit_micro_usd
        if loss is not None and -ledger.value(name, "day_net_micro_usd") >= loss:
            return SkipReason.DAILY_LOSS
        in_a_row = settings.max_consecutive_losses
        if in_a_row is not None and ledger.value(name, "consecutive_losses") >= in_a_row:
            rested = ledger.value(name, "last_loss_block") + settings.cooldown_blocks
            if settings.cooldown_blocks == 0 or block.number < rested:
                return SkipReason.CONSECUTIVE_LOSSES
        return None

    # -- amounts ------------------------------------------------------------------------------

    def _cap(self, token: Address, micro_usd: int) -> int | None:
        key = token, micro_usd
        if key not in self.caps:
            self.caps[key] = self.view.valuation.amount(token, micro_usd)
        return self.caps[key]

    def _trade(self, opportunity: Opportunity, settings: StrategySettings) -> Trade | None:
        """As large as the size cap lets it be, at most the best size. None: it buys nothing."""
        key = (
            opportunity.cycle.id,
            settings.max_trade_size_micro_usd,
            settings.funding,
            settings.priority_fee,
            settings.bid_ppm,
            settings.gas_cost_micro_usd,
            settings.slippage_haircut_ppm,
            settings.max_gas_price,
            settings.min_expected_micro_usd is not None,
            settings.position,
            settings.latency_blocks,
            settings.competition_rate_ppm,
        )
        if key not in self.trades:
            self.trades[key] = self._compute(opportunity, settings)
        return self.trades[key]

    def _compute(self, opportunity: Opportunity, settings: StrategySettings) -> Trade | None:
        market, valuation = self.view.market, self.view.valuation
        token = opportunity.cycle.start_token
        cap = self._cap(token, settings.max_trade_size_micro_usd)
        assert cap is not None
        amount_in = min(opportunity.amount_in, cap)
        if amount_in == 0:
            return None
        flash = settings.funding is Funding.FLASH
        amount_out, gas_units = self._quote(market, opportunity, amount_in, flash)
        gain = valuation.micro_usd(token, amount_out - amount_in)
        value = valuation.cost_micro_usd(token, amount_in)
        assert gain is not None
        assert value is not None
        priority_fee = market.profile.default_priority_fee
        if settings.priority_fee is not None:
            priority_fee = settings.priority_fee
        if settings.bid_ppm is not None:
            share = floor(Fraction(max(gain, 0) * settings.bid_ppm, MILLION))
            wei = valuation.amount(market.profile.wrapped_native, share)
            assert wei is not None
            priority_fee = wei // gas_units
        gas_price = market.block.base_fee_per_gas + priority_fee
        cost = valuation.gas_cost_micro_usd(gas_units * gas_price)
        reserve = valuation.gas_cost_micro_usd(2 * gas_units * settings.max_gas_price)
        if settings.gas_cost_micro_usd is not None:
            cost = reserve = settings.gas_cost_micro_usd
        haircut = ceil(Fraction(max(gain, 0) * settings.slippage_haircut_ppm, MILLION))
        net = gain - cost - haircut
        p_fill = expected = None
        if settings.min_expected_micro_usd is not None:
            cycle = opportunity.cycle
            p_fill = self.view.chances.p_fill_ppm(
                cycle,
                market.block.number - self.view.episodes.opened(cycle),
                Footing(settings.position, settings.latency_blocks, settings.competition_rate_ppm),
                priority_fee,
                ordered=market.profile.ordering == "fee",
            )
            pools = [market.pools[pool].gas for pool in cycle.pools]
            units = min(self.gas.before_run(pools), 2 * gas_units)
            miss = valuation.gas_cost_micro_usd(units * gas_price)
            if settings.gas_cost_micro_usd is not None:
                miss = settings.gas_cost_micro_usd
            chance = Fraction(p_fill, MILLION)
            expected = floor(chance * net - (1 - chance) * miss)
        return Trade(
            opportunity,
            amount_in,
            amount_out,
            gas_units,
            priority_fee,
            net,
            0 if flash else value,
            reserve,
            p_fill,
            expected,
        )

    def _quote(
        self, market: Market, opportunity: Opportunity, amount_in: int, flash: bool
    ) -> tuple[int, int]:
        """Amount out and gas of the fill; nothing comes out where a pool refuses."""
        key = opportunity.cycle.id, amount_in, flash
        if key not in self.quotes:
            pools = [market.pools[pool] for pool in opportunity.cycle.pools]
            try:
                results = run(opportunity.cycle, amount_in, market.pools.__getitem__)
            except PoolError:
                amount_out, work = 0, tuple(HopWork(pool.gas, 0) for pool in pools)
            else:
                amount_out, work = results[-1].amount_out, hop_work(pools, results)
            self.quotes[key] = amount_out, self.gas.units(work, flash=flash)
        return self.quotes[key]

    def _decision(self, trade: Trade, settings: StrategySettings, name: StrategyHash) -> Decision:
        market, valuation = self.view.market, self.view.valuation
        cycle, block = trade.opportunity.cycle, market.block
        kept = Fraction(MILLION - settings.max_slippage_ppm, MILLION)
        price = valuation.price(cycle.start_token)
        assert price is not None
        on_chain = ceil(Fraction(settings.min_profit_onchain_micro_usd * 2**96, price))
        toss = toss_ppm(market.chain_id, cycle.id, self.view.episodes.opened(cycle))
        first = block.number + settings.latency_blocks
        return Decision(
            id=decision_id(name, block.hash, cycle.id),
            strategy=name,
            block=block,
            cycle=cycle,
            amount_in=trade.amount_in,
            amount_out=trade.amount_out,
            min_amount_out=max(ceil(trade.amount_out * kept), trade.amount_in + on_chain),
            gas_units=trade.gas_units,
            expected_net_micro_usd=trade.net,
            capital_micro_usd=trade.capital,
            priority_fee=trade.priority_fee,
            max_base_fee=settings.max_gas_price - trade.priority_fee,
            first_block=first,
            deadline_block=first + settings.deadline_blocks,
            position=settings.position,
            funding=settings.funding,
            latency_ms=settings.latency_ms,
            gas_reserve_micro_usd=trade.gas_reserve,
            fixed_gas_cost_micro_usd=settings.gas_cost_micro_usd,
            competition_lost=toss < settings.competition_rate_ppm,
            p_fill_ppm=trade.p_fill_ppm,
        )
