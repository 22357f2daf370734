"""Lanes: which nonce and which fees the next transaction of an account has. Decided, not awaited.

A nonce is the chain's word, at the start and after every doubt; from then on it moves with the
blocks of the history. A transaction that waits too long is not cancelled (that costs nearly as much
as its own "too late"): the next one takes its nonce, for so much more as nodes ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """Mutable. Knows of each account the nonce that comes next, or that it does not.

    Two speak of it: the blocks of the history, which are proven and may be late, and the chain as
    an endpoint sees it, which may be ahead, behind, or on a branch that dies.
    """

    def __init__(self, addresses: Sequence[Address], records: Records, bump_ppm: int) -> None:
        """bump_ppm: what nodes ask a replacement to pay more, of both fees."""
        self._records = records
        self._bump_ppm = bump_ppm
        self._next: dict[Address, int | None] = dict.fromkeys(addresses)
        self._shown: dict[Address, int] = {}

    @property
    def in_doubt(self) -> tuple[Address, ...]:
        """Accounts whose nonce has to be asked of the chain before they send again."""
        return tuple(lane for lane, nonce in self._next.items() if nonce is None)

    def doubt(self, lane: Address) -> None:
        self._next[lane] = None

    def follow(self, used: Mapping[Address, int]) -> None:
        """With every entry of the history: the last nonce that each account has used in its blocks,
        where one has. What a reorganisation has taken back is in doubt."""
        for lane in self._next:
            before, now = self._shown.get(lane, -1), used.get(lane, -1)
            known = self._next[lane]
            if now < before:
                self.doubt(lane)
            elif known is not None:
                self._next[lane] = max(known, now + 1)
        self._shown = dict(used)

    def hear(self, lane: Address, nonce: int) -> bool:
        """The chain's word: so many transactions of the account are in its newest block. Returns
        whether that is news, behind which what waits should be given out once more.

        Less than the history has shown is an endpoint that lags. Where both agree on less than was
        known, that came from a branch that is dead.
        """
        known, shown = self._next[lane], self._shown.get(lane, -1) + 1
        if nonce < shown:
            return False
        if known is None or nonce > known or nonce == shown:
            self._next[lane] = nonce
        return known is None or shown == nonce < known

    def waiting(self, lane: Address) -> Signed | None:
        """What was signed last for the nonce that comes next; None also while that is in doubt."""
        following = self._next.get(lane)
        return None if following is None else self._records.at_nonce(lane, following)

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
