"""Copying a history segment by segment, while it is written and its segments are closed."""

from __future__ import annotations

import shutil
from pathlib import Path

from dexarb.store.files import disk_errors
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import (
    LINES_SUFFIX,
    SEGMENT_FILES,
    HistorySegment,
    LineReader,
    segment_name,
)


def copy_segment(segment: HistorySegment, target: Path) -> None:
    """Into the folder of another history: the files of a closed one, else its whole lines, each
    against its crc. One that was closed since it was listed is copied as closed.

    Raises StoreError.
    """
    name = segment_name(segment.first_seq)
    if not segment.closed:
        try:
            lines = LineReader(segment.path)
        except FileNotFoundError:
            lines = None
        if lines is not None:
            chain = HistoryReader(segment.path.parent).chain(segment)
            path = target / (name + LINES_SUFFIX)
            with lines, disk_errors(path, "cannot be written"), path.open("xb") as file:
                for line in lines.lines():
                    chain.take(line)
                    file.write(line + b"\n")
            return
    closed = segment.path.with_suffix("")
    with disk_errors(closed, "cannot be copied"):
        (target / name).mkdir(mode=0o700)
        for each in SEGMENT_FILES:
            if (closed / each).exists():
                shutil.copyfile(closed / each, target / name / each)
