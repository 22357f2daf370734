"""What sends at a ladder of tips would have come to: plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.core.units import GWEI, SECONDS_PER_DAY
from dexarb.study.order_meter import Order

LADDER = tuple(
    tip * GWEI for tip in (25, 30, 50, 100, 200, 300, 500, 900, 1_500, 2_000, 3_000, 5_000)
)
"""Wei per gas: from the least that Polygon takes to more than anybody there pays."""


class Sight(StrEnum):
    """What the sender has seen. BLOCKS: the ends of blocks; it sends for the next one. TRIGGERS:
    the transaction that opens the spread, before it is included; it sends for the same block, and
    never bids more than that one, which it has to stand behind."""

    BLOCKS = "without_trigger"
    TRIGGERS = "with_trigger"


class Rung(NamedTuple):
    """tip: wei per gas."""

    sight: Sight
    tip: int


@dataclass(frozen=True, slots=True)
class Send:
    """One transaction at one tip, and what came of it in its block.

    is_included: there was room. is_hit: at its place the cycle was still worth more than its gas
    at the base fee; else the executor has refused the run. net: micro-USD after gas and tip. band:
    the least and the most of it over all places in the block (of TRIGGERS: behind the trigger), and
    of not being included. place: transactions before it, of `end`. tokens: of the cycle. rival:
    the contract whose arbitrage ends the spread behind our place, None where there is none.
    """

    rung: Rung
    is_included: bool
    is_hit: bool
    net_micro_usd: int
    band_micro_usd: tuple[int, int]
    place: int
    end: int
    tokens: tuple[Address, ...]
    hour: int
    rival: Address | None


@dataclass(slots=True)
class RungSums:
    """Mutable. Sends at one rung; money in micro-USD. missed: what refused runs cost. places, ends:
    sums over those that were included. by_tokens, by_hour (of the day, UTC), by_rival: nets of
    hits."""

    sends: int = 0
    included: int = 0
    hits: int = 0
    net: int = 0
    missed: int = 0
    low: int = 0
    high: int = 0
    places: int = 0
    ends: int = 0
    by_tokens: Counter[tuple[Address, ...]] = field(default_factory=Counter)
    by_hour: Counter[int] = field(default_factory=Counter)
    by_rival: Counter[Address] = field(default_factory=Counter)

    def add(self, send: Send) -> None:
        net = send.net_micro_usd
        self.sends += 1
        self.net += net
        self.low += send.band_micro_usd[0]
        self.high += send.band_micro_usd[1]
        if not send.is_included:
            return
        self.included += 1
        self.places += send.place
        self.ends += send.end
        if not send.is_hit:
            self.missed -= net
            return
        self.hits += 1
        self.by_tokens[send.tokens] += net
        self.by_hour[send.hour] += net
        if send.rival is not None:
            self.by_rival[send.rival] += net

    def fold(self, other: RungSums) -> None:
        for name in ("sends", "included", "hits", "net", "missed", "low", "high", "places", "ends"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.by_tokens.update(other.by_tokens)
        self.by_hour.update(other.by_hour)
        self.by_rival.update(other.by_rival)

    @property
    def hit_rate(self) -> float | None:
        """Of all that were sent."""
        return self.hits / self.sends if self.sends else None

    @property
    def place(self) -> tuple[float, float] | None:
        """Transactions before ours, and in the block, on average."""
        return (self.places / self.included, self.ends / self.included) if self.included else None


@dataclass(frozen=True, slots=True)
class MoneyMap:
    """blocks: that were looked at. counted: those of them in which a place by tip can be told, and
    seconds: how long these took. order: of all. market: as it is now."""

    blocks: int
    counted: int
    seconds: int
    order: Order
    rungs: dict[Rung, RungSums]
    market: Market

    def a_day(self, micro_usd: int) -> int | None:
        """Micro-USD a day, as in the blocks that count. None where these took no time."""
        return round(micro_usd * SECONDS_PER_DAY / self.seconds) if self.seconds else None

    def of(self, sight: Sight) -> list[tuple[int, RungSums]]:
        """By ascending tip."""
        return sorted((rung.tip, sums) for rung, sums in self.rungs.items() if rung.sight is sight)

    def best(self, sight: Sight) -> tuple[int, RungSums] | None:
        """The tip that earns most, of equals the lowest; None where nothing was to be sent."""
        sent = [each for each in self.of(sight) if each[1].sends]
        return max(sent, key=lambda each: (each[1].net, -each[0]), default=None)
