"""Time and profit of dexarb and of its peer degenbot on the same pools, side by side.

degenbot is no dependency: `pip install degenbot==0.6.0a17` beside dexarb, on Python 3.12. Its
solver and its swaps are Rust. Only that compiled part is loaded, as its Python part wants a node,
and pools get their state directly. Chain and factory are made up: on those that it knows it checks
where pools lie.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks.bench_sizing import USDC, WETH
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import PIPS, Pool
from dexarb.core.route import Cycle, Hop
from dexarb.search.edges import EdgeTable
from dexarb.search.polish import Sized, polish
from dexarb.search.rates import RateMirror
from dexarb.search.scan import warm_up
from dexarb.search.sizing import room_for, size_cycles
from tests.support.worlds import pools
from tests.support.worlds.pools import address

DECIMALS = {USDC: 6, WETH: 18}
DOLLARS_PER_WETH = 2500.0
CHAIN = 31337
FACTORY = address(0xFA, 1)
TICKS = (1, 5, 20, 41)
FINE = 4.0
"""Millionths of a dollar that are not worth looking for: about a 256th of the gas of a trade."""
BATCH = 100
ROUNDS = 7


def v2(number: int, premium: float) -> UniswapV2Pool:
    """With 4 million USDC on either side."""
    return UniswapV2Pool(
        address=address(2, number), token0=USDC, token1=WETH,
        reserve0=4 * 10**12, reserve1=round(4e24 / DOLLARS_PER_WETH / premium),
    )  # fmt: skip


def v3(number: int, premium: float, seed: int) -> UniswapV3Pool:
    """160 ranges of 10 ticks with different liquidity."""
    rng = np.random.default_rng(seed)
    price = 1e12 / DOLLARS_PER_WETH / premium
    liquidity = 4e12 * sqrt(price) * 10.0 ** rng.normal(0.0, 0.4, 160)
    ranges = [(n - 80, n - 79, int(liquidity[n])) for n in range(160)]
    return pools.v3(number, (USDC, WETH), price, ranges, 500)


class Peer:
    """degenbot's Rust engine with these pools in it."""

    def __init__(self, ffi: ModuleType) -> None:
        self.bot: Any = ffi.Bot(CHAIN)
        self.engine: Any = ffi.ArbitrageEngine(self.bot)
        self.engine.set_profit_thresholds(1)
        self.block = 1
        for token, decimals in DECIMALS.items():
            self.bot.register_token(token, token, token, decimals, CHAIN)

    def add(self, pool: Pool) -> int:
        """Its number there."""
        if isinstance(pool, UniswapV2Pool):
            kept = PIPS - pool.fee_pips
            return int(
                self.bot.register_v2_pool(
                    pool.address, pool.token0, pool.token1, pool.reserve0, pool.reserve1,
                    kept, PIPS, kept, PIPS, FACTORY, 1,
                )
            )  # fmt: skip
        assert isinstance(pool, UniswapV3Pool)
        ticks = {tick: (gross, net, 1) for tick, (gross, net) in pool.ticks.items()}
        return int(
            self.bot.register_v3_pool(
                pool.address, pool.token0, pool.token1, pool.fee_pips, pool.tick_spacing, FACTORY,
                pool.sqrt_price_x96, pool.liquidity, pool.tick, ticks, 1, "tracked",
            )
        )  # fmt: skip

    def add_path(self, first: Pool, second: Pool) -> None:
        """Sell USDC into the first, WETH into the second."""
        self.engine.register_path([(self.add(first), True), (self.add(second), False)])

    def solve(self) -> None:
        self.block += 1
        self.engine.solve_all_paths(self.block)

    def profit(self) -> int:
        """Of the first path."""
        return int(self.engine.latest_results()[0][0][2])


class Ours:
    """The same cycles: all sized in one call, then each made exact with integers."""

    def __init__(self, pairs: Sequence[tuple[Pool, Pool]]) -> None:
        table = EdgeTable()
        self._mirror = RateMirror(table)
        self._pools = {pool.key: pool for pair in pairs for pool in pair}
        self._cycles: list[Cycle] = []
        edges = []
        for first, second in pairs:
            for pool in (first, second):
                slot = table.add(pool)
                self._mirror.add(slot)
                self._mirror.read({slot: pool})
            edges.append(
                [table.between(first.key, USDC, WETH), table.between(second.key, WETH, USDC)]
            )
            hops = Hop(first.key, USDC, WETH), Hop(second.key, WETH, USDC)
            self._cycles.append(Cycle(hops))
        for edge in np.array(edges).flat:
            while not self._mirror.segments.complete[edge]:
                self._mirror.read_on(int(edge))
        self._edges = np.array([[*pair, -1, -1] for pair in edges], dtype=np.int64)
        self.sizes = room_for(len(pairs), 200 * len(pairs))
        self.sized: list[Sized | None] = []

    def solve(self) -> None:
        size_cycles(self._mirror.segments, self._edges, self.sizes)
        sizes = zip(
            self._cycles, self.sizes.amount_in.tolist(), self.sizes.profit.tolist(), strict=True
        )
        self.sized = [
            polish(cycle, size, profit, self._pools, FINE) for cycle, size, profit in sizes
        ]

    def profit(self) -> int:
        assert self.sized[0] is not None
        return self.sized[0].profit

    def crossed(self) -> int:
        """Ticks that the best size crosses."""
        size_cycles(self._mirror.segments, self._edges, self.sizes)
        return int(self.sizes.number[0]) - 1


