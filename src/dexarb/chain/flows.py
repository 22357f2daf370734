"""From the receipts of a block to its traffic: swaps by emitter, and who gained what by them.

What is counted, and what receipts cannot show, is listed in docs/history-format.md, Traffic.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from eth_hash.auto import keccak

from dexarb.amm.swap_events import SWAP_EVENTS, VAULTS
from dexarb.chain.decode import EventLog, Receipt
from dexarb.core.token import Address
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic

_TRANSFER, _DEPOSIT, _WITHDRAWAL = (
    "0x" + keccak(signature).hex()
    for signature in (
        b"Transfer(address,address,uint256)",
        b"Deposit(address,uint256)",
        b"Withdrawal(address,uint256)",
    )
)
_NOBODY = Address("0x" + "00" * 20)
_WORD = 66
"""Characters of 32 bytes in hexadecimal."""

_Swap = tuple[Address, str]
"""Emitter and kind of event."""
_Changes = Mapping[Address, Mapping[Address, int]]
"""By holder and token; without zeros."""


def traffic_of(receipts: Iterable[Receipt]) -> Traffic:
    """receipts: all of a block, in order, with well-formed logs."""
    counts: dict[_Swap, int] = {}
    flows, transfers = [], []
    for receipt in receipts:
        if _is_transfer(receipt):
            transfers.append(int(receipt.transaction_index, 16))
        swaps = [event for event in receipt.logs if _is_swap(event)]
        for event in swaps:
            swap = _swap(event)
            counts[swap] = counts.get(swap, 0) + 1
        if len(swaps) > 1 and len(set(map(_pool, swaps))) > 1:
            flows.append((receipt, dict.fromkeys(map(_swap, swaps))))
    places = {swap: place for place, swap in enumerate(counts)}
    return Traffic(
        tuple(SwapCount(*swap, count) for swap, count in counts.items()),
        tuple(
            _flow(receipt, swaps, tuple(places[each] for each in swaps)) for receipt, swaps in flows
        ),
        tuple(transfers),
    )


def _is_transfer(receipt: Receipt) -> bool:
    """Whether it did nothing but this, as far as events tell."""
    if receipt.to is None or len(receipt.logs) != 1:
        return False
    (event,) = receipt.logs
    is_transfer = len(event.topics) == 3 and event.topics[0].lower() == _TRANSFER
    return is_transfer and event.address.lower() == receipt.to.lower()


def _is_swap(event: EventLog) -> bool:
    return bool(event.topics) and event.topics[0].lower() in SWAP_EVENTS


def _swap(event: EventLog) -> _Swap:
    return Address(event.address.lower()), SWAP_EVENTS[event.topics[0].lower()]


def _pool(event: EventLog) -> tuple[Address, str]:
    emitter, kind = _swap(event)
    return emitter, event.topics[1].lower() if kind in VAULTS and len(event.topics) > 1 else ""


def _flow(receipt: Receipt, swaps: Iterable[_Swap], places: tuple[int, ...]) -> Flow:
    changes = _changes(receipt.logs)
    sender = Address(receipt.from_.lower())
    target = None if receipt.to is None else Address(receipt.to.lower())
    # Whoever calls a vault himself trades with it: what it gains is nobody's profit.
    own = {sender, target} - {emitter for emitter, _ in swaps}
    return Flow(
        int(receipt.transaction_index, 16),
        places,
        not any(_only_gave(change) for holder, change in changes.items() if holder not in own),
        _told(changes.get(sender, {})) if sender in own else (),
        _told(changes.get(target, {})) if target is not None and target in own - {sender} else (),
    )


def _only_gave(change: Mapping[Address, int]) -> bool:
    return bool(change) and all(amount < 0 for amount in change.values())


def _told(change: Mapping[Address, int]) -> tuple[Change, ...]:
    return tuple(Change(token, str(amount)) for token, amount in sorted(change.items()))


def _changes(events: Sequence[EventLog]) -> _Changes:
    """A coin and its wrapped form count as one: what is wrapped was there before, and what is
    unwrapped still is. Some wrappers tell that as a transfer from or to nobody as well."""
    changed_form = Counter(_changes_of_form(events))
    found: dict[Address, dict[Address, int]] = defaultdict(lambda: defaultdict(int))
    for event in events:
        topics = event.topics
        if len(topics) != 3 or len(event.data) != _WORD or topics[0].lower() != _TRANSFER:
            continue
        token, amount = Address(event.address.lower()), int(event.data, 16)
        giver, taker = _holder(topics[1]), _holder(topics[2])
        if _NOBODY in (giver, taker):
            form = token, taker if giver == _NOBODY else giver, amount
            if changed_form[form] > 0:
                changed_form[form] -= 1
                continue
        found[giver][token] -= amount
        found[taker][token] += amount
    return {
        holder: {token: amount for token, amount in its.items() if amount}
        for holder, its in found.items()
    }


def _changes_of_form(events: Iterable[EventLog]) -> Iterator[tuple[Address, Address, int]]:
    for event in events:
        topics = event.topics
        if len(topics) != 2 or len(event.data) != _WORD:
            continue
        if topics[0].lower() in (_DEPOSIT, _WITHDRAWAL):
            yield Address(event.address.lower()), _holder(topics[1]), int(event.data, 16)


def _holder(topic: str) -> Address:
    return Address("0x" + topic[-40:].lower())
