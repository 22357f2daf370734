"""dexarb init: the files that a run begins with, never over others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from dexarb.config.paths import CONFIG_FOLDER
from dexarb.config.starting import starting_files, variables
from dexarb.errors import ConfigError
from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.store.files import disk_errors, write_all


@dataclass(frozen=True, slots=True)
class Begun(Answer):
    """What was written, and what to do next."""

    files: Sequence[Path]
    steps: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        return {"files": [str(each) for each in self.files], "next": list(self.steps)}

    def render(self) -> RenderableType:
        lines = [f"  {each}" for each in self.files]
        steps = [f"  {each}" for each in self.steps]
        shown = ["Written:", *lines, "Edit them, then:", *steps]
        return Group(*map(unbroken, shown))


def answer(folder: Path, *, chain: str) -> Begun:
    """folder: of the run; the settings go into `config` in it. Raises ConfigError where one of the
    files is there or the chain is not shipped, and StoreError; then nothing is written."""
    texts = starting_files(chain)
    config = folder / CONFIG_FOLDER
    wanted = {config / name: text for name, text in texts.items()}
    there = [str(path) for path in wanted if os.path.lexists(path)]
    if there:
        others = f", and so are {', '.join(there[1:])}" if there[1:] else ""
        raise ConfigError(
            f"is there already{others}",
            file=there[0],
            remedy="Nothing was written: name another folder, or move them away",
        )
    _write_all(wanted)
    steps = [f"cd {folder}"] if folder.absolute() != Path.cwd() else []
    steps += [f"export {name}=..." for name in variables(texts)]
    return Begun(list(wanted), [*steps, "dexarb doctor", "data-collector", "paper-trading"])


def _write_all(wanted: dict[Path, str]) -> None:
    """All of it or nothing."""
    written: list[Path] = []
    try:
        for path, text in wanted.items():
            with disk_errors(path, "cannot be written"):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                written.append(path)
                try:
                    write_all(fd, text.encode())
                finally:
                    os.close(fd)
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise
