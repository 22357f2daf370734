"""A child process that cannot outlive its parent, even when the parent dies by SIGKILL.

Between the two stands a guardian, `python -m dexarb.demo.guardian -- COMMAND ARGS`. It
starts the command, holds the reading end of a pipe from the parent as its standard input, and

- when the pipe closes, ends the command: SIGTERM, and SIGKILL after the grace period;
- when the command ends by itself, exits with its exit code (128 + n after signal n);
- passes SIGTERM, SIGINT and SIGHUP on to it.

The kernel closes the pipe however the parent ends, which is why nothing is left behind. The file
imports only small modules of the standard library and is run by its path, so that a guardian is
up in well under a tenth of a second.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

DEFAULT_GRACE_SECS = 5.0
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
COMMAND_NOT_FOUND = 127


class Guarded:
    """The parent's handle of a guarded command. Leaving its context stops the command."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Process id of the guardian, which passes signals on to the command."""
        return self._process.pid

    @property
    def stdout(self) -> IO[bytes]:
        """The command's output, where it was started with subprocess.PIPE."""
        if self._process.stdout is None:
            raise ValueError("the command was not started with a pipe for its output")
        return self._process.stdout

    def poll(self) -> int | None:
        """The command's exit code, None while it runs."""
        return self._process.poll()

    def wait(self, timeout_secs: float | None = None) -> int:
        """The command's exit code, once it has ended by itself. Raises TimeoutExpired."""
        return self._process.wait(timeout_secs)

    def send_signal(self, number: int) -> None:
        """Send the command one of the forwarded signals; nothing happens if it has ended."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """End the command within its grace period and return its exit code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        code = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def start_guarded(
    command: Sequence[str | Path],
    *,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    grace_secs: float = DEFAULT_GRACE_SECS,
) -> Guarded:
    """Start a command that ends when this process does.

    stdout, stderr, env and cwd are those of subprocess.Popen. A command that cannot be started
    shows as exit code 127. The guardian gets a session of its own: Ctrl-C in the terminal reaches
    only this process, which then stops its commands in the order that suits it.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, f"--grace={grace_secs}", "--", *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )
    return Guarded(process)


def guard(command: Sequence[str], grace_secs: float) -> int:
    """Run the command while standard input stays open; returns the exit code to pass on."""
    wakeups, wakeups_write = os.pipe()
    os.set_blocking(wakeups_write, False)
    signal.set_wakeup_fd(wakeups_write)
    for number in (*FORWARDED, signal.SIGCHLD):
        # The handler itself does nothing: the number arrives through the wakeup pipe, where
        # select sees it without a race against the child's end.
        signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        os.write(sys.stderr.fileno(), f"{command[0]}: {error.strerror}\n".encode())
        return COMMAND_NOT_FOUND

    parent = sys.stdin.fileno()
    watched = [wakeups, parent]
    kill_at: float | None = None
    while child.poll() is None:
        timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        readable, _, _ = select.select(watched, [], [], timeout)
        if wakeups in readable:
            for received in os.read(wakeups, 64):
                if received in FORWARDED:
                    child.send_signal(received)
        if parent in readable and not os.read(parent, 64):
            watched.remove(parent)
            child.terminate()
            kill_at = time.monotonic() + grace_secs
        if kill_at is not None and time.monotonic() >= kill_at:
            child.kill()
            child.wait()
    code = child.returncode
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    grace_secs = DEFAULT_GRACE_SECS
    if arguments and arguments[0].startswith("--grace="):
        grace_secs = float(arguments[0].removeprefix("--grace="))
        arguments = arguments[1:]
    if len(arguments) < 2 or arguments[0] != "--":
        os.write(sys.stderr.fileno(), b"usage: guardian [--grace=SECONDS] -- COMMAND [ARGS]\n")
        return 2
    return guard(arguments[1:], grace_secs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
