"""The executor against `core.route.run`: the same amounts to the wei, the same refusals."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from dexarb.amm.abi import unsigned
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import most_out
from dexarb.core.token import Address
from dexarb.ends.executor_contract import revert_reason
from tests.executor.arena import Arena, Trade, kinds
from tests.executor.chains import Receipt, RevmChain

MOVED, TOO_LITTLE = "moved", "too little received"
CANNOT_PAY = "ERC20: transfer amount exceeds balance"
"""What a flash swap at a loss ends with where the executor has nothing to add."""
REFUSALS = {
    MOVED,
    TOO_LITTLE,
    "partial fill",
    "AS",
    "UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT",
    "UniswapV2: OVERFLOW",
}


def run_both_ways(arena: Arena, trade: Trade, tally: Counter[str]) -> None:
    shape = kinds(trade.cycle, arena.pools)
    most = most_out(trade.cycle, trade.amount_in, [arena.pools[p] for p in trade.cycle.pools])
    assert most is None or trade.amount_out <= most

    def is_moved(least: int) -> bool:
        return most is not None and most < least

    for flash in (False, True):
        executor = arena.empty_executor if flash and arena.rng.random() < 0.5 else arena.executor
        before = arena.balances(executor)

        def attempt(
            min_amount_out: int, flash: bool = flash, executor: Address = executor
        ) -> Receipt:
            request = arena.execution(trade, min_amount_out, flash=flash, executor=executor)
            return arena.chain.mine(request)[0]

        tally[f"{shape[0]} first, {'flash' if flash else 'own'}"] += 1
        if trade.amount_out < trade.amount_in:
            refused = attempt(1)
            assert not refused.succeeded, (trade, flash)
            reason = revert_reason(refused.output)
            if reason == CANNOT_PAY:
                assert executor == arena.empty_executor
                reason = TOO_LITTLE
            assert reason in REFUSALS, (reason, trade)
            assert (reason == MOVED) == is_moved(trade.amount_in), (reason, trade)
            if reason != MOVED:
                assert (reason == TOO_LITTLE) == (trade.results is not None), (reason, trade)
            tally[reason] += 1
            assert arena.balances(executor) == before
            continue
        with arena.chain.undone():
            refused = attempt(trade.amount_out + 1)
            assert not refused.succeeded
            reason = MOVED if is_moved(trade.amount_out + 1) else TOO_LITTLE
            assert revert_reason(refused.output) == reason, (trade, flash)
            tally[f"one more: {reason}"] += 1
        with arena.chain.undone():
            receipt = attempt(trade.amount_out)
            assert receipt.succeeded, (trade, flash, revert_reason(receipt.output))
            assert unsigned(receipt.output, 0) == trade.amount_out
            assert states_after(arena, receipt) == states_expected(arena, trade)
            gain = {trade.cycle.start_token: trade.amount_out - trade.amount_in}
            assert arena.balances(executor) == {
                token: amount + gain.get(token, 0) for token, amount in before.items()
            }
        tally["filled"] += 1
        tally[f"filled {shape}"] += 1
        tally["token0 first"] += (
            trade.cycle.start_token == arena.pools[trade.cycle.hops[0].pool].token0
        )
        tally["ticks crossed"] += any(
            arena.pools[hop.pool].crossed_ticks(result.pool)
            for hop, result in zip(trade.cycle.hops, trade.results or (), strict=True)
        )


def states_after(arena: Arena, receipt: Receipt) -> dict[PoolKey, Pool]:
    pools: dict[PoolKey, Pool] = dict(arena.pools)
    for log in receipt.logs:
        if PoolKey(log.address) in pools:
            pools[PoolKey(log.address)] = pools[PoolKey(log.address)].apply(log)
    return pools


def states_expected(arena: Arena, trade: Trade) -> dict[PoolKey, Pool]:
    moved = {result.pool.key: result.pool for result in trade.results or ()}
    return {**arena.pools, **moved}


def walk(seed: int, tally: Counter[str]) -> None:
    arena = Arena(RevmChain(), Random(seed))
    for number in range(150):
        if number % 5 == 0:
            arena.shake()
        run_both_ways(arena, arena.any_trade(2 + number % 3), tally)


def assert_covers_everything(tally: Counter[str], worlds: int) -> None:
    """Of 28 ways to mix the two kinds over two to four hops nearly all; every outcome."""
    assert tally["filled"] >= 120 * worlds, tally
    assert sum(key.startswith("filled ") for key in tally) >= 25, tally
    assert tally[MOVED] >= 30 * worlds, tally
    assert tally[f"one more: {MOVED}"] >= 20 * worlds, tally
    assert tally[f"one more: {TOO_LITTLE}"] >= 30 * worlds, tally
    for reason in ("partial fill", "AS"):
        assert tally[reason] >= 1, (reason, tally)
    assert 0.3 < tally["token0 first"] / tally["filled"] < 0.7, tally
    assert tally["ticks crossed"] >= 20 * worlds, tally


def test_random_cycles_come_out_as_predicted() -> None:
    tally: Counter[str] = Counter()
    for seed in range(4):
        walk(seed, tally)
    assert_covers_everything(tally, 4)


@pytest.mark.fuzz
def test_random_cycles_come_out_as_predicted_in_a_long_run() -> None:
    tally: Counter[str] = Counter()
    for seed in range(100, 160):
        walk(seed, tally)
    print(f"no mismatch: {dict(tally.most_common())}")  # noqa: T201
    assert_covers_everything(tally, 60)
