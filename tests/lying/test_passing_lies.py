"""One false answer now and then is no reason to give anything up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.collecting import assert_true, collecting, entries, false_states, market_of
from tests.support.node_lies import Liar, Told, error, of_another_chain, without, wrong_word
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode, transport
from tests.support.virtual_time import run_at_once

HEADER = ("eth_getBlockByHash", "eth_getBlockByNumber", "newHeads")


def play(folder: Path, liar: Liar, *, blocks: int = 60, pushing: bool = False) -> TrueChain:
    chain = liar.chain

    async def collect() -> None:
        line = transport(TrueNode(chain, lie=liar), pushing=pushing)
        async with collecting(folder, chain, line) as run:
            await run.mine(blocks)
            liar.rate = 0.0
            await run.mine(2)
            await run.reach()

    run_at_once(collect())
    assert liar.told.total() > 5
    return chain


def test_pruned_now_and_then_is_no_gap(tmp_path: Path) -> None:
    pruned = error(4444, "pruned history unavailable")
    liar = Liar(TrueChain(1), 1, rate=0.2, errors=[pruned], by_method={})
    assert_true(tmp_path, play(tmp_path, liar))


@pytest.mark.parametrize(
    "refusal",
    [error(-32601, "the method does not exist"), error(-32602, "invalid params")],
)
def test_receipts_that_are_refused_now_and_then_are_asked_for_again(
    tmp_path: Path, refusal: Told
) -> None:
    chain = TrueChain(2)

    def sometimes(method: str, params: Sequence[Any], result: Any) -> Any:
        is_asked = method == "eth_getBlockReceipts" and chain.head.number > 1_003
        return liar(method, params, result) if is_asked else result

    liar = Liar(chain, 2, rate=0.3, errors=[refusal], by_method={})

    async def collect() -> None:
        async with collecting(
            tmp_path, chain, transport(TrueNode(chain, lie=sometimes)), attempts=1
        ) as run:
            await run.mine(60)
            await run.reach()

    run_at_once(collect())
    assert liar.told.total() > 5
    assert_true(tmp_path, chain, unproven=6)


@pytest.mark.parametrize("pushing", [False, True], ids=["polled", "pushed"])
def test_headers_that_lack_a_field_now_and_then_are_asked_for_again(
    tmp_path: Path, pushing: bool
) -> None:
    ways = [without("receiptsRoot"), without("baseFeePerGas"), without("logsBloom")]
    liar = Liar(TrueChain(3), 3, errors=[], by_method=dict.fromkeys(HEADER, ways))
    assert_true(tmp_path, play(tmp_path, liar, pushing=pushing))


def test_a_chain_whose_headers_have_a_new_field_is_followed_unproven(tmp_path: Path) -> None:
    chain = TrueChain(4)

    def forked(method: str, _: Sequence[Any], result: Any) -> Any:
        is_new = method in HEADER and result and int(result["number"], 16) > 1_020
        # The known fields alone do not make the hash any more.
        new = {"newRoot": "0x" + "11" * 32, "mixHash": "0x" + "22" * 32}
        return result | new if is_new else result

    async def collect() -> None:
        async with collecting(tmp_path, chain, transport(TrueNode(chain, lie=forked))) as run:
            await run.mine(20)
            chain.mine()
            for _ in range(20):
                await run.mine()
            assert await run.reach() < 5.0

    with capture_logs() as said:
        run_at_once(collect())
    found = assert_true(tmp_path, chain, unproven=chain.head.number - 1_020)
    assert found.unproven == chain.head.number - 1_020
    (told,) = [entry for entry in said if entry["event"] == "headers.unproven"]
    assert told["unknown_fields"] == ["newRoot"]


def test_headers_of_another_chain_now_and_then_break_nothing(tmp_path: Path) -> None:
    liar = Liar(
        TrueChain(5), 5, rate=0.2, errors=[], by_method={key: [of_another_chain] for key in HEADER}
    )
    with capture_logs() as said:
        assert_true(tmp_path, play(tmp_path, liar))
    assert not [entry for entry in said if entry["event"] == "break"]


@pytest.mark.parametrize("seed", range(6, 12))
def test_pools_come_in_when_two_readings_agree(tmp_path: Path, seed: int) -> None:
    liar = Liar(TrueChain(seed), seed, rate=0.5, errors=[], by_method={"eth_call": [wrong_word]})
    chain = play(tmp_path, liar, blocks=40)
    assert entries(tmp_path)
    assert not false_states(tmp_path, chain)
    assert all(chain.head.pools[key] == pool for key, pool in market_of(tmp_path).pools.items())
