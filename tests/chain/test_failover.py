"""Which endpoint an answer comes from, when the others are wrong in one way or another."""

from __future__ import annotations

from typing import Any

import pytest

from dexarb.chain.endpoints.choice import MOMENT_S
from dexarb.chain.endpoints.trouble import Trouble, trouble
from dexarb.chain.endpoints.usage import Budget, Usage
from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockHash, BlockRef
from dexarb.errors import Refused, RpcError, TransportError
from tests.support.chain_driver import run
from tests.support.scripted_nodes import Answer, failing, fixed, scripted

RECEIPTS = "eth_getBlockReceipts"
NODE1, NODE2 = "http://node1", "http://node2"


def chain(head: int, chain_id: int = 137, branch: str = "a") -> Answer:
    """A node that knows its head, its chain id and its blocks."""

    def answer(method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(chain_id)
        if method == "eth_blockNumber":
            return hex(head)
        number = head if params[0] == "latest" else int(params[0], 16)
        return {"number": hex(number), "hash": f"0x{branch}{number}"} if number <= head else None

    return answer


@pytest.mark.parametrize(
    "refusal",
    [
        failing(-32601, "the method does not exist"),
        failing(-32000, "method not supported"),
        failing(4444, "pruned history unavailable"),
        failing(-32000, "missing trie node 8b16 (path )"),
        failing(-32602, "invalid params"),
        failing(-32008, "response is too big"),
        failing(-32005, "too many requests"),
        failing(402, "monthly quota"),
        failing(-32000, "header not found"),
        failing(-32603, "internal error"),
    ],
)
def test_no_error_of_the_first_keeps_the_second_from_being_asked(refusal: Answer) -> None:
    async def check() -> None:
        rpc, nodes = scripted(refusal, fixed("0x1"))
        assert await rpc.call(RECEIPTS, "0x") == "0x1"
        assert [len(node.seen) for node in nodes] == [1, 1]

    run(check())


def test_a_revert_is_the_answer_and_nobody_else_is_asked() -> None:
    async def check() -> None:
        rpc, nodes = scripted(failing(3, "execution reverted"), fixed("0x1"))
        with pytest.raises(RpcError, match="reverted"):
            await rpc.call("eth_call", {})
        assert nodes[1].seen == []

    run(check())


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (-32601, "the method does not exist", Trouble.NO_METHOD),
        (4444, "pruned history unavailable", Trouble.PRUNED),
        (-32602, "invalid params", Trouble.PARAMETERS),
    ],
)
def test_what_each_would_repeat_is_raised_as_such_after_each_was_asked_once(
    code: int, message: str, kind: Trouble
) -> None:
    async def check() -> None:
        rpc, nodes = scripted(failing(code, message), failing(code, message))
        with pytest.raises(RpcError) as caught:
            await rpc.call(RECEIPTS, "0x")
        assert trouble(caught.value) is kind
        assert [len(node.seen) for node in nodes] == [1, 1]

    run(check())


@pytest.mark.parametrize(
    "lack", [failing(-32601, "the method does not exist"), failing(4444, "pruned history")]
)
def test_what_one_lacks_is_not_missing_while_another_is_silent_for_a_moment(lack: Answer) -> None:
    async def check() -> None:
        rpc, nodes = scripted(lack, fixed("0x1"))
        nodes[1].down = TransportError(NODE2, "cut")
        with pytest.raises(TransportError, match="node2: cut"):
            await rpc.call(RECEIPTS, "0x")
        nodes[1].clock.now += MOMENT_S
        with pytest.raises(RpcError):
            await rpc.call(RECEIPTS, "0x")  # one that is down for long has no say
        nodes[1].down = TransportError(NODE2, "HTTP 429", status=429, retry_after_s=MOMENT_S / 2)
        with pytest.raises(RpcError):
            await rpc.call(RECEIPTS, "0x")  # that is how long it has been away
        nodes[1].down = None
        nodes[1].clock.now += MOMENT_S
        assert await rpc.call(RECEIPTS, "0x") == "0x1"
        nodes[1].down = TransportError(NODE2, "HTTP 429", status=429, retry_after_s=MOMENT_S / 2)
        for _ in range(2):
            with pytest.raises(TransportError, match="node2"):
                await rpc.call(RECEIPTS, "0x")

    run(check())


def test_a_head_that_is_refused_tells_nothing_of_where_its_endpoint_is() -> None:
    def refuse(_: Any) -> None:
        raise Refused("eth_getBlockByNumber", "no such block")

    async def check() -> None:
        rpc, _ = scripted(chain(9_999), attempts=1)
        with pytest.raises(Refused):
            await rpc.call_as(dict, "eth_getBlockByNumber", "latest", False, check=refuse)
        assert rpc.endpoints[0].newest is None

    run(check())


