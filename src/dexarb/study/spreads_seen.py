"""What a block shows of spreads: of the pools that its events moved, and of the open cycles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from operator import is_not
from typing import NamedTuple

from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, CycleId, surcharge_of
from dexarb.core.route import run as run_cycle
from dexarb.core.token import Address, Pair, pairs_of
from dexarb.core.trade import Opportunity
from dexarb.core.units import BPS
from dexarb.errors import PoolError
from dexarb.search.result import hop_work
from dexarb.study.spreads import Sides, kept_after_fees, nearer_to_paying, sides_of
from dexarb.study.walk import Moment
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation

PoolPair = tuple[PoolKey, PoolKey]
PairingKey = tuple[Pair, PoolKey, PoolKey]
"""Of tokens, in two pools."""


class Pairing(NamedTuple):
    """Two pools of a market that trade the same tokens. bought: what a round trip buys with `paid`
    and sells again. kept: the share that both fees leave."""

    key: PairingKey
    bought: Address
    paid: Address
    kept: float

    @property
    def tokens(self) -> Pair:
        return self.key[0]

    @property
    def pools(self) -> PoolPair:
        return self.key[1:]

    @property
    def fees_bps(self) -> float:
        """The raw spread that pays for both fees."""
        return (1 / self.kept - 1) * BPS


class PairSeen(NamedTuple):
    """How far two pools stood apart at the end of the block, as in PairCourse."""

    pairing: Pairing
    raw_bps: float | None
    executable_bps: float | None


@dataclass(frozen=True, slots=True)
class SpreadsSeen:
    """All that a block adds to what the block before it showed.

    groups: the tokens that some pool was moved of, with all their pairs of pools. offers: open
    cycles with their net micro-USD at each size. opened: since when, by the id of each of these.
    pools: all there are, where they are others than before; what is not said of others is not known
    from this block on.
    """

    number: int
    pairs: Sequence[PairSeen]
    groups: Sequence[tuple[Pair, Sequence[PairingKey]]]
    offers: Sequence[tuple[Cycle, Sequence[int | None]]]
    opened: Mapping[CycleId, int]
    pools: Mapping[PoolKey, Pool] | None = None


class _CycleQuotes(NamedTuple):
    """Of a cycle on these pools: what an input gives."""

    pools: Sequence[Pool]
    by_amount: dict[int, tuple[int, int] | None]


@dataclass(slots=True)
class _Group:
    """All pools that trade two tokens. pairings: places of two of them, and what they are together.

    sides, buys: by place, what is known of the pool that was there last; buys: what an
    amount of `paid` buys, None where the pool cannot take it.
    """

    paid: Address
    bought: Address
    pools: Sequence[PoolKey]
    pairings: Sequence[tuple[int, int, Pairing]]
    sides: list[tuple[Pool, Sides] | None] = field(init=False)
    buys: list[tuple[Pool, int, int | None] | None] = field(init=False)

    def __post_init__(self) -> None:
        self.sides = [None] * len(self.pools)
        self.buys = [None] * len(self.pools)

    def sides_of(self, place: int, pool: Pool) -> Sides:
        known = self.sides[place]
        if known is None or known[0] is not pool:
            known = self.sides[place] = (pool, sides_of(pool, self.bought, self.paid))
        return known[1]

    def buy(self, place: int, pool: Pool, amount: int) -> int | None:
        known = self.buys[place]
        if known is None or known[0] is not pool or known[1] != amount:
            known = self.buys[place] = (pool, amount, _quote(pool, self.paid, amount, self.bought))
        return known[2]


def _quote(pool: Pool, token_in: Address, amount_in: int, token_out: Address) -> int | None:
    """None where the pool refuses it."""
    try:
        return pool.quote(token_in, amount_in, token_out)
    except PoolError:
        return None


class Sight:
    """Mutable: remembers only what does not depend on the blocks that were looked at before.

    sizes: micro-USD; size: index of the one at which spreads are executed.
    """

    def __init__(self, sizes: tuple[int, ...], size: int) -> None:
        self._sizes, self._size = sizes, size
        self._gas = REALITY.gas
        self._surcharges: Mapping[Address, int] = {}
        self._order: dict[PoolKey, None] = {}
        """All pools so far: a pair is the same pair when its pools have been away."""
        self._groups: dict[Pair, _Group] = {}
        self._keys: dict[Pair, tuple[PairingKey, ...]] = {}
        self._quotes: dict[CycleId, _CycleQuotes] = {}

    def look(self, moment: Moment, *, goes_on: bool) -> SpreadsSeen:
        """goes_on: the block before was looked at too, so what did not move has been told."""
        market = moment.market
        gas = REALITY.gas.under(market.next_gas_schedule)
        surcharges = market.next_surcharges
        if gas is not self._gas or surcharges != self._surcharges:
            self._gas, self._surcharges = gas, surcharges
            self._quotes.clear()
        pools = market.ahead
        if not goes_on or moment.has_other_pools:
            self._begin(market)
            goes_on = False
        # In the order of the events: what is told must not depend on hashes of strings.
        moved = dict.fromkeys((*market.named, *market.timed) if goes_on else pools)
        tokens = dict.fromkeys(pair for key in moved for pair in pairs_of(pools[key].tokens))
        amounts = _Amounts(moment.valuation)
        return SpreadsSeen(
            moment.update.block.number,
            [
                seen
                for pair in tokens
                for seen in self._pairs(self._groups[pair], pools, moved, amounts)
            ],
            [(pair, self._keys[pair]) for pair in tokens],
            list(self._offers(moment.opportunities, market, amounts)),
            {each.cycle.id: moment.opened(each.cycle) for each in moment.opportunities},
            None if goes_on else dict(market.pools),
        )

    def _begin(self, market: Market) -> None:
        """Other pools, or the same with other fees."""
        self._order |= dict.fromkeys(market.pools)
        of_pair: dict[Pair, list[Pool]] = defaultdict(list)
        for key in self._order:
            pool = market.pools.get(key)
            for pair in pairs_of(pool.tokens) if pool else ():
                of_pair[pair].append(market.pools[key])
        starts = market.profile.start_tokens
        self._groups = {tokens: _group(tokens, pools, starts) for tokens, pools in of_pair.items()}
        self._keys = {
            tokens: tuple(pairing.key for _, _, pairing in group.pairings)
            for tokens, group in self._groups.items()
        }

    # -- pairs of pools -----------------------------------------------------------------------

    def _pairs(
        self,
        group: _Group,
        pools: Mapping[PoolKey, Pool],
        moved: Container[PoolKey],
        amounts: _Amounts,
    ) -> Iterator[PairSeen]:
        """Of all two pools of the group of which one has moved."""
        if not group.pairings:
            return
        here = [pools[key] for key in group.pools]
        has_moved = [key in moved for key in group.pools]
        sides = [group.sides_of(place, pool) for place, pool in enumerate(here)]
        amount = amounts.of(group.paid, self._sizes[self._size])
        for one, other, pairing in group.pairings:
            if not (has_moved[one] or has_moved[other]):
                continue
            found = nearer_to_paying(sides[one], sides[other])
            if found is None:
                yield PairSeen(pairing, None, None)
                continue
            after_fees, buys_in_one = found
            raw_bps = (after_fees / pairing.kept - 1) * BPS
            buy, sell = (one, other) if buys_in_one else (other, one)
            got = group.buy(buy, here[buy], amount) if amount else None
            out = _quote(here[sell], group.bought, got, group.paid) if got is not None else None
            if not amount or out is None:
                yield PairSeen(pairing, raw_bps, None)
            else:
                yield PairSeen(pairing, raw_bps, (out / amount - 1) * BPS)

    # -- opportunities ------------------------------------------------------------------------

    def _offers(
        self, opportunities: Iterable[Opportunity], market: Market, amounts: _Amounts
    ) -> Iterator[tuple[Cycle, Sequence[int | None]]]:
        """Micro-USD after gas at the chain's default bid, at most at each size."""
        gas_price = market.block.base_fee_per_gas + market.profile.default_priority_fee
        ahead = market.ahead
        for each in opportunities:
            token, best = each.cycle.start_token, each.amount_in
            nets: list[int | None] = []
            at = 0
            for cap in amounts.caps(token, self._sizes):
                # From the best size on more money changes nothing.
                if not nets or at != best or cap < best:
                    at = min(cap, best)
                    quote = self._quote(each, at, ahead) if at else None
                    nets.append(amounts.net(token, gas_price, quote))
                else:
                    nets.append(nets[-1])
            yield each.cycle, nets

    def _quote(
        self, opportunity: Opportunity, amount_in: int, ahead: Mapping[PoolKey, Pool]
    ) -> tuple[int, int] | None:
        """(profit, gas units) of the cycle at this input; None where the pools cannot fill it.

        Computed once as long as the pools stay as they are: some spreads stand for days.
        """
        if amount_in == opportunity.amount_in:
            return opportunity.profit, opportunity.gas_units
        cycle = opportunity.cycle
        pools = [ahead[pool] for pool in cycle.pools]
        known = self._quotes.get(cycle.id)
        if known is None or any(map(is_not, known.pools, pools)):
            known = self._quotes[cycle.id] = _CycleQuotes(pools, {})
        if amount_in not in known.by_amount:
            try:
                results = run_cycle(cycle, amount_in, ahead.__getitem__)
            except PoolError:
                known.by_amount[amount_in] = None
            else:
                gas_units = self._gas.units(hop_work(pools, results))
                gas_units += surcharge_of(cycle.tokens, self._surcharges)
                known.by_amount[amount_in] = results[-1].amount_out - amount_in, gas_units
        return known.by_amount[amount_in]


