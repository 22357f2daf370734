"""A real anvil on a free port, for as long as a with-block runs."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).parents[2]
_START_S = 20.0


@dataclass(frozen=True)
class Node:
    """A running anvil. It mines only when asked (evm_mine, anvil_mine) unless told otherwise."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def anvil_binary() -> Path:
    """The binary of the npm package, or one on the PATH."""
    packaged = sorted(REPOSITORY.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))
    installed = shutil.which("anvil")
    if not packaged and installed is None:
        raise FileNotFoundError("anvil is missing: run npm install in the repository")
    return packaged[0] if packaged else Path(str(installed))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_anvil(
    *arguments: str,
    chain_id: int = 137,
    timestamp: int = 1_700_000_000,
    port: int | None = None,
    kept_states: int = 300,
) -> Iterator[Node]:
    """Start anvil, wait until it answers, kill it at the end.

    arguments go to anvil as they are; a port may be given to come back on the same one.
    kept_states: blocks whose state can be read or reorganised away; those of blocks that were
    reverted count too.
    """
    port = port or free_port()
    command = [str(anvil_binary()), "--host", "127.0.0.1", "--port", str(port), "--silent"]
    # Without a limit anvil writes old states into the home folder.
    command += ["--prune-history", str(kept_states)]
    command += ["--no-mining", "--chain-id", str(chain_id), "--timestamp", str(timestamp)]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    node = Node(port, process)
    try:
        _wait_until_it_answers(node)
        yield node
    finally:
        process.kill()
        process.wait()


def _wait_until_it_answers(node: Node) -> None:
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    deadline = time.monotonic() + _START_S
    with httpx.Client(trust_env=False, verify=False) as client:
        while True:
            try:
                client.post(node.http_url, json=question).raise_for_status()
                return
            except httpx.HTTPError:
                code = node.process.poll()
                if code is not None:
                    raise RuntimeError(f"anvil ended with {code} before it answered") from None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
