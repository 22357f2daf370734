"""What opened inside blocks, and what became of it: plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dexarb.core.block import BlockHash
from dexarb.core.market import Market
from dexarb.core.route import Cycle, CycleId
from dexarb.core.token import Address
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.study.order_meter import Order


@dataclass(frozen=True, slots=True)
class Mover:
    """A transaction that moved pools. index: its place in its block. hash, sender, to and what it
    bid, in wei per gas and in micro-USD for all of its gas, are None where the node gave no
    receipts, the latter also without a price. is_arbitrage: by its swaps in our pools, or by its
    flow."""

    index: int
    is_arbitrage: bool
    hash: str | None = None
    sender: Address | None = None
    to: Address | None = None
    priority_fee: int | None = None
    bid_micro_usd: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a spread ended. mover: None where nobody moved a pool: its gas had become too dear.
    before_micro_usd: what it was still worth right before."""

    block: int
    timestamp: int
    mover: Mover | None
    before_micro_usd: int


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """Block, transaction that opened it, and cycle."""

    block_hash: BlockHash
    index: int
    cycle: CycleId


@dataclass(frozen=True, slots=True)
class Backrun:
    """A spread that a transaction opened inside a block, as the best cycle through it.

    A cycle is worth what its best size earns after its gas at the block's base fee: the most that
    anybody could bid for it. It counts as open while that is more than nothing. amount_in,
    amount_out (in the start token's smallest unit), gas_units, gross and net: right behind the
    trigger, money in micro-USD. most: the most that it was worth anywhere in that block. at_end:
    what it was worth at the end of that block, None where it had ended before. end: None where it
    was still open in the last block that was seen. cycles: that opened with it and share a pool
    with it; who takes one of them, takes it all.
    """

    key: RunKey
    block: int
    timestamp: int
    trigger: Mover
    cycle: Cycle
    amount_in: int
    amount_out: int
    gas_units: int
    gross_micro_usd: int
    net_micro_usd: int
    most_micro_usd: int
    at_end_micro_usd: int | None
    end: End | None
    cycles: int

    @property
    def ended_inside(self) -> End | None:
        """Its end, where that was in the block that opened it."""
        return self.end if self.at_end_micro_usd is None else None

    @property
    def taken_inside(self) -> End | None:
        """The same where an arbitrage ended it."""
        end = self.ended_inside
        return end if end is not None and end.mover and end.mover.is_arbitrage else None

    @property
    def transactions_between(self) -> int | None:
        """Between trigger and who ended it in the same block."""
        end = self.ended_inside
        return (
            None if end is None or end.mover is None else end.mover.index - self.trigger.index - 1
        )

    @property
    def blocks_lived(self) -> int | None:
        """0: it ended in the block that opened it. None: it did not end."""
        return None if self.end is None else self.end.block - self.block

    @property
    def day(self) -> int:
        """UTC day since 1970 of the block."""
        return self.timestamp // SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Had:
    """What was to be had at some place: how often, and micro-USD in all."""

    count: int = 0
    micro_usd: int = 0

    def and_(self, micro_usd: int | None) -> Had:
        """With one more, where there is one."""
        return self if micro_usd is None else Had(self.count + 1, self.micro_usd + micro_usd)


@dataclass(frozen=True, slots=True)
class ToBeHad:
    """Of some backruns. opened: the most that each was worth inside its block. behind_trigger:
    right behind who opened it. before_rival: of those that an arbitrage took in the same block,
    right before it. at_block_end: what was still there at the end of that block."""

    opened: Had
    behind_trigger: Had
    before_rival: Had
    at_block_end: Had


def to_be_had(runs: Iterable[Backrun]) -> ToBeHad:
    opened = behind = before = at_end = Had()
    for run in runs:
        opened = opened.and_(run.most_micro_usd)
        behind = behind.and_(run.net_micro_usd)
        taken = run.taken_inside
        before = before.and_(taken.before_micro_usd if taken else None)
        at_end = at_end.and_(run.at_end_micro_usd)
    return ToBeHad(opened, behind, before, at_end)


@dataclass(frozen=True, slots=True)
class PairDay:
    """tokens: of the cycles, in the order of their addresses. day: UTC, since 1970; None: all."""

    tokens: tuple[Address, ...]
    day: int | None
    had: ToBeHad


def by_pair(runs: Sequence[Backrun], *, daily: bool) -> list[PairDay]:
    """By the tokens that the cycles pass, and by day where asked: most behind triggers first, days
    in order."""
    groups: dict[tuple[int | None, tuple[Address, ...]], list[Backrun]] = {}
    for run in runs:
        tokens = tuple(sorted(run.cycle.tokens))
        groups.setdefault((run.day if daily else None, tokens), []).append(run)
    found = [PairDay(tokens, day, to_be_had(each)) for (day, tokens), each in groups.items()]
    return sorted(
        found, key=lambda each: (each.day or 0, -each.had.behind_trigger.micro_usd, each.tokens)
    )


@dataclass(frozen=True, slots=True)
class BackrunsFound:
    """Of `blocks` blocks, oldest first. market: as it is now."""

    blocks: int
    market: Market
    runs: tuple[Backrun, ...]
    order: Order

    def best(self) -> Iterator[Backrun]:
        """Those that were worth most behind their trigger first."""
        return iter(sorted(self.runs, key=lambda run: (-run.net_micro_usd, run.block, run.key)))
