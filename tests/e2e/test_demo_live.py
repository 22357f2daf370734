"""The demo with the bot in it: deployed, funded, armed, and live beside its twin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


def test_the_demo_trades_live(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("dexarb"), "demo", "--live", "--json"),
            *("--blocks", "12", "--interval", "0.1", "--dir", tmp_path / "demo"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    live = json.loads(done.stdout)["live"]
    sys.stdout.write(f"{live}\n")
    assert live["armed"]
    assert live["sent"] >= 1
    assert live["included"] == live["twins"] >= 1
    assert live["differences"] == 0
    assert {"reverted", "profit_usd"} <= live.keys()
    assert live["lanes"][0]["copied_of"] == live["included"]
