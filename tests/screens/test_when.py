"""Blocks by number, by how long ago and by date: what is read, and which blocks that means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe
from dexarb.errors import InputError
from dexarb.screens.when import blocks_of, utc, when
from dexarb.store.compaction import close_segments
from dexarb.store.history_reader import HistoryReader
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import scene
from tests.support.worlds import arrivals

DAY = 86_400
AUGUST_1 = 1_785_542_400
"""2026-08-01 00:00 UTC."""


@pytest.mark.parametrize(
    ("text", "age_s"),
    [("30m", 1800), ("24h", DAY), ("7d", 7 * DAY), ("90s", 90), ("1d12H", DAY * 3 // 2)],
)
def test_how_long_ago(text: str, age_s: int) -> None:
    asked = when(text)
    assert (asked.block, asked.seconds, asked.age_s) == (None, None, age_s)
    assert asked.span(AUGUST_1) == (AUGUST_1 - age_s, AUGUST_1 - age_s)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-08-01", AUGUST_1, AUGUST_1 + DAY - 1),
        ("2026-08-01T12:30", AUGUST_1 + 45_000, AUGUST_1 + 45_000),
        ("2026-08-01 12:30:05", AUGUST_1 + 45_005, AUGUST_1 + 45_005),
        ("2026-08-01T12:30Z", AUGUST_1 + 45_000, AUGUST_1 + 45_000),
        ("2026-08-01T14:30+02:00", AUGUST_1 + 45_000, AUGUST_1 + 45_000),
    ],
)
def test_a_day_is_a_whole_one_and_a_time_is_utc_unless_it_says_otherwise(
    text: str, first: int, last: int
) -> None:
    assert when(text).span(0) == (first, last)


def test_digits_alone_are_a_block() -> None:
    asked = when("20260801")
    assert (asked.block, asked.span(5)) == (20_260_801, None)


@pytest.mark.parametrize(
    "text", ["yesterday", "h", "-5", "24x", "2026-13-01", "2026-08-01T25:00", "", "１h"]
)
def test_anything_else_says_what_can_be_given(text: str) -> None:
    with pytest.raises(InputError, match=r"30m, 24h or 7d.*2026-08-01T12:30") as error:
        when(text)
    assert f'"{text}" names no block' in str(error.value)


def test_a_wrong_date_says_what_is_wrong_with_it() -> None:
    with pytest.raises(InputError, match="month must be in"):
        when("2026-13-01")


# -- resolved against a history -------------------------------------------------------------------


@pytest.fixture(scope="module", params=[4, 1000])
def reader(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> HistoryReader:
    """Segments so short that reorganisations reach over them, and a single one."""
    folder = tmp_path_factory.mktemp("when")
    updates = arrivals.first_updates(60, seed=3, logs=1)
    return HistoryReader(
        record(folder, arrivals.first_keyframe(), updates, segment_blocks=request.param)
    )


def times(reader: HistoryReader) -> dict[int, int]:
    """Of the blocks that stand, by the definition: read every block, and let go of what died."""
    found: dict[int, int] = {}
    for entry in reader.entries():
        assert isinstance(entry, Keyframe | BlockUpdate)
        block = entry.block
        found = {number: known for number, known in found.items() if number < block.number}
        found[block.number] = block.timestamp
    return found


@pytest.mark.parametrize("ago", [0, 1, 2, 11, 40, 10_000])
def test_since_is_the_first_block_at_or_after_that_second(reader: HistoryReader, ago: int) -> None:
    chain = times(reader)
    newest = max(chain.values())
    wanted = min(number for number, second in chain.items() if second >= newest - ago)
    assert blocks_of(reader, when(f"{ago}s"), None) == (wanted, None)


@pytest.mark.parametrize("ago", [0, 1, 2, 11, 40])
def test_to_is_the_last_block_at_or_before_it(reader: HistoryReader, ago: int) -> None:
    chain = times(reader)
    newest = max(chain.values())
    wanted = max(number for number, second in chain.items() if second <= newest - ago)
    day = utc(newest).split()[0]
    assert blocks_of(reader, when(day), when(f"{ago}s")) == (min(chain), wanted)
    assert blocks_of(reader, when("3"), when("5")) == (3, 5)


def test_a_time_that_the_history_does_not_reach_is_told_with_its_end(reader: HistoryReader) -> None:
    last = max(times(reader))
    with pytest.raises(InputError, match=f"ends with block {last} of .* UTC: nothing .* or later"):
        blocks_of(reader, when("2099-01-01"), None)
    with pytest.raises(InputError, match=f"begins with block {arrivals.START_BLOCK} of .*earlier"):
        blocks_of(reader, None, when("1999-01-01"))


def test_closed_segments_know_their_times(tmp_path: Path) -> None:
    """The Parquet files give the same as the lines that they were made of."""
    updates = arrivals.first_updates(400, seed=5, logs=0)
    folder = record(tmp_path, arrivals.first_keyframe(), updates, segment_blocks=50)
    lines = times(HistoryReader(folder))
    assert close_segments(folder, max(lines))
    branch = HistoryReader(folder).branch_since(0)
    assert {each.number: each.timestamp for each in branch} == lines


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("rivals", ["--since", "20s"]),
        ("spreads", ["--since", "20s", "--size", "1000"]),
    ],
)
def test_commands_that_read_a_history_take_it(
    reader: HistoryReader, dexarb: Dexarb, command: str, options: list[str]
) -> None:
    chain = times(reader)
    newest = max(chain.values())
    first = min(number for number, second in chain.items() if second >= newest - 20)
    told = dexarb(command, reader.folder, "--json", *options).json
    assert told["first_block"] == first


def test_scan_shows_what_was_open_at_a_time(reader: HistoryReader, dexarb: Dexarb) -> None:
    chain = times(reader)
    newest = max(chain.values())
    told = dexarb("scan", reader.folder, "--block", "11s", "--json").json
    assert told["block"] == max(n for n, second in chain.items() if second <= newest - 11)


def test_what_cannot_be_read_is_wrong_usage(reader: HistoryReader, dexarb: Dexarb) -> None:
    said = dexarb("rivals", reader.folder, "--since", "yesterday")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith('error: "yesterday" names no block')


def test_calibrate_takes_times(dexarb: Dexarb, tmp_path: Path) -> None:
    folder = record(tmp_path, *scene())
    newest = HistoryReader(folder).branch(1).tip
    assert newest is not None
    told = json.loads(dexarb("calibrate", folder, "--from", "3s", "--to", "1s", "--json").out)
    assert (told["from_block"], told["to_block"]) == (newest.number - 3, newest.number - 1)
