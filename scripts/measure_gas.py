"""Measure the reference executor's gas on a node, and compare dexarb.trading.models.gas with it.

`.venv/bin/python scripts/measure_gas.py [--fit 21,22,23] [--check 31,32] [--count 400]` prints the
constants that fit, the errors of the constants in use on other worlds, what the node's traces of
executions there count (under every gas schedule), and the single cases that docs/executor.md lists.
It takes some minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from dexarb.amm.tick_math import get_sqrt_ratio_at_tick  # noqa: E402
from dexarb.amm.uniswap_v2 import UniswapV2Pool  # noqa: E402
from dexarb.amm.uniswap_v3 import UniswapV3Pool  # noqa: E402
from dexarb.core.gas_schedule import SCHEDULES  # noqa: E402
from dexarb.core.token import Address  # noqa: E402
from dexarb.ends.executor_contract import deploy_data, execute_data, withdraw_data  # noqa: E402
from dexarb.search.result import HopWork, hop_work  # noqa: E402
from dexarb.trading.models.gas import GasModel  # noqa: E402
from tests.amm.evm_world import OWNER  # noqa: E402
from tests.executor.arena import Arena, Trade, kinds  # noqa: E402
from tests.executor.chains import OPERATOR, Request, anvil_chain  # noqa: E402
from tests.executor.gas import (  # noqa: E402
    Sample,
    fit,
    fit_before_run,
    fit_counts,
    quantiles,
    samples,
    seasoned_arena,
)


def seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def taken(worlds: list[int], count: int) -> list[Sample]:
    found: list[Sample] = []
    for seed in worlds:
        with seasoned_arena(seed) as arena:
            found += samples(arena, count)
    return found


def report_counts(worlds: list[int], count: int) -> None:
    """What the parts of a run do, and how far the model is off under every schedule."""
    found: list[Sample] = []
    for seed in worlds:
        with seasoned_arena(seed, tells_steps=True) as arena:
            found += samples(arena, count, traced_every=1)
    print(f"counts of {len(found)} traced executions, by what brings them:")
    for name, shares in fit_counts(found).items():
        if any(shares.values()):
            print(f"{name:12}", *(f"{part} {share:,.2f}" for part, share in shares.items()))
    for schedule in SCHEDULES.values():
        p50, p95, greatest = quantiles(found, schedule)
        dearer = [sample.real(schedule) / sample.gas_used - 1 for sample in found]
        print(
            f"{schedule.name:16} p50 {p50:5.1%}  p95 {p95:5.1%}  max {greatest:5.1%};"
            f" against Ethereum's {min(dearer):+.1%} to {max(dearer):+.1%}"
        )


def report_errors(found: list[Sample]) -> None:
    groups: dict[str, Callable[[Sample], bool]] = {
        "all": lambda _: True,
        "filled, own": lambda sample: sample.filled and not sample.flash,
        "filled, flash": lambda sample: sample.filled and sample.flash,
        "reverted": lambda sample: sample.started and not sample.filled,
        "moved": lambda sample: not sample.started,
        "2 hops": lambda sample: len(sample.work) == 2,
        "3 hops": lambda sample: len(sample.work) == 3,
        "4 hops": lambda sample: len(sample.work) == 4,
        "ticks crossed": lambda sample: any(hop.crossed_ticks for hop in sample.work),
        "pools touched": lambda sample: any(hop.touched for hop in sample.work),
    }
    for name, belongs in groups.items():
        group = [sample for sample in found if belongs(sample)]
        p50, p95, greatest = quantiles(group)
        print(f"{name:14} {len(group):5}  p50 {p50:5.1%}  p95 {p95:5.1%}  max {greatest:5.1%}")


class Cases:
    """Single effects in one world. Extra gas is against the same run without the effect."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena

    def report(self) -> None:
        self.totals()
        self.bare_executors()
        self.refusals()
        self.failing_hops()

    def totals(self) -> None:
        model = GasModel()
        print("\nshape   own: filled  model   flash: filled  model   moved  model")
        for shape in ("22", "23", "32", "33", "222", "232", "323", "333", "2222", "3333"):
            trade = self.winner(shape)
            row = []
            for flash in (False, True):
                row += [self.run(trade, flash, True), model.units(self.work(trade), flash=flash)]
            hopeless = self.arena.execution(trade, 2 * trade.amount_out, flash=False)
            kinds = [hop.gas for hop in self.work(trade)]
            row += [self.gas(hopeless, False), model.before_run(kinds)]
            print(f"{shape:6}", *(f"{units:9,}" for units in row))

    def bare_executors(self) -> None:
        """What it costs that the executor holds nothing of a token when the run begins."""
        arena = self.arena
        for shape in ("33", "333"):
            trade = self.winner(shape)
            start_only = arena.chain.deploy(deploy_data(OWNER, [OPERATOR]))
            arena.pay(trade.cycle.start_token, start_only, 1 << 100)
            for fills in (True, False):
                stocked = self.run(trade, True, fills)
                extra = self.run(trade, True, fills, start_only) - stocked
                print(f"{shape}, {len(shape) - 1} tokens between not held, {fills=}: {extra:+,}")
            extra = self.run(trade, True, True, arena.empty_executor) - self.run(trade, True, True)
            print(f"{shape}, no token held at all, filled by flash swap: {extra:+,}")

    def refusals(self) -> None:
        arena, trade = self.arena, self.winner("22")
        request = arena.execution(trade, 1, flash=False)
        late = execute_data(trade.cycle, arena.pools.__getitem__, trade.amount_in, 1, 1)
        print(f"too late: {self.gas(request._replace(data=late), False):,}")
        stranger = Address("0x" + "5a" * 20)
        print(f"no operator: {self.gas(request._replace(sender=stranger), False):,}")
        withdrawal = request._replace(sender=OWNER, data=withdraw_data(arena.tokens[0], 1))
        print(f"withdrawal of a token: {self.gas(withdrawal):,}")

    def failing_hops(self) -> None:
        """Runs that end inside a hop, over what the model says of a revert at the end."""
        model = GasModel()
        for shape in ("22", "23", "33"):
            for name, size in (("dust", 2**-80), ("more than the pool holds", 2**60)):
                trade = self.winner(shape)
                whole = model.reverted(self.work(trade))
                first = trade.cycle.hops[0]
                scale = self.arena.depth(self.arena.pools[first.pool], first.token_in)
                failing = self.arena.trade(trade.cycle, max(1, int(scale * size)))
                if failing.results is None:
                    spent = self.gas(self.arena.execution(failing, 1, flash=True), False)
                    print(f"{shape}, {name}: {spent:,}, model of a whole revert {whole:,}")

    # -- helpers --------------------------------------------------------------------------------

    def winner(self, shape: str) -> Trade:
        """A trade over such pools that pays and crosses no tick."""
        while True:
            self.arena.shake()
            trade = self.arena.any_trade(len(shape))
            if (
                trade.amount_out > trade.amount_in
                and kinds(trade.cycle, self.arena.pools) == shape
                and not any(hop.crossed_ticks for hop in self.work(trade))
            ):
                return trade

    def work(self, trade: Trade) -> tuple[HopWork, ...]:
        pools = [self.arena.pools[hop.pool] for hop in trade.cycle.hops]
        return hop_work(pools, trade.results or ())

    def gas(self, request: Request, succeeds: bool = True) -> int:
        with self.arena.chain.undone():
            receipt = self.arena.chain.mine(request)[0]
        assert receipt.succeeded == succeeds
        return receipt.gas_used

    def run(self, trade: Trade, flash: bool, fills: bool, executor: Address | None = None) -> int:
        minimum = trade.amount_out + (not fills)
        request = self.arena.execution(trade, minimum, flash=flash, executor=executor)
        return self.gas(request, fills)


