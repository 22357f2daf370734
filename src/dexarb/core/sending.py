"""What a trade is on its way to the chain, and how it ends there: the nouns of the journal."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, NewType

from dexarb.core.block import BlockRef
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, FillStatus

TransactionHash = NewType("TransactionHash", str)
"""0x and 64 lower-case hexadecimal digits."""


class Intent(NamedTuple):
    """A decision that is to be sent. seq: the entry of the history behind which it was made.
    lane: the operator's account that sends it."""

    decision: Decision
    seq: int
    lane: Address


class Signed(NamedTuple):
    """A transaction of a lane that may be out there from now on.

    decision: what it runs; None for one that only uses its nonce up. max_fee and tip in wei per
    gas, deadline_block: the last in which the executor lets it run, 0 where there is none.
    """

    hash: TransactionHash
    lane: Address
    nonce: int
    decision: DecisionId | None
    max_fee: int
    tip: int
    gas_limit: int
    deadline_block: int
    decided_at: float = 0.0
    at: float = 0.0


class Answer(StrEnum):
    """What a way of sending said of a transaction.

    KNOWN counts as taken. UNKNOWN: no answer came, so it may be out there or not.
    """

    TAKEN = "taken"
    KNOWN = "known"
    NONCE_TOO_LOW = "nonce_too_low"
    UNDERPRICED = "underpriced"
    NO_FUNDS = "no_funds"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Offer(NamedTuple):
    """A signed transaction was given to a way of sending. at: UNIX seconds. said: the answer's own
    words, without secrets."""

    hash: TransactionHash
    way: str
    at: float
    answer: Answer
    said: str = ""


class ControlKind(StrEnum):
    """ARM and DISARM: whether anything new is sent. DROP: a decision that will never be sent.
    AVOID and TRUST: pools or tokens that no trade may pass, and may again. REST: a pool that none
    may pass for a while, see Rest. EXPECT: what a trade has to be worth, see Terms."""

    ARM = "arm"
    DISARM = "disarm"
    DROP = "drop"
    AVOID = "avoid"
    TRUST = "trust"
    REST = "rest"
    EXPECT = "expect"


class Control(NamedTuple):
    """What somebody, or a limit, has ordered; it holds from entry `seq` of the history on.

    subject: the decision, pool or token that it is about, empty where it is about the bot. reason:
    in words. at: UNIX seconds, for people.
    """

    seq: int
    kind: ControlKind
    reason: str
    subject: str = ""
    at: float = 0.0


class Terms(NamedTuple):
    """Of a bot, in micro-USD. least_expected: what a trade has to be worth, misses counted in;
    per_landed, per_missed: what all ways together charge for a transaction that landed, or did
    not. As the subject of a Control: three whole numbers."""

    least_expected: int
    per_landed: int = 0
    per_missed: int = 0

    @property
    def subject(self) -> str:
        return " ".join(map(str, self))

    @classmethod
    def of(cls, subject: str) -> Terms:
        """Raises ValueError for a subject that says none."""
        return cls(*map(int, subject.split()))


class Rest(NamedTuple):
    """until: the first block behind which the pool may be traded again. As the subject of a
    Control: both, with a blank between them."""

    pool: PoolKey
    until: int

    @property
    def subject(self) -> str:
        return f"{self.pool} {self.until}"

    @classmethod
    def of(cls, subject: str) -> Rest:
        """Raises ValueError for a subject that says none."""
        pool, until = subject.split()
        return cls(PoolKey(pool), int(until))


def avoided(
    controls: Iterable[Control], seq: int | None = None, block: int | None = None
) -> dict[str, str]:
    """Pools and tokens that no trade may pass behind that entry and block, or now, and why. Without
    a block, those that are to rest are among them however long that was ago."""
    found: dict[str, str] = {}
    resting: dict[str, str] = {}
    for each in controls:
        if seq is not None and each.seq > seq:
            continue
        if each.kind is ControlKind.AVOID:
            found[each.subject] = each.reason
        elif each.kind is ControlKind.TRUST:
            found.pop(each.subject, None)
            resting.pop(each.subject, None)
        elif each.kind is ControlKind.REST:
            rest = Rest.of(each.subject)
            if block is None or block < rest.until:
                resting[rest.pool] = each.reason
    return resting | found


def why_not_armed(controls: Iterable[Control], seq: int | None = None) -> str | None:
    """Why nothing new may be sent behind that entry, or now; None where it may."""
    reason: str | None = "nobody has armed it yet"
    for each in controls:
        holds = seq is None or each.seq <= seq
        if holds and each.kind in (ControlKind.ARM, ControlKind.DISARM):
            reason = None if each.kind is ControlKind.ARM else each.reason
    return reason


GAS_TOLERANCE_PPM = 150_000
"""The gas model is always within 15 %, docs/executor.md. What is further off is told."""


class Difference(StrEnum):
    """How the chain's result of a trade and that of its twin differ.

    GAS: only what it used, beyond what the model allows for. MODEL: status or amounts, which is an
    error of ours until it is explained. UNKNOWN: nothing follows, as the block was not proven, the
    history does not tell of all pools, or the run was too near its gas limit.
    """

    NONE = "none"
    GAS = "gas"
    MODEL = "model"
    UNKNOWN = "unknown"


class Outcome(NamedTuple):
    """What a run came to. Amounts in the start token's smallest unit, net in micro-USD."""

    status: FillStatus
    amount_out: int
    gas_used: int
    net_micro_usd: int


class Twin(NamedTuple):
    """A trade as the chain carried it out, beside itself on paper at the very place: behind the
    transactions that really came before. twin: None where that is unknown."""

    decision: Decision
    hash: TransactionHash
    block: BlockRef
    place: int
    live: Outcome
    twin: Outcome | None
    difference: Difference


class Paper(NamedTuple):
    """The same decision by the paper trader's own rules: what it had said without being sent.

    own_effect: the real trade had moved its pools before it on the chain, so that later swaps
    depended on it. band: the least and the most that other places of its block had paid, in
    micro-USD; None in journals of older programs.
    """

    decision: DecisionId
    block: BlockRef
    place: int
    outcome: Outcome
    own_effect: bool
    band: tuple[int, int] | None = None


class Surprise(NamedTuple):
    """A transaction of one of our accounts that nobody here has signed."""

    block: BlockRef
    hash: TransactionHash
    lane: Address


class Order(NamedTuple):
    """What somebody wants of a bot: to arm or disarm it, or to trust a pool or token again, which
    is the subject. number: the how many-th."""

    number: int
    kind: ControlKind
    reason: str
    at: float
    subject: str = ""


class Rehearsed(NamedTuple):
    """A decision that was run by a node and not sent. block: the newest that we knew then.

    expected, amount_out: in the start token's smallest unit; amount_out is None where it was
    refused, and `said` is why, in words.
    """

    decision: DecisionId
    block: int
    expected: int
    amount_out: int | None
    said: str = ""
