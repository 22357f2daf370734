"""One way of sending in trouble, and another beside it: the trade goes by that, and waits for
nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from dexarb.core.sending import Answer, TransactionHash
from dexarb.core.trade import FillStatus
from dexarb.study.live_results import OpenState, read_results
from tests.ends.end_world import PATIENCE_S, end_world
from tests.ends.test_lying_ways import says
from tests.support.json_rpc_server import Call, Reply

Trouble = Callable[[Event], Callable[[Call], Reply]]
"""over: until when it lasts, where it has a length."""


def hangs(over: Event) -> Callable[[Call], Reply]:
    def lie(_: Call) -> Reply:
        over.wait(PATIENCE_S)
        return Reply(None)

    return lie


TROUBLES: dict[str, tuple[Trouble, Answer, int]] = {
    "cuts": (lambda _: lambda _: Reply(None), Answer.UNKNOWN, 2),
    "hangs": (hangs, Answer.UNKNOWN, 2),
    "rests": (
        lambda _: lambda _: Reply(b"", 429, {"Retry-After": "300"}),
        Answer.UNKNOWN,
        1,
    ),
    "refuses": (lambda _: says("transaction underpriced"), Answer.UNDERPRICED, 2),
    "is elsewhere": (lambda _: says("nonce too low"), Answer.NONCE_TOO_LOW, 2),
    "knows no such method": (lambda _: says("method not found"), Answer.REFUSED, 2),
}
"""What it answers in the end, and how many of two trades it is given."""


@contextmanager
def ends(over: Event) -> Iterator[None]:
    try:
        yield
    finally:
        over.set()


@pytest.mark.parametrize("bad", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("name", TROUBLES)
def test_the_other_takes_each_trade_meanwhile(tmp_path: Path, name: str, bad: int) -> None:
    trouble, answer, given = TROUBLES[name]
    over = Event()
    with end_world(tmp_path, ways=2, timeout_s=PATIENCE_S) as world, ends(over):
        wrong, right = world.nodes[bad], world.nodes[1 - bad]
        by_name = [each.name for each in world.config.ways]
        wrong.lie = trouble(over)
        world.ready()

        def said(way: int) -> dict[TransactionHash, Answer]:
            """Of each, in the end: behind a doubt it is given out once more."""
            offers = world.journal.offers()
            return {each.hash: each.answer for each in offers if each.way == by_name[way]}

        def is_answered(hash_: TransactionHash) -> bool:
            return hash_ in said(1 - bad)

        for number in (1, 2):
            world.step(world.spread())
            assert len(world.journal.signed()) == number, world.drops
            signed = world.journal.signed()[-1]
            world.until(partial(is_answered, signed.hash), "the other to take it")
            ((_, raw),) = world.journal.raw([signed.hash])
            assert right.taken[-1] == "0x" + raw.hex()
            found = read_results(world.journal.path, world.ledger.path)
            (lane,) = found.lanes
            assert lane.open is not None
            assert (lane.open.state, dict(found.dropped)) == (OpenState.OFFERED, {})
            world.node.nonces[signed.lane] = number
            (fill,) = world.step(world.including(signed, gain=world.gain_of(signed))).fills
            assert fill.status is FillStatus.FILLED
            world.step(world.spread(2_500))
            world.until(lambda: not world.end.lanes.in_doubt, "the chain's word")
        over.set()
        world.until(lambda: len(said(bad)) == 2, "its answers")
        assert [*said(1 - bad).values()] == [Answer.TAKEN] * 2
        assert [*said(bad).values()] == [answer] * 2
        assert len({*wrong.taken}) == given
        assert (world.drops, world.disarmed_by) == ([], None)
        world.assert_replays()
