"""What a command found, and the one way in which that is shown."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dexarb.screens.output import complain, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType


class Answer(Protocol):
    """What a command found: the same for machines and for people."""

    @abstractmethod
    def as_json(self) -> Mapping[str, Any]:
        """With the keys that machines rely on."""

    @abstractmethod
    def render(self) -> RenderableType:
        """For a terminal, and for a page of text: eighty columns have to do."""

    def problems(self) -> Iterable[str]:
        """Lines for standard error, however the rest is shown."""
        return ()

    @property
    def exit_code(self) -> int:
        """0, or what a script has to know at once."""
        return 0


def show(answer: Answer, *, as_json: bool) -> int:
    """The answer on standard output, its problems on standard error. Returns its exit code."""
    # `dexarb --help` does without these.
    from rich.console import Group

    from dexarb.screens.console import plain_console

    for line in answer.problems():
        complain(line)
    if as_json:
        print_json(answer.as_json())
    else:
        # A Text in a Group keeps its own wrapping; without cropping, lines that must not be broken
        # (paths, addresses) stay whole.
        plain_console(highlight=False).print(Group(answer.render()), crop=False)
    return answer.exit_code
