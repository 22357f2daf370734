"""The key of an endpoint's URL is nowhere but in the configuration, whatever goes wrong."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest

from tests.support.faulty_node import Fault, FaultyNode, faulty_node
from tests.support.live import Live, Process, live

pytestmark = pytest.mark.e2e

KEY, TOKEN = "k3y0fth3pr0v1d3r", "t0k3n-in-the-query"
SECRETS = (KEY, TOKEN)


class Upstream:
    """The embedded chain's own node, as a faulty one wants it."""

    def __init__(self, http_url: str) -> None:
        self.http_url = http_url
        self.ws_url = http_url.replace("http", "ws")


def keyed(run: Live, faulty: FaultyNode) -> None:
    """Let the collector reach the node by a URL with secrets in its path and query."""
    text = run.files.collector.read_text()
    url = f"{faulty.http_url}/v2/{KEY}?token={TOKEN}"
    run.files.collector.write_text(
        re.sub(r'endpoints = \["[^"]*"\]', f'endpoints = ["{url}"]', text)
    )


def left_behind(run: Live, collector: Process) -> str:
    """All that is written in the run's folder, and the process's own command line."""
    files = [
        path for path in run.folder.rglob("*") if path.is_file() and path != run.files.collector
    ]
    told = "".join(path.read_bytes().decode(errors="replace") for path in files)
    return told + Path(f"/proc/{collector.pid}/cmdline").read_text()


def test_a_planted_key_is_found_in_nothing_that_a_collector_leaves_behind(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path, endpoint="http") as run:
            url = re.search(r"http://[^\"]*", run.files.collector.read_text())
            assert url is not None
            async with faulty_node(Upstream(url[0])) as faulty:  # type: ignore[arg-type]
                keyed(run, faulty)
                error = {"code": 1, "message": f"no such key: {KEY} {TOKEN}"}
                echo = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
                collector = run.start("data-collector")
                await run.collected()
                for fault in (
                    Fault(status=500, body=f"bad key {KEY} {TOKEN}".encode()),
                    Fault(body=echo.encode()),
                    Fault(body=f"<html>{TOKEN}</html>".encode()),
                ):
                    faulty.fail(fault, times=6)
                    await run.blocks(1)
                    await run.collected()
                said = left_behind(run, collector)
                assert "endpoint.left" in said
                assert faulty.http_url in said
                assert not [secret for secret in SECRETS if secret in said]
                collector.send(signal.SIGABRT)  # the worst end: whatever it prints is kept
                assert collector.ended() != 0
                assert not [secret for secret in SECRETS if secret in collector.text()]

    asyncio.run(play())