def report_unused_storage() -> None:
    """Swaps past the executor in new pools: what the first ones pay for storage never written."""
    with anvil_chain() as chain:
        arena = Arena(chain, Random(1), pools_per_pair=2)
        pools = list(arena.pools.values())
        pair = next(pool for pool in pools if isinstance(pool, UniswapV2Pool))
        pool = next(pool for pool in pools if isinstance(pool, UniswapV3Pool) and pool.ticks)
        for new in (pair, pool):
            token_in, amount = new.token0, arena.depth(new, new.token0) // 10**5
            gas = []
            for _ in range(3):
                arena.swap(new.address, token_in, amount)
                gas.append(arena.receipts[-1].gas_used)
            print(f"first swap of a new {new.kind}: {gas[0] - gas[2]:+,} against the third")
        tick, spacing = pool.tick, pool.tick_spacing
        start = get_sqrt_ratio_at_tick(tick)
        for goal in (tick - 1_500, tick + 1_500):
            arena.swap_to(pool.address, get_sqrt_ratio_at_tick(goal))
        arena.swap_to(pool.address, start)
        lower = (tick // spacing + 2) * spacing
        arena.mint(pool.address, lower, lower + spacing, pool.liquidity)
        now = arena.pools[pool.address]
        assert isinstance(now, UniswapV3Pool)
        new_ticks = len(now.ticks.keys() - pool.ticks.keys())
        gas = []
        for _ in range(2):
            arena.swap_to(pool.address, get_sqrt_ratio_at_tick(lower + 2 * spacing))
            gas.append(arena.receipts[-1].gas_used)
            arena.swap_to(pool.address, start)
        extra = (gas[0] - gas[1]) // new_ticks
        print(f"a new tick above the price, crossed for the first time: {extra:+,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", type=seeds, default=seeds("21,22,23,24,25"))
    parser.add_argument("--check", type=seeds, default=seeds("31,32,33"))
    parser.add_argument("--count", type=int, default=400, help="executions in each world")
    parser.add_argument("--traced", type=int, default=240, help="executions traced in each world")
    options = parser.parse_args()
    model = GasModel()
    print("constants in use:", model)
    found = taken(options.fit, options.count)
    print(f"fitted to {len(found)} executions:", fit(found), fit_before_run(found))
    for hops in (2, 3, 4):
        data = [sample.calldata for sample in found if len(sample.work) == hops]
        print(f"calldata of {hops} hops: {sum(data) / len(data):,.0f}")
    print("errors of the constants in use, on other worlds:")
    report_errors(taken(options.check, options.count))
    report_counts(options.check, options.traced)
    with seasoned_arena(41) as arena:
        Cases(arena).report()
    report_unused_storage()


if __name__ == "__main__":
    main()
