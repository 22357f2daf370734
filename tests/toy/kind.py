"""A kind of pool as no DEX has it: all that a kind may be, in the one file that it takes.

Three tokens, an id inside a vault, a fee that moves with time, a curve that is not x·y = k. The
contract is vault.vy.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isqrt
from typing import Any, ClassVar, Self

from eth_hash.auto import keccak

from dexarb.amm.abi import encode, unsigned, words_of
from dexarb.core.block import Log
from dexarb.core.gas_schedule import measured
from dexarb.core.pool import (
    NO_SEGMENT,
    PIPS,
    Call,
    ExecutorHop,
    FoundPool,
    Pool,
    PoolKey,
    Replies,
    Segment,
    SwapGas,
    SwapResult,
    SwapStyle,
    swap_gas,
    ways,
)
from dexarb.core.token import Address, address_from_word
from dexarb.errors import (
    InsufficientLiquidity,
    InvalidAmount,
    InvalidPoolState,
    PoolError,
    UnknownToken,
)

SWAPPED = keccak(b"Swapped(uint256,uint256,uint256,uint256,uint256)")
FILLED = keccak(b"Filled(uint256,uint256[3])")
GREETED = keccak(b"Greeted(uint256)")
NUMBER, POOL = keccak(b"number()")[:4], keccak(b"pool(uint256)")[:4]

SURGE_LASTS_S = 60
STEP = 0.02
"""By this share the reserve grows along a segment: what is sold in it, after the fee."""
LONGEST = 400
"""Segments; behind the last, at 2,750 times the reserve, nearly all has been had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyPool:
    """now: the time that swaps are made at; None: right after the last swap.

    fee and surge in pips. The fee is the sum of both right after a swap.
    """

    kind: ClassVar[str] = "toy"
    topics: ClassVar[frozenset[bytes]] = frozenset({SWAPPED, FILLED})
    quiet_topics: ClassVar[frozenset[bytes]] = frozenset({GREETED})
    stating_topics: ClassVar[frozenset[bytes]] = frozenset()
    placing_topics: ClassVar[frozenset[bytes]] = frozenset()
    creation_topic: ClassVar[bytes] = b""
    gas: ClassVar[SwapGas] = swap_gas(
        swap=measured(70_000, cold_reads=6, resets=4),
        read=measured(9_000, cold_reads=2),
        touched_saves=measured(5_000, resets=1),
        unpaid_flash=measured(20_000, cold_reads=2, resets=2),
        collects_input=True,
        walks_when_dry=False,
    )
    mirror_error: ClassVar[float] = 1e-4
    moves_with_time: ClassVar[bool] = True

    vault: Address
    id: int
    tokens: tuple[Address, ...]
    reserves: tuple[int, ...]
    fee: int
    surge: int
    last_swap: int
    dex: str = ""
    now: int | None = field(default=None, compare=False)

    @property
    def address(self) -> Address:
        return self.vault

    @property
    def key(self) -> PoolKey:
        return PoolKey(f"{self.vault}:{self.id}")

    @property
    def fee_pips(self) -> int:
        since = 0 if self.now is None else self.now - self.last_swap
        return self.fee + self.surge * (SURGE_LASTS_S - min(since, SURGE_LASTS_S)) // SURGE_LASTS_S

    def at(self, timestamp: int) -> Self:
        return replace(self, now=timestamp)

    # -- swaps --------------------------------------------------------------------------------

    def swap(
        self, token_in: Address, amount_in: int, token_out: Address | None = None
    ) -> SwapResult:
        amount_out = self.quote(token_in, amount_in, token_out)
        sold, bought = self._way(token_in, token_out)
        return SwapResult(amount_in, amount_out, self._swapped(sold, bought, amount_in, amount_out))

    def quote(self, token_in: Address, amount_in: int, token_out: Address | None = None) -> int:
        sold, bought = self._way(token_in, token_out)
        if amount_in <= 0:
            raise InvalidAmount(self.key, amount_in, "is not positive")
        amount_out = self._amount_out(sold, bought, amount_in)
        if not amount_out:
            raise InvalidAmount(self.key, amount_in, "is too small to buy anything")
        return amount_out

    def swap_exact_out(
        self, token_out: Address, amount_out: int, token_in: Address | None = None
    ) -> SwapResult:
        """The least input that buys at least so much; the vault knows no exact output."""
        bought, sold = self._way(token_out, token_in)
        reserve_in, left = self.reserves[sold], self.reserves[bought] - 2 * amount_out
        if left <= 0:
            raise InsufficientLiquidity(self.key, 0, 0)
        net = isqrt(reserve_in**2 * self.reserves[bought] // left) - reserve_in
        near = net * PIPS // (PIPS - self.fee_pips)
        low, high, step = max(0, near - 2), near + 2, 2
        while self._amount_out(sold, bought, high) < amount_out:
            low, high, step = high, high + step, 2 * step
        while low and self._amount_out(sold, bought, low) >= amount_out:
            low, high, step = max(0, low - step), low, 2 * step
        while high - low > 1:
            middle = (low + high) // 2
            if self._amount_out(sold, bought, middle) < amount_out:
                low = middle
            else:
                high = middle
        return self.swap(self.tokens[sold], high, token_out)

    def most_out(
        self, token_in: Address, amount_in: int, token_out: Address | None = None
    ) -> int | None:
        return self._amount_out(*self._way(token_in, token_out), amount_in)

    def executor_hop(self) -> ExecutorHop:
        return ExecutorHop(2, self.id)

    def _way(self, token_in: Address, token_out: Address | None) -> tuple[int, int]:
        if token_in not in self.tokens or token_out not in self.tokens or token_in == token_out:
            raise UnknownToken(self.key, str(token_out if token_in in self.tokens else token_in))
        return self.tokens.index(token_in), self.tokens.index(token_out)

    def _amount_out(self, sold: int, bought: int, amount_in: int) -> int:
        reserve_in, reserve_out = self.reserves[sold], self.reserves[bought]
        if not reserve_in or not reserve_out:
            raise InsufficientLiquidity(self.key, 0, 0)
        net = amount_in * (PIPS - self.fee_pips) // PIPS
        return reserve_out * net * (2 * reserve_in + net) // (2 * (reserve_in + net) ** 2)

    def _swapped(self, sold: int, bought: int, amount_in: int, amount_out: int) -> Self:
        reserves = list(self.reserves)
        reserves[sold] += amount_in
        reserves[bought] -= amount_out
        when = self.last_swap if self.now is None else self.now
        return replace(self, reserves=tuple(reserves), last_swap=when, now=None)

    # -- the float mirror ---------------------------------------------------------------------

    def segments(self, token_in: Address, token_out: Address | None = None) -> Iterator[Segment]:
        """Right at both ends of each, and by no more than `mirror_error` short in between."""
        sold, bought = self._way(token_in, token_out)
        reserve_in, reserve_out = self.reserves[sold], self.reserves[bought]
        if not reserve_in or not reserve_out:
            return
        kept = (PIPS - self.fee_pips) / PIPS
        behind = 1.0
        for number in range(LONGEST):
            after = behind * (1.0 + STEP)
            rate = kept * reserve_out / reserve_in / behind**3
            given = reserve_out * (1 / behind**2 - 1 / after**2) / 2
            taken = reserve_in * (after - behind) / kept
            limit = inf if number == LONGEST - 1 else taken
            yield Segment(rate, (rate * taken / given - 1.0) / taken, limit)
            behind = after

    def first_segments(self) -> Sequence[Segment]:
        return [next(self.segments(*way), NO_SEGMENT) for way in ways(self.tokens)]

    # -- events -------------------------------------------------------------------------------

    @classmethod
    def key_of(cls, log: Log) -> PoolKey | None:
        if len(log.topics) < 2 or log.topics[0] not in cls.topics | cls.quiet_topics:
            return None
        return PoolKey(f"{log.address}:{unsigned(log.topics[1], 0)}")

    def apply(self, log: Log) -> Self:
        if self.key_of(log) != self.key:
            return self
        if log.topics[0] == SWAPPED:
            sold, bought, amount_in, amount_out = (unsigned(log.data, n) for n in range(4))
            if max(sold, bought) > 2 or amount_out > self.reserves[bought]:
                raise InvalidPoolState(self.key, "an event of an impossible swap")
            return self._swapped(sold, bought, amount_in, amount_out)
        if log.topics[0] == FILLED:
            reserves = tuple(unsigned(log.data, n) for n in range(3))
            return replace(self, reserves=reserves, now=None)
        return self

    def undo(self, log: Log, placed: Log | None) -> Self | None:  # noqa: ARG002
        """No event says when the swap before it was, nor what was there before a filling."""
        return self if self.key_of(log) != self.key or log.topics[0] == GREETED else None

    @classmethod
    def created(cls, log: Log, *, dex: str, fee_pips: int) -> Self:  # noqa: ARG003
        raise InvalidPoolState(log.address, "a vault tells nobody of new pools")

    @classmethod
    def empty(cls, found: FoundPool, *, dex: str) -> Self:  # noqa: ARG003
        raise InvalidPoolState(found.key, "no event tells its surge")

    def flow(self, log: Log) -> tuple[int, ...] | None:
        if self.key_of(log) != self.key or log.topics[0] != SWAPPED:
            return None
        sold, bought, amount_in, amount_out = (unsigned(log.data, n) for n in range(4))
        flow = [0, 0, 0]
        flow[sold], flow[bought] = amount_in, -amount_out
        return tuple(flow)

    def explain(self, token_in: Address, real: SwapResult) -> SwapStyle:  # noqa: ARG002
        return SwapStyle.MISMATCH

    def implied_fee_pips(self, token_in: Address, amount_in: int, amount_out: int) -> None:
        """The vault tells its fee."""

    def crossed_ticks(self, after: Pool) -> int:  # noqa: ARG002
        return 0

    def left_tick(self, after: Pool) -> bool:  # noqa: ARG002
        return False

    def more_words(self, after: Pool) -> int:  # noqa: ARG002
        return 0

    # -- files and the chain ------------------------------------------------------------------

    def state(self) -> Mapping[str, Any]:
        return {
            "address": self.vault,
            "id": self.id,
            "dex": self.dex,
            "tokens": list(self.tokens),
            "reserves": [str(reserve) for reserve in self.reserves],
            "fee_pips": self.fee,
            "surge_pips": self.surge,
            "last_swap": self.last_swap,
        }

    def summary(self) -> Mapping[str, Any]:
        return self.state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        try:
            return cls(
                vault=state["address"],
                id=int(state["id"]),
                dex=state["dex"],
                tokens=tuple(state["tokens"]),
                reserves=tuple(map(int, state["reserves"])),
                fee=int(state["fee_pips"]),
                surge=int(state["surge_pips"]),
                last_swap=int(state["last_swap"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidPoolState(str(state.get("address")), f"bad state: {error!r}") from error

    @classmethod
    def load(
        cls,
        found: FoundPool,
        *,
        dex: str,
        known: Self | None = None,  # noqa: ARG003
    ) -> Generator[Sequence[Call], Replies, Self]:
        number = int(found.key.partition(":")[2])
        (reply,) = yield [Call(found.address, encode(POOL, number))]
        words = words_of(reply, 9, found.address, "pool()")
        return cls(
            vault=found.address,
            id=number,
            dex=dex,
            tokens=_tokens(words),
            reserves=tuple(unsigned(words, n) for n in range(3, 6)),
            fee=unsigned(words, 6),
            surge=unsigned(words, 7),
            last_swap=unsigned(words, 8),
        )

    @classmethod
    def find(
        cls, *, factory: Address, token_a: Address, token_b: Address, fees_pips: Sequence[int]
    ) -> Generator[Sequence[Call], Replies, Sequence[FoundPool]]:
        """All pools of the vault with both tokens and one of these lowest fees."""
        (reply,) = yield [Call(factory, NUMBER)]
        ids = range(1, unsigned(words_of(reply, 1, factory, "number()"), 0) + 1)
        replies = yield [Call(factory, encode(POOL, each)) for each in ids]
        found = []
        for each, reply in zip(ids, replies, strict=True):
            words = words_of(reply, 9, factory, "pool()")
            fee, tokens = unsigned(words, 6), _tokens(words)
            if fee in fees_pips and {token_a, token_b} <= {*tokens}:
                found.append(FoundPool(PoolKey(f"{factory}:{each}"), tokens, fee))
        return tuple(found)


def _tokens(words: bytes) -> tuple[Address, ...]:
    return tuple(address_from_word(words[32 * n : 32 * n + 32]) for n in range(3))


def gives(pool: Pool, token_in: Address, amount_in: int, token_out: Address) -> int:
    """What a swap gives, 0 where the pool refuses it."""
    try:
        return pool.swap(token_in, amount_in, token_out).amount_out
    except PoolError:
        return 0
