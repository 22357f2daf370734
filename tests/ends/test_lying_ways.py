"""Ways of sending that lie, forget and babble: every transaction stays accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dexarb.core.sending import Answer
from dexarb.core.trade import FillStatus
from tests.ends.end_world import KEY, TOKEN, end_world
from tests.support.json_rpc_server import Call, Reply, encoded, failure, result
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import CHEAP, weth_pool


def says(message: str) -> Callable[[Call], Reply]:
    return lambda call: encoded(failure(call, -32000, message))


def echoes(call: Call) -> Reply:
    """Its error repeats all that it was given, and where."""
    return encoded(failure(call, -32000, f"no {TOKEN} at /{KEY} takes {call['params'][0]}"))


LIES: dict[str, tuple[Callable[[Call], Reply], Answer]] = {
    "taken and forgotten": (lambda call: encoded(result(call, "0x" + "00" * 32)), Answer.TAKEN),
    "taken, and no answer": (lambda _: Reply(hang=True), Answer.UNKNOWN),
    "taken, and the line cut": (lambda _: Reply(None), Answer.UNKNOWN),
    "no JSON": (lambda _: Reply(b"<html>busy</html>"), Answer.UNKNOWN),
    "a redirect": (lambda _: Reply(b"", 302, {"Location": "http://127.0.0.1:9"}), Answer.UNKNOWN),
    "another id": (lambda call: encoded(result(call | {"id": 77}, "0x00")), Answer.UNKNOWN),
    "without end": (
        lambda _: Reply(b'{"jsonrpc": "2.0", "result": "' + b"0" * 10**7),
        Answer.UNKNOWN,
    ),
    "known": (says("already known"), Answer.KNOWN),
    "underpriced": (says("replacement transaction underpriced"), Answer.UNDERPRICED),
    "refused": (echoes, Answer.REFUSED),
}


@pytest.mark.parametrize("name", LIES)
def test_whatever_a_way_says_the_chain_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The trade lands all the same."""
    lie, answer = LIES[name]
    with end_world(tmp_path, timeout_s=0.2) as world:
        world.node.lie = lie
        world.ready()
        world.step(world.spread())
        world.offered()
        assert world.answers == [answer]
        (signed,) = world.journal.signed()
        ((_, raw),) = world.journal.raw([signed.hash])
        (fill,) = world.step(world.including(signed, gain=world.gain_of(signed))).fills
        assert fill.status is FillStatus.FILLED
        assert world.drops == []
        assert world.disarmed_by is None
        world.assert_replays()
        left = capsys.readouterr().out + "".join(each.said for each in world.journal.offers())
        assert raw.hex()[:80] not in left
        assert KEY not in left
        assert TOKEN not in left


@pytest.mark.parametrize("name", LIES)
def test_what_never_lands_gives_its_nonce_to_the_next_trade(tmp_path: Path, name: str) -> None:
    lie, _ = LIES[name]
    with end_world(tmp_path, timeout_s=0.2) as world:
        world.node.lie = lie
        world.ready()
        world.step(world.spread())
        world.offered()
        world.node.lie = None
        world.use_another_strategy()
        while world.end.executor.free_lanes == 0:
            world.step(world.spread(2_500))
        (second,) = world.step(world.spread()).decisions
        world.offered()
        first, signed = world.journal.signed()
        assert (first.nonce, signed.nonce, signed.decision) == (0, 0, second.id)
        assert signed.tip * 10 >= first.tip * 11
        fills = world.step(world.including(signed, gain=world.gain_of(signed))).fills
        assert [(each.decision.id, each.status) for each in fills] == [
            (first.decision, FillStatus.EXPIRED),
            (second.id, FillStatus.FILLED),
        ]
        world.assert_replays()


def test_a_way_that_wants_to_be_left_alone_is_given_nothing_meanwhile(tmp_path: Path) -> None:
    """A trade that waits for it would come too late, and pay for that."""
    with end_world(tmp_path) as world:
        world.node.lie = lambda _: Reply(b"", 429, {"Retry-After": "300"})
        world.ready()
        world.step(world.spread())
        world.offered()
        world.use_another_strategy()
        while len(world.journal.signed()) < 2:
            world.step(world.spread(2_500))
        world.offered()
        assert world.answers == [Answer.UNKNOWN] * 2
        assert len(world.node.taken) == 1


@pytest.mark.parametrize("later_gwei", [30, 5], ids=["as dear", "much cheaper"])
def test_what_never_lands_is_used_up_where_nobody_takes_its_nonce(
    tmp_path: Path, later_gwei: int
) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        world.step(world.chain.mine(weth_pool(CHEAP, 2_450), base_fee=60 * GWEI))
        (first,) = world.journal.signed()
        last = first.deadline_block + world.config.cancel_after_blocks
        while world.chain.tip.number < last:
            assert len(world.journal.signed()) == 1
            pool = weth_pool(CHEAP, 2_500)
            world.step(world.chain.mine(pool, base_fee=later_gwei * GWEI))
        world.offered()
        _, plain = world.journal.signed()
        assert (plain.nonce, plain.decision, plain.gas_limit) == (first.nonce, None, 21_000)
        assert plain.tip * 10 >= first.tip * 11
        (fill,) = world.step(world.including(plain, gain=None)).fills
        assert (fill.decision.id, fill.status) == (first.decision, FillStatus.EXPIRED)
        assert world.disarmed_by is None
        world.assert_replays()


def test_a_nonce_that_somebody_else_has_used_is_asked_for(tmp_path: Path) -> None:
    """And the bot is disarmed once a block shows whose it was."""
    with end_world(tmp_path) as world:
        world.ready()
        world.node.lie = says("nonce too low: next nonce 1, tx nonce 0")
        world.step(world.spread())
        world.offered()
        assert world.end.lanes.in_doubt == tuple(world.lanes)
        world.node.lie = None
        world.node.nonces[world.lanes[0]] = 1
        world.until(lambda: not world.end.lanes.in_doubt, "the chain's word")
        (signed,) = world.journal.signed()
        strange = signed._replace(hash="0x" + "ab" * 32)  # type: ignore[arg-type]
        world.step(world.including(strange, gain=None))
        assert "somebody else sends from" in (world.disarmed_by or "")
        assert len(world.said.disarmed_by) == 1
        assert world.step(world.spread(2_440)).decisions == []
        world.assert_replays()


def test_an_account_whose_balance_is_no_number_is_asked_for_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until then nothing is sent, and the bot says why."""
    with end_world(tmp_path) as world:
        world.node.babbles = True
        world.quiet()
        world.until(lambda: world.node.asked >= 2, "it to be asked again")
        assert world.end.lanes.in_doubt == tuple(world.lanes)
        assert "it is no number" in capsys.readouterr().out
        world.node.babbles = False
        world.ready()
        assert len(world.step(world.spread()).decisions) == 1
        world.offered()
        assert world.answers == [Answer.TAKEN]