class _Amounts:
    """What money buys at the end of one block, each amount computed once."""

    def __init__(self, valuation: Valuation) -> None:
        self._valuation = valuation
        self._known: dict[tuple[Address, int], int | None] = {}
        self._caps: dict[Address, list[int]] = {}

    def of(self, token: Address, micro_usd: int) -> int | None:
        """In smallest units; None without a price."""
        key = (token, micro_usd)
        if key not in self._known:
            self._known[key] = self._valuation.amount(token, micro_usd)
        return self._known[key]

    def caps(self, token: Address, sizes: Sequence[int]) -> Sequence[int]:
        """Of each size, the same sizes every time; 0 without a price."""
        if token not in self._caps:
            self._caps[token] = [self.of(token, size) or 0 for size in sizes]
        return self._caps[token]

    def net(self, token: Address, gas_price: int, quote: tuple[int, int] | None) -> int | None:
        """Micro-USD of (profit, gas units); None without them, or without a price."""
        if quote is None:
            return None
        gross = self._valuation.micro_usd(token, quote[0])
        gas = self._valuation.native_cost_micro_usd(quote[1] * gas_price)
        return None if gross is None or gas is None else gross - gas


def _group(tokens: Pair, pools: Sequence[Pool], starts: Sequence[Address]) -> _Group:
    """Paid is the first start token that they trade, else the second of the two."""
    paid = next((token for token in starts if token in tokens), tokens[1])
    bought = tokens[0] if paid == tokens[1] else tokens[1]
    pairings = [
        (i, j, Pairing((tokens, one.key, other.key), bought, paid, kept_after_fees(one, other)))
        for (i, one), (j, other) in combinations(enumerate(pools), 2)
    ]
    return _Group(paid, bought, [pool.key for pool in pools], pairings)
