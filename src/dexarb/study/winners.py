"""Who earns what by arbitrage, through whichever pools: a fold over the traffic of a history."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from dexarb.core.block import BlockHash
from dexarb.core.token import Address
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.study.recent import RunningSums
from dexarb.study.rivals_study import Who
from dexarb.study.walk import Moment
from dexarb.study.wins import Win, collected, cost_micro_usd, wins

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class Winner:
    """One of them. Money in micro-USD, of those arbitrages whose gain and cost can be valued;
    `unvalued` counts the others.

    senders and targets: who sent, which contracts were called. transactions, failed and
    failed_cost: of all transactions put down to it, arbitrages or not. place: the median index in
    the block, place_share: of all places there. kinds and pools: in how many of its arbitrages,
    the most frequent first; pools are contracts. all_collected: arbitrages through collected
    pools alone. is_ours: an executor or an operator of our own.
    """

    who: str | None
    senders: tuple[Address, ...]
    targets: tuple[Address, ...]
    arbitrages: int
    unvalued: int
    gain_micro_usd: int
    gas_micro_usd: int
    tip_micro_usd: int
    transactions: int
    failed: int
    failed_cost_micro_usd: int
    place: float
    place_share: float
    kinds: tuple[tuple[str, int], ...]
    pools: tuple[tuple[Address, int], ...]
    all_collected: int
    last_block: int
    is_ours: bool

    @property
    def net_micro_usd(self) -> int:
        """Of its arbitrages. What failed is told apart: a router's users are not the winner."""
        return self.gain_micro_usd - self.gas_micro_usd - self.tip_micro_usd

    @property
    def hit_rate(self) -> float | None:
        return self.arbitrages / self.transactions if self.transactions else None


@dataclass(frozen=True, slots=True)
class WinnersFound:
    """seconds: from the first block with traffic to the last. without_traffic: blocks of which
    the history does not have it."""

    winners: tuple[Winner, ...]
    blocks: int
    seconds: int
    without_traffic: int

    def per_day(self, micro_usd: int) -> int | None:
        """None where one block is all there is."""
        return micro_usd * SECONDS_PER_DAY // self.seconds if self.seconds else None


@dataclass(slots=True)
class _Sums:
    """Mutable. Of one block, or of many. wins: with whether all pools were collected."""

    wins: list[tuple[Win, bool]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failed_cost: Counter[str] = field(default_factory=Counter)
    blocks: int = 0
    without_traffic: int = 0
    first: int | None = None
    last: int | None = None

    def fold(self, other: _Sums) -> None:
        self.wins += other.wins
        self.sent.update(other.sent)
        self.failed.update(other.failed)
        self.failed_cost.update(other.failed_cost)
        self.blocks += other.blocks
        self.without_traffic += other.without_traffic
        self.first = other.first if self.first is None else self.first
        self.last = self.last if other.last is None else other.last


class WinnersStudy:
    """A study of a walk's moments."""

    def __init__(self, who_of: Who) -> None:
        self._who_of = who_of
        self._sums = RunningSums(_Sums)
        self._collected = frozenset[Address]()

    def add(self, seen: Moment) -> None:
        self._sums.add(seen.update.block.hash, self._look(seen))

    def rewind(self, block_hash: BlockHash) -> None:
        self._sums.rewind(block_hash)

    def answer(self) -> WinnersFound:
        sums = self._sums.total()
        seconds = 0 if sums.first is None or sums.last is None else sums.last - sums.first
        by_who: dict[str | None, list[tuple[Win, bool]]] = defaultdict(list)
        for win, is_collected in sums.wins:
            by_who[self._who_of(win.transaction)].append((win, is_collected))
        found = [_winner(who, its, sums) for who, its in by_who.items()]
        found.sort(key=lambda each: (-each.net_micro_usd, -each.arbitrages, each.who or ""))
        return WinnersFound(tuple(found), sums.blocks, seconds, sums.without_traffic)

    def _look(self, moment: Moment) -> _Sums:
        update = moment.update
        if moment.has_other_pools or not self._collected:
            self._collected = collected(moment)
        if update.traffic is None:
            return _Sums(without_traffic=1)
        found = _Sums(blocks=1, first=update.block.timestamp, last=update.block.timestamp)
        for transaction in update.transactions:
            who = self._who_of(transaction)
            if who is not None:
                found.sent[who] += 1
                if not transaction.succeeded:
                    found.failed[who] += 1
                    found.failed_cost[who] += cost_micro_usd(moment, transaction) or 0
        for win in wins(moment):
            emitters = {pool.emitter for pool in win.pools}
            found.wins.append((win, emitters <= self._collected))
        return found


def _winner(who: str | None, made: Sequence[tuple[Win, bool]], sums: _Sums) -> Winner:
    own = [win for win, _ in made]
    valued = [win for win in own if win.net_micro_usd is not None]
    kinds = Counter(kind for win in own for kind in {pool.kind for pool in win.pools})
    pools = Counter(pool for win in own for pool in {each.emitter for each in win.pools})
    name = who or ""
    return Winner(
        who=who,
        senders=tuple(sorted({win.transaction.sender for win in own})),
        targets=tuple(sorted({to for win in own if (to := win.transaction.to) is not None})),
        arbitrages=len(own),
        unvalued=len(own) - len(valued),
        gain_micro_usd=sum(win.gain_micro_usd or 0 for win in valued),
        gas_micro_usd=sum(win.gas_micro_usd or 0 for win in valued),
        tip_micro_usd=sum(win.tip_micro_usd or 0 for win in valued),
        transactions=sums.sent.get(name, 0),
        failed=sums.failed.get(name, 0),
        failed_cost_micro_usd=sums.failed_cost.get(name, 0),
        place=float(median(win.place for win in own)),
        place_share=float(median(win.place / win.places for win in own)),
        kinds=_most_first(kinds),
        pools=_most_first(pools),
        all_collected=sum(is_collected for _, is_collected in made),
        last_block=max(win.block for win in own),
        is_ours=any(win.is_ours for win in own),
    )


def _most_first(counts: Counter[Name]) -> tuple[tuple[Name, int], ...]:
    return tuple(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