def test_one_that_only_lags_is_asked_again_where_the_other_keeps_too_little() -> None:
    async def check() -> None:
        answers = iter(["header not found", "header not found", None])

        def lagging(method: str, _: list[Any]) -> Any:
            if said := next(answers):
                raise RpcError(method, -32000, said)
            return "0x1"

        rpc, nodes = scripted(failing(4444, "pruned"), lagging)
        assert await rpc.call(RECEIPTS, "0x") == "0x1"
        assert [len(node.seen) for node in nodes] == [1, 3]

    run(check())


def test_a_method_that_only_the_second_has_is_asked_there_at_once_the_next_time() -> None:
    async def check() -> None:
        told: list[tuple[str, str, str]] = []
        rpc, nodes = scripted(
            failing(-32601, "method not found"),
            fixed([]),
            notice=lambda *notice: told.append(notice),
        )
        for _ in range(5):
            await rpc.batch([(RECEIPTS, ["0x"])] * 3)
        assert [node.seen.count(RECEIPTS) for node in nodes] == [3, 15]
        assert told == [("endpoint.left", NODE1, f"does not have {RECEIPTS}")]

    run(check())


def test_a_head_that_stands_still_is_left_and_found_again_by_a_probe() -> None:
    async def check() -> None:
        rpc, nodes = scripted(chain(100), chain(105))
        assert rpc.preferred == NODE1
        await rpc.call("eth_getBlockByNumber", "latest", False)
        for _ in range(2):
            answers = await rpc.each("eth_getBlockByNumber", "latest", False)
            assert [name for name, _ in answers] == [NODE1, NODE2] or rpc.preferred == NODE2
        assert rpc.preferred == NODE2
        assert [report.newest for report in rpc.endpoints] == [100, 105]
        nodes[0].answer = chain(105)
        await rpc.each("eth_blockNumber")
        assert rpc.preferred == NODE1

    run(check())


def test_one_that_takes_three_seconds_is_left_after_three_answers() -> None:
    async def check() -> None:
        rpc, nodes = scripted(chain(100), chain(100))
        nodes[0].takes_s = 3.0
        for _ in range(5):
            await rpc.call("eth_blockNumber")
        assert [len(node.seen) for node in nodes] == [3, 2]

    run(check())


def test_one_on_another_chain_is_named_and_never_used() -> None:
    async def check() -> None:
        told: list[tuple[str, str, str]] = []
        rpc, nodes = scripted(
            chain(100), chain(20_000, chain_id=1), notice=lambda *notice: told.append(notice)
        )
        rpc.expect(137, list)
        assert [name for name, _ in await rpc.each("eth_blockNumber")] == [NODE1]
        assert told == [("endpoint.left", NODE2, "on chain 1, not 137: not used")]
        nodes[0].down = TransportError(NODE1, "cut")
        for _ in range(3):
            with pytest.raises(TransportError, match="node1: cut"):
                await rpc.call("eth_blockNumber")
        assert set(nodes[1].seen) == {"eth_chainId"}

        nodes[0].down = None
        assert await rpc.call("eth_blockNumber") == hex(100)

    run(check())


def test_all_on_another_chain_is_an_error_that_says_so() -> None:
    async def check() -> None:
        rpc, _ = scripted(chain(1, chain_id=1))
        rpc.expect(137, list)
        with pytest.raises(TransportError):
            await rpc.call("eth_blockNumber")
        with pytest.raises(TransportError, match="on chain 1, not 137"):
            await rpc.call("eth_blockNumber")

    run(check())


def test_one_with_another_block_than_ours_is_used_only_when_all_have_another() -> None:
    known = [BlockRef(90, BlockHash("0xa90"))]

    async def check() -> None:
        rpc, nodes = scripted(chain(100), chain(100, branch="b"))
        rpc.expect(137, lambda: known)
        nodes[0].down = TransportError(NODE1, "cut")
        with pytest.raises(TransportError, match="node1: cut"):
            await rpc.call("eth_blockNumber")
        assert "eth_blockNumber" not in nodes[1].seen
        assert rpc.endpoints[1].state == "estranged"
        # The first comes back as the other chain: now it is we who are alone.
        nodes[0].down, nodes[0].answer = None, chain(100, branch="b")
        assert await rpc.call("eth_blockNumber") == hex(100)

    run(check())


