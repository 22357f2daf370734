"""What a bot's journal and ledger amount to: what it sent, what came of it, and how far paper was
off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import NamedTuple

from dexarb.core.sending import (
    Answer,
    Control,
    ControlKind,
    Difference,
    Offer,
    Paper,
    Rehearsed,
    Signed,
    Terms,
    TransactionHash,
    Twin,
    avoided,
    why_not_armed,
)
from dexarb.core.token import Address
from dexarb.core.trade import DecisionId, Fill, FillStatus
from dexarb.store.journal import JournalReader
from dexarb.store.ledger_notes import UNPROVEN
from dexarb.store.ledger_reader import read_only

LATEST = 8


class OpenState(StrEnum):
    """How far a transaction has come. OFFERED: a way has taken it. UNKNOWN: no way has answered.
    REFUSED: none has taken it, and none can have."""

    SIGNED = "signed"
    OFFERED = "offered"
    UNKNOWN = "unknown"
    REFUSED = "refused"


class OpenTrade(NamedTuple):
    hash: TransactionHash
    nonce: int
    state: OpenState


class LaneResults(NamedTuple):
    """An account. signed: transactions, replacements included. landed: in a block. missed: trades
    that came to an end in none. blocks: from the decision's to that in which it landed, in all.
    compared: trades whose place paper has told in the very same block; off: how many places behind
    it they stood, in the middle. open: its newest trade that has come to no end."""

    lane: Address
    signed: int
    landed: int
    filled: int
    missed: int
    blocks: int
    compared: int
    off: float | None
    open: OpenTrade | None


class Optimism(NamedTuple):
    """By how much paper was too good, in micro-USD, and where that comes from. live: net of the
    same trades. trades: that both settled, without those that stood behind our own effect. gas:
    what runs used beside the model; tip: what was paid above the bid of the decision."""

    trades: int
    live: int
    place: int
    delay: int
    gas: int
    tip: int
    not_included: int

    @property
    def total(self) -> int:
        return self.place + self.delay + self.gas + self.tip + self.not_included

    @property
    def percent(self) -> float | None:
        """Of what life paid; None where that is nothing."""
        return 100 * self.total / abs(self.live) if self.live else None


@dataclass(frozen=True, slots=True)
class LiveResults:
    """armed: whether anything new is sent. reason: why not. sent: decisions that were signed.
    dropped: decisions that never were, by reason. differences: of twins, but for NONE. latest: the
    newest of these, the oldest first. unproven: strategies that it trades without a verdict.
    blocks: in which each included trade stands. ways: what they charge for what landed and what did
    not, by the newest terms; no part of the profit, which is what the chain paid. per_landed: what
    they charge for each that landed.
    """

    armed: bool
    reason: str
    lanes: Sequence[LaneResults]
    sent: int
    included: int
    filled: int
    reverted: int
    dropped: Mapping[str, int]
    open: int
    profit_micro_usd: int
    gas_micro_usd: int
    twins: int
    differences: Mapping[Difference, int]
    optimism: Optimism
    latest: Sequence[Twin] = ()
    avoided: Mapping[str, str] = field(default_factory=dict)
    rehearsed: Sequence[Rehearsed] = ()
    unproven: Sequence[str] = ()
    blocks: Sequence[int] = ()
    ways_micro_usd: int = 0
    per_landed_micro_usd: int = 0


def read_results(journal: Path, ledger: Path) -> LiveResults:
    """A bot that has only rehearsed has no ledger yet. Raises StoreError."""
    fills: list[Fill] = []
    sent: set[DecisionId] = set()
    unproven: tuple[str, ...] = ()
    newest: int | None = None
    # A bot writes the journal first, so who reads it last misses nothing of what the ledger has.
    if ledger.is_file():
        with read_only(ledger) as books, books.at_one_moment():
            fills = [row.fill for row in books.fills() if row.reorged_seq is None]
            sent = {row.decision.id for row in books.decisions()}
            unproven = books.note(UNPROVEN) or ()
            newest = books.last_block[0] if books.last_block else None
    with JournalReader.open_to_read(journal) as opened:
        signed, controls, rehearsed = opened.signed(), opened.controls(), opened.rehearsals()
        twins, papers = opened.twins(), opened.papers()
        offers = opened.offers()
    found = results(signed, controls, twins, papers, fills, sent, rehearsed, offers)
    return replace(found, unproven=unproven, avoided=avoided(controls, block=newest))


def results(
    signed: Sequence[Signed],
    controls: Sequence[Control],
    twins: Sequence[Twin],
    papers: Sequence[Paper],
    fills: Sequence[Fill],
    sent: set[DecisionId],
    rehearsed: Sequence[Rehearsed] = (),
    offers: Sequence[Offer] = (),
) -> LiveResults:
    """fills: those that stand. sent: all decisions of the ledger."""
    reason = why_not_armed(controls)
    terms = [Terms.of(each.subject) for each in controls if each.kind is ControlKind.EXPECT]
    newest = terms[-1] if terms else Terms(0)
    dropped: Counter[str] = Counter()
    for each in controls:
        if each.kind is ControlKind.DROP:
            dropped[each.reason] += 1
    settled = {fill.decision.id for fill in fills}
    stand = {(fill.decision.id, fill.block.hash) for fill in fills}
    standing = [twin for twin in twins if (twin.decision.id, twin.block.hash) in stand]
    states, landed = _states(offers), {twin.hash for twin in standing}
    trades = {each.hash for each in signed if each.decision is not None} - landed
    if refused := sum(states.get(each) is OpenState.REFUSED for each in trades):
        dropped["every way refused it"] += refused
    by_status = Counter(fill.status for fill in fills)
    return LiveResults(
        armed=reason is None,
        reason=reason or "",
        lanes=[*_lanes(signed, standing, papers, settled, states)],
        sent=len({each.decision for each in signed if each.decision is not None}),
        included=len(standing),
        filled=by_status[FillStatus.FILLED],
        reverted=by_status[FillStatus.REVERTED],
        dropped=dropped,
        open=len(sent - settled),
        profit_micro_usd=sum(fill.net_micro_usd for fill in fills),
        gas_micro_usd=sum(fill.gas_cost_micro_usd for fill in fills),
        twins=len(standing),
        differences=Counter(
            twin.difference for twin in standing if twin.difference is not Difference.NONE
        ),
        optimism=_optimism(standing, papers, fills),
        latest=standing[-LATEST:],
        rehearsed=rehearsed,
        blocks=[twin.block.number for twin in standing],
        ways_micro_usd=_ways(signed, newest, landed, settled),
        per_landed_micro_usd=newest.per_landed,
    )


def _ways(
    signed: Sequence[Signed],
    terms: Terms,
    landed: set[TransactionHash],
    settled: set[DecisionId],
) -> int:
    """Of decisions that have come to an end."""
    ended = [each.hash in landed for each in signed if each.decision in settled]
    missed = len(ended) - sum(ended)
    return sum(ended) * terms.per_landed + missed * terms.per_missed


def _lanes(
    signed: Sequence[Signed],
    twins: Sequence[Twin],
    papers: Sequence[Paper],
    settled: set[DecisionId],
    states: Mapping[TransactionHash, OpenState],
) -> Iterable[LaneResults]:
    landed = {twin.hash: twin for twin in twins}
    told = {each.decision: each for each in papers if not each.own_effect}
    for lane in dict.fromkeys(each.lane for each in signed):
        mine = [each for each in signed if each.lane == lane]
        found = [landed[each.hash] for each in mine if each.hash in landed]
        ended = {each.decision for each in mine if each.decision in settled}
        waiting = [each for each in mine if each.decision and each.decision not in settled]
        off = [
            twin.place - paper.place
            for twin in found
            if (paper := told.get(twin.decision.id)) and paper.block == twin.block
        ]
        yield LaneResults(
            lane,
            signed=len(mine),
            landed=len(found),
            filled=sum(twin.live.status is FillStatus.FILLED for twin in found),
            missed=len(ended - {twin.decision.id for twin in found}),
            blocks=sum(twin.block.number - twin.decision.block.number for twin in found),
            compared=len(off),
            off=float(median(off)) if off else None,
            open=_open(waiting[-1], states) if waiting else None,
        )


def _open(signed: Signed, states: Mapping[TransactionHash, OpenState]) -> OpenTrade:
    return OpenTrade(signed.hash, signed.nonce, states.get(signed.hash, OpenState.SIGNED))


def _states(offers: Sequence[Offer]) -> dict[TransactionHash, OpenState]:
    """By what all ways have said."""
    found: dict[TransactionHash, OpenState] = {}
    for offer in offers:
        if offer.answer in (Answer.TAKEN, Answer.KNOWN):
            found[offer.hash] = OpenState.OFFERED
        elif offer.answer is Answer.UNKNOWN and found.get(offer.hash) is not OpenState.OFFERED:
            found[offer.hash] = OpenState.UNKNOWN
        else:
            found.setdefault(offer.hash, OpenState.REFUSED)
    return found


def _optimism(twins: Sequence[Twin], papers: Sequence[Paper], fills: Sequence[Fill]) -> Optimism:
    lived = {twin.decision.id: twin for twin in twins}
    ended = {fill.decision.id: fill for fill in fills}
    trades = live = place = delay = gas = tips = not_included = 0
    for paper in {each.decision: each for each in papers}.values():
        fill = ended.get(paper.decision)
        if paper.own_effect or fill is None:
            continue
        twin = lived.get(paper.decision)
        if twin is not None and twin.twin is not None:
            trades += 1
            live += twin.live.net_micro_usd
            gas += twin.twin.net_micro_usd - twin.live.net_micro_usd
            tip = _above_its_bid(fill)
            rest = paper.outcome.net_micro_usd - twin.twin.net_micro_usd - tip
            tips += tip
            if paper.block == twin.block:
                place += rest
            else:
                delay += rest
        elif fill.status is FillStatus.EXPIRED:
            trades += 1
            not_included += paper.outcome.net_micro_usd
    return Optimism(trades, live, place, delay, gas, tips, not_included)


def _above_its_bid(fill: Fill) -> int:
    """What of the gas cost was paid for a higher tip than the decision's."""
    more = fill.gas_price - fill.block.base_fee_per_gas - fill.decision.priority_fee
    return fill.gas_cost_micro_usd * more // fill.gas_price if fill.gas_price else 0
