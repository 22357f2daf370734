"""What a pool is to the rest of the house. The types themselves live in dexarb.amm."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import permutations
from typing import Any, ClassVar, NamedTuple, NewType, Protocol, Self

from dexarb.core.block import Log
from dexarb.core.gas_schedule import SCHEDULES, GasCounts
from dexarb.core.token import Address, to_address
from dexarb.errors import InvalidAddress

PIPS = 1_000_000
"""Fees are in pips: hundredths of a basis point, 3000 pips = 0.3 %."""


PoolKey = NewType("PoolKey", str)
"""Which pool: its address, or `emitter:id` where one contract, a singleton or vault, holds many."""


def to_pool_key(text: str) -> PoolKey:
    """As people write it. Raises InvalidAddress."""
    emitter, colon, inside = text.partition(":")
    if colon and not inside:
        raise InvalidAddress(text)
    return PoolKey(to_address(emitter) + colon + inside.lower())


@dataclass(frozen=True, slots=True)
class SwapResult:
    """What a swap takes, what it gives (smallest units), and the pool behind it."""

    amount_in: int
    amount_out: int
    pool: Pool


class Segment(NamedTuple):
    """A stretch on which the pool answers y = rate·x / (1 + depth·x), x counted from its start.

    rate: marginal token_out per token_in after the fee, in smallest units. depth: per unit of
    token_in. input_limit: the token_in that ends the segment, infinite if nothing does. Rate and
    input_limit are above 0 and the depth is finite.
    """

    rate: float
    depth: float
    input_limit: float


NO_SEGMENT = Segment(0.0, 1.0, float("inf"))
"""Stands for the first segment where nothing can be had at any price; its depth means nothing."""


class Call(NamedTuple):
    """A read of a contract: address and ABI-encoded call data."""

    to: Address
    data: bytes


Replies = Sequence[bytes | None]
"""Answers in the order of the calls; None where the contract reverted."""


class FoundPool(NamedTuple):
    """A pool that a factory knows: its tokens in the pool's order, and the fee it was asked for."""

    key: PoolKey
    tokens: tuple[Address, ...]
    fee_pips: int

    @property
    def address(self) -> Address:
        """The contract that it is in."""
        return Address(self.key.partition(":")[0])


def ways(tokens: Sequence[Address]) -> list[tuple[Address, Address]]:
    """The ways through a pool, (sold, bought), in the one order in which they are counted."""
    return list(permutations(tokens, 2))


@cache
def places_of_ways(tokens: tuple[Address, ...]) -> Mapping[tuple[Address, Address], int]:
    """Where each of the `ways` stands among them."""
    return {way: place for place, way in enumerate(ways(tokens))}


class SwapUnits(NamedTuple):
    """Gas units of what pools of a kind make the executor's transaction do; see docs/executor.md.

    swap: the swap and the transfer of its output, in storage that has been used before. read: what
    the executor reads of the pool before a run. touched_saves: less where the pool has been written
    in the same block already, whether it leaves a tick or not. unpaid_flash: what a flash swap
    never gets to that cannot pay this pool.
    """

    swap: int
    read: int
    touched_saves: int
    unpaid_flash: int


class SwapGas(NamedTuple):
    """What pools of a kind cost. by_schedule: under each gas schedule, in the order of SCHEDULES.

    collects_input: it collects its input from the executor; others have it sent to them.
    walks_when_dry: it looks for liquidity up to the gas limit when it has none left.
    """

    by_schedule: tuple[SwapUnits, ...]
    collects_input: bool
    walks_when_dry: bool


def swap_gas(
    *,
    swap: GasCounts,
    read: GasCounts,
    touched_saves: GasCounts,
    unpaid_flash: GasCounts,
    collects_input: bool,
    walks_when_dry: bool,
) -> SwapGas:
    """From counts, reckoned under every schedule once for all; see SwapUnits and SwapGas."""
    counts = swap, read, touched_saves, unpaid_flash
    units = (SwapUnits(*map(each.units, counts)) for each in SCHEDULES.values())
    return SwapGas(tuple(units), collects_input, walks_when_dry)


class ExecutorHop(NamedTuple):
    """How the executor contract calls a pool: the number of its kind there, and one data word."""

    kind: int
    data: int


class SwapStyle(StrEnum):
    """How a swap was asked for; the pool's event does not say, so it is the one that fits.

    less: the pool gave less than it would have let out. Where its caller names the output that is
    no error of ours, unless the pool always does it. mismatch: no style gives these amounts.
    """

    EXACT_INPUT = "exact input"
    EXACT_OUTPUT = "exact output"
    PRICE_LIMIT = "price limit"
    LESS = "less than allowed"
    MISMATCH = "mismatch"


