"""Logs have a bound, and are JSON lines on request."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dexarb.apps.log_files import PARTS, open_log
from dexarb.config.collector import load_collector
from dexarb.config.paper import load_paper
from dexarb.core.text import seen
from tests.support.collector import collector_config
from tests.support.traded import strategy

PROGRAM = """
import logging, sys
from pathlib import Path
import structlog
from dexarb.apps.process import start_logging
path = start_logging("paper_trading", "info", Path(sys.argv[1]), sys.argv[2], 1)
log = structlog.get_logger("paper-trading")
log.info("two\\nlines", number=7, path=Path("a/b"), odd='"{\\u202e')
log.debug("not asked for")
logging.getLogger("library").warning("from %s", "elsewhere")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
print(path)
"""


def logged(folder: Path, format_: str) -> tuple[str, str]:
    """What a program has written to its file and to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), format_],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Path(done.stdout.strip()).read_text(encoding="utf-8"), done.stderr


def test_json_is_one_object_a_line_in_both_places(tmp_path: Path) -> None:
    kept, shown = logged(tmp_path, "json")
    first, library, failed = map(json.loads, kept.splitlines())
    assert [json.loads(line)["event"] for line in shown.splitlines()] == [
        each["event"] for each in (first, library, failed)
    ]
    assert first["event"] == "two\nlines"
    assert (first["level"], first["number"]) == ("info", 7)
    assert first["odd"] == seen('"{\u202e') != '"{\u202e'
    assert first["timestamp"].endswith("Z")
    assert (library["event"], library["level"]) == ("from elsewhere", "warning")
    assert "ZeroDivisionError" in failed["exception"]


def test_text_is_for_people(tmp_path: Path) -> None:
    kept, shown = logged(tmp_path, "text")
    for text in (kept, shown):
        assert "number" in text
        assert "=7" in text
        assert not text.startswith("{")


def test_a_run_takes_no_more_than_it_may_and_keeps_the_newest(tmp_path: Path) -> None:
    with_bound = 8_000
    log = open_log(tmp_path, "x", with_bound)
    for number in range(1_000):
        log.emit(logging.makeLogRecord({"msg": f"line {number:06d} of thirty bytes."}))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == PARTS
    sizes = [path.stat().st_size for path in files]
    assert with_bound / 2 < sum(sizes) <= with_bound
    text = "".join(path.read_text() for path in reversed(files))
    numbers = [int(line.split()[1]) for line in text.splitlines()]
    assert sorted(numbers) == list(range(1_000 - len(numbers), 1_000))


def test_of_earlier_runs_the_newest_are_kept_and_nothing_of_others(tmp_path: Path) -> None:
    def leave(name: str, size: int, age: int) -> Path:
        path = tmp_path / name
        path.write_bytes(b"x" * size)
        os.utime(path, (10**9 - age, 10**9 - age))
        return path

    newest = leave("x_20260103T000000Z.log", 600, 1)
    rotated = leave("x_20260103T000000Z.log.1", 400, 2)
    old = leave("x_20260102T000000Z.log", 1, 3)
    others = [leave("x_notes.log", 10**4, 9), leave("xy_20260102T000000Z.log", 10**4, 9)]
    open_log(tmp_path, "x", 1_000).close()
    assert [path.exists() for path in (newest, rotated, old, *others)] == [
        True, True, False, True, True,
    ]  # fmt: skip


def test_both_files_take_the_keys(tmp_path: Path) -> None:
    keys = 'log_format = "json"\nlog_max_mb = 7\n'
    collector_config(tmp_path)
    path = tmp_path / "collector.toml"
    path.write_text(path.read_text().replace("[collector]\n", f"[collector]\n{keys}"))
    settings = load_collector(path).settings
    paper = tmp_path / "paper.toml"
    paper.write_text(f"[general]\n{keys}" + strategy("one"))
    general = load_paper(paper).general
    for table in (settings, general):
        assert (table.log_format, table.log_max_mb) == ("json", 7)


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "logs"), "text"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "None"
    assert "no log file" in done.stderr
    assert "number" in done.stderr


@pytest.fixture(autouse=True)
def _no_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
