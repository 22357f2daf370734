"""What the paper trader notes in its ledger beside the books, each note under a key of its own.

No note is part of the digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")


@dataclass(frozen=True)
class Note(Generic[T]):
    """A key and what stands there, as JSON; text as it is.

    is_vital: the books depend on it, so that one that cannot be read is an error. Any other then
    counts as not noted, since another version may have written it.
    """

    key: str
    type: type[T]
    is_vital: bool = False

    @property
    def meta_key(self) -> str:
        """In the ledger's table `meta`."""
        return f"note:{self.key}"

    def encode(self, value: T) -> str:
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def decode(self, text: str) -> T:
        """Raises msgspec.MsgspecError."""
        if self.type is str:
            return msgspec.convert(text, self.type)
        return msgspec.json.decode(text, type=self.type)


class StateAge(NamedTuple):
    """From entry from_seq on, a block older than max_state_age_s when it was seen is stale."""

    from_seq: int
    max_state_age_s: float


@dataclass(frozen=True, slots=True)
class Hasty:
    """Strategies that assume to be faster than the trader is: how many, and names of the first."""

    count: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metrics:
    """What the trader measures of itself. block_to_decision_ms: p50 and p99, None before the first
    measurement. usd_per_gwei: what a trade through two pools costs for each gwei of its gas price;
    None where the native token has no price."""

    block_to_decision_ms: Mapping[str, float | None]
    latency_ms_below_measured: Hasty = Hasty()
    usd_per_gwei: float | None = None


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """What became of a reload.

    number: counts the reloads of a ledger. asked_by: "SIGHUP" or "watch". at: seconds since 1970.
    clock: of the machine, when the file began to be read. errors: why everything goes on as before;
    empty for a reload that took effect, from history entry `from_entry` on.
    """

    number: int
    asked_by: str
    config: str
    at: float
    clock: float
    took_ms: float = 0.0
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None
    from_entry: int | None = None

    @property
    def ok(self) -> bool:
        return not self.errors


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the ledger of a replay is of: entries from_seq on of a history that is read from
    first_seq on. what: a digest of the strategies, the reality and the limits on age; of a ledger
    that is replayed, its path."""

    history: str
    first_seq: int
    from_seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Metering:
    """What probing has asked of nodes. endpoint: who runs decisions, None while nobody does.
    requests_today: of all endpoints, in a UTC day, of daily_requests where they have a budget.
    passed_over: decisions since the start for which nobody could be asked. problem: why, of the
    last one. usage: counts by endpoint, as JSON."""

    endpoint: str | None
    estimates_gas: bool
    requests_today: int
    daily_requests: int | None
    waiting: int
    passed_over: int
    problem: str | None
    usage: str


FIRST_SEQ = Note("first_seq", int, is_vital=True)
"""The history entry that the trader began to read at."""
SKIPS_SEQ = Note("skips_seq", int, is_vital=True)
"""The entry up to which the skips of the ledger are complete."""
STATE_AGES = Note("state_ages", tuple[StateAge, ...], is_vital=True)
"""Which max_state_age_s held when; ascending."""
METRICS = Note("metrics", Metrics)
"""There is one as soon as the trader has warmed up and taken its strategies."""
METERING = Note("metering", Metering)
"""Of a trader that has a [probe]."""
RELOAD = Note("reload", ReloadOutcome)
"""The last one."""
UNPROVEN = Note("unproven", tuple[str, ...])
"""Of a bot: names of strategies that it trades without a verdict."""
SENDS = Note("sends", bool)
"""Of a bot: that its trades are real. A rehearsal's books have none."""
TRADER = Note("trader", str)
"""The absolute path of the configuration that the trader has."""
REPLAYED = Note("replayed", Replayed, is_vital=True)
"""Only a replay's ledger has one; no trader continues it."""
