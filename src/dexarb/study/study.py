"""What a study is: a fold over a history, and the one way to run it.

A command runs one over a span and asks it once. A page keeps one running: it feeds it what comes,
tells it what died, and asks it whenever somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dexarb.core.block import BlockHash

Seen_contra = TypeVar("Seen_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)
Item = TypeVar("Item")
Found = TypeVar("Found")


class Study(Protocol[Seen_contra, Answer_co]):
    """Mutable. Seen_contra: what it is fed of a block, by the walk that it is made for."""

    def add(self, seen: Seen_contra, /) -> None:
        """The next block that the history brought. It stands on the one before, or blocks between
        them are missing."""
        ...

    def rewind(self, block_hash: BlockHash, /) -> None:
        """The blocks behind this one died. The study's answer is then that of one that never saw
        them. What they showed may be told beside it, and apart from it, where it stays true."""
        ...

    def answer(self) -> Answer_co:
        """What all that has come so far amounts to. More may follow."""
        ...


@dataclass(frozen=True, slots=True)
class Died:
    """The blocks behind this one are no longer on the branch."""

    block_hash: BlockHash


def run(study: Study[Item, Found], feed: Iterable[Item | Died]) -> Found:
    """The answer to all that there is. Raises what the feed raises."""
    for each in feed:
        if isinstance(each, Died):
            study.rewind(each.block_hash)
        else:
            study.add(each)
    return study.answer()
