"""At which endpoint a subscription is, and what its refusal means."""

from __future__ import annotations

from typing import Any

import pytest

from dexarb.chain.rpc import Rpc
from dexarb.errors import RpcError
from tests.support.anvil import Node, free_port
from tests.support.chain_driver import run
from tests.support.json_rpc_server import Reply, encoded, failure, json_rpc_server, result


def test_the_preferred_endpoint_that_pushes_is_subscribed_to_and_the_next_if_it_is_down(
    node: Node,
) -> None:
    async def check() -> None:
        dead = f"ws://127.0.0.1:{free_port()}"
        async with Rpc.connect(node.http_url, dead, node.ws_url) as rpc:
            heads = await rpc.subscribe("newHeads")
            assert heads.endpoint == node.ws_url
            assert rpc.endpoints[1].state == "resting"
            await rpc.call("evm_mine")
            head = await anext(heads)
            assert rpc.endpoints[2].newest is not None
            assert b"parentHash" in head
            assert rpc.endpoints[2].today.compute_units == 10 + 40  # to subscribe, and a head

    run(check())


def test_one_that_does_not_offer_subscriptions_is_told_and_asked_after_the_others(
    node: Node,
) -> None:
    told: list[tuple[str, str, str]] = []

    def answer(call: Any) -> Reply:
        if call["method"] == "eth_subscribe":
            return encoded(failure(call, -32601, "method not found"))
        return encoded(result(call, "0x1"))

    async def check() -> None:
        async with json_rpc_server(answer) as server:
            options: dict[str, Any] = {"notice": lambda *notice: told.append(notice)}
            async with Rpc.connect(server.ws_url, **options) as rpc:
                with pytest.raises(RpcError, match="method not found"):
                    await rpc.subscribe("newHeads")
                assert rpc.endpoints[0].state == "ready"
            told.clear()
            async with Rpc.connect(server.ws_url, node.ws_url, **options) as rpc:
                for _ in range(2):
                    assert (await rpc.subscribe("newHeads")).endpoint == node.ws_url
                assert server.methods.count("eth_subscribe") == 2
            assert told == [("endpoint.left", server.ws_url, "does not have eth_subscribe")]

    run(check())
