"""How often a spread is still there for us in the next block: counted, never estimated by ear.

A case is a cycle that was worth the cheapest gas at the end of a block: facts of the market, the
same for all strategies and whoever trades. In the next block it stayed, or the first transaction
that moved its pools took it; then it was to be had by whoever bid more, where blocks are ordered by
bids. Cases are counted by route and by how long the spread had been open; where a route has few,
those of all routes with as many hops stand in, and where these are few as well, what people who
went live have measured.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import msgspec
import numpy as np

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Market
from dexarb.core.route import Cycle, CycleId
from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.token import Address
from dexarb.core.trade import Position
from dexarb.core.units import PPM
from dexarb.search.open_cycles import OpenCycles
from dexarb.trading.models.rivals import ours, rivals
from dexarb.trading.models.tips import ordering_bids

ENOUGH = 30
"""Cases that speak for themselves; the missing ones are filled up from the next wider group."""

PRIOR_PPM = 20_000
"""Without any case: 97 to 99 % of what people sent live was missed; see docs/honest-fills.md."""

AGES = (1, 2, 4, 16, 64)
"""Blocks for which a spread has been open: the groups begin at 0 and at each of these."""

TENTHS = 10
"""A bid stands so many tenths up the bids of a block, rounded down; all of them, if it is above
every one."""

STAYED, UNKNOWN = 0, TENTHS + 1
_BY_RIVAL = UNKNOWN + 1
_SLOTS = _BY_RIVAL + TENTHS
"""What became of a case. STAYED; taken by a bid that 1 to 10 tenths are above; UNKNOWN, by whom
nobody can tell; from _BY_RIVAL on, taken by an arbitrage that 1 to 10 tenths are above."""

_Group = tuple[CycleId, int, int]
"""Route, its hops, and the place of the age among AGES."""


class Footing(NamedTuple):
    """What of a strategy its chances depend on. latency: blocks until it can be included."""

    position: Position
    latency: int
    competition_ppm: int


class ChancesState(msgspec.Struct):
    """groups: route, hops, age, and cases by what became of them. watched: cycles by number, and
    for how long they have been open. bids: of the latest block that had any, ascending."""

    groups: list[tuple[CycleId, int, int, list[int]]]
    watched: list[tuple[int, int]]
    bids: list[int]


@dataclass(slots=True)
class _Seen:
    """After a block. cases: what it has decided: group and slot."""

    block_hash: BlockHash
    watched: Mapping[Cycle, int] = field(default_factory=dict)
    bids: Sequence[int] = ()
    cases: Sequence[tuple[_Group, int]] = ()


class Chances:
    """Mutable: `observe` after every block since `begun`, `rewind`. Before, it knows no case."""

    def __init__(self) -> None:
        self.begun = False
        self._by_route: dict[_Group, list[int]] = {}
        self._by_hops: dict[tuple[int, int], list[int]] = {}
        self._journal: deque[_Seen] = deque([_Seen(BlockHash(""))], maxlen=MAX_REORG_DEPTH + 1)

    # -- state --------------------------------------------------------------------------------

    def state(self, nouns: NounWriter) -> ChancesState | None:
        """After a block; None before it has begun."""
        if not self.begun:
            return None
        now = self._journal[-1]
        watched = sorted(now.watched.items(), key=lambda each: each[0].id)
        return ChancesState(
            [(*group, counts) for group, counts in sorted(self._by_route.items())],
            [(nouns.cycle(cycle), age) for cycle, age in watched],
            list(now.bids),
        )

    @classmethod
    def from_state(
        cls, state: ChancesState | None, nouns: NounReader, block_hash: BlockHash
    ) -> Self:
        """As after the block."""
        chances = cls()
        if state is None:
            return chances
        chances.begun = True
        for route, hops, age, counts in state.groups:
            for slot, times in enumerate(counts):
                chances._count((route, hops, age), slot, times)
        watched = {nouns.cycle(number): age for number, age in state.watched}
        chances._journal.clear()
        chances._journal.append(_Seen(block_hash, watched, state.bids))
        return chances

    def remember(self, blocks: int) -> None:
        """Be able to take back so many from now on."""
        self._journal = deque(self._journal, maxlen=blocks + 1)

    # -- the fold -----------------------------------------------------------------------------

    def observe(self, market: Market, update: BlockUpdate, worth: Mapping[Cycle, int]) -> None:
        """Take the block that the market has just applied. worth: the cycles that are worth their
        gas at its end, and for how many blocks each has been open."""
        before = self._journal[-1]
        tips = dict(ordering_bids(market.profile, update) or ())
        in_order = sorted(tips.values())
        cases: list[tuple[_Group, int]] = []
        if before.block_hash == update.block.parent_hash:
            slot_of = _slots(market, update, tips, in_order)
            for cycle, age in before.watched.items():
                if all(pool in market.pools for pool in cycle.pools):
                    slot = STAYED if cycle in worth else slot_of(cycle)
                    cases.append(((cycle.id, len(cycle.hops), _age_group(age)), slot))
        for group, slot in cases:
            self._count(group, slot, 1)
        self._journal.append(_Seen(update.block.hash, worth, in_order or before.bids, cases))

    def restart(self, block_hash: BlockHash) -> None:
        """The market begins anew at this block: what was counted stays, the way back is cut off."""
        bids_then = self._journal[-1].bids
        self._journal.clear()
        self._journal.append(_Seen(block_hash, bids=bids_then))

    def rewind(self, block_hash: BlockHash) -> None:
        """Go back to the end of an earlier block, or to before all that is remembered where it is
        not among that."""
        bids: Sequence[int] = ()
        while self._journal and self._journal[-1].block_hash != block_hash:
            seen = self._journal.pop()
            bids = seen.bids
            for group, slot in seen.cases:
                self._count(group, slot, -1)
        if not self._journal:
            self._journal.append(_Seen(block_hash, bids=bids))

    def _count(self, group: _Group, slot: int, times: int) -> None:
        by_route = self._by_route.setdefault(group, [0] * _SLOTS)
        by_route[slot] += times
        self._by_hops.setdefault(group[1:], [0] * _SLOTS)[slot] += times
        if not any(by_route):
            del self._by_route[group]

    # -- asking -------------------------------------------------------------------------------

    def p_fill_ppm(
        self, cycle: Cycle, age: int, footing: Footing, bid: int, *, ordered: bool
    ) -> int:
        """How likely a trade of the latest block is to be filled, rounded down.

        age: blocks for which the spread has been open. bid: wei per gas. ordered: whether a bid
        buys a place on this chain; where it does not, we come last.
        """
        tenths = _tenths(self._journal[-1].bids, bid) if ordered else 0
        chance = PPM - footing.competition_ppm
        for ahead in range(footing.latency - 1):
            chance = chance * self._share(cycle, age + ahead, lambda cases: cases[STAYED]) // PPM

        def came(cases: Sequence[int]) -> int:
            return _came(cases, footing.position, tenths)

        return chance * self._share(cycle, age + footing.latency - 1, came) // PPM

    def _share(self, cycle: Cycle, age: int, came: Callable[[Sequence[int]], int]) -> int:
        hops, group = len(cycle.hops), _age_group(age)
        of_hops = _pooled(self._by_hops.get((hops, group)), came, PRIOR_PPM)
        return _pooled(self._by_route.get((cycle.id, hops, group)), came, of_hops)


def worth_gas(table: OpenCycles, dust: Callable[[Address], float]) -> Iterable[Cycle]:
    """The open cycles that earn the gas of the cheapest trade. dust: by start token, in its
    smallest unit, what earns less."""
    least = np.array([dust(token) for token in table.index.start_tokens])
    return map(table.cycle, table.earning(least).tolist())


def _pooled(
    cases: Sequence[int] | None, came: Callable[[Sequence[int]], int], otherwise_ppm: int
) -> int:
    """The share of the cases that came, in ppm; missing ones are filled up with another share."""
    number, good = (sum(cases), came(cases)) if cases else (0, 0)
    missing = max(0, ENOUGH - number)
    return (good * PPM + missing * otherwise_ppm) // max(number, ENOUGH)


def _came(cases: Sequence[int], position: Position, tenths: int) -> int:
    """Of the cases, those that were to be had at this place."""
    if position is Position.TOP:
        return sum(cases)
    if position is Position.BOTTOM:
        return cases[STAYED]
    came = sum(cases[: tenths + 1])
    if position is Position.FEE:
        # Behind rivals stands who is contested, whatever is bid.
        came += sum(cases[_BY_RIVAL : _BY_RIVAL + tenths])
    return came


def _slots(
    market: Market, update: BlockUpdate, tips: Mapping[int, int], in_order: Sequence[int]
) -> Callable[[Cycle], int]:
    """What became of a cycle that is not worth its gas any more. tips: in wei per gas, by index of
    the transaction; none where they did not buy the places. in_order: the same, ascending."""
    found: set[int] | None = None
    own = ours(market, update)

    def slot(cycle: Cycle) -> int:
        nonlocal found
        touching = market.touching(cycle.pools)
        if not touching:
            return STAYED  # prices or gas have changed, and nobody has been there
        first = touching[0]
        if first not in tips or first in own:
            return UNKNOWN
        if found is None:
            found = {each.transaction_index for each in rivals(market, update)}
        return (_BY_RIVAL if first in found else STAYED + 1) + _tenths(in_order, tips[first])

    return slot


def _tenths(bids: Sequence[int], bid: int) -> int:
    """0 where a block says nothing; ties stand above us."""
    return TENTHS * bisect_left(bids, bid) // len(bids) if bids else 0


def _age_group(age: int) -> int:
    return bisect_right(AGES, age)
