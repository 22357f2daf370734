"""Start this folder's scripts, and kill them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


@contextmanager
def script(name: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """The running script; killed at the end if it still runs."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, str(HERE / name), *map(str, arguments)],
        stdout=subprocess.PIPE,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run_until(name: str, *arguments: object, lines: int) -> list[bytes]:
    """Run the script until it has written that many lines, then kill -9 it: whatever it does at
    that moment is torn. Returns all whole lines it wrote."""
    with script(name, *arguments) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if len(said) == lines:
                process.kill()
        if process.wait() not in (0, -9):
            raise AssertionError(f"{name} ended with {process.returncode}")
        return [line for line in said if line.endswith(b"\n")]
