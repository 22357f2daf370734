"""Gas of real executions on a node, and what dexarb's model says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

import numpy as np

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.core.gas_schedule import ETHEREUM, GasCounts, GasSchedule
from dexarb.core.pool import PoolKey
from dexarb.core.route import most_out
from dexarb.core.token import Address
from dexarb.search.result import HopWork, hop_work
from dexarb.trading.models.gas import GasModel
from tests.amm.evm_world import OWNER
from tests.executor.arena import Arena, Trade
from tests.executor.chains import AnvilChain, Request, anvil_chain
from tests.executor.traces import counts_of

V2, V3 = UniswapV2Pool.gas, UniswapV3Pool.gas

MOST_TICKS = 2_000
"""A sized trade does not move a price by more than a fifth; see docs/executor.md for the rest."""


class Sample(NamedTuple):
    """One execution. started: the executor did not find the pools moved too far.

    calldata: gas of the transaction's data. counts: what it did, where it was traced.
    """

    work: tuple[HopWork, ...]
    flash: bool
    filled: bool
    started: bool
    calldata: int
    gas_used: int
    counts: GasCounts | None = None

    def real(self, schedule: GasSchedule = ETHEREUM) -> int:
        """What the node charged; what another schedule makes of what was traced."""
        if schedule is ETHEREUM:
            return self.gas_used
        assert self.counts is not None
        return schedule.units(self.counts)

    def predicted(self, schedule: GasSchedule = ETHEREUM) -> int:
        model = GasModel().under(schedule)
        if not self.started:
            return model.before_run([hop.gas for hop in self.work])
        units = model.units if self.filled else model.reverted
        return units(self.work, flash=self.flash)

    def error(self, schedule: GasSchedule = ETHEREUM) -> float:
        """Prediction over what it was, less 1."""
        return self.predicted(schedule) / self.real(schedule) - 1


@contextmanager
def seasoned_arena(
    seed: int, pools_per_pair: int = 4, *, tells_steps: bool = False
) -> Iterator[Arena]:
    """An arena on a node, whose contracts look as if they had been in use for long."""
    with anvil_chain(tells_steps=tells_steps) as chain:
        arena = Arena(chain, Random(seed), pools_per_pair)
        arena.season()
        yield arena


def samples(arena: Arena, count: int, *, traced_every: int = 0) -> Iterator[Sample]:
    """Random executions of cycles that pay: own and flash, filled and not, after others.

    traced_every: of so many the first is traced; 0: none.
    """
    made = 0
    while made < count:
        if made % 4 == 0:
            arena.shake()
        trade = arena.any_trade(arena.rng.randint(2, 4))
        if trade.amount_out > trade.amount_in and moves_little(arena, trade):
            traced = bool(traced_every) and made % traced_every == 0
            sample = execute(arena, trade, traced=traced)
            if sample is not None:
                made += 1
                yield sample


def moves_little(arena: Arena, trade: Trade) -> bool:
    return all(
        abs(getattr(result.pool, "tick", 0) - getattr(arena.pools[hop.pool], "tick", 0))
        <= MOST_TICKS
        for hop, result in zip(trade.cycle.hops, trade.results or (), strict=True)
    )


def execute(arena: Arena, trade: Trade, *, traced: bool = False) -> Sample | None:
    """Run it, maybe behind others' swaps in the same block; None where these took the profit."""
    rng, before = arena.rng, dict(arena.pools)
    flash, fills = rng.random() < 0.5, rng.random() < 0.6
    share = rng.choice([0.0, 0.0, 0.5, 1.0])
    touched = [hop for hop in trade.cycle.hops if rng.random() < share]
    others: list[Request] = []
    for hop in touched:
        # Against our direction, so that we still gain.
        others += small_swap(arena, hop.pool, hop.token_out)
    after = arena.trade(trade.cycle, trade.amount_in)
    pools = [arena.pools[hop.pool] for hop in trade.cycle.hops]
    # One more than there is shows in the run alone, twice as much before it.
    least = after.amount_out if fills else rng.choice([after.amount_out + 1, 2 * after.amount_out])
    request = arena.execution(after, least, flash=flash)
    most = most_out(trade.cycle, trade.amount_in, pools)
    arena.pools = before
    if after.results is None or after.amount_out < after.amount_in:
        return None
    counts = None
    with arena.chain.undone():
        receipt = arena.chain.mine(*others, request)[-1]
        if traced:
            assert isinstance(arena.chain, AnvilChain)
            counts = counts_of(arena.chain.trace(receipt.hash), request.data)
    assert receipt.succeeded == fills, (after, flash)
    work = tuple(
        one._replace(touched=hop in touched)
        for hop, one in zip(trade.cycle.hops, hop_work(pools, after.results), strict=True)
    )
    calldata = sum(16 if byte else 4 for byte in request.data)
    started = most is None or most >= least
    return Sample(work, flash, fills, started, calldata, receipt.gas_used, counts)