def test_one_that_does_not_know_our_block_cannot_be_judged_and_is_used() -> None:
    async def check() -> None:
        rpc, nodes = scripted(chain(80))
        rpc.expect(
            137, lambda: [BlockRef(90, BlockHash("0xa90")), BlockRef(91, BlockHash("0xa91"))]
        )
        assert await rpc.call("eth_blockNumber") == hex(80)
        assert await rpc.call("eth_blockNumber") == hex(80)
        assert nodes[0].seen.count("eth_chainId") == 1
        nodes[0].clock.now += 60  # it may know it by now
        nodes[0].answer = chain(91, branch="b")
        rpc.expect(137, lambda: [BlockRef(90, BlockHash("0xb90"))])
        assert await rpc.call("eth_blockNumber") == hex(91)
        assert nodes[0].seen.count("eth_chainId") == 2
        assert rpc.endpoints[0].state == "ready"

    run(check())


def test_the_first_known_block_that_it_has_decides() -> None:
    async def check() -> None:
        for branch, state, asked in (("a", "ready", 2), ("b", "estranged", 4)):
            rpc, nodes = scripted(chain(100, branch=branch))
            rpc.expect(137, lambda: [BlockRef(n, BlockHash(f"0xa{n}")) for n in (190, 95, 100)])
            await rpc.each("eth_blockNumber")
            assert rpc.endpoints[0].state == state
            assert nodes[0].seen.count("eth_getBlockByNumber") == asked

    run(check())


def test_no_endpoint_is_of_another_chain_for_one_false_answer() -> None:
    async def check() -> None:
        said = iter(["0x1", "0x89"])

        def wrong_once(method: str, params: list[Any]) -> Any:
            return next(said) if method == "eth_chainId" else chain(100)(method, params)

        rpc, _ = scripted(wrong_once)
        rpc.expect(137, list)
        assert await rpc.call("eth_blockNumber") == hex(100)
        assert not rpc.foreign

    run(check())


def test_one_that_cannot_tell_its_chain_is_not_asked_for_it_again_and_again() -> None:
    async def check() -> None:
        def answer(method: str, _: list[Any]) -> Any:
            if method == "eth_chainId":
                raise RpcError(method, -32601, "method not found")
            return "0x1"

        rpc, nodes = scripted(answer)
        rpc.expect(137, list)
        for _ in range(3):
            assert await rpc.call("eth_blockNumber") == "0x1"
        assert nodes[0].seen.count("eth_chainId") == 1

    run(check())


def at_most_five(value: int) -> None:
    if value > 5:
        raise Refused("eth_getLogs", "it cannot be so many")


def test_an_answer_that_cannot_be_true_is_asked_for_elsewhere_then_later() -> None:
    async def check() -> None:
        rpc, nodes = scripted(fixed(9), fixed(3))
        assert await rpc.call_as(int, "eth_getLogs", check=at_most_five) == 3
        assert [report.refused for report in rpc.endpoints] == [1, 0]

        later = iter([9, 9, 4])
        rpc, nodes = scripted(lambda *_: next(later))
        assert await rpc.call_as(int, "eth_getLogs", check=at_most_five) == 4

        rpc, nodes = scripted(fixed(9), fixed(8))
        with pytest.raises(Refused, match="so many"):
            await rpc.call_as(int, "eth_getLogs", check=at_most_five)
        assert [len(node.seen) for node in nodes] == [3, 3]

    run(check())


def test_in_a_batch_only_what_is_refused_is_asked_again_and_all_where_it_belongs_together() -> None:
    def check_place(place: int, value: int) -> None:
        if place == 1:
            at_most_five(value)

    async def check() -> None:
        calls = [("eth_getLogs", [place]) for place in range(3)]
        rpc, nodes = scripted(fixed(9), fixed(4))
        assert await rpc.batch_as(int, calls, check=check_place) == [9, 4, 9]
        rpc, nodes = scripted(fixed(9), fixed(4))
        assert await rpc.batch_as(int, calls, check=check_place, together=True) == [4, 4, 4]
        assert [len(node.seen) for node in nodes] == [3, 3]
        rpc, _ = scripted(fixed(9), attempts=2)
        found = await rpc.batch_as(int, calls, check=check_place)
        assert [type(entry) for entry in found] == [int, Refused, int]

    run(check())


def test_if_all_ask_to_be_left_alone_the_first_that_is_free_again_is_waited_for() -> None:
    async def check() -> None:
        rpc, nodes = scripted(fixed("0x1"), fixed("0x2"))
        nodes[0].down = TransportError(NODE1, "HTTP 429", status=429, retry_after_s=90)
        nodes[1].down = TransportError(NODE2, "HTTP 503", status=503, retry_after_s=20)
        with pytest.raises(TransportError):
            await rpc.scoped(attempts=1).call("eth_blockNumber")
        nodes[0].down = nodes[1].down = None
        assert await rpc.call("eth_blockNumber") == "0x2"
        assert nodes[0].clock.slept == [20]
        assert [len(node.seen) for node in nodes] == [1, 2]

    run(check())


