"""The local node: anvil, started so that its blocks depend on nothing but what it is told."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import subprocess
import time
from typing import Self

from dexarb.demo.guardian import Guarded, start_guarded
from dexarb.demo.npm import anvil_binary
from dexarb.errors import TransportError

CHAIN_ID = 137
ACCOUNTS = 24
BALANCE_ETHER = 1_000_000_000
GAS_LIMIT = 30_000_000
GENESIS_BASE_FEE = 30_000_000_000
KEPT_STATES = 160
"""Blocks whose state can be read or returned to; more than the deepest reorg that is handled.

Without a limit anvil writes old states into the home folder.
"""
READY_TIMEOUT_SECS = 20.0


class Anvil:
    """A running node; leaving its context stops it."""

    def __init__(self, process: Guarded, port: int) -> None:
        self._process = process
        self.port = port

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def start_anvil(*, timestamp: int, port: int = 0) -> Anvil:
    """Start a node whose genesis is at `timestamp` (UNIX seconds) and that mines when asked.

    port 0 lets the system choose. Transactions are mined in the order of their arrival: anvil's
    own `--order fees` sorts by the maximum fee, not by what the block's builder would earn, so
    whoever mines sorts (see mining.py). Raises MissingTool, TransportError.
    """
    command = [
        str(anvil_binary()),
        *("--chain-id", str(CHAIN_ID)),
        *("--timestamp", str(timestamp)),
        *("--port", str(port)),
        *("--accounts", str(ACCOUNTS)),
        *("--balance", str(BALANCE_ETHER)),
        *("--gas-limit", str(GAS_LIMIT)),
        *("--block-base-fee-per-gas", str(GENESIS_BASE_FEE)),
        *("--prune-history", str(KEPT_STATES)),
        *("--order", "fifo"),
        "--no-mining",
    ]
    process = start_guarded(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        chosen = _await_port(process)
        _silence(chosen)
    except BaseException:
        process.stop()
        raise
    return Anvil(process, chosen)


def _await_port(process: Guarded) -> int:
    """Read the banner up to the port: the only way to be sure that the node there is this one."""
    deadline = time.monotonic() + READY_TIMEOUT_SECS
    pipe = process.stdout.fileno()
    banner = b""
    while time.monotonic() < deadline:
        readable, _, _ = select.select([pipe], [], [], 0.1)
        if not readable:
            continue
        text = os.read(pipe, 65_536)
        if not text:
            lines = banner.decode(errors="replace").split("\n")
            output = " ".join(line.strip() for line in lines[:2]) or "no output"
            raise TransportError("anvil", f"ended with code {process.wait()}: {output}")
        banner += text
        found = re.search(rb"^Listening on .*:(\d+)\s", banner, re.MULTILINE)
        if found:
            return int(found[1])
    raise TransportError("anvil", f"was not ready within {READY_TIMEOUT_SECS:.0f} seconds")


def _silence(port: int) -> None:
    """Stop the log of every request, which would fill the pipe. (With --quiet no port is told.)"""
    request = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "anvil_setLoggingEnabled",
        "params": [False],
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_TIMEOUT_SECS)
    try:
        connection.request("POST", "/", json.dumps(request), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise TransportError("anvil", str(error)) from error
    finally:
        connection.close()
    if "result" not in json.loads(body):
        raise TransportError("anvil", "does not know anvil_setLoggingEnabled")