def small_swap(arena: Arena, key: PoolKey, token_in: Address) -> list[Request]:
    """Somebody else's transactions; the mirror moves at once."""
    pool = arena.pools[key]
    amount = max(1_000, arena.depth(pool, token_in) // 3_000)
    requests = arena.swap_requests(pool.address, token_in, amount)
    swapped = pool.swap(token_in, amount).pool
    assert isinstance(swapped, type(pool))
    arena.pools[key] = swapped
    return [Request(OWNER, arena.teller, data) for data in requests]


FEATURES = (
    "executor",
    "flash",
    "relay",
    "V2",
    "V3",
    "crossing",
    "crossed_tick",
    "touched V2",
    "left_tick",
    "observed",
    "bitmap_word",
)


def features(sample: Sample) -> list[int]:
    work, model = sample.work, GasModel()
    costs = [hop.gas for hop in work]
    return [
        1,
        sample.flash,
        model.relays(work, flash=sample.flash),
        costs.count(V2),
        costs.count(V3),
        sum(hop.crossed_ticks > 0 for hop in work),
        sum(hop.crossed_ticks for hop in work),
        -sum(hop.touched for hop in work if hop.gas == V2),
        sum(hop.left_tick for hop in work),
        -sum(hop.touched for hop in work if hop.left_tick),
        sum(hop.more_words for hop in work),
    ]


def fit(taken: Sequence[Sample]) -> dict[str, int]:
    """Least squares of the relative error, over all that is not known beforehand."""
    model = GasModel()
    rows, rest = [], []
    for sample in (each for each in taken if each.started):
        known = model.transaction + sample.calldata
        if not sample.filled:
            locks = sum(not hop.gas.collects_input for hop in sample.work)
            known += model.refund * (locks + model.relays(sample.work, flash=sample.flash))
        rows.append(np.array(features(sample)) / sample.gas_used)
        rest.append((sample.gas_used - known) / sample.gas_used)
    found = np.linalg.lstsq(np.array(rows), np.array(rest), rcond=None)[0]
    return dict(zip(FEATURES, map(round, found), strict=True))


def fit_before_run(taken: Sequence[Sample]) -> dict[str, int]:
    """The same of the runs that did not start."""
    rows, rest = [], []
    for sample in (each for each in taken if not each.started):
        costs = [hop.gas for hop in sample.work]
        rows.append([1, costs.count(V2), costs.count(V3)])
        rest.append(sample.gas_used - GasModel().transaction - sample.calldata)
    found = np.linalg.lstsq(np.array(rows), np.array(rest), rcond=None)[0]
    return dict(zip(("moved", "V2", "V3"), map(round, found), strict=True))


def fit_counts(taken: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Of what was traced: by count, how much of it each feature brings, by least squares.

    Of refunds that is what runs tell that fill.
    """
    traced = [(each, each.counts) for each in taken if each.started and each.counts]
    found = {}
    for place, name in enumerate(GasCounts._fields):
        is_refund = name in ("restored", "unset", "cleared")
        chosen = [pair for pair in traced if pair[0].filled or not is_refund]
        rows = np.array([features(sample) for sample, _ in chosen])
        values = np.array([counts[place] for _, counts in chosen])
        shares = np.linalg.lstsq(rows, values, rcond=None)[0]
        found[name] = dict(zip(FEATURES, map(float, shares.round(2)), strict=True))
    return found


def quantiles(
    taken: Sequence[Sample], schedule: GasSchedule = ETHEREUM
) -> tuple[float, float, float]:
    """Median, 95th percentile and greatest absolute error."""
    errors = np.abs([sample.error(schedule) for sample in taken])
    p50, p95, greatest = np.quantile(errors, [0.5, 0.95, 1.0])
    return float(p50), float(p95), float(greatest)
