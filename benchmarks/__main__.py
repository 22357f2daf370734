"""`make bench`: all rows, into benchmarks/results.json."""

from __future__ import annotations

from benchmarks.bench_search import rows
from benchmarks.harness import save

if __name__ == "__main__":
    save(rows())