Kind = Callable[[int, float], Pool]
"""A pool by number and premium, with the same liquidity every time."""


def apart(first: Kind, second: Kind, ticks: int) -> float:
    """The least premium at which the best size crosses so many ticks."""
    for step in range(1, 4_000):
        premium = 1.001 + 5e-5 * step
        if Ours([(first(1, 1.0), second(2, premium))]).crossed() == ticks:
            return premium
    raise ValueError(f"no premium makes a trade of {ticks} ticks")


def fastest(ours: Callable[[], object], theirs: Callable[[], object], calls: int) -> list[float]:
    """Microseconds of a call, in turn; the best round's median of either."""
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for side, action in enumerate((ours, theirs)):
            taken = []
            for _ in range(calls):
                start = time.perf_counter()
                action()
                taken.append(1e6 * (time.perf_counter() - start))
            best[side] = min(best[side], median(taken))
    return best


def report(name: str, ours: float, theirs: float, note: str) -> None:
    print(f"{name:42}{theirs:>10,.2f} us{ours:>10,.2f} us{theirs / ours:>8,.2f}x   {note}")


def solves(ffi: ModuleType) -> None:
    """The best size, exact in integers."""
    kinds: dict[str, tuple[Kind, Kind]] = {
        "V2/V3": (v2, lambda number, premium: v3(number, premium, 4)),
        "V3/V3": (lambda n, premium: v3(n, premium, 3), lambda n, premium: v3(n, premium, 4)),
    }
    for name, (first, second) in kinds.items():
        for ticks in TICKS:
            premium = apart(first, second, ticks)
            for many in (1, BATCH):
                pairs = [(first(2 * n, 1.0), second(2 * n + 1, premium)) for n in range(many)]
                mine, peer = Ours(pairs), Peer(ffi)
                for pair in pairs:
                    peer.add_path(*pair)
                mine.solve()
                peer.solve()
                share = mine.profit() / peer.profit() - 1.0
                ours, theirs = fastest(mine.solve, peer.solve, 50 if many == 1 else 5)
                how = "one" if many == 1 else f"{many} in one call"
                report(
                    f"solve {name}, {ticks} ticks, {how}", ours / many, theirs / many,
                    f"profit {mine.profit() / 1e6:,.4f} USDC, {share:+.1e}",
                )  # fmt: skip


def quotes(ffi: ModuleType) -> None:
    """What one pool gives."""
    peer = Peer(ffi)
    pair, ranged = v2(1, 1.0), v3(2, 1.0, 4)
    cases: list[tuple[str, Pool, int]] = [("V2", pair, 10**9)]
    for ticks in (0, 5, 20):
        amount = 10**8
        while ranged.crossed_ticks(ranged.swap(USDC, amount).pool) < ticks:
            amount += amount // 50
        crossed = ranged.crossed_ticks(ranged.swap(USDC, amount).pool)
        cases.append((f"V3, {crossed} ticks", ranged, amount))
    numbers = {pool.key: peer.add(pool) for pool in (pair, ranged)}
    for name, pool, amount in cases:
        number = numbers[pool.key]
        assert peer.bot.calculate_tokens_out(number, True, amount) == pool.quote(USDC, amount)
        ours, theirs = fastest(
            lambda p=pool, a=amount: p.quote(USDC, a),  # type: ignore[misc]
            lambda n=number, a=amount: peer.bot.calculate_tokens_out(n, True, a),  # type: ignore[misc]
            1_000,
        )
        report(f"quote {name}", ours, theirs, "to the wei the same")


def compiled_part() -> ModuleType:
    """Raises ImportError."""
    found = importlib.util.find_spec("degenbot")
    if found is None or not found.submodule_search_locations:
        raise ImportError("it is not installed")
    (library,) = Path(found.submodule_search_locations[0]).glob("_ffi*.so")
    spec = importlib.util.spec_from_file_location("degenbot._ffi", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    try:
        ffi = compiled_part()
    except (ImportError, ValueError) as error:
        print(
            f"degenbot cannot be loaded here ({error}): nothing to compare with.\n"
            "It needs Python 3.12: pip install degenbot==0.6.0a17",
            file=sys.stderr,
        )
        return 1
    warm_up()
    print(f"{'':42}{'degenbot':>13}{'dexarb':>13}")
    quotes(ffi)
    solves(ffi)
    return 0


if __name__ == "__main__":
    sys.exit(main())
