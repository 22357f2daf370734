"""Arbitrageurs: they close some of the open cycles, atomically, and pay for their place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from dexarb.core.pool import Pool, PoolKey, Segment
from dexarb.core.route import Cycle, Hop, run
from dexarb.core.token import Address
from dexarb.core.units import GWEI
from dexarb.demo import calls
from dexarb.demo.mining import Mined, TransactionRequest
from dexarb.demo.scene import Scene
from dexarb.demo.world import START_TOKENS, V3, DeployedPool, World
from dexarb.errors import PoolError

ARBITRAGE = "arbitrage"
GAS = 1_500_000
"""Gas limit: three hops, many ticks."""

LONGEST_CYCLE = 3
EXAMINED = 8
"""Cycles that are sized exactly in a block; one pool that is off opens dozens."""
NOTHING = Segment(0.0, 0.0, 0.0)
"""Of a pool without liquidity: no cycle through it is open."""

GOLDEN = (math.sqrt(5) - 1) / 2
SEARCH_STEPS = 14
WIDEST_MISS = 4.0
"""Factor by which the first segments' best input may miss the true one."""


@dataclass(frozen=True, slots=True)
class Chance:
    """A cycle at its best size; amounts from hop to hop, the last is what comes back."""

    cycle: Cycle
    amounts: tuple[int, ...]
    gain_usd: float

    @property
    def gain(self) -> int:
        """In the smallest unit of the cycle's start token."""
        return self.amounts[-1] - self.amounts[0]


