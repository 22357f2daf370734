"""dexarb demo as a person starts it: results, Ctrl-C, and nothing left behind."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e
DEXARB = Path(sys.executable).with_name("dexarb")
ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0


def demo(folder: Path, *options: str) -> list[str]:
    return [str(DEXARB), "demo", "--dir", str(folder), "--interval", "0.05", *options]


def run(folder: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        demo(folder, "--json", *options), cwd=ROOT, check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line names the folder, and nodes started by them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            marks = str(folder).encode()
            if (marks in command or marks in environment) and command:
                found.append(int(entry.name))
    return found


def start(folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """A demo whose children can all be told by a variable in their environment."""
    return subprocess.Popen(
        demo(folder, *options),
        cwd=ROOT,
        env=os.environ | {"DEXARB_TEST_RUN": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def blocks_collected(folder: Path) -> int:
    try:
        state = json.loads((folder / "data" / "pool_state.json").read_bytes())
    except FileNotFoundError:
        return 0
    return int(state["metrics"].get("blocks", 0))


BLOCKS = 30


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder and the result of a demo that has come to its end."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, run(folder, "--blocks", str(BLOCKS), "--seed", "5")


def test_json_has_the_agreed_keys(finished: tuple[Path, dict[str, Any]]) -> None:
    _, first = finished
    assert first.keys() >= {
        "blocks", "pools", "rpc_requests_per_block", "block_to_state_ms", "block_to_decision_ms",
        "strategies", "history", "ledger",
    }  # fmt: skip
    assert first["blocks"] == BLOCKS
    assert 0 < first["rpc_requests_per_block"] <= 2
    for latency in ("block_to_state_ms", "block_to_decision_ms"):
        assert 0 < first[latency]["p50"] <= first[latency]["p99"]
    assert len(first["strategies"]) == 8
    assert sum(row["seen"] for row in first["strategies"]) > 0
    for row in first["strategies"]:
        keys = {"name", "hash", "seen", "sent", "filled", "reverted", "lost", "profit_usd"}
        assert row.keys() >= keys | {"band_usd"}
    assert Path(first["history"]).is_dir()
    assert Path(first["ledger"]).is_file()


@pytest.mark.parametrize("seed", [5, 6])
def test_the_same_seed_gives_the_same_result_and_another_one_another(
    tmp_path: Path, finished: tuple[Path, dict[str, Any]], seed: int
) -> None:
    _, first = finished
    other = run(tmp_path, "--blocks", str(BLOCKS), "--seed", str(seed))
    assert (without_times(other) == without_times(first)) == (seed == 5)


def without_times(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The strategies of a run, but for when it was: that is the day's."""
    times = {"since", "traded_s", "profit_per_day_usd"}
    return [
        {key: value for key, value in row.items() if key not in times}
        for row in result["strategies"]
    ]


