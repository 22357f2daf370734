"""What a service manager is told, and that it never holds up whoever tells it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dexarb.apps.supervisor import UNSUPERVISED, Supervisor
from tests.support.service import Heard

ME = os.getpid()


@contextmanager
def listening(path: Path) -> Iterator[Heard]:
    heard = Heard(path)
    try:
        yield heard
    finally:
        heard.close()


def test_messages_arrive_in_order(tmp_path: Path) -> None:
    with listening(tmp_path / "notify") as heard:
        told = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        told.ready("waiting")
        told.status("block 7")
        told.ping()  # nobody watches
        told.stopping()
        assert heard.all_of(ME) == ["READY=1\nSTATUS=waiting", "STATUS=block 7", "STOPPING=1"]


def test_a_socket_without_a_file_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind("")  # Linux chooses a name
        name = there.getsockname()[1:].decode()
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        assert there.recv(64) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("environment", "period_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(ME)}, 1.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(ME + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_pings_come_thrice_a_period_where_they_are_wanted(
    environment: dict[str, str], period_s: float | None
) -> None:
    assert Supervisor(environment).ping_every_s == period_s


def test_a_loop_may_ping_at_every_turn(tmp_path: Path) -> None:
    times = iter((100.0, 100.5, 100.99, 101.0, 101.5, 105.0))
    with listening(tmp_path / "notify") as heard:
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        told = Supervisor(environment, clock=lambda: next(times))
        for _ in range(6):
            told.ping()
        assert heard.all_of(ME) == ["WATCHDOG=1"] * 3  # at 100, 101 and 105 seconds


def test_an_event_loop_that_stands_still_does_not_ping(tmp_path: Path) -> None:
    async def ping_for_a_while(heard: Heard) -> None:
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000"}
        pinging = asyncio.ensure_future(Supervisor(environment).keep_pinging())
        assert heard.of(ME) == []  # the loop has not gone round yet
        async with asyncio.timeout(10):
            while len(heard.of(ME)) < 3:
                await asyncio.sleep(0.001)
        pinging.cancel()

    with listening(tmp_path / "notify") as heard:
        asyncio.run(ping_for_a_while(heard))


def test_nobody_who_listens_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    told = Supervisor({"NOTIFY_SOCKET": str(path)})
    told.ready("there is no such socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(str(path))
        for _ in range(5_000):  # more than a socket holds
            told.status("nobody reads this" * 20)
        assert full.recv(8) == b"STATUS=n"
    told.status("it is closed")
    UNSUPERVISED.ready("there never was one")
    asyncio.run(UNSUPERVISED.keep_pinging())
