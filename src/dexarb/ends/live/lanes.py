"""Lanes: which nonce and which fees the next transaction of an account has. Decided, not awaited.

A nonce is the chain's word, at the start and after every doubt; from then on it moves with the
blocks of the history. A transaction that waits too long is not cancelled (that costs nearly as much
as its own "too late"): the next one takes its nonce, for so much more as nodes ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dexarb.core.sending import Signed
from dexarb.core.token import Address
from dexarb.core.units import PPM
from dexarb.ends.live.records import Records


class Fees(NamedTuple):
    """Wei per gas. max_fee: base fee and tip together at the most."""

    max_fee: int
    tip: int


class Slot(NamedTuple):
    """Where the next transaction goes. replaces: what waits with that nonce."""

    nonce: int
    fees: Fees
    replaces: Signed | None = None


class Lanes:
    """Mutable. Knows of each account the nonce that comes next, or that it does not."""

    def __init__(self, addresses: Sequence[Address], records: Records, bump_ppm: int) -> None:
        """bump_ppm: what nodes ask a replacement to pay more, of both fees."""
        self._records = records
        self._bump_ppm = bump_ppm
        self._next: dict[Address, int | None] = dict.fromkeys(addresses)

    @property
    def in_doubt(self) -> tuple[Address, ...]:
        """Accounts whose nonce has to be asked of the chain before they send again."""
        return tuple(lane for lane, nonce in self._next.items() if nonce is None)

    def trust(self, lane: Address, nonce: int) -> None:
        """The chain's word: so many transactions of the account are in its newest block."""
        self._next[lane] = nonce

    def doubt(self, lane: Address) -> None:
        self._next[lane] = None

    def used(self, lane: Address, nonce: int) -> None:
        """A block of the history has a transaction with this nonce."""
        known = self._next.get(lane)
        if known is not None:
            self._next[lane] = max(known, nonce + 1)

    def waiting(self, lane: Address) -> Signed | None:
        """What may still be included and was signed last; None also while nothing is known."""
        following = self._next.get(lane)
        if following is None:
            return None
        latest = self._records.latest(lane)
        return latest if latest is not None and latest.nonce >= following else None

    def slot(self, lane: Address, wanted: Fees, most: Fees) -> Slot | None:
        """For the next transaction. None while the nonce is in doubt, or where taking the place of
        what waits would cost more than `most`."""
        following = self._next.get(lane)
        if following is None:
            return None
        waiting = self.waiting(lane)
        if waiting is None:
            return Slot(following, wanted)
        fees = Fees(
            max(wanted.max_fee, self._bumped(waiting.max_fee)),
            max(wanted.tip, self._bumped(waiting.tip)),
        )
        if fees.max_fee > most.max_fee or fees.tip > most.tip:
            return None
        return Slot(waiting.nonce, fees, waiting)

    def _bumped(self, fee: int) -> int:
        """Rounded up: a wei less is refused."""
        return -(-fee * (PPM + self._bump_ppm) // PPM)
