"""`make bench`: all rows, into benchmarks/results.json."""

from __future__ import annotations

import gc

from benchmarks import (
    bench_crowd,
    bench_inside,
    bench_limbs,
    bench_live,
    bench_proof,
    bench_reading,
    bench_replay,
    bench_restart,
    bench_settlement,
    bench_start,
    bench_strategies,
    bench_studies,
    bench_sweep,
)
from benchmarks.bench_block import block_rows
from benchmarks.bench_market import market_rows
from benchmarks.bench_sizing import sizing_rows
from benchmarks.harness import save
from dexarb.study.warm_up import warm_up

if __name__ == "__main__":
    # As timeit does: collections would fall on either side by chance.
    gc.disable()
    warm_up()
    save(
        [
            *sizing_rows(),
            *market_rows(),
            *block_rows(),
            *bench_inside.rows(),
            *bench_crowd.rows(),
            *bench_limbs.rows(),
            *bench_strategies.rows(),
            *bench_settlement.rows(),
            *bench_reading.rows(),
            *bench_replay.rows(),
            *bench_sweep.rows(),
            *bench_proof.rows(),
            *bench_studies.rows(),
            *bench_start.rows(),
            *bench_restart.rows(),
            *bench_live.rows(),
        ]
    )
