"""A journal that takes no commit, whatever the reason: nothing is sent, it is said once, the books
go on, and sending begins again once it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.alerts.alerts import Alerts
from dexarb.apps.live.alerts import BotAlerts
from dexarb.core.sending import Answer
from dexarb.core.trade import FillStatus
from tests.alerts.files import alerts_config
from tests.ends.end_world import EndWorld, end_world
from tests.store.disks import no_commit
from tests.support.mailbox import mailbox


def decided_in_vain(world: EndWorld) -> int:
    """By two strategies, one after the other, over blocks that its books go on with. How many."""
    decisions = 0
    for price in (2_450, 2_500, 2_450, 2_500, 2_500):
        step = world.step(world.spread(price))
        decisions += len(step.decisions)
        assert world.ledger.seq == step.seq
    assert decisions >= 2
    assert (world.journal.signed(), world.node.taken, world.drops) == ([], [], [])
    return decisions


def test_nothing_is_sent_until_it_can_be_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        world.use_another_strategy()
        with no_commit(world.journal):
            decisions = decided_in_vain(world)
        world.quiet()
        assert world.drops == ["the journal could not be written"] * decisions
        fills = [*world.quiet().fills, *world.quiet().fills]
        assert [each.status for each in fills] == [FillStatus.EXPIRED] * decisions
        world.step(world.spread())
        world.offered()
        assert (len(world.journal.signed()), world.answers) == (1, [Answer.TAKEN])
        said = capsys.readouterr().out
        assert (said.count("journal.stuck"), said.count("journal.works")) == (1, 1)
        problem, works = world.said.journal
        assert "journal.sqlite" in (problem or "")
        assert works is None
        world.assert_replays()


@pytest.mark.parametrize("checkpoint", [False, True], ids=["killed", "stopped"])
def test_what_was_decided_in_vain_is_dropped_behind_a_restart(
    tmp_path: Path, checkpoint: bool
) -> None:
    """A trader that waits for its own trade would wait for ever."""
    with end_world(tmp_path) as world:
        world.ready()
        with no_commit(world.journal):
            (decision,) = world.step(world.spread()).decisions
            if checkpoint:
                world.session.pause()
        world.end_it()
        world.begin()
        assert world.end.executor.open_decisions == (decision,)
        fills = [*world.quiet().fills, *world.quiet().fills]
        assert [(each.decision.id, each.status) for each in fills] == [
            (decision.id, FillStatus.EXPIRED)
        ]
        assert world.drops == ["it was decided before the bot was started"]
        assert world.journal.signed() == []
        world.assert_replays()


def test_what_came_out_meanwhile_is_written_later(tmp_path: Path) -> None:
    """Answers, twins, and a disarming, of which people hear at once."""
    with end_world(tmp_path, limits={"max_reverts_in_a_row": 1}) as world:
        world.ready()
        world.step(world.spread())
        (signed,) = world.journal.signed()
        with no_commit(world.journal):
            world.until(lambda: not world.sender._under_way, "an answer")
            world.step(world.including(signed, gain=None))
            assert len(world.said.disarmed_by) == 1
            world.quiet()
            assert (world.journal.offers(), world.journal.twins()) == ([], [])
        world.quiet()
        world.until(lambda: len(world.journal.controls()) > 1, "the disarming")
        assert world.answers == [Answer.TAKEN]
        assert [each.hash for each in world.journal.twins()] == [signed.hash]
        assert "max_reverts_in_a_row" in (world.disarmed_by or "")
        world.assert_replays()


def test_what_was_ordered_and_never_written_changes_no_books(tmp_path: Path) -> None:
    """A bot that is killed then comes to the same books, and goes on with them."""
    with end_world(tmp_path, limits={"max_reverts_in_a_row": 1}) as world:
        world.ready()
        world.step(world.spread())
        world.offered()
        (signed,) = world.journal.signed()
        with no_commit(world.journal):
            world.step(world.overtaken(signed))
            assert len(world.said.disarmed_by) == 1
            (decision,) = world.step(world.spread()).decisions
            assert len(world.node.taken) == 1
        world.end_it()
        world.begin()
        fills = [*world.quiet().fills, *world.quiet().fills]
        assert [each.decision.id for each in fills] == [decision.id]
        assert "max_reverts_in_a_row" in (world.disarmed_by or "")
        world.assert_replays()


def test_people_hear_of_it_and_that_it_is_over(tmp_path: Path) -> None:
    with mailbox() as box:
        config = alerts_config(tmp_path, box.url(), more="repeat_mins = 0")
        with Alerts("dexarb-bot", config, tick_s=0.001) as alerts:
            told = BotAlerts(alerts, tmp_path / "journal.sqlite", has_traded=False)
            told.stuck("disk I/O error")
            box.wait(lambda: len(box.mails) == 1)
            told.stuck(None)
            box.wait(lambda: len(box.mails) == 2)
    assert [each.partition(": ")[2] for each in box.titles] == [
        *("disk nearly full", "disk has room again")
    ]
    assert box.mails[0]["message"] == "disk I/O error"
