"""Messages through apprise to a server of our own, and servers that are slow or broken."""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dexarb.alerts.alerts import Alerts
from dexarb.alerts.outbox import Outbox
from dexarb.alerts.policy import Message, Moment
from dexarb.alerts.target import MAX_CHARACTERS, Target, open_targets, plain, without_parts
from dexarb.config.alerts import AlertKind
from dexarb.errors import ConfigErrors
from tests.alerts.files import alerts_config
from tests.support.mailbox import mailbox

SECRET = "k3yOfTheService"
MESSAGE = Message(AlertKind.SILENCE, False, ("none for 121 s",))
NOON = 1_750_000_000 - 1_750_000_000 % 86_400 + 43_200


def target_at(folder: Path, *urls: str) -> Target:
    return open_targets(alerts_config(folder, *urls))[0]


def test_a_message_arrives_as_it_is(tmp_path: Path) -> None:
    with mailbox() as box:
        target = target_at(tmp_path, box.url(SECRET))
        assert (
            target.send("a <b>*title*</b>", ["one [/] & two", "\x1b[2Jthree"], is_trouble=True)
            is None
        )
        (mail,) = box.mails
    assert mail["title"] == "a <b>*title*</b>"
    assert mail["message"].splitlines() == ["one [/] & two", "[2Jthree"]
    assert mail["type"] == "warning"


def test_what_went_wrong_is_told_without_the_url(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), mailbox() as box:
        box.status = 403
        target = target_at(tmp_path, box.url(SECRET))
        problem = target.send("t", ["b"], is_trouble=True)
        assert problem is not None
        assert "403" in problem
        said = problem + repr(target) + target.name + caplog.text
    assert target.name == "json #1"
    assert SECRET not in said


def test_nobody_listening_is_told(tmp_path: Path) -> None:
    with mailbox() as box:
        url = box.url(SECRET)
    problem = target_at(tmp_path, url).send("t", ["b"], is_trouble=False)
    assert problem is not None
    assert "onnection" in problem


def test_a_plugin_that_raises_ends_nothing() -> None:
    class Broken:
        def notify(self, **_: object) -> bool:
            raise RuntimeError(f"cannot post to /bot{SECRET}/send")

    problem = Target(Broken(), f"tgram://{SECRET}/1", "tgram #1").send("t", [], is_trouble=True)  # type: ignore[arg-type]
    assert problem == "RuntimeError: cannot post to /bot***/send"


@pytest.mark.parametrize(
    "text",
    [f"url: /bot{SECRET}/x", "no such user jim", "key a%20b", "pass a b", "tgram://hosted1/"],
)
def test_no_part_of_a_url_is_quoted(text: str) -> None:
    url = f"tgram://jim:a%20b@hosted1/{SECRET}/?to=1"
    shown = without_parts(text, url)
    for secret in (SECRET, "jim", "a%20b", "a b", "hosted1"):
        assert secret not in shown or secret == "a b"


def test_texts_are_cut_and_move_no_cursor() -> None:
    assert plain("a\u202eb\x07\nc\U0001f600é\u2067") == "ab\nc\U0001f600é"
    assert len(plain("x" * 5000)) == MAX_CHARACTERS


def test_without_apprise_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(
        ConfigErrors, match=r"alerts\.toml:1: alerts: .*pip install dexarb\[alerts\]"
    ):
        open_targets(alerts_config(tmp_path, "json://a"))


def test_urls_that_apprise_does_not_know_are_named_by_their_place(tmp_path: Path) -> None:
    config = alerts_config(tmp_path, "json://127.0.0.1", f"nonsense://{SECRET}", SECRET)
    with pytest.raises(ConfigErrors) as caught:
        open_targets(config)
    first, second = str(caught.value).splitlines()
    assert "alerts: urls #2: no URL of a service that apprise knows" in first
    assert "urls #3" in second
    assert SECRET not in str(caught.value)


# -- a target's own thread -------------------------------------------------------------------


def test_a_target_that_hangs_delays_nobody_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    with mailbox() as box, capture_logs() as logs:
        box.gate.clear()
        outbox = Outbox(target_at(tmp_path, box.url()), "dexarb", most_waiting=2)
        outbox.put(MESSAGE)
        box.wait(lambda: box.asked == 1)
        begun = time.monotonic()
        for _ in range(1000):
            outbox.put(MESSAGE)
        assert time.monotonic() - begun < 1.0
        assert outbox.lost == 998
        outbox.close()
        assert not outbox.join(0.0)
        box.gate.set()
        assert outbox.join(10.0)
    assert outbox.lost == 0
    assert len(box.mails) == 3
    assert box.mails[1]["message"].splitlines() == [
        "none for 121 s",
        "998 messages before this one were lost",
    ]
    assert [line["event"] for line in logs] == ["alerts.dropped", "alerts.over"]


def test_a_broken_target_is_told_once_and_once_that_it_works(tmp_path: Path) -> None:
    with mailbox() as box, capture_logs() as logs:
        box.status = 500
        outbox = Outbox(target_at(tmp_path, box.url(SECRET)), "dexarb", pauses_s=(0.0, 0.0))
        outbox.put(MESSAGE)
        outbox.put(MESSAGE)
        box.wait(lambda: box.asked == 6)
        while outbox.lost < 2:
            threading.Event().wait(0.001)
        box.status = 200
        outbox.put(MESSAGE)
        box.wait(lambda: len(box.mails) == 1)
        outbox.close()
        assert outbox.join(10.0)
    assert [(line["event"], line["target"]) for line in logs] == [
        ("alerts.failing", "json #1"),
        ("alerts.over", "json #1"),
    ]
    assert logs[1]["lost"] == 2
    assert SECRET not in str(logs)
    assert box.mails[0]["message"].endswith("2 messages before this one were lost")


