"""Flipped bits, lost power and files that should not be: found, told, and mended by the writer."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import PoolsChanged
from dexarb.errors import StoreError
from dexarb.store.compaction import close_segments
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import list_segments
from tests.store.test_history_writer import append_all, blocks_of, open_writer, record
from tests.support.worlds import arrivals
from tests.support.worlds.blocks import ref_of

UPDATES = arrivals.fork_behind(10**9, 37)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two closed segments, one of which ends with a break, and open ones; pools leave and come back
    in a closed one and in an open one."""
    folder = tmp_path_factory.mktemp("whole")
    record(folder, [*gone_and_back(UPDATES[:12], 3)], segment_blocks=8)
    market = arrivals.market_after(UPDATES[:10])
    with open_writer(folder, segment_blocks=8) as writer:
        last = UPDATES[9].block
        writer.append_break(writer.recent_chain(3)[0], "why")
        assert writer.last_block == (last.number, last.hash)
        writer.append_keyframe(market.keyframe())
        append_all(writer, market, [*gone_and_back(UPDATES, 35)][10:])
        close_segments(folder, 5_012 + 129)
    assert [each.closed for each in list_segments(folder)] == [True] * 2 + [False] * 4
    assert check(folder).problems == []
    return folder


def gone_and_back(updates: list[BlockUpdate], count: int) -> Iterator[BlockUpdate | PoolsChanged]:
    """Behind so many of the blocks one pool leaves, and joins again as it was."""
    for number, update in enumerate(updates, 1):
        yield update
        if number == count:
            market = arrivals.market_after(updates[:number])
            block, pool = ref_of(market), market.pools[arrivals.V2_TWO]
            yield PoolsChanged(0, block, left=(pool.key,))
            yield PoolsChanged(0, block, joined=(pool,))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def is_found(folder: Path) -> bool:
    try:
        return not check(folder).ok
    except StoreError:
        return True


def flips(folder: Path, random_: random.Random, count: int) -> Iterator[tuple[Path, int, int]]:
    """Every file as often as the others, whatever its size."""
    for number in range(count):
        path = files(folder)[number % len(files(folder))]
        yield path, random_.randrange(path.stat().st_size), 1 << random_.randrange(8)


def every_flip_is_found(whole: Path, folder: Path, seed: int, count: int) -> None:
    shutil.copytree(whole, folder)
    for path, place, bit in flips(folder, random.Random(seed), count):
        before = path.read_bytes()
        flipped = bytearray(before)
        flipped[place] ^= bit
        path.write_bytes(flipped)
        assert is_found(folder), (path.name, place, bit)
        path.write_bytes(before)
    assert not check(folder).problems


def test_every_flipped_bit_is_found(whole: Path, tmp_path: Path) -> None:
    every_flip_is_found(whole, tmp_path / "h", 1, 100)


@pytest.mark.fuzz
def test_a_thousand_flipped_bits_are_found(whole: Path, tmp_path: Path) -> None:
    every_flip_is_found(whole, tmp_path / "h", 2, 1000)


@pytest.mark.parametrize("bit", range(8))
def test_the_newline_of_the_very_last_line_is_guarded_too(
    whole: Path, tmp_path: Path, bit: int
) -> None:
    folder = shutil.copytree(whole, tmp_path / "h")
    path = list_segments(folder)[-1].path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1 << bit
    path.write_bytes(data)
    assert "damaged: its newline" in check(folder).problems[0]


def test_also_where_that_line_is_a_keyframe(tmp_path: Path) -> None:
    record(tmp_path, UPDATES[:8], segment_blocks=8)
    path = list_segments(tmp_path)[-1].path
    path.write_bytes(path.read_bytes()[:-1] + b"\v")
    assert "entry 10 is damaged: its newline" in check(tmp_path).problems[0]


@pytest.mark.parametrize("kept", [-1, -2, -200])
def test_a_line_on_its_way_is_no_damage(whole: Path, tmp_path: Path, kept: int) -> None:
    folder = shutil.copytree(whole, tmp_path / "h")
    path = list_segments(folder)[-1].path
    path.write_bytes(path.read_bytes()[:kept])
    assert check(folder).problems == []