def test_who_cannot_wait_so_long_hears_at_once_why() -> None:
    async def check() -> None:
        rpc, nodes = scripted(fixed("0x1"), max_wait_s=10)
        nodes[0].down = TransportError(NODE1, "HTTP 429", status=429, retry_after_s=20)
        with pytest.raises(TransportError):
            await rpc.scoped(attempts=1).call("eth_blockNumber")
        nodes[0].down = None
        with pytest.raises(TransportError, match="HTTP 429"):
            await rpc.call("eth_blockNumber")
        nodes[0].clock.now += 15
        assert await rpc.call("eth_blockNumber") == "0x1"
        assert nodes[0].clock.slept == [5]

    run(check())


def test_a_budget_that_is_used_up_by_all_is_an_error_without_a_request() -> None:
    async def check() -> None:
        rpc, nodes = scripted(fixed("0x1"), budgets=[Budget(daily_requests=2)])
        await rpc.batch([("eth_blockNumber", [])] * 2)
        with pytest.raises(TransportError, match="budget of 2 requests a day: used up"):
            await rpc.call("eth_blockNumber")
        assert len(nodes[0].seen) == 2
        assert nodes[0].clock.slept == []

    run(check())


def test_a_quota_is_left_for_the_next_endpoint_and_tried_again() -> None:
    async def check() -> None:
        rpc, nodes = scripted(failing(-32005, "monthly quota exceeded"), fixed("0x1"))
        for _ in range(3):
            assert await rpc.call("eth_call") == "0x1"
        assert [len(node.seen) for node in nodes] == [1, 3]
        nodes[0].clock.now += 1.0
        nodes[0].answer = fixed("0x1")
        await rpc.call("eth_call")
        assert len(nodes[0].seen) == 2

    run(check())


def test_each_asks_all_that_do_not_rest_once_and_tells_their_errors() -> None:
    async def check() -> None:
        rpc, nodes = scripted(fixed("0x1"), failing(-32000, "no"), fixed(3), fixed("0x4"))
        nodes[3].down = TransportError("http://node4", "cut")
        found = dict(await rpc.each("eth_blockNumber", type_=str))
        assert found[NODE1] == "0x1"
        assert isinstance(found[NODE2], RpcError)
        assert isinstance(found["http://node3"], TransportError)
        assert isinstance(found["http://node4"], TransportError)
        assert [name for name, _ in await rpc.each("eth_blockNumber")] == [NODE1, NODE2]
        assert [len(node.seen) for node in nodes] == [2, 2, 1, 1]

    run(check())


def test_views_of_the_same_nodes_share_health_and_counts() -> None:
    async def check() -> None:
        rpc, _ = scripted(fixed("0x1"), fixed("0x2"))
        assert rpc.names == (NODE1, NODE2)
        second = rpc.only(NODE2)
        assert (second.names, second.preferred) == ((NODE2,), NODE2)
        assert await second.call("eth_call") == "0x2"
        assert await rpc.avoiding(NODE1).call("eth_call") == "0x2"
        assert (rpc.requests, second.requests) == (2, 1)
        assert [report.today.requests for report in rpc.endpoints] == [0, 2]
        nobody = rpc.avoiding(NODE1, NODE2)
        assert await nobody.each("eth_call") == []
        with pytest.raises(TransportError):
            await nobody.call("eth_call")
        with pytest.raises(KeyError):
            rpc.only("http://node3")

    run(check())


def test_what_is_asked_is_counted_failures_included() -> None:
    async def check() -> None:
        usage = Usage()
        rpc, nodes = scripted(fixed("0x1"), fixed("0x2"), usage=usage)
        nodes[0].down = TransportError(NODE1, "cut")
        await rpc.batch([("eth_getLogs", []), ("eth_call", [])])
        first, second = rpc.endpoints
        assert (first.today.requests, first.today.compute_units) == (2, 86)
        assert (second.this_month.requests, second.this_month.compute_units) == (2, 86)

    run(check())


def test_two_keys_at_one_host_are_told_apart_in_errors() -> None:
    async def check() -> None:
        nodes = scripted(fixed("0x1"), fixed("0x1"))[1]
        for node in nodes:
            node.endpoint = NODE1
            node.down = TransportError(NODE1, "cut")
        twice = Rpc(nodes, attempts=1)
        with pytest.raises(TransportError, match="node1 #2: cut"):
            await twice.call("eth_call")

    run(check())
