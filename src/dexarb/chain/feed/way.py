"""The way from the blocks that we know to a head: decided here, awaited elsewhere.

Questions are blocks, by number or by hash. Each function is a generator that yields rounds of
questions and is sent the headers, None where the chain has none; so every course of events can be
played to it without a node.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from dexarb.chain.decode import Header
from dexarb.core.block import Block, BlockHash, BlockRef
from dexarb.errors import ReorgTooDeep

WINDOW = 64
"""Headers of a branch that are asked for at once."""

T = TypeVar("T")
Questions = Sequence[BlockHash | int]
Answers = Sequence[Header | None]
Dialogue = Generator[Questions, Answers, T]


class ParentMissing(Exception):
    """The chain gave a block, and for the moment does not give its parent."""


def way_to(
    target: Header, known: Sequence[BlockRef], newest_timestamp: int = 0
) -> Dialogue[list[Header]]:
    """Headers from the one after our newest ancestor of the target up to it.

    known: our newest blocks, the last being the newest one, whose time is newest_timestamp. Empty
    where the target is one of ours or where the chain, as far as can be seen, has not come as far
    as we have: a node that lags is no reorganisation. Raises ReorgTooDeep where the chain has
    another block in the place of one of ours and no ancestor that we know; ParentMissing.
    """
    hashes = {block.hash for block in known}
    oldest, newest = known[0], known[-1]
    if target.block.hash in hashes:
        return []
    if target.block.number <= oldest.number:
        yield from _another_chain(target.block, newest, newest_timestamp)
        return []
    way, received = [target], dict[BlockHash, Header]()
    window = min(WINDOW, max(1, target.block.number - newest.number - 1))
    while way[-1].block.parent_hash not in hashes:
        child = way[-1].block
        if child.number - 1 <= oldest.number:
            raise ReorgTooDeep(child.number, child.hash, oldest.number)
        if child.parent_hash not in received:
            # Only hashes connect blocks; those by number save round trips where they fit.
            lowest = max(oldest.number, child.number - 1 - window)
            asked: Questions = [child.parent_hash, *range(child.number - 2, lowest, -1)]
            answers = yield asked
            received.update((header.block.hash, header) for header in answers if header is not None)
            window = min(WINDOW, window * 4)
        parent = received.get(child.parent_hash)
        if parent is None or parent.block.number != child.number - 1:
            raise ParentMissing
        way.append(parent)
    return way[::-1]


def _another_chain(head: Block, newest: BlockRef, newest_timestamp: int) -> Dialogue[None]:
    """Return where the head lags behind us, raise ReorgTooDeep where it is of another chain.

    Times rise along a chain: a head that is younger than ours and not as high is no ancestor.
    """
    (answer,) = yield [newest.number]
    lags = (
        head.timestamp <= newest_timestamp if answer is None else answer.block.hash == newest.hash
    )
    if not lags:
        raise ReorgTooDeep(head.number, head.hash, newest.number)


def fork_point(branch: Sequence[BlockRef]) -> Dialogue[BlockRef | None]:
    """The newest block of a branch that the chain has as well, None if it has none of them.

    Asks for about log2 of the branch's length: what stands is a beginning of it.
    """
    stands, dead = -1, len(branch)
    step = 1
    while dead - stands > 1:
        # From the end in doubling steps, since forks are shallow; then by halves.
        at = dead - step if stands < 0 and dead - step > stands else (stands + dead) // 2
        (answer,) = yield [branch[at].number]
        if answer is not None and answer.block.hash == branch[at].hash:
            stands = at
        else:
            dead = at
            step *= 2
    return branch[stands] if stands >= 0 else None
