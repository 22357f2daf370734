"""A file that is watched: told once, when it is whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dexarb.apps.watch import FileWatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_text("one")
    return made


def looks(watch: FileWatch, count: int) -> list[bool]:
    return [watch.has_changed() for _ in range(count)]


def test_a_change_is_told_once_when_two_looks_agree(path: Path) -> None:
    watch = FileWatch(path, look_every_s=0)
    assert looks(watch, 3) == [False] * 3
    path.write_text("two, longer")
    assert looks(watch, 4) == [False, True, False, False]


def test_a_file_that_still_grows_is_left_alone(path: Path) -> None:
    watch = FileWatch(path, look_every_s=0)
    for size in range(4, 10):
        path.write_text("x" * size)
        assert not watch.has_changed()
    assert looks(watch, 2) == [True, False]


def test_replacing_and_removing(path: Path) -> None:
    watch = FileWatch(path, look_every_s=0)
    before = path.stat()
    fresh = path.with_name("fresh")
    fresh.write_text("two")
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.unlink()
    assert looks(watch, 3) == [False] * 3
    fresh.rename(path)  # the same size and time under another inode
    assert looks(watch, 3) == [False, True, False]


def test_what_has_been_read_is_not_told(path: Path) -> None:
    watch = FileWatch(path, look_every_s=0)
    path.write_text("two, longer")
    watch.read()
    assert looks(watch, 3) == [False] * 3


def test_it_does_not_look_all_the_time(path: Path) -> None:
    watch = FileWatch(path, look_every_s=3600)
    path.write_text("two, longer")
    assert looks(watch, 5) == [False] * 5
