"""Nodes for the tests of chain access."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dexarb.chain.rpc import Rpc
from dexarb.demo.anvil import start_anvil
from dexarb.demo.driver import Driver as WorldDriver
from dexarb.demo.world import World
from tests.chain.embedded import Embedded
from tests.support.anvil import Node, running_anvil
from tests.support.chain_driver import run

WORLD_BLOCKS = 15


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A node that tests may mine on but must not reorganise."""
    with running_anvil() as running:
        yield running


@pytest.fixture
def own_node() -> Iterator[Node]:
    """A process of the test's own."""
    with running_anvil() as running:
        yield running


@pytest.fixture(scope="session")
def _reset_after_each() -> Iterator[Node]:
    with running_anvil(kept_states=20_000) as running:
        yield running


@pytest.fixture
def fresh_node(_reset_after_each: Node) -> Iterator[Node]:
    """A node at its genesis, for the test alone."""
    node = _reset_after_each
    snapshot = ask(node, "evm_snapshot")
    yield node
    assert ask(node, "evm_revert", snapshot)
    ask(node, "anvil_dropAllTransactions")
    assert ask(node, "eth_blockNumber") == "0x0"


@pytest.fixture(scope="session")
def embedded() -> Iterator[Embedded]:
    """The world after some traffic. Tests may mine on it; those that change more take `scratch`."""

    async def build(url: str) -> World:
        async with Rpc.connect(url) as rpc:
            driver = await WorldDriver.start(rpc)
            for _ in range(WORLD_BLOCKS):
                await driver.step()
            return driver.world

    with start_anvil(timestamp=1_700_000_000) as anvil:
        world = run(build(anvil.http_url), within_s=120)
        yield Embedded(anvil.http_url, anvil.ws_url, world)


@pytest.fixture
def scratch(embedded: Embedded) -> Iterator[Embedded]:
    """The world for one test, put back as it was afterwards."""
    snapshot = ask(embedded, "evm_snapshot")
    yield embedded
    assert ask(embedded, "evm_revert", snapshot)


def ask(node: Node | Embedded, method: str, *params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    # Without verify=False every call reads the list of certificate authorities.
    answer = httpx.post(node.http_url, json=body, trust_env=False, verify=False, timeout=30).json()
    assert "error" not in answer, answer["error"]
    return answer["result"]
