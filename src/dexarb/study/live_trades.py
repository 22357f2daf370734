"""What a bot sent, step by step: from the block that it saw to the place where its trade stood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dexarb.core.block import BlockUpdate, Transaction
from dexarb.core.sending import Answer, Intent, Offer, Paper, Signed, TransactionHash
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, Fill, FillStatus, StrategyHash
from dexarb.core.units import PPM
from dexarb.errors import StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.journal import JournalReader
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import FillRow
from dexarb.trading.models.tips import is_own

JUST_ABOVE_PPM = 100_000
"""A tip at most so much higher than ours is just above it."""
GAP = 64
"""Entries that are read over rather than sought anew."""
LOOKED_THROUGH = 256
"""Entries in which a transaction that only uses a nonce up is looked for."""


class Steps(NamedTuple):
    """Milliseconds, each from the step before it; None where no clock told. decided: since the
    block was seen. accepted: the first way took it. included: until the block with it was seen.
    out: from the block that was seen to accepted, which is what `latency_ms` stands for."""

    decided: float | None
    signed: float | None
    accepted: float | None
    included: float | None
    out: float | None


class Place(NamedTuple):
    """Where a trade stood in its block. Tips in wei per gas: its own as it was paid; before, after:
    those of its neighbours, None at an end of the block; ahead: the highest of those who moved its
    pools before it, None where nobody did.

    is_copied: somebody else went through all of its pools before it, with a tip just above ours.
    """

    transaction: Transaction
    places: int
    tip: int
    before: int | None
    after: int | None
    ahead: int | None
    is_copied: bool


@dataclass(frozen=True, slots=True)
class LiveTrade:
    """A decision that was signed. fill: as it stands, None while it is open. predicted: what paper
    said, None where its place cannot be compared. place: None where it is in no block, or the
    history does not tell."""

    decision: Decision
    signed: Signed
    fill: Fill | None
    steps: Steps
    predicted: Paper | None
    place: Place | None


class UsedUp(NamedTuple):
    """A transaction that only used a nonce up, in the block with it."""

    signed: Signed
    update: BlockUpdate
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class LiveTrades:
    """In the order in which they were signed. strategies: their names. problem: why the history
    tells nothing of places."""

    trades: Sequence[LiveTrade]
    used_up: Sequence[UsedUp]
    strategies: Mapping[StrategyHash, str]
    problem: str | None


def read_trades(journal: Path, ledger: Path, newest: int = 0) -> LiveTrades:
    """newest: of so many transactions alone, 0 for all. A bot that has only rehearsed has no ledger
    yet, and no trades. Raises StoreError."""
    if not ledger.is_file():
        JournalReader.open_to_read(journal).close()
        return LiveTrades([], [], {}, None)
    with read_only(ledger) as books, books.at_one_moment():
        rows = {row.fill.decision.id: row for row in books.fills() if row.reorged_seq is None}
        history = books.history
        strategies = {each.hash: each.name for each in books.strategies()}
    with JournalReader.open_to_read(journal) as opened:
        signed, offers, papers = opened.signed(), opened.offers(), opened.papers()
        intents = {each.decision.id: each for each in opened.intents()}
    lanes = {each.lane for each in signed}
    signed = signed[-newest:]
    asked = {each.decision for each in signed}
    taken = accepted(offers)
    predicted = {each.decision: each for each in papers}
    problem = None
    updates: dict[int, BlockUpdate] = {}
    used_up: list[UsedUp] = []
    try:
        reader = HistoryReader(history)
        updates = _updates(
            reader, [row.seq for of, row in rows.items() if of in asked and row.fill.gas_used]
        )
        used_up = list(_used_up(reader, signed, intents))
    except StoreError as error:
        problem = f"places and neighbours are not known: {error}"
    trades = [
        _trade(intents[each.decision].decision, each, rows.get(each.decision), taken, predicted,
               lanes, updates)
        for each in signed
        if each.decision is not None and each.decision in intents
    ]  # fmt: skip
    return LiveTrades(trades, used_up, strategies, problem)


def accepted(offers: Iterable[Offer]) -> dict[TransactionHash, float]:
    """When the first way took each transaction."""
    found: dict[TransactionHash, float] = {}
    for each in offers:
        if each.answer in (Answer.TAKEN, Answer.KNOWN):
            found[each.hash] = min(each.at, found.get(each.hash, each.at))
    return found


def _trade(
    decision: Decision,
    signed: Signed,
    row: FillRow | None,
    taken: Mapping[TransactionHash, float],
    papers: Mapping[DecisionId, Paper],
    lanes: set[Address],
    updates: Mapping[int, BlockUpdate],
) -> LiveTrade:
    fill = row.fill if row else None
    paper = papers.get(decision.id)
    if paper is not None and (paper.own_effect or paper.outcome.status is FillStatus.EXPIRED):
        paper = None
    update = updates.get(row.seq) if row else None
    place = None
    if fill is not None and fill.gas_used and update is not None:
        place = place_in(update, decision, fill.place, lanes)
    return LiveTrade(decision, signed, fill, _steps(decision, signed, fill, taken), paper, place)


def _steps(
    decision: Decision, signed: Signed, fill: Fill | None, taken: Mapping[TransactionHash, float]
) -> Steps:
    seen, accepted_at = decision.block.seen_at, taken.get(signed.hash)
    included = fill.block.seen_at if fill is not None and fill.gas_used else None
    return Steps(
        _ms(seen, signed.decided_at),
        _ms(signed.decided_at, signed.at),
        _ms(signed.at, accepted_at),
        _ms(accepted_at, included),
        _ms(seen, accepted_at),
    )


def _ms(since: float | None, until: float | None) -> float | None:
    """0 stands for unknown, and a clock that was set back tells nothing."""
    if not since or not until or until < since:
        return None
    return (until - since) * 1000


def place_in(
    update: BlockUpdate, decision: Decision, place: int, lanes: Iterable[Address]
) -> Place | None:
    """Where the trade at this index stood. None where the block does not tell."""
    base_fee, ours = update.block.base_fee_per_gas, frozenset(lanes)
    at = {each.index: each for each in update.transactions}
    own = at.get(place)
    if own is None:
        return None
    tips = {
        each.index: each.effective_gas_price - base_fee
        for each in update.transactions
        if not is_own(each, base_fee)
    }
    tip = own.effective_gas_price - base_fee
    pools = {pool.partition(":")[0] for pool in decision.cycle.pools}
    moved: dict[int, set[str]] = {}
    for log in update.logs:
        index = log.transaction_index
        is_others = index in at and at[index].sender not in ours
        if index < place and is_others and log.address in pools:
            moved.setdefault(index, set()).add(log.address)
    most = tip + tip * JUST_ABOVE_PPM // PPM
    return Place(
        own,
        len(update.transactions),
        tip,
        tips.get(place - 1),
        tips.get(place + 1),
        max((tips[index] for index in moved if index in tips), default=None),
        any(
            touched == pools and tip < tips.get(index, 0) <= most
            for index, touched in moved.items()
        ),
    )


def _updates(reader: HistoryReader, seqs: Iterable[int]) -> dict[int, BlockUpdate]:
    """Those entries, which lie near each other or far apart. Raises StoreError."""
    wanted = sorted(set(seqs))
    found: dict[int, BlockUpdate] = {}
    begin = 0
    for place, seq in enumerate(wanted):
        if place + 1 < len(wanted) and wanted[place + 1] - seq <= GAP:
            continue
        asked = frozenset(wanted[begin : place + 1])
        for entry in reader.entries(wanted[begin], seq):
            if entry.seq in asked and isinstance(entry, BlockUpdate):
                found[entry.seq] = entry
        begin = place + 1
    return found


def _used_up(
    reader: HistoryReader, signed: Iterable[Signed], intents: Mapping[DecisionId, Intent]
) -> Iterator[UsedUp]:
    """Those of which the history has the block. Raises StoreError."""
    seq = None
    for one in signed:
        if one.decision is not None:
            seq = intents[one.decision].seq if one.decision in intents else seq
        elif seq is not None:
            for entry in reader.entries(seq, seq + LOOKED_THROUGH):
                if not isinstance(entry, BlockUpdate):
                    continue
                of = next((each for each in entry.transactions if each.hash == one.hash), None)
                if of is not None:
                    yield UsedUp(one, entry, of)
                    break
