"""What a bid by evidence is, from all that has ever happened, one question at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Seen(NamedTuple):
    """A block. took: route, tip and contract of each arbitrage. wanted: routes that we bid for."""

    number: int
    took: Sequence[tuple[str, int, str]]
    wanted: Sequence[str]


def bid(
    past: Sequence[Seen], now: Seen, route: str, *, least: int, most: int, step: int, blocks: int,
    losses: int, answer: int,
) -> int:  # fmt: skip
    """For a route at the end of block `now`, which the past does not hold."""
    every = [*past, now]
    lately = [each for each in every if each.number > now.number - blocks]
    took = [(tip, who) for each in lately for name, tip, who in each.took if name == route]
    if not took:
        return least
    tip, who = max(took)
    lost = 0
    for at, each in enumerate(every):
        for place, (name, _, winner) in enumerate(each.took):
            ours = [one.number for one in every[:at] if name in one.wanted]
            # The first who takes it after our bid is the one we lost to.
            again = any(
                name == other
                for one in every[:at]
                if ours and one.number > max(ours)
                for other, _, _ in one.took
            ) or any(name == other for other, _, _ in each.took[:place])
            is_answer = bool(ours) and each.number - max(ours) <= answer and not again
            lost += winner == who and is_answer and each.number > now.number - blocks
    if lost >= losses or tip + step > most:
        return least
    return max(least, tip + step)
