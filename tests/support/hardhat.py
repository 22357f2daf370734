"""The second node: it orders by tip, and asks a replacement for a tenth more."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "hardhat"
READY = re.compile(rb"server at http://127\.0\.0\.1:(\d+)/")


@contextmanager
def hardhat() -> Iterator[str]:
    """Its URL. It mines when it is asked (`evm_mine`)."""
    program = FOLDER / "node_modules" / "hardhat" / "internal" / "cli" / "bootstrap.js"
    assert program.exists(), "make setup-test installs it"
    node = subprocess.Popen(
        ["node", program, "node", "--hostname", "127.0.0.1", "--port", "0"],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"HARDHAT_DISABLE_TELEMETRY_PROMPT": "true"},
    )
    try:
        assert node.stdout is not None
        said = b""
        for line in node.stdout:
            said += line
            found = READY.search(line)
            if found:
                yield f"http://127.0.0.1:{int(found[1])}"
                return
        raise AssertionError(said.decode())
    finally:
        node.kill()
        node.wait()
