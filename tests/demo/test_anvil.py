"""The node: it starts where it is told, says what is missing, and dies with its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dexarb.demo import npm
from dexarb.demo.anvil import start_anvil
from dexarb.demo.artifacts import contract
from dexarb.errors import MissingTool, TransportError
from tests.support.processes import alive, descendants, until

PARENT = """
import subprocess, time
from dexarb.demo.anvil import start_anvil
node = start_anvil(timestamp=1_700_000_000)
print(node.port, flush=True)
time.sleep(600)
"""


def ask(url: str, method: str, *params: object) -> object:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(url, json=body, trust_env=False).json()["result"]


def test_it_is_the_chain_it_should_be() -> None:
    with start_anvil(timestamp=1_650_000_000) as node:
        assert ask(node.http_url, "eth_chainId") == hex(137)
        head = ask(node.http_url, "eth_getBlockByNumber", "latest", False)
    assert isinstance(head, dict)
    assert int(head["timestamp"], 16) == 1_650_000_000
    assert int(head["gasLimit"], 16) == 30_000_000
    assert int(head["baseFeePerGas"], 16) == 30 * 10**9


def test_it_mines_only_when_asked() -> None:
    with start_anvil(timestamp=1_650_000_000) as node:
        accounts = ask(node.http_url, "eth_accounts")
        assert isinstance(accounts, list)
        transfer = {"from": accounts[0], "to": accounts[1], "value": "0x1"}
        ask(node.http_url, "eth_sendTransaction", transfer)
        assert ask(node.http_url, "eth_blockNumber") == "0x0"
        ask(node.http_url, "evm_mine")
        assert ask(node.http_url, "eth_blockNumber") == "0x1"


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TransportError, match="in use"):
            start_anvil(timestamp=1, port=taken.getsockname()[1])


def test_it_dies_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    started = descendants(parent.pid)
    assert len(started) == 2, "a guardian and a node"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not any(alive(pid) for pid in started))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_missing_node_is_told_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(npm, "roots", lambda: (tmp_path,))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match=r"(?s)anvil was not found.*npm install.*make demo"):
        start_anvil(timestamp=1)


def test_a_node_on_the_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(npm, "roots", lambda: ())
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert npm.anvil_binary() == program
    with pytest.raises(TransportError, match="ended with code 3: no such option"):
        start_anvil(timestamp=1)


def test_what_the_remedy_installs_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    with pytest.raises(MissingTool) as told:
        npm.package_file("left/pad.js")
    words = str(told.value).split()
    found = Path(words[words.index("--prefix") + 1]) / "node_modules" / "left" / "pad.js"
    found.parent.mkdir(parents=True)
    found.touch()
    assert npm.package_file("left/pad.js") == found
    assert found.is_relative_to(tmp_path / "share")


def test_missing_contracts_are_told_with_their_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(npm, "roots", lambda: (tmp_path,))
    contract.cache_clear()
    with pytest.raises(MissingTool, match=r"(?s)UniswapV2Pair\.json was not found.*npm install"):
        contract("UniswapV2Pair")