class Pool(Protocol):
    """An immutable AMM pool. Tokens are named by address; amounts are integers.

    All arithmetic is that of the contract: a swap that the contract would revert raises a
    PoolError, and no answer is ever truncated to what the liquidity allows. token_out and token_in
    may be left out of a pool of two tokens.
    """

    kind: ClassVar[str]
    """Key in the registry `dexarb.amm.POOL_TYPES` and in files."""
    topics: ClassVar[frozenset[bytes]]
    """First topics of the events that change the pool."""
    quiet_topics: ClassVar[frozenset[bytes]]
    """Those of the contract's other events. An event in neither is none of this kind's."""
    stating_topics: ClassVar[frozenset[bytes]]
    """Those after which the state is known whatever it was before: by `empty`, and `apply`."""
    placing_topics: ClassVar[frozenset[bytes]]
    """Those that `undo` needs the last of: they say where they have left the pool."""
    creation_topic: ClassVar[bytes]
    """First topic of the event by which a factory tells of a new pool."""
    gas: ClassVar[SwapGas]
    mirror_error: ClassVar[float]
    """At most this share more than `segments` say does a swap give."""
    moves_with_time: ClassVar[bool]
    """Whether `at` makes a difference."""

    @property
    def address(self) -> Address:
        """Of the contract that emits its events."""
        ...

    @property
    def key(self) -> PoolKey: ...
    @property
    def dex(self) -> str: ...
    @property
    def tokens(self) -> tuple[Address, ...]: ...
    @property
    def fee_pips(self) -> int: ...

    def at(self, timestamp: int) -> Self:
        """The pool as a transaction in a block of that time, in UNIX seconds, finds it."""
        ...

    def swap(
        self, token_in: Address, amount_in: int, token_out: Address | None = None
    ) -> SwapResult:
        """Sell exactly amount_in."""
        ...

    def quote(self, token_in: Address, amount_in: int, token_out: Address | None = None) -> int:
        """What `swap` gives, without the pool behind it. Raises as it does."""
        ...

    def swap_exact_out(
        self, token_out: Address, amount_out: int, token_in: Address | None = None
    ) -> SwapResult:
        """Buy exactly amount_out."""
        ...

    def most_out(
        self, token_in: Address, amount_in: int, token_out: Address | None = None
    ) -> int | None:
        """More than this `swap` never gives, by the little that the executor reads before a run.

        The bound grows with amount_in. None where nothing is known.
        """
        ...

    def executor_hop(self) -> ExecutorHop | None:
        """None where the executor contract cannot call such a pool."""
        ...

    def segments(self, token_in: Address, token_out: Address | None = None) -> Iterator[Segment]:
        """The float mirror of selling token_in, from the current price to the end of liquidity.

        Stretches without liquidity are left out.
        """
        ...

    def first_segments(self) -> Sequence[Segment]:
        """The first of `segments` for each of the `ways`; NO_SEGMENT where there is none.

        The search reads these whenever a pool changes, the others only if a size goes so far.
        """
        ...

    @classmethod
    def key_of(cls, log: Log) -> PoolKey | None:
        """The pool that an event of a contract with pools of this kind is about, if it is one."""
        ...

    def apply(self, log: Log) -> Self:
        """The pool after an event of its contract; itself for events that do not concern it.

        What moves with time needs to be told the block's first, by `at`; the result has none.
        """
        ...

    def undo(self, log: Log, placed: Log | None) -> Self | None:
        """The pool before an event of its contract: the inverse of `apply`. None where events do
        not tell.

        placed: the last event before this one that has one of `placing_topics`, None where there
        is none in all of the chain. Raises InvalidPoolState where the event cannot have led here.
        """
        ...

    @classmethod
    def created(cls, log: Log, *, dex: str, fee_pips: int) -> Self:
        """The pool, still empty, that an event with `creation_topic` tells of.

        fee_pips: for kinds whose factories do not tell it. Raises InvalidPoolState.
        """
        ...

    @classmethod
    def empty(cls, found: FoundPool, *, dex: str) -> Self:
        """The pool before its first event. Raises InvalidPoolState where `found` does not tell all
        of it that never changes."""
        ...

    def flow(self, log: Log) -> tuple[int, ...] | None:
        """What a swap moved into this pool of each of `tokens`, negative what it paid out.

        log: the event that ends the swap, on the state before it. None if it is not a swap.
        """
        ...

    def explain(self, token_in: Address, real: SwapResult) -> SwapStyle:
        """How somebody asked for a swap that is none of an exact input or an exact output."""
        ...

    def implied_fee_pips(self, token_in: Address, amount_in: int, amount_out: int) -> float | None:
        """The fee with which a swap gives just this; None where the kind has no formula for it."""
        ...

    def crossed_ticks(self, after: Pool) -> int:
        """Initialised ticks between this price and that of `after`: what swaps pay gas for."""
        ...

    def left_tick(self, after: Pool) -> bool:
        """Whether a swap that ends in `after` ends at another tick, for which a pool with ticks
        writes down what it was at."""
        ...

    def more_words(self, after: Pool) -> int:
        """Words of its tick bitmap that such a swap reads, beyond the first."""
        ...

    def state(self) -> Mapping[str, Any]:
        """All fields as JSON types, integers beyond 53 bits as decimal strings."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """`state` without what only machines read (the tick map)."""
        ...

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The inverse of `state`. Raises InvalidPoolState."""
        ...

    @classmethod
    def load(
        cls, found: FoundPool, *, dex: str, known: Self | None = None
    ) -> Generator[Sequence[Call], Replies, Self]:
        """Yields rounds of calls, all to be answered at one block, and returns the pool.

        known: the pool as it was at some block. It says what may be asked for at once; nothing
        of it is believed. Raises InvalidPoolState where the contract is not that pool.
        """
        ...

    @classmethod
    def find(
        cls, *, factory: Address, token_a: Address, token_b: Address, fees_pips: Sequence[int]
    ) -> Generator[Sequence[Call], Replies, Sequence[FoundPool]]:
        """Yields calls to a factory and returns the pools that it has for the pair."""
        ...