class Arbitrageur:
    """Sees every spread, wants some of them, and is at times slow.

    What it does about a pool that is off is decided once, when it first sees it: leave it to
    others, take it in the next block, or one to three blocks later. A whale's pending trade it
    may follow within the same block, with a fee just below the whale's.
    """

    IGNORED = 0.4
    DELAYS: tuple[int, ...] = (0, 0, 0, 1, 1, 2, 3)
    """Blocks of waiting, equally likely."""
    FOLLOWED = 0.15
    """Share of the whales that it follows within the block."""
    LEAST_GAIN_USD = 0.5
    BID = (0.10, 0.55)
    """Share of the gain that it pays for its place."""
    LEAST_FEE_GWEI = 30
    EXPECTED_GAS = 280_000
    IS_PRIVATE = False

    def __init__(self, world: World, random: Random, account: int) -> None:
        self._world, self._random = world, random
        self._place = account
        self._account = world.accounts.arbitrageurs[account]
        self._pools = {pool.key: pool for pool in world.all_pools}
        self._tokens = {token.address: token for token in world.tokens.values()}
        self._cycles = cycles(world)
        self._due: dict[PoolKey, float] = {}
        """By pool that is off: the block to act in, counted from the first; never is infinity."""
        self._block = 0

    def act(self, scene: Scene, pending: Sequence[TransactionRequest]) -> list[TransactionRequest]:
        self._block += 1
        requests = []
        chances = self._chances(scene.pools, scene, self._cycles)
        culprits = {self._culprit(scene, chance) for chance in chances}
        self._due = {pool: block for pool, block in self._due.items() if pool in culprits}
        busy: set[PoolKey] = set()
        for chance in chances:
            if not busy.isdisjoint(chance.cycle.pools):
                continue
            busy.update(chance.cycle.pools)
            culprit = self._culprit(scene, chance)
            if culprit not in self._due:
                self._due[culprit] = self._decide()
            if self._due[culprit] <= self._block:
                del self._due[culprit]
                requests.append(self._take(chance, self._bid(scene, chance)))
        return requests + self._follow(scene, pending, busy)

    def observe(self, mined: Mined) -> None:
        """The pools tell everything."""

    def _decide(self) -> float:
        if self._random.random() < self.IGNORED:
            return float("inf")
        return self._block + self._random.choice(self.DELAYS)

    def _follow(
        self, scene: Scene, pending: Sequence[TransactionRequest], busy: set[PoolKey]
    ) -> list[TransactionRequest]:
        """Close what a pending large trade will open, right behind it."""
        requests = []
        for request in pending:
            sale = request.sale
            if sale is None or request.private or sale.pool in busy:
                continue
            if self._random.random() >= self.FOLLOWED:
                continue
            try:
                after = scene.pools[sale.pool].swap(sale.token_in, sale.amount_in).pool
            except PoolError:
                continue
            through = [cycle for cycle in self._cycles if sale.pool in cycle.pools]
            chances = self._chances({**scene.pools, sale.pool: after}, scene, through)
            if chances:
                fee = request.priority_fee - 1 - self._place
                requests.append(self._take(chances[0], fee))
                busy.update(chances[0].cycle.pools)
        return requests

    def _chances(
        self, pools: Mapping[PoolKey, Pool], scene: Scene, candidates: Iterable[Cycle]
    ) -> list[Chance]:
        """The best few that are worth it, the best first."""
        first: dict[tuple[PoolKey, Address], Segment] = {}
        for pool in pools.values():
            for token in pool.tokens:
                segment = next(pool.segments(token), None)
                if segment is not None:
                    first[pool.key, token] = segment
        estimates = []
        for cycle in candidates:
            hops = [first.get((hop.pool, hop.token_in), NOTHING) for hop in cycle.hops]
            rate = math.prod(segment.rate for segment in hops)
            if rate > 1.0:
                # The gain is half of what the marginal rate promises for the best input.
                start = self._tokens[cycle.start_token]
                gain = int(estimated_input(hops) * (rate - 1.0) / 2)
                estimates.append((scene.value_usd(start, gain), cycle, hops))
        estimates.sort(key=lambda entry: (-entry[0], entry[1].id))
        found = []
        for estimate, cycle, hops in estimates[:EXAMINED]:
            amounts = best_size(cycle, pools, hops) if estimate > self.LEAST_GAIN_USD / 2 else None
            if amounts is not None:
                start = self._tokens[cycle.start_token]
                gain_usd = scene.value_usd(start, amounts[-1] - amounts[0])
                if gain_usd >= self.LEAST_GAIN_USD:
                    found.append(Chance(cycle, amounts, gain_usd))
        return sorted(found, key=lambda chance: (-chance.gain_usd, chance.cycle.id))

    def _culprit(self, scene: Scene, chance: Chance) -> PoolKey:
        """The pool whose price is furthest from the fair one: the others' cycles share it."""
        return max(chance.cycle.pools, key=lambda pool: abs(scene.deviations_bps[pool]))

    def _bid(self, scene: Scene, chance: Chance) -> int:
        paid = scene.native_wei(chance.gain_usd * self._random.uniform(*self.BID))
        # A few wei of noise, so that two bids are never the same.
        noise = self._random.randrange(GWEI)
        return max(self.LEAST_FEE_GWEI * GWEI, paid // self.EXPECTED_GAS) + noise

    def _take(self, chance: Chance, priority_fee: int) -> TransactionRequest:
        hops = [(self._pools[hop.pool], hop.token_in) for hop in chance.cycle.hops]
        if all(pool.kind == V3 for pool, _ in hops):
            # At least half of the gain must be left, or it all reverts.
            least_out = chance.amounts[-1] - chance.gain // 2
            to, data = calls.v3_cycle(
                self._world, hops, chance.amounts[0], least_out, self._account
            )
        else:
            to, data = calls.executed(self._world, hops, chance.amounts, self._account)
        return TransactionRequest(
            ARBITRAGE, self._account, to, data, GAS, priority_fee, private=self.IS_PRIVATE
        )


class Insider(Arbitrageur):
    """Hands what it takes to the builder, who puts it in front of everybody at the least tip: what
    he gets for it no receipt shows."""

    IGNORED = 0.8
    DELAYS = (0, 0, 1)
    FOLLOWED = 0.0
    IS_PRIVATE = True

    def _bid(self, scene: Scene, chance: Chance) -> int:
        del scene, chance
        return self.LEAST_FEE_GWEI * GWEI


def cycles(world: World) -> tuple[Cycle, ...]:
    """All cycles of two and three pools that pass a start token, each in both directions."""
    by_token: dict[Address, list[DeployedPool]] = {}
    for pool in world.all_pools:
        for token in (pool.token0.address, pool.token1.address):
            by_token.setdefault(token, []).append(pool)
    found: dict[str, Cycle] = {}

    def extend(start: Address, token: Address, hops: tuple[Hop, ...]) -> None:
        for pool in by_token.get(token, ()):
            if any(hop.pool == pool.key for hop in hops):
                continue
            onward = calls.other_token(pool, token)
            path = (*hops, Hop(pool.key, token, onward))
            if onward == start:
                cycle = Cycle(path)
                found.setdefault(cycle.id, cycle)
            elif len(path) < LONGEST_CYCLE:
                extend(start, onward, path)

    for name in START_TOKENS:
        extend(world.tokens[name].address, world.tokens[name].address, ())
    return tuple(found.values())


def best_size(
    cycle: Cycle, pools: Mapping[PoolKey, Pool], segments: Sequence[Segment]
) -> tuple[int, ...] | None:
    """Amounts from hop to hop at about the best input; None if the cycle gains nothing.

    The pools' first segments give the starting point, and a golden-section search over exact
    swaps, on a scale of ratios, the rest.
    """
    estimate = estimated_input(segments)
    if estimate < 1.0:
        return None

    def amounts(ratio: float) -> tuple[int, ...]:
        amount_in = int(estimate * ratio)
        try:
            results = run(cycle, amount_in, pools.__getitem__)
        except PoolError:
            return (amount_in, 0)
        return (amount_in, *(result.amount_out for result in results))

    def gain(ratio: float) -> int:
        reached = amounts(ratio)
        return reached[-1] - reached[0]

    low, high = 1.0 / WIDEST_MISS, WIDEST_MISS
    lower, upper = (low * (high / low) ** part for part in (1 - GOLDEN, GOLDEN))
    gains = gain(lower), gain(upper)
    for _ in range(SEARCH_STEPS):
        if gains[0] < gains[1]:
            low, lower = lower, upper
            upper = low * (high / low) ** GOLDEN
            gains = gains[1], gain(upper)
        else:
            high, upper = upper, lower
            lower = low * (high / low) ** (1 - GOLDEN)
            gains = gain(lower), gains[0]
    found = amounts(lower if gains[0] > gains[1] else upper)
    return found if found[-1] > found[0] else None


def estimated_input(segments: Sequence[Segment]) -> float:
    """The best input if the pools' first segments never ended; 0 where the cycle is closed.

    Two hops a·x / (1 + k·x) in a row are again one, see docs/search.md.
    """
    rate, depth = 1.0, 0.0
    for segment in segments:
        depth += segment.depth * rate
        rate *= segment.rate
    return (math.sqrt(rate) - 1.0) / depth if rate > 1.0 else 0.0
