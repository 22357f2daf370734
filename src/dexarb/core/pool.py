"""What a pool is to the rest of the house. The types themselves live in dexarb.amm."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from dexarb.core.block import Log
from dexarb.core.token import Address

PIPS = 1_000_000
"""Fees are in pips: hundredths of a basis point, 3000 pips = 0.3 %."""


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


class PoolAddress(NamedTuple):
    """A pool that a factory knows, and the fee its contract charges."""

    address: Address
    fee_pips: int


class Pool(Protocol):
    """An immutable AMM pool. Tokens are named by address; amounts are integers.

    All arithmetic is that of the contract: a swap that the contract would revert raises a
    PoolError, and no answer is ever truncated to what the liquidity allows.
    """

    kind: ClassVar[str]
    """Key in the registry `dexarb.amm.POOL_TYPES` and in files."""
    topics: ClassVar[frozenset[bytes]]
    """First topics of the events that change the pool."""
    quiet_topics: ClassVar[frozenset[bytes]]
    """Those of the contract's other events. An event in neither is none of this kind's."""

    @property
    def address(self) -> Address: ...
    @property
    def dex(self) -> str: ...
    @property
    def tokens(self) -> tuple[Address, Address]: ...
    @property
    def fee_pips(self) -> int: ...

    def swap(self, token_in: Address, amount_in: int) -> SwapResult:
        """Sell exactly amount_in."""
        ...

    def swap_exact_out(self, token_out: Address, amount_out: int) -> SwapResult:
        """Buy exactly amount_out."""
        ...

    def most_out(self, token_in: Address, amount_in: int) -> int | None:
        """More than this `swap` never gives, by the little that the executor reads before a run.

        The bound grows with amount_in. None where nothing is known.
        """
        ...

    def segments(self, token_in: Address) -> Iterator[Segment]:
        """The float mirror of selling token_in, from the current price to the end of liquidity.

        Stretches without liquidity are left out.
        """
        ...

    def first_segments(self) -> tuple[Segment, Segment]:
        """The first of `segments` for selling each of `tokens`; NO_SEGMENT where there is none.

        The search reads these two whenever a pool changes, the others only if a size goes so far.
        """
        ...

    def apply(self, log: Log) -> Self:
        """The pool after an event of its contract; itself for events that do not concern it."""
        ...

    def flow(self, log: Log) -> tuple[int, int] | None:
        """What a swap moved into this pool, (token0, token1), negative what it paid out.

        log: the event that ends the swap, on the state before it. None if it is not a swap.
        """
        ...

    def crossed_ticks(self, after: Pool) -> int:
        """Initialised ticks between this price and that of `after`: what swaps pay gas for."""
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
        cls,
        *,
        address: Address,
        dex: str,
        token0: Address,
        token1: Address,
        fee_pips: int,
        known: Self | None = None,
    ) -> Generator[Sequence[Call], Replies, Self]:
        """Yields rounds of calls, all to be answered at one block, and returns the pool.

        known: the pool as it was at some block. It says what may be asked for at once; nothing
        of it is believed.
        """
        ...

    @classmethod
    def find(
        cls, *, factory: Address, token_a: Address, token_b: Address, fees_pips: Sequence[int]
    ) -> Generator[Sequence[Call], Replies, Sequence[PoolAddress]]:
        """Yields calls to a factory and returns the pools that it has for the pair."""
        ...