# -- all of it -------------------------------------------------------------------------------


def test_from_what_happens_to_the_server(tmp_path: Path) -> None:
    clock = [0.0]
    with mailbox() as box:
        config = alerts_config(tmp_path, box.url(), more='name = "here"\nrepeat_mins = 0')
        with Alerts(
            "tester", config, tick_s=0.001, now=lambda: Moment(clock[0], NOON + clock[0])
        ) as alerts:
            alerts.block(7, NOON)
            clock[0] = 121.0
            box.wait(lambda: box.titles == ["here tester: no new block"])
            alerts.block(8, NOON + 121)
            box.wait(lambda: len(box.mails) == 2)
            alerts.holds(AlertKind.STRATEGY_STOPPED, {"a": '"A" by max_daily_trades'})
    assert box.titles[1:] == ["here tester: blocks come again", "here tester: strategy stopped"]
    assert [mail["type"] for mail in box.mails] == ["warning", "success", "warning"]


def test_a_digest_carries_the_facts_and_is_counted(tmp_path: Path) -> None:
    clock = [0.0]
    with mailbox() as box:
        config = alerts_config(tmp_path, box.url(), more='kinds = ["digest"]')
        with Alerts(
            "tester", config, tick_s=0.001, now=lambda: Moment(clock[0], NOON + clock[0])
        ) as alerts:
            alerts.facts = ["block 7"]
            clock[0] = 20 * 3600.0
            box.wait(lambda: box.titles == ["dexarb tester: digest"])
            assert alerts.digests == 1
    assert box.mails[0]["message"].splitlines()[0] == "block 7"


def test_a_disk_that_is_nearly_full_is_told(tmp_path: Path) -> None:
    with mailbox() as box:
        config = alerts_config(tmp_path, box.url(), more="disk_free_gb = 1_000_000_000")
        with Alerts("tester", config, [tmp_path / "not" / "yet"]):
            box.wait(lambda: box.titles == ["dexarb tester: disk nearly full"])
    assert box.mails[0]["message"].startswith(f"{tmp_path}/not/yet: ")


def test_the_end_does_not_wait_for_who_hangs(tmp_path: Path) -> None:
    with mailbox() as box:
        box.gate.clear()
        config = alerts_config(tmp_path, box.url())
        begun = time.monotonic()
        with Alerts("tester", config, tick_s=0.001, close_s=0.05) as alerts:
            alerts.happened(AlertKind.FIRST_FILL, "filled")
            box.wait(lambda: box.asked == 1)
            for number in range(10_000):
                alerts.happened(AlertKind.FIRST_FILL, f"filled {number}")
        assert time.monotonic() - begun < 3.0
        assert box.mails == []


def test_other_targets_take_over(tmp_path: Path) -> None:
    with mailbox() as old, mailbox() as new:
        first = alerts_config(tmp_path, old.url(), more="repeat_mins = 0")
        second = alerts_config(tmp_path, new.url(), more="repeat_mins = 0")
        with Alerts("tester", first, tick_s=0.001) as alerts:
            alerts.holds(AlertKind.LOSS_LIMIT, {"a": "A"})
            old.wait(lambda: len(old.mails) == 1)
            assert not alerts.use(alerts_config(tmp_path, old.url(), more="repeat_mins = 0"))
            assert alerts.use(second)
            alerts.holds(AlertKind.LOSS_LIMIT, {})
            new.wait(lambda: new.titles == ["dexarb tester: below the loss limit again"])
            broken = alerts_config(tmp_path, "nonsense://x")
            with pytest.raises(ConfigErrors):
                alerts.use(broken)
            alerts.holds(AlertKind.LOSS_LIMIT, {"b": "B"})
            new.wait(lambda: len(new.mails) == 2)
            assert alerts.use(None)
            alerts.holds(AlertKind.LOSS_LIMIT, {"c": "C"})
    assert (len(old.mails), len(new.mails)) == (1, 2)


def test_who_leaves_while_other_targets_take_over_waits_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting, leaving = threading.Event(), threading.Event()
    start, lock = threading.Thread.start, threading.Lock()

    def late(thread: threading.Thread) -> None:
        if thread.name == "alerts":
            starting.set()
            leaving.wait(0.5)
        start(thread)

    class Lock:
        def __enter__(self) -> None:
            if starting.is_set():
                leaving.set()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    with mailbox() as box:
        config = alerts_config(tmp_path, box.url())
        with Alerts("tester", tick_s=0.001) as alerts:
            monkeypatch.setattr(alerts, "_changing", Lock())
            monkeypatch.setattr(threading.Thread, "start", late)
            using = threading.Thread(target=alerts.use, args=[config])
            using.start()
            assert starting.wait(5)
        using.join()
    assert leaving.is_set()


def test_without_a_table_nothing_runs() -> None:
    before = threading.active_count()
    with Alerts("tester") as alerts:
        alerts.block(1, 1)
        alerts.happened(AlertKind.FIRST_FILL, "filled")
        assert threading.active_count() == before
