"""Nouns to rows of the ledger and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from dexarb.core.block import Block
from dexarb.core.evidence import Evidence, Mover, Outcome
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, FillStatus, Funding, Position, SkipReason

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """A strategy that the ledger knows. config: its effective parameters as JSON.

    ordinal: its place in the configuration file, for the order on screens.
    """

    hash: str
    name: str
    config: str
    ordinal: int
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """The strategy took part from entry from_seq to entry to_seq, both included; None: still."""

    strategy: str
    from_seq: int
    to_seq: int | None


class DecisionState(StrEnum):
    """void: the history cannot tell its outcome any more; counted as reorged."""

    OPEN = "open"
    SETTLED = "settled"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision made at entry seq."""

    seq: int
    decision: Decision
    state: DecisionState


@dataclass(frozen=True, slots=True)
class FillRow:
    """A fill of entry seq; reorged_seq: the entry whose branch undid it, None while it stands."""

    seq: int
    fill: Fill
    reorged_seq: int | None


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """As FillRow, for evidence."""

    seq: int
    evidence: Evidence
    reorged_seq: int | None


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident of entry seq."""

    seq: int
    strategy: str
    problem: str


class SkipCounter(Protocol):
    """How many more times a strategy skipped for a reason in a UTC hour (hours since 1970).

    The nearest miss of these, where the reason is a threshold: what was needed and the best there
    was, in micro-USD (profit) or ppm (spread), and the block.
    """

    @property
    def strategy(self) -> str: ...
    @property
    def hour(self) -> int: ...
    @property
    def reason(self) -> SkipReason: ...
    @property
    def times(self) -> int: ...
    @property
    def needed(self) -> int | None: ...
    @property
    def best(self) -> int | None: ...
    @property
    def block(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class SkipRow:
    """The sum of the counters of a strategy, hour and reason, and their nearest miss: needed and
    best in micro-USD where the reason is profit, in ppm where it is spread."""

    strategy: str
    hour: int
    reason: SkipReason
    times: int
    needed: int | None
    best: int | None
    block: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A strategy's counts and sums: sent = filled + reverted + lost + expired + reorged + open.

    Micro-USD. profit is net of gas, the band is the sum of the fills' bands. unplaced: fills whose
    place in the block nothing tells; with any of them only the band is true.
    """

    hash: str
    name: str
    seen: int
    sent: int
    filled: int
    reverted: int
    lost: int
    expired: int
    reorged: int
    open: int
    profit_micro_usd: int
    band_low_micro_usd: int
    band_high_micro_usd: int
    gas_cost_micro_usd: int
    unplaced: int


# -- to rows --------------------------------------------------------------------------------------


def block_values(seq: int, block: Block) -> Row:
    return (
        seq,
        block.number,
        block.hash,
        block.parent_hash,
        block.timestamp,
        str(block.base_fee_per_gas),
        block.gas_used,
        block.gas_limit,
        block.seen_at,
    )


def route_values(cycle: Cycle) -> Row:
    """A cycle uses no pool twice, so its id and first pool say where it starts."""
    hops = [[hop.pool, hop.token_in, hop.token_out] for hop in cycle.hops]
    return cycle.id, cycle.hops[0].pool, json.dumps(hops, separators=(",", ":"))


def decision_values(seq: int, decision: Decision) -> Row:
    """In the order of DECISION_COLUMNS."""
    return (
        seq,
        decision.id,
        decision.strategy,
        decision.cycle.id,
        decision.cycle.hops[0].pool,
        str(decision.amount_in),
        str(decision.amount_out),
        str(decision.min_amount_out),
        decision.gas_units,
        decision.expected_net_micro_usd,
        decision.capital_micro_usd,
        str(decision.priority_fee),
        str(decision.max_base_fee),
        decision.first_block,
        decision.deadline_block,
        decision.position.value,
        decision.funding.value,
        decision.latency_ms,
        decision.gas_reserve_micro_usd,
        decision.fixed_gas_cost_micro_usd,
        int(decision.competition_lost),
    )


def fill_values(fill: Fill) -> Row:
    """In the order of FILL_COLUMNS."""
    return (
        fill.place,
        fill.status.value,
        str(fill.amount_in),
        str(fill.amount_out),
        fill.gas_used,
        str(fill.gas_price),
        fill.gas_cost_micro_usd,
        fill.net_micro_usd,
        *fill.band_micro_usd,
        int(fill.place_known),
    )


