"""What a market offered over a span of blocks, against what each strategy needs."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from dexarb.core.market import Market
from dexarb.core.pool import PIPS, Pool, PoolKey
from dexarb.core.route import Cycle, CycleId, Hop
from dexarb.core.route import run as run_cycle
from dexarb.core.token import Pair, pair_of, pairs_of
from dexarb.core.trade import Opportunity
from dexarb.core.units import BPS, PPM_PER_BPS
from dexarb.errors import PoolError
from dexarb.search.result import HopWork, hop_work
from dexarb.study.distribution import Course
from dexarb.study.ladder import Best, EpisodeBook
from dexarb.study.spreads import Spread, spread_between
from dexarb.study.walk import Moment, Span
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.strategy import StrategySettings

MAX_SIZES = 6
RISES_BPS = (0.0, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0)
PoolPair = tuple[PoolKey, PoolKey]
Pairing = tuple[Pair, PoolKey, PoolKey]
"""Of tokens, in two pools."""


@dataclass(slots=True)
class PairCourse:
    """How far two pools of a pair stood apart, in the direction that is nearer to paying.

    Basis points. raw: of their mid prices. executable: what an exact round trip at the size gave
    after the fees of both. fees_bps: the raw spread that pays for both fees.
    """

    tokens: Pair
    pools: PoolPair
    fees_bps: float
    raw: Course
    executable: Course


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


@dataclass(frozen=True, slots=True)
class Survey:
    """All of it. blocks: those that the history has of the span. size: index of the size at which
    spreads are executed. gas: micro-USD of a trade through two pools at the last block, None
    without a price. best_raw and best_executable: of each token pair the pool pair that stood
    best, block by block."""

    asked: Span
    blocks: int
    market: Market
    sizes_micro_usd: tuple[int, ...]
    size: int
    gas_micro_usd: int | None
    pairs: tuple[PairCourse, ...]
    best_raw: tuple[Course, ...]
    best_executable: tuple[Course, ...]
    episodes: tuple[Best, ...]
    needs: tuple[Need, ...]


def chosen_sizes(
    settings: Sequence[StrategySettings], size_micro_usd: int | None
) -> tuple[tuple[int, ...], int]:
    """Sizes to look at in micro-USD, ascending, and the index of the one to execute spreads at:
    the one asked for, else the strategies' middle one.

    Of more than MAX_SIZES distinct ones, evenly spread ones with the smallest and the greatest.
    """
    own = sorted({each.max_trade_size_micro_usd for each in settings})
    if len(own) > MAX_SIZES:
        steps = (round(i * (len(own) - 1) / (MAX_SIZES - 1)) for i in range(MAX_SIZES))
        own = [own[step] for step in steps]
    size = own[(len(own) - 1) // 2] if size_micro_usd is None else size_micro_usd
    sizes = tuple(sorted({*own, size}))
    return sizes, sizes.index(size)


class _Quotes(NamedTuple):
    """Of a cycle on these pools: what an input gives."""

    pools: Sequence[Pool]
    by_amount: dict[int, tuple[int, int] | None]


class Surveyor:
    """Mutable. Looks at every block once, and in it at what has changed."""

    def __init__(self, sizes: tuple[int, ...], size: int) -> None:
        self._sizes, self._size = sizes, size
        self._gas = REALITY.gas
        self._looks_at_all = True
        self._next: int | None = None
        self._blocks = 0
        self._of_pair: dict[Pair, list[PoolKey]] = {}
        self._seen: dict[PoolKey, Pool] = {}
        """All pools so far, in order: a pair is the same pair when its pools have been away."""
        self._pairs: dict[Pairing, PairCourse] = {}
        self._now: dict[Pairing, tuple[float | None, float | None]] = {}
        self._best: dict[Pair, tuple[Course, Course]] = {}
        self._cycles: dict[tuple[str, ...], Cycle] = {}
        self._quotes: dict[CycleId, _Quotes] = {}
        self._book = EpisodeBook(len(sizes))

    def take(self, moment: Moment) -> None:
        market, number = moment.market, moment.update.block.number
        pools = market.ahead
        self._blocks += 1
        if self._next is not None and number != self._next:
            # Blocks that the collector has missed: nobody knows how the spreads stood in them.
            self._looks_at_all = True
            for course in self._courses():
                course.skip(self._next)
        self._next = number + 1
        # Where pools come and go all are looked at; else those that the block has events of.
        changed = {key for log in moment.update.logs if (key := market.key_of(log)) is not None}
        changed.update(market.timed)
        if self._looks_at_all or moment.has_other_pools:
            self._looks_at_all, changed = False, set(pools)
            self._know(number, pools)
        for tokens in {pair for key in changed for pair in pairs_of(pools[key].tokens)}:
            candidates = [pools[key] for key in self._of_pair[tokens]]
            for one, other in combinations(candidates, 2):
                if one.key in changed or other.key in changed:
                    self._pair(number, tokens, one, other, moment)
            self._best_of(number, tokens, candidates)
        offers = [
            (each.cycle, self._nets(each, market, moment.valuation))
            for each in moment.opportunities
        ]
        self._book.observe(number, moment.opened, offers)

    # -- pairs of pools -----------------------------------------------------------------------

    def _know(self, number: int, pools: Mapping[PoolKey, Pool]) -> None:
        """The market has these pools; how pairs of others stand is not known from this block on."""
        self._of_pair = defaultdict(list)
        for key, pool in pools.items():
            self._seen.setdefault(key, pool)
        for key in (each for each in self._seen if each in pools):
            for pair in pairs_of(pools[key].tokens):
                self._of_pair[pair].append(key)
        for pairing in [each for each in self._now if not pools.keys() >= set(each[1:])]:
            del self._now[pairing]
            self._pairs[pairing].raw.skip(number)
            self._pairs[pairing].executable.skip(number)
        for tokens, both in self._best.items():
            if len(self._of_pair[tokens]) < 2:
                for course in both:
                    course.skip(number)

    def _pair(self, number: int, tokens: Pair, one: Pool, other: Pool, moment: Moment) -> None:
        market = moment.market
        paid = next((t for t in market.profile.start_tokens if t in tokens), tokens[1])
        bought = tokens[0] if paid == tokens[1] else tokens[1]
        spread = spread_between((bought, paid), one, other)
        key = (tokens, one.key, other.key)
        course = self._pairs.get(key)
        if course is None:
            kept = (1 - one.fee_pips / PIPS) * (1 - other.fee_pips / PIPS)
            raw, executable = Course(RISES_BPS), Course(RISES_BPS)
            fees_bps = (1 / kept - 1) * BPS
            course = self._pairs[key] = PairCourse(tokens, key[1:], fees_bps, raw, executable)
        raw_bps = spread.raw_bps if spread else None
        executable_bps = self._execute(spread, market, moment.valuation) if spread else None
        course.raw.observe(number, raw_bps)
        course.executable.observe(number, executable_bps)
        self._now[key] = (raw_bps, executable_bps)

    def _execute(self, spread: Spread, market: Market, valuation: Valuation) -> float | None:
        """What the exact round trip at the size gives, in basis points of what goes in. None where
        the pools cannot fill it, or the token has no price."""
        bought, paid = spread.tokens
        key = (spread.buy.key, spread.sell.key, paid, bought)
        cycle = self._cycles.get(key)
        if cycle is None:
            hops = (Hop(key[0], paid, bought), Hop(key[1], bought, paid))
            cycle = self._cycles[key] = Cycle(hops)
        amount = valuation.amount(paid, self._sizes[self._size])
        if not amount:
            return None
        try:
            out = run_cycle(cycle, amount, market.ahead.__getitem__)[-1].amount_out
        except PoolError:
            return None
        return (out / amount - 1) * BPS

    def _best_of(self, number: int, tokens: Pair, candidates: Sequence[Pool]) -> None:
        keys = [(tokens, one.key, other.key) for one, other in combinations(candidates, 2)]
        known = [self._now[key] for key in keys if key in self._now]
        if known:
            best = self._best.setdefault(tokens, (Course(RISES_BPS), Course(RISES_BPS)))
            for index, course in enumerate(best):
                values = [values[index] for values in known]
                course.observe(number, max((v for v in values if v is not None), default=None))

    # -- opportunities ------------------------------------------------------------------------

    def _nets(
        self, opportunity: Opportunity, market: Market, valuation: Valuation
    ) -> list[int | None]:
        """Micro-USD after gas at the chain's default bid, at most at each size."""
        token = opportunity.cycle.start_token
        native = market.profile.wrapped_native
        gas_price = market.block.base_fee_per_gas + market.profile.default_priority_fee
        nets: list[int | None] = []
        for size in self._sizes:
            cap = valuation.amount(token, size)
            quote = (
                self._quote(opportunity, min(cap, opportunity.amount_in), market) if cap else None
            )
            gross = valuation.micro_usd(token, quote[0]) if quote else None
            gas = valuation.cost_micro_usd(native, quote[1] * gas_price) if quote else None
            nets.append(None if gross is None or gas is None else gross - gas)
        return nets

    def _quote(
        self, opportunity: Opportunity, amount_in: int, market: Market
    ) -> tuple[int, int] | None:
        """(profit, gas units) of the cycle at this input; None where the pools cannot fill it.

        Computed once as long as the pools stay as they are: some spreads stand for days.
        """
        if amount_in == opportunity.amount_in:
            return opportunity.profit, opportunity.gas_units
        cycle = opportunity.cycle
        ahead = market.ahead
        pools = [ahead[pool] for pool in cycle.pools]
        known = self._quotes.get(cycle.id)
        if known is None or any(x is not y for x, y in zip(known.pools, pools, strict=True)):
            known = self._quotes[cycle.id] = _Quotes(pools, {})
        if amount_in not in known.by_amount:
            try:
                results = run_cycle(cycle, amount_in, market.ahead.__getitem__)
            except PoolError:
                known.by_amount[amount_in] = None
            else:
                gas_units = self._gas.units(hop_work(pools, results))
                known.by_amount[amount_in] = results[-1].amount_out - amount_in, gas_units
        return known.by_amount[amount_in]

    # -- the end ------------------------------------------------------------------------------

    def survey(self, asked: Span, last: Moment, settings: Sequence[StrategySettings]) -> Survey:
        """What has been seen, up to the last block."""
        market = last.market
        for course in self._courses():
            course.close(asked.last + 1)
        gas = self._gas_of_two_pools(market, last.valuation)
        episodes = tuple(self._book.episodes())
        return Survey(
            asked,
            self._blocks,
            market,
            self._sizes,
            self._size,
            gas,
            tuple(self._pairs.values()),
            tuple(raw for raw, _ in self._best.values()),
            tuple(executable for _, executable in self._best.values()),
            episodes,
            tuple(self._needs(settings, episodes, gas or 0)),
        )

    def _courses(self) -> Iterator[Course]:
        for pair in self._pairs.values():
            yield from (pair.raw, pair.executable)
        for both in self._best.values():
            yield from both

    def _gas_of_two_pools(self, market: Market, valuation: Valuation) -> int | None:
        units = max(self._gas.units([HopWork(each, 0)] * 2) for each in market.swap_gas)
        gas_price = market.block.base_fee_per_gas + market.profile.default_priority_fee
        return valuation.cost_micro_usd(market.profile.wrapped_native, units * gas_price)

    def _needs(
        self,
        settings: Sequence[StrategySettings],
        episodes: Sequence[Best],
        gas_micro_usd: int,
    ) -> Iterator[Need]:
        """Strategies with the same scope and size share one look at the episodes."""
        known: dict[tuple[object, ...], list[tuple[int, int]]] = {}
        for each in settings:
            index = max(bisect_right(self._sizes, each.max_trade_size_micro_usd) - 1, 0)
            key = (each.pairs, each.max_hops, each.dexes, index)
            if key not in known:
                mine = (best for best in episodes if _in_scope(each, best.cycle, self._seen))
                known[key] = sorted(
                    (net, best.block[index])
                    for best in mine
                    if (net := best.net_micro_usd[index]) is not None
                )
            nets = known[key]
            size = self._sizes[index]
            gas = each.gas_cost_micro_usd if each.gas_cost_micro_usd is not None else gas_micro_usd
            by_profit = (each.min_profit_micro_usd + gas) / size * BPS
            enough = len(nets) - bisect_right(nets, (each.min_profit_micro_usd, -1))
            best_net, best_block = nets[-1] if nets else (None, None)
            needed = max(by_profit, each.min_spread_ppm / PPM_PER_BPS)
            yield Need(each, size, needed, best_net, best_block, enough)


def _in_scope(settings: StrategySettings, cycle: Cycle, seen: Mapping[PoolKey, Pool]) -> bool:
    """Whether the strategy looks at such cycles. seen: pools, also those that are gone."""
    pairs = set(settings.pairs)
    return (
        len(cycle.hops) <= settings.max_hops
        and all(pair_of(hop.token_in, hop.token_out) in pairs for hop in cycle.hops)
        and (not settings.dexes or all(seen[pool].dex in settings.dexes for pool in cycle.pools))
    )
