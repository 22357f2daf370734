"""data-collector on a real node behind a line that fails and lies in one answer of five."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from dexarb.apps.collect_plan import pool_requests
from dexarb.chain.bootstrap.sync import bootstrap
from dexarb.config.collector import load_collector
from dexarb.store.follow import newest_market
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from tests.support.faulty_node import Fault, FaultyNode, faulty_node
from tests.support.live import live

pytestmark = pytest.mark.e2e

BLOCKS = 20


def rewritten(change: Callable[[Any], Any]) -> Fault:
    """Every result of an answer, changed."""

    def rewrite(answer: bytes) -> bytes:
        found = msgspec.json.decode(answer)
        for message in found if isinstance(found, list) else [found]:
            if message.get("result"):
                message["result"] = change(message["result"])
        return msgspec.json.encode(found)

    return Fault(rewrite=rewrite)


def less(result: Any) -> Any:
    """A list without its last entry; a header with other gas; text cut short."""
    if isinstance(result, dict):
        return result | {"gasUsed": "0x7"}
    return result[:-1]


def failing(code: int, message: str) -> Fault:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return Fault(body=msgspec.json.encode(error))


FAULTS = {
    "cut": Fault(drop=True),
    "html": Fault(body=b"<html>502 Bad Gateway</html>", status=502),
    "busy": Fault(body=b"", status=429),
    "limit": failing(-32005, "rate limit exceeded"),
    "internal": failing(-32603, "internal error"),
    "null": rewritten(lambda _: None),
    "less": rewritten(less),
    "none": rewritten(lambda result: [] if isinstance(result, list) else result),
}


class Lying(FaultyNode):
    """told: what was done instead of answering truly."""

    def __init__(self, upstream: Any) -> None:
        super().__init__(upstream)
        self.rate, self.rng, self.told = 0.2, Random(1), Counter[str]()

    def fault_for(self, payload: bytes) -> Fault | None:
        self.seen.append(payload)
        if self.rng.random() >= self.rate:
            return None
        name = self.rng.choice(list(FAULTS))
        self.told[name] += 1
        return FAULTS[name]


class Upstream(NamedTuple):
    http_url: str
    ws_url: str


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_what_is_recorded_behind_it_is_the_chain(tmp_path: Path, scheme: str) -> None:
    async def play() -> None:
        async with live(tmp_path, endpoint="http") as run:
            text = run.files.collector.read_text()
            found = re.search(r"http://127\.0\.0\.1:\d+", text)
            assert found is not None
            url = found.group()
            async with faulty_node(Lying(Upstream(url, url.replace("http", "ws")))) as lying:
                assert isinstance(lying, Lying)
                own = lying.ws_url if scheme == "ws" else lying.http_url
                quick = text.replace(url, own).replace("[rpc]\n", "[rpc]\ntimeout_s = 1\n")
                run.files.collector.write_text(quick)
                collector = run.start("data-collector")
                await run.until(run.state, "the first state")
                begun = run.state()["block"]["number"]
                for _ in range(BLOCKS):
                    await run.driver.step()
                    await run.collected()
                lying.rate = 0.0
                await run.driver.step()
                await run.collected()
                config = load_collector(run.files.collector)
                chain_id = run.driver.world.chain_id
                true = await bootstrap(
                    run.rpc, pool_requests(config.chain, config.choices), chain_id=chain_id
                )
                history = run.files.data / "history" / str(chain_id)
                market = newest_market(HistoryReader(history))
                assert market.block.hash == true.block.hash
                assert dict(market.pools) == {pool.key: pool for pool in true.pools}
                assert collector.stop() == 0
                checked = check(history)
                assert checked.ok, checked
                assert checked.blocks == true.block.number - begun
                assert checked.unproven == 0
                assert lying.told.total() >= 5

    asyncio.run(play())
