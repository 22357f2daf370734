"""The same market gives the same scans in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.search.scan_digest import digest

TESTS = Path(__file__).parents[1]


def test_other_processes_find_the_same() -> None:
    """Sets of strings have another order under each PYTHONHASHSEED."""
    here = digest()
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    for seed in ("1", "4242"):
        ran = subprocess.run(
            [sys.executable, "-m", "tests.search.scan_digest"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout == here, f"another result with PYTHONHASHSEED={seed}"
