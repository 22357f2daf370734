"""Two endpoints that have different blocks of one number: both are named, once."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from tests.support.collecting import assert_true, collecting, events
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode, transport
from tests.support.virtual_time import run_at_once


def test_endpoints_that_disagree_are_named_and_so_is_that_they_agree_again(tmp_path: Path) -> None:
    async def play() -> None:
        ours, theirs = TrueChain(3), TrueChain(3)
        for _ in range(5):
            assert ours.mine(2).hash == theirs.mine(2).hash
        other = TrueNode(theirs)
        nodes = (transport(TrueNode(ours), name="first"), transport(other, name="second"))
        async with collecting(tmp_path, ours, *nodes) as run:
            await run.reach()
            for _ in range(60):
                theirs.mine(1)
                await run.mine(transactions=2)
            other.chain = ours
            await run.mine(40)
            await run.reach()
        assert_true(tmp_path, ours)

    with capture_logs() as said:
        run_at_once(play())
    (disagree,) = events(said, "endpoints.disagree")
    assert disagree["endpoint"] == "second"
    assert disagree["ours"] != disagree["theirs"]
    assert [each["endpoint"] for each in events(said, "endpoints.agree")] == ["second"]
