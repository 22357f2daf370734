"""Who takes the spreads: the arbitrages that others really made, by who made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Take:
    """An arbitrage that somebody made. who: target contract or sender, None without receipts.

    gain and bid in micro-USD, None without a price; the gain is before gas, the bid is the priority
    fee times the gas used. blocks_after: since the block at whose end the spread was first seen
    open; 0: it opened and closed in the same block; None: a kind of cycle that is not searched.
    """

    who: str | None
    sender: str | None
    block: int
    gain_micro_usd: int | None
    bid_micro_usd: int | None
    blocks_after: int | None


@dataclass(frozen=True, slots=True)
class Rival:
    """One of them. transactions and failed: all to (or of) it in the same blocks, not only
    arbitrages. bid_share: median of bid over gain. blocks_after: median of those after a block's
    end; same_block: how many did not leave it open for a block's end."""

    who: str | None
    senders: int
    takes: int
    gain_micro_usd: int
    bid_share: float | None
    transactions: int
    failed: int
    blocks_after: float | None
    same_block: int
    last_block: int

    @property
    def failed_share(self) -> float | None:
        return self.failed / self.transactions if self.transactions else None


def rivals(
    takes: Iterable[Take], transactions: Mapping[str, int], failed: Mapping[str, int]
) -> list[Rival]:
    """Those who gained most first. transactions, failed: counts by who."""
    by_who: dict[str | None, list[Take]] = defaultdict(list)
    for take in takes:
        by_who[take.who].append(take)
    found = [
        _rival(who, its, transactions.get(who or "", 0), failed.get(who or "", 0))
        for who, its in by_who.items()
    ]
    return sorted(found, key=lambda each: (-each.gain_micro_usd, -each.takes, each.who or ""))


def _rival(who: str | None, takes: Sequence[Take], transactions: int, failed: int) -> Rival:
    shares = [
        take.bid_micro_usd / take.gain_micro_usd
        for take in takes
        if take.bid_micro_usd is not None and take.gain_micro_usd
    ]
    after = [take.blocks_after for take in takes if take.blocks_after]
    return Rival(
        who=who,
        senders=len({take.sender for take in takes if take.sender is not None}),
        takes=len(takes),
        gain_micro_usd=sum(take.gain_micro_usd or 0 for take in takes),
        bid_share=median(shares) if shares else None,
        transactions=transactions,
        failed=failed,
        blocks_after=float(median(after)) if after else None,
        same_block=sum(take.blocks_after == 0 for take in takes),
        last_block=max(take.block for take in takes),
    )
