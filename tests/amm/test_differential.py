"""dexarb against the real bytecode: the same swaps, mints and burns in both, no mismatch."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter

import pytest

from tests.amm.differential import FORKS, merged, run_chunk, run_in_processes, seeds
from tests.amm.evm_world import V3_TIERS

FUZZ_SWAPS = int(os.environ.get("DEXARB_FUZZ_SWAPS", "1000000"))


def assert_covers_everything(tally: Counter[str], swaps: int) -> None:
    """The walks reached what they are there for; a mismatch would have stopped them."""
    assert tally["swaps"] >= swaps
    kinds = ["token0 in", "token1 in", "exact in", "exact out", "with limit", "dust", "huge"]
    tiers = [f"fee {fee}" for fee in V3_TIERS] + [f"V2 fee {fork.fee_pips}" for fork in FORKS]
    for kind in [*kinds, *tiers, "mints", "burns", "reverts", "partial fills", "stopped by limit"]:
        assert tally[kind] >= swaps // 100, (kind, tally)
    assert tally["ten ticks crossed or more"] >= swaps // 200, tally
    assert tally["most ticks crossed"] >= 100, tally


def test_no_swap_differs_from_the_contracts() -> None:
    swaps = 24_000
    tally = merged(map(run_chunk, seeds("ordinary", swaps)))
    assert_covers_everything(tally, swaps)


@pytest.mark.fuzz
def test_no_swap_differs_in_a_long_run() -> None:
    seed = os.environ.get("DEXARB_FUZZ_SEED") or secrets.token_hex(8)
    print(f"seed {seed}: {FUZZ_SWAPS} swaps, rerun with DEXARB_FUZZ_SEED={seed}")  # noqa: T201
    started = time.monotonic()
    tally = run_in_processes(seed, FUZZ_SWAPS, processes=2)
    rate = tally["swaps"] / (time.monotonic() - started)
    print(f"{rate:.0f} swaps/s, no mismatch: {dict(tally.most_common())}")  # noqa: T201
    assert_covers_everything(tally, FUZZ_SWAPS)
