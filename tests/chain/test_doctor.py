"""dexarb doctor against a real node with the real contracts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.apps.doctor import diagnose
from dexarb.demo.settings import write_settings
from dexarb.screens.doctor import Health
from tests.chain.conftest import ask
from tests.chain.embedded import Embedded
from tests.support.chain_driver import run

PAPER = Path(__file__).parent.parent.parent / "config" / "paper_trading.toml"


@pytest.mark.parametrize("way", ["http", "ws"])
def test_a_node_that_has_everything_is_well(embedded: Embedded, tmp_path: Path, way: str) -> None:
    endpoint = {"http": embedded.http_url, "ws": embedded.ws_url}[way]
    files = write_settings(embedded.world, tmp_path, endpoint=endpoint, paper_config=PAPER)
    head = int(ask(embedded, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    found = run(diagnose(files.collector, files.paper, lambda: head + 1.0))
    assert [each for each in found.findings if each.health is Health.WRONG] == []
    (endpoint_found,) = found.endpoints
    assert set(endpoint_found["lacks"]) == ({"push"} if way == "http" else set())
    assert endpoint_found["problem"] is None
