"""The command line as a person or a script sees it, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dexarb.cli import main

Dexarb = Callable[..., "Said"]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """The output with its line breaks and columns closed up."""
        return " ".join(self.out.split())


@pytest.fixture
def dexarb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dexarb:
    """`dexarb("status", "--json")`, on eighty columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["dexarb", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        for_machines = {"--json", "--csv"} & set(words)
        assert for_machines or all(len(line) <= 80 for line in out.splitlines())
        return Said(end.value.code if isinstance(end.value.code, int) else 0, out, err)

    return call
