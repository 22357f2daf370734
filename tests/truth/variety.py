"""Decisions of every shape, beside those that strategies come to by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle, Hop, most_out, run
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, Funding, Position, StrategyHash
from dexarb.errors import PoolError
from dexarb.search.result import hop_work
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View

GWEI = 10**9
NAME = StrategyHash("variety")
MAX_HOPS = 4
TOLERANCES_PPM = (0, 50, 1_000, 5_000, 1_000_000)
"""From what the least change reverts to whatever gives no loss."""
GREEDY_EVERY = 5
"""So many decisions want more than there is, and less than the executor can rule out at once."""
REFUSED_GAS = 300_000
FREE_EVERY = 8
"""Gas costs nothing for so many of the decisions: their band is one of amounts alone."""
ODD_EVERY = 25
"""So many decisions have one of more than the thin pool holds, and one of dust."""
FLOOD_USD = 8_000_000
MICRO_USD = 1_000_000
PPM = 1_000_000
NO_LIMIT = 1 << 62


class Variety:
    """A strategy that wants a bit of everything: the rarest shapes first.

    Open cycles at sizes around the best, closed ones, dust, more than a thin pool has. It knows
    nothing of money, so it is not bound by capital, daily limits or busy pools.
    """

    hashes: Sequence[StrategyHash] = (NAME,)

    def __init__(self, rng: Random, per_block: int, thin_pool: PoolKey) -> None:
        self._rng, self._per_block, self._thin_pool = rng, per_block, thin_pool
        self._made = 0
        self._taken: Counter[str] = Counter()
        self._cycles: tuple[Cycle, ...] = ()
        self._flooding: list[Cycle] = []

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        del token, market, valuation
        return 1

    def decide(self, view: View, skips: SkipTally) -> Decided:
        del skips
        if not self._cycles:
            self._cycles = tuple(all_cycles(view.market))
            self._flooding = [each for each in self._cycles if each.pools[0] == self._thin_pool]
        sizes = {each.cycle: each.amount_in for each in view.opportunities}
        decisions = []
        for _ in range(self._per_block):
            if self._made % ODD_EVERY == 0:
                cycle = self._rarest(view.market, self._flooding)
                amount_in = self._worth(view, cycle, FLOOD_USD)
            elif self._made % ODD_EVERY == 1:
                cycle = self._rarest(view.market, self._cycles)
                amount_in = self._rng.randint(1, 1_000)
            elif sizes and self._rng.random() < 0.8:
                cycle = self._rarest(view.market, tuple(sizes))
                amount_in = int(sizes[cycle] * self._rng.choice((1.0, 1.0, 0.5, 0.1, 1.2)))
            else:
                cycle = self._rarest(view.market, self._cycles)
                amount_in = self._worth(view, cycle, 10 ** self._rng.uniform(0, 4.5))
            decisions.append(self._decision(view, cycle, max(1, amount_in)))
        return Decided(decisions)

    def _rarest(self, market: Market, cycles: Sequence[Cycle]) -> Cycle:
        """One of those whose shape has been taken least."""
        sample = self._rng.sample(cycles, min(len(cycles), 60))
        chosen = min(sample, key=lambda cycle: self._taken[kinds_of(market, cycle)])
        self._taken[kinds_of(market, chosen)] += 1
        return chosen

    @staticmethod
    def _worth(view: View, cycle: Cycle, usd: float) -> int:
        amount = view.valuation.amount(cycle.start_token, int(usd * MICRO_USD))
        assert amount is not None
        return amount

    def _decision(self, view: View, cycle: Cycle, amount_in: int) -> Decision:
        rng, block = self._rng, view.market.block
        funding = rng.choice(tuple(Funding))
        try:
            results = run(cycle, amount_in, view.market.pools.__getitem__)
            amount_out = results[-1].amount_out
            work = hop_work([view.market.pools[pool] for pool in cycle.pools], results)
            gas_units = REALITY.gas.units(work, flash=funding is Funding.FLASH)
        except PoolError:
            amount_out, gas_units = amount_in, REFUSED_GAS
        is_free = self._made % FREE_EVERY == 0
        tolerated = TOLERANCES_PPM[-1] if is_free else rng.choice(TOLERANCES_PPM)
        self._made += 1
        least = max(amount_in, -(-amount_out * (PPM - tolerated) // PPM))
        if self._made % GREEDY_EVERY == 0:
            pools = [view.market.pools[pool] for pool in cycle.pools]
            most = most_out(cycle, amount_in, pools) or 0
            least = max(amount_in, (amount_out + most) // 2 + 1)
        first_block = block.number + rng.choice((1, 1, 2))
        return Decision(
            id=DecisionId(f"{self._made:016x}"),
            strategy=NAME,
            block=block,
            cycle=cycle,
            amount_in=amount_in,
            amount_out=amount_out,
            min_amount_out=least,
            gas_units=gas_units,
            expected_net_micro_usd=0,
            capital_micro_usd=0,
            priority_fee=int(rng.uniform(20, 70) * GWEI),
            max_base_fee=NO_LIMIT,
            first_block=first_block,
            deadline_block=first_block,
            position=rng.choice(tuple(Position)),
            funding=funding,
            fixed_gas_cost_micro_usd=0 if is_free else None,
        )


def all_cycles(market: Market) -> Iterator[Cycle]:
    """Of two to four different pools from every start token of the chain."""
    pools = market.pools.values()

    def extend(start: Address, token: Address, hops: tuple[Hop, ...]) -> Iterator[Cycle]:
        for pool in pools:
            if token not in pool.tokens or any(hop.pool == pool.key for hop in hops):
                continue
            onward = pool.tokens[1] if token == pool.tokens[0] else pool.tokens[0]
            path = (*hops, Hop(pool.key, token, onward))
            if onward == start and len(path) > 1:
                yield Cycle(path)
            elif onward != start and len(path) < MAX_HOPS:
                yield from extend(start, onward, path)

    for start in market.profile.start_tokens:
        yield from extend(start, start, ())


def kinds_of(market: Market, cycle: Cycle) -> str:
    """The kinds of a cycle's pools in order, as 2s and 3s."""
    return "".join(market.pools[pool].kind[-1] for pool in cycle.pools)