def test_the_other_commands_say_the_same_of_a_finished_demo(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    folder, first = finished
    check = [str(DEXARB), "history", "check", first["history"], "--json"]
    found = json.loads(subprocess.check_output(check, text=True))
    assert found["ok"]
    assert found["blocks"] == BLOCKS

    status = [str(DEXARB), "status", "--config", str(folder / "paper_trading.toml")]
    told = json.loads(subprocess.check_output([*status, "--json"], text=True))
    assert told["strategies"] == first["strategies"]
    assert told["block"] == found["last_block"]
    assert "Conservative" in subprocess.check_output(status, text=True)

    scan = [str(DEXARB), "scan", first["history"], "--block", "20"]
    opened = json.loads(subprocess.check_output([*scan, "--json"], text=True))
    assert opened["block"] == 20
    for each in opened["opportunities"]:
        assert int(each["amount_out"]) - int(each["amount_in"]) == int(each["gross"]) > 0
        assert len(each["route"]) == len(each["tokens"]) >= 2
        assert each["net_usd"] <= each["gross_usd"]
    assert "Block 20" in subprocess.check_output(scan, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_with_the_final_table(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path)
    until(lambda: blocks_collected(tmp_path) >= 5, "blocks")
    process.send_signal(number)
    said, meanwhile = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert said.startswith("block ")  # of the result: nothing else is in it
    assert "Conservative" in said
    assert "history" in said
    stages = ("starting the node", "deploying", "starting data-collector", "to look inside")
    told = [next(line for line in meanwhile.splitlines() if stage in line) for stage in stages]
    assert [line for line in meanwhile.splitlines() if line in told] == told
    inside = shlex.split(told[-1].split("terminal: ")[1].replace(" --watch", ""))
    assert "Conservative" in subprocess.check_output(inside, cwd=ROOT, text=True)
    until(lambda: not processes_of(tmp_path), "all processes to end")
    further = re.findall(rf"^  (\S+ \w+ --config {tmp_path}\S+)", said, re.MULTILINE)
    assert len(further) == 6
    for command in further:
        subprocess.run(shlex.split(command), cwd=ROOT, check=True, capture_output=True)


def test_nobody_has_to_wait_for_the_compiler(tmp_path: Path) -> None:
    cold = tmp_path / "cold"
    process = start(tmp_path / "demo", NUMBA_CACHE_DIR=str(cold))
    until(lambda: list(cold.rglob("*.nbc")), "the first kernel")
    process.send_signal(signal.SIGINT)
    said, meanwhile = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert not said
    assert "compiling for this machine" in meanwhile
    assert meanwhile.endswith("interrupted before the first block\n")
    assert "starting data-collector" not in meanwhile
    until(lambda: not processes_of(tmp_path / "demo"), "all processes to end")


def on_a_terminal(command: list[str], lines: int) -> str:
    """What it writes to a terminal of eighty columns."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (lines, 80))
    environment = {key: each for key, each in os.environ.items() if key not in ("LINES", "COLUMNS")}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment | {"TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        written = b""
        with suppress(OSError):  # Linux says so when the last writer has gone
            while piece := os.read(master, 65536):
                written += piece
    os.close(master)
    assert process.returncode == 0, written
    return re.sub(r"\x1b\[[0-9;]*m", "", written.decode()).replace("\r\n", "\n")


def test_on_a_small_terminal_every_strategy_is_seen_and_nothing_stays(tmp_path: Path) -> None:
    said = on_a_terminal(demo(tmp_path, "--blocks", "3"), lines=24)
    _, live, left = re.split(r"\x1b\[\?1049[hl]", said)
    first, *frames = live.split("Ctrl-C stops")
    assert "Conservative" not in first
    assert len(frames) >= 3
    assert all(frame.count("\n") < 24 for frame in frames)
    # The first frames may be from before the trader has taken its strategies up.
    trading = [frame for frame in frames if "Conservative" in frame]
    assert trading
    assert all("WMATIC Only" in frame for frame in trading)
    assert "status --watch" in frames[-1]
    assert left.count("Conservative") == 1
    assert "Look further:" in left


def test_a_second_demo_does_not_take_the_folder_from_the_first(tmp_path: Path) -> None:
    first = start(tmp_path)
    until(lambda: blocks_collected(tmp_path) >= 2, "blocks")
    second = subprocess.run(
        demo(tmp_path, "--blocks", "1"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert f"is being written by process {first.pid}" in second.stderr
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0, said


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    done = subprocess.run(demo(taken), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {taken}: cannot be created")
    assert taken.read_text() == "mine"


def test_a_folder_whose_data_would_lie_beside_it_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    done = subprocess.run(demo(folder), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --dir: ")
    assert list(tmp_path.iterdir()) == []


def test_kill_9_leaves_no_process(tmp_path: Path) -> None:
    process = start(tmp_path)
    until(lambda: blocks_collected(tmp_path) >= 5, "blocks")
    children = processes_of(tmp_path)
    assert len(children) >= 4  # the demo, the node and both programs at least
    process.kill()
    process.wait()
    until(lambda: not processes_of(tmp_path), "all processes to end")


def test_somebody_elses_data_is_not_touched(tmp_path: Path) -> None:
    precious = tmp_path / "data" / "history" / "137"
    precious.mkdir(parents=True)
    done = subprocess.run(
        demo(tmp_path, "--blocks", "1"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "was not written by the demo" in done.stderr
    assert precious.is_dir()