def evidence_values(seq: int, evidence: Evidence) -> Row:
    """In the order of EVIDENCE_COLUMNS."""
    mover = evidence.mover
    moved: Row = (None,) * 7
    if mover is not None:
        moved = (
            mover.block_number,
            mover.block_hash,
            mover.place,
            mover.transaction,
            mover.sender,
            mover.to,
            _text(mover.paid),
        )
    return (
        seq,
        evidence.cycle.id,
        evidence.cycle.hops[0].pool,
        evidence.block_number,
        evidence.block_hash,
        evidence.outcome.value,
        evidence.closed_after,
        *moved,
        evidence.gain_token,
        _text(evidence.gain),
    )


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


BLOCK_COLUMNS = (
    "seq, number, hash, parent_hash, timestamp, base_fee_per_gas, gas_used, gas_limit, seen_at"
)
DECISION_COLUMNS = (
    "seq, id, strategy, cycle, start_pool, amount_in, amount_out, min_amount_out, gas_units, "
    "expected_net_micro_usd, capital_micro_usd, priority_fee, max_base_fee, first_block, "
    "deadline_block, position, funding, latency_ms, gas_reserve_micro_usd, "
    "fixed_gas_cost_micro_usd, competition_lost"
)
FILL_COLUMNS = (
    "place, status, amount_in, amount_out, gas_used, gas_price, gas_cost_micro_usd, "
    "net_micro_usd, band_low_micro_usd, band_high_micro_usd, place_known"
)
EVIDENCE_COLUMNS = (
    "seq, cycle, start_pool, block_number, block_hash, outcome, closed_after, "
    "mover_block_number, mover_block_hash, mover_place, mover_transaction, mover_sender, "
    "mover_to, mover_paid, gain_token, gain"
)


# -- from rows ------------------------------------------------------------------------------------


def block_from(row: Row) -> Block:
    """From BLOCK_COLUMNS."""
    _, number, own, parent, timestamp, base_fee, used, limit, seen_at = row
    return Block(number, own, parent, timestamp, int(base_fee), used, limit, seen_at)


def cycle_from(hops: str) -> Cycle:
    return Cycle(tuple(Hop(*map(Address, hop)) for hop in json.loads(hops)))


def decision_from(row: Row, block: Block, cycle: Cycle) -> Decision:
    """From DECISION_COLUMNS."""
    return Decision(
        id=row[1],
        strategy=row[2],
        block=block,
        cycle=cycle,
        amount_in=int(row[5]),
        amount_out=int(row[6]),
        min_amount_out=int(row[7]),
        gas_units=row[8],
        expected_net_micro_usd=row[9],
        capital_micro_usd=row[10],
        priority_fee=int(row[11]),
        max_base_fee=int(row[12]),
        first_block=row[13],
        deadline_block=row[14],
        position=Position(row[15]),
        funding=Funding(row[16]),
        latency_ms=row[17],
        gas_reserve_micro_usd=row[18],
        fixed_gas_cost_micro_usd=row[19],
        competition_lost=bool(row[20]),
    )


def fill_from(row: Row, decision: Decision, block: Block) -> Fill:
    """From FILL_COLUMNS."""
    place, status, amount_in, amount_out, gas_used, gas_price, gas_cost, net, low, high = row[:-1]
    return Fill(
        decision=decision,
        block=block,
        place=place,
        status=FillStatus(status),
        amount_in=int(amount_in),
        amount_out=int(amount_out),
        gas_used=gas_used,
        gas_price=int(gas_price),
        gas_cost_micro_usd=gas_cost,
        net_micro_usd=net,
        band_micro_usd=(low, high),
        place_known=bool(row[-1]),
    )


def evidence_from(row: Row, cycle: Cycle) -> Evidence:
    """From EVIDENCE_COLUMNS."""
    number, block_hash, outcome, closed_after = row[3:7]
    moved_number, moved_hash, place, transaction, sender, to, paid, gain_token, gain = row[7:]
    mover = None
    if moved_number is not None:
        mover = Mover(moved_number, moved_hash, place, transaction, sender, to, _number(paid))
    return Evidence(
        cycle=cycle,
        block_number=number,
        block_hash=block_hash,
        outcome=Outcome(outcome),
        closed_after=closed_after,
        mover=mover,
        gain_token=gain_token,
        gain=_number(gain),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def skip_from(row: Row) -> SkipRow:
    strategy, hour, reason, times, needed, best, block = row
    return SkipRow(strategy, hour, SkipReason(reason), times, needed, best, block)
