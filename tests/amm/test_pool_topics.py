"""Every event of the real contracts is known to its pool kind, and only those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.core.pool import Pool

UNISWAP = Path(__file__).parents[2] / "node_modules" / "@uniswap"
ARTIFACTS: dict[type[Pool], str] = {
    UniswapV2Pool: "v2-core/build/UniswapV2Pair.json",
    UniswapV3Pool: "v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json",
}


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_topics_are_those_of_the_contracts_events(kind: type[Pool]) -> None:
    abi = json.loads((UNISWAP / ARTIFACTS[kind]).read_bytes())["abi"]
    events = [entry for entry in abi if entry["type"] == "event"]
    signatures = [
        f"{event['name']}({','.join(each['type'] for each in event['inputs'])})" for event in events
    ]
    topics = {keccak(signature.encode()) for signature in signatures}
    assert kind.topics | kind.quiet_topics == topics
    assert not kind.topics & kind.quiet_topics
