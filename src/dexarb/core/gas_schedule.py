"""What a chain charges for what a transaction does: counts on one side, prices on the other.

Chains reprice storage in forks of their own. So gas is kept as counts, and a schedule makes gas
units of them; the chain's profile says which schedule holds from which block on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

ScheduleName = Literal["ethereum", "polygon-chicago"]


class GasCounts(NamedTuple):
    """What a transaction does, or a part of one.

    cold_reads, cold_writes: first touches of a storage slot, by a read or by a write. warm: reads
    of a slot that has been touched, and writes that find it changed already or do not change it.
    resets, sets: first changes of a slot that held something, or nothing. restored: slots that end
    as they began. unset: the same of slots that held nothing. cleared: slots that end with nothing.
    accounts: first touches of another contract. calldata: gas of the transaction's data. rest: all
    other gas, which is the same everywhere. Refunds are subtracted; what one part saves another
    has negative counts.
    """

    cold_reads: int = 0
    cold_writes: int = 0
    warm: int = 0
    resets: int = 0
    sets: int = 0
    restored: int = 0
    unset: int = 0
    cleared: int = 0
    accounts: int = 0
    calldata: int = 0
    rest: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class GasSchedule:
    """Each is itself. Gas units for each of the counts, since EIP-2929 and EIP-3529.

    place: in SCHEDULES. cold_write: on top of what the change costs. refund_of_key: what of the
    refund for clearing is not the price of the reset.
    """

    name: ScheduleName
    place: int
    cold_read: int
    cold_write: int
    warm: int
    reset: int
    set: int
    account: int
    refund_of_key: int = 1_900

    @property
    def restored(self) -> int:
        """Refund: the change comes to a warm write."""
        return self.reset - self.warm

    @property
    def unset(self) -> int:
        """Refund: the same of a slot that held nothing."""
        return self.set - self.warm

    @property
    def cleared(self) -> int:
        """Refund."""
        return self.reset + self.refund_of_key

    def units(self, counts: GasCounts) -> int:
        """Gas units, net of refunds."""
        return (
            counts.cold_reads * self.cold_read
            + counts.cold_writes * self.cold_write
            + counts.warm * self.warm
            + counts.resets * self.reset
            + counts.sets * self.set
            - counts.restored * self.restored
            - counts.unset * self.unset
            - counts.cleared * self.cleared
            + counts.accounts * self.account
            + counts.calldata
            + counts.rest
        )


ETHEREUM = GasSchedule(
    "ethereum",
    place=0,
    cold_read=2_100,
    cold_write=2_100,
    warm=100,
    reset=2_900,
    set=20_000,
    account=2_600,
)
"""Since Berlin and London; nothing later has changed storage."""

POLYGON_CHICAGO = GasSchedule(
    "polygon-chicago",
    place=1,
    cold_read=5_460,
    cold_write=2_940,
    warm=100,
    reset=2_060,
    set=20_000,
    account=2_600,
)
"""Polygon since its Chicago fork, PIP-88; not confirmed by a receipt of it so far."""

SCHEDULES = {each.name: each for each in (ETHEREUM, POLYGON_CHICAGO)}


def measured(
    gas_units: int,
    *,
    cold_reads: int = 0,
    warm: int = 0,
    resets: int = 0,
    restored: int = 0,
    accounts: int = 0,
) -> GasCounts:
    """What was found to cost so much under Ethereum's schedule, by so many counts and the rest."""
    counts = GasCounts(
        cold_reads=cold_reads, warm=warm, resets=resets, restored=restored, accounts=accounts
    )
    return counts._replace(rest=gas_units - ETHEREUM.units(counts))


PLAIN_TRANSFER = measured(34_700, cold_reads=2, resets=2)
"""A transaction that transfers a plain ERC-20, OpenZeppelin's, between two who hold some of it
before and behind it; measured on a node. Calldata as amounts usually are."""