def test_a_damaged_line_is_named_with_its_file_also_where_it_is_only_passed_over(
    whole: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(whole, tmp_path / "h")
    segment = list_segments(folder)[-2]
    data = segment.path.read_bytes()
    segment.path.write_bytes(data.replace(b'"gas_used":12000000', b'"gas_used":12000001', 1))
    reader = HistoryReader(folder)
    last = segment.first_seq + 4
    for read in (lambda: list(reader.entries(last, last)), lambda: reader.headers(segment)):
        with pytest.raises(StoreError, match=rf"{segment.path.name}: entry \d+ is damaged"):
            read()


# -- power ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zeroed", [False, True])
@pytest.mark.parametrize("lost", [1, 7, 2_000, 9_000])
def test_the_last_bytes_lost_with_the_power_are_asked_for_again(
    tmp_path: Path, lost: int, zeroed: bool
) -> None:
    updates = arrivals.first_updates(30)
    record(tmp_path, updates)
    path = list_segments(tmp_path)[0].path
    data = path.read_bytes()
    path.write_bytes(data[:-lost] + b"\0" * lost * zeroed)
    with open_writer(tmp_path) as writer:
        assert writer.recovered is not None
        kept = writer.last_seq - 1
        assert kept >= 30 - data[-lost:].count(b"\n") - 1
        append_all(writer, arrivals.market_after(updates[:kept]), updates[kept:])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates
    assert check(tmp_path).ok


def test_a_segment_whose_name_was_lost_is_written_again(tmp_path: Path) -> None:
    updates = arrivals.first_updates(30)
    record(tmp_path, updates, segment_blocks=20)
    last = list_segments(tmp_path)[-1].path
    last.rename(last.with_name(last.name + ".tmp"))
    with open_writer(tmp_path, segment_blocks=20) as writer:
        assert writer.last_seq == 21
        market = arrivals.market_after(updates[:20])
        assert writer.roll_if_full(market.keyframe)
        append_all(writer, market, updates[20:])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates
    assert check(tmp_path).ok


@pytest.mark.parametrize("left", [b"", b'{"kind":"keyframe","seq":22', b"\0" * 500])
def test_an_empty_last_segment_hangs_nobody(tmp_path: Path, left: bytes) -> None:
    updates = arrivals.first_updates(30)
    record(tmp_path, updates, segment_blocks=20)
    path = list_segments(tmp_path)[-1].path
    path.write_bytes(left)
    reader = HistoryReader(tmp_path)
    assert blocks_of(list(reader.entries())) == updates[:20]
    assert reader.last_seq == 21
    polls = 0

    def stop() -> bool:
        nonlocal polls
        polls += 1
        return polls > 100

    assert len(list(reader.follow(1, poll_s=0.0001, stop=stop))) == 21
    assert check(tmp_path).problems == []
    followed = reader.follow(20, poll_s=0.0001)
    assert [next(followed).seq, next(followed).seq] == [20, 21]
    with open_writer(tmp_path, segment_blocks=20) as writer:
        market = arrivals.market_after(updates[:20])
        assert writer.last_seq == 21
        writer.roll_if_full(market.keyframe)
        append_all(writer, market, updates[20:])
        assert next(followed).seq == 23  # the keyframe only continues
    assert blocks_of(list(reader.entries())) == updates


@pytest.mark.parametrize("has_digest", [False, True])
def test_where_lines_and_their_folder_are_both_there_nothing_is_lost(
    tmp_path: Path, has_digest: bool
) -> None:
    """Killed behind the folder's name or behind its digest; the other form is spoilt, to tell."""
    updates = arrivals.first_updates(30)
    record(tmp_path, updates, segment_blocks=20)
    before = list(HistoryReader(tmp_path).entries(every_keyframe=True))
    lines = list_segments(tmp_path)[0].path
    content, manifest = lines.read_bytes(), (tmp_path / "manifest.json").read_bytes()
    (closed,) = close_segments(tmp_path, 10**9)
    lines.write_bytes(content)
    if not has_digest:
        (tmp_path / "manifest.json").write_bytes(manifest)
        (closed / "logs.parquet").write_bytes(b"half")
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before
    open_writer(tmp_path).close()
    assert (closed.exists(), lines.exists()) == (has_digest, not has_digest)
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before
    assert len(close_segments(tmp_path, 10**9)) == 1 - has_digest
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before


def test_a_folder_that_does_not_fit_its_digest_gives_way_to_its_lines(tmp_path: Path) -> None:
    record(tmp_path, arrivals.first_updates(30), segment_blocks=20)
    lines = list_segments(tmp_path)[0].path
    content = lines.read_bytes()
    (closed,) = close_segments(tmp_path, 10**9)
    lines.write_bytes(content)
    (closed / "logs.parquet").write_bytes(b"half")
    open_writer(tmp_path).close()
    assert lines.exists()
    assert check(tmp_path).ok


# -- folders --------------------------------------------------------------------------------------


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere, so it becomes somebody else for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_folder_without_the_right_to_write_says_so_and_can_be_read() -> None:
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "history"
        record(folder, arrivals.first_updates(5))
        Path(above).chmod(0o755)
        (folder / "lock").chmod(0o444)
        folder.chmod(0o555)
        try:
            with nobody():
                with pytest.raises(StoreError, match="Give this user the right"):
                    open_writer(folder)
                assert check(folder).ok
        finally:
            folder.chmod(0o755)
