"""The real process tells silence, and keeps the target's URL to itself, whatever the log level."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.files import alerts_table
from tests.support.collector import collector_config
from tests.support.live import Process
from tests.support.mailbox import mailbox

pytestmark = pytest.mark.e2e

SECRET = "k3yOfTheService"
PATIENCE_S = 20.0


def test_silence_is_told_and_nothing_of_the_url(tmp_path: Path) -> None:
    path = collector_config(tmp_path).path  # nobody answers at its endpoint
    with mailbox() as well, mailbox() as broken:
        broken.status = 500
        table = alerts_table(well.url(SECRET), broken.url(SECRET), more="silence_secs = 0.1")
        text = path.read_text().replace("[collector]\n", '[collector]\nlog_level = "debug"\n')
        path.write_text(text + table)
        collector = Process("data-collector", path, tmp_path / "said")
        try:
            title = "dexarb data-collector: no new block"
            well.wait(lambda: well.titles == [title], PATIENCE_S)
            broken.wait(lambda: broken.asked > 0, PATIENCE_S)
        finally:
            assert collector.stop() == 0
    (log,) = (tmp_path / "logs").iterdir()
    said = collector.text() + log.read_text()
    assert "alerts.failing" in said
    assert "error=500" in said
    for secret in (SECRET, "json://", "urllib3", "apprise"):
        assert secret not in said
