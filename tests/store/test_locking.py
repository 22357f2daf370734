"""One writer at a time, whoever it is and however it ends."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from dexarb.errors import Locked, StoreError
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.locking import WriterLock, lock_holder
from tests.store.processes import script
from tests.store.test_history_process import pickled
from tests.support.worlds import arrivals


def test_another_process_is_named_and_a_killed_one_frees_the_lock(tmp_path: Path) -> None:
    made = pickled(tmp_path, arrivals.first_updates(300))
    with script("writer_process.py", tmp_path, made, 40, 20) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(Locked, match=f"is being written by process {process.pid}") as caught:
            HistoryWriter.open(tmp_path, chain_id=arrivals.CHAIN_ID, chain="testnet")
        assert (caught.value.holder, caught.value.exit_code) == (process.pid, 2)
        process.kill()
        process.wait()
        HistoryWriter.open(tmp_path, chain_id=arrivals.CHAIN_ID, chain="testnet").close()


@pytest.mark.parametrize("text", ["", "not a number", "2147483647", "9999999999"])
def test_a_holder_that_cannot_be_named_is_another_process(tmp_path: Path, text: str) -> None:
    """It has not written its id yet, or the file still has that of one that was killed."""
    path = tmp_path / "lock"
    path.write_text(text)
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="by another process") as caught:
            WriterLock(path, tmp_path)
        assert caught.value.holder is None
    WriterLock(path, tmp_path).release()


def test_a_released_lock_names_nobody_and_is_released_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with WriterLock(path, tmp_path) as lock:
        assert path.read_text() == f"{os.getpid()}\n"
        lock.release()
        with WriterLock(path, tmp_path):
            lock.release()
            with pytest.raises(Locked):
                WriterLock(path, tmp_path)
    assert path.read_text() == ""


def test_a_folder_that_cannot_be_locked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be locked"):
        WriterLock(tmp_path / "none" / "lock", tmp_path)


def test_the_holder_is_told_and_nobody_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    with WriterLock(path, tmp_path):
        assert lock_holder(path) == os.getpid()
    assert lock_holder(path) is None
    # The rest of a holder that was killed, whose number another process has by now.
    path.write_text(f"{os.getppid()}\n")
    assert lock_holder(path) is None
    WriterLock(path, tmp_path).release()
