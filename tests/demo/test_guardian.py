"""A guarded command ends when its parent does, whatever way the parent ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dexarb.demo import guardian
from dexarb.demo.guardian import Guarded, start_guarded
from tests.support.processes import PATIENCE_S, alive, until

SLEEPER = """
import os, time
print(os.getpid(), flush=True)
time.sleep(600)
"""

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(600)
"""

TELLS_SIGNALS = """
import signal
waiting = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
print("ready", flush=True)
for _ in range(3):
    print(signal.sigwait(waiting).name, flush=True)
"""

PARENT = f"""
import sys, time
from dexarb.demo.guardian import start_guarded
child = start_guarded([sys.executable, "-c", {SLEEPER!r}])
print(child.pid, flush=True)
time.sleep(600)
"""


def start(script: str, grace_secs: float = 5.0) -> Guarded:
    return start_guarded(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, grace_secs=grace_secs
    )


def line(child: Guarded) -> str:
    return child.stdout.readline().decode().strip()


def test_output_and_exit_code_are_the_commands() -> None:
    with start("print('hello'); raise SystemExit(7)") as child:
        assert line(child) == "hello"
        assert child.wait(PATIENCE_S) == 7
        assert child.poll() == 7


def test_death_by_a_signal_is_told() -> None:
    with start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") as child:
        assert child.wait(PATIENCE_S) == 128 + signal.SIGKILL


def test_stop_terminates() -> None:
    child = start(SLEEPER)
    pid = int(line(child))
    assert child.stop() == 128 + signal.SIGTERM
    assert not alive(pid)
    assert child.stop() == 128 + signal.SIGTERM, "stopping twice is harmless"


def test_what_ignores_sigterm_is_killed() -> None:
    child = start(STUBBORN, grace_secs=0.2)
    pid = int(line(child))
    assert child.stop() == 128 + signal.SIGKILL
    assert not alive(pid)


def test_signals_are_passed_on() -> None:
    with start(TELLS_SIGNALS) as child:
        assert line(child) == "ready"
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            child.send_signal(number)
            assert line(child) == number.name
        assert child.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_dies(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = sorted(int(parent.stdout.readline()) for _ in range(2))
    assert all(alive(pid) for pid in pids)
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    until(lambda: not any(alive(pid) for pid in pids))


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with start_guarded([missing], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        assert line(child) == f"{missing}: No such file or directory"
        assert child.wait(PATIENCE_S) == guardian.COMMAND_NOT_FOUND


def test_it_runs_as_a_module() -> None:
    """The way the documentation names it; standard input stays open until the command ends."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "dexarb.demo.guardian"]
    done = subprocess.run(
        [*command, "--", sys.executable, "-c", "raise SystemExit(5)"],
        stdin=reading,
        check=False,
        timeout=PATIENCE_S,
    )
    os.close(reading)
    os.close(writing)
    assert done.returncode == 5
    usage = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert usage.returncode == 2
    assert b"usage" in usage.stderr
