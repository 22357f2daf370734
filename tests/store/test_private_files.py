"""What is written cannot be read by others, nor led astray by them."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from dexarb.store.files import replace_file
from tests.support.recorded import record
from tests.support.worlds.small_chain import SmallChain, keyframe


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_in_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "state.json"
    victim.write_text("precious")
    (tmp_path / ".state.json.tmp").symlink_to(victim)
    replace_file(path, b"new", durable=False)
    assert (victim.read_text(), path.read_text()) == ("precious", "new")
    assert not path.is_symlink()


def test_a_segment_is_begun_beside_what_a_crash_left(tmp_path: Path) -> None:
    history = tmp_path / "history" / "137"
    history.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (history / "000000000001.jsonl.tmp").symlink_to(victim)
    record(tmp_path, keyframe(), [SmallChain(keyframe()).mine()])
    assert victim.read_text() == "precious"


def test_all_that_a_program_makes_is_its_users_alone(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dexarb.apps.process import *;"
        "keep_files_private(); log = start_logging('x', 'info', Path(sys.argv[1]) / 'logs');"
        "from dexarb.store.files import replace_file;"
        "replace_file(Path(sys.argv[1]) / 'state.json', b'{}', durable=False);"
        "import sqlite3; sqlite3.connect(sys.argv[1] + '/a.db').execute('CREATE TABLE t (a)')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) == 3
    assert {mode(path) for path in made} == {0o600}
