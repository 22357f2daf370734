"""A first start leaves nothing in the current folder, and keeps what it compiles where it says."""

from __future__ import annotations

import os
from pathlib import Path

import numba
import pytest

from dexarb import compiled
from tests.support.command import Dexarb, dexarb

__all__ = ["dexarb"]

VARIABLES = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")


@pytest.mark.parametrize(
    ("environment", "kept_in"),
    [
        ({}, "home/.cache/dexarb/numba"),
        ({"XDG_CACHE_HOME": "{}/caches"}, "caches/dexarb/numba"),
        ({"XDG_CACHE_HOME": "caches"}, "home/.cache/dexarb/numba"),  # not absolute: does not count
        ({"XDG_CACHE_HOME": ""}, "home/.cache/dexarb/numba"),
        ({"XDG_CACHE_HOME": "{}/caches", "NUMBA_CACHE_DIR": "{}/mine"}, "mine"),
    ],
)
def test_where_compiled_kernels_are_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dexarb: Dexarb,
    environment: dict[str, str],
    kept_in: str,
) -> None:
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in VARIABLES:
        monkeypatch.setenv(name, environment.get(name, "").format(tmp_path))
        if name not in environment:
            monkeypatch.delenv(name)
    assert dexarb("status").code
    assert Path(os.environ["NUMBA_CACHE_DIR"]) == tmp_path / kept_in
    assert list(current.iterdir()) == []


def test_who_compiles_says_where_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/home/of/kernels")
    compiled._announce.cache_clear()
    compiled._announce()
    assert "compiling for this machine" in caplog.text
    assert "/home/of/kernels" in caplog.text
