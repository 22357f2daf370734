"""Uniswap V3 pools: concentrated liquidity between ticks.

Source: Uniswap v3-core, UniswapV3Pool.sol, and its white paper for the formulas.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dexarb.amm.abi import signed, unsigned
from dexarb.amm.executor_guard import ticked_most_out
from dexarb.amm.packed_ticks import PackedTicks
from dexarb.amm.pair import MEMO, PairPool
from dexarb.amm.tick_bitmap import words_passed
from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
)
from dexarb.amm.uniswap_v3_load import find_pools, read_pool
from dexarb.amm.v3_events import (
    BURN,
    EVENT_SHAPES,
    INITIALIZE,
    MINT,
    POOL_CREATED,
    QUIET,
    SWAP,
    TICK_SPACINGS,
    placed_at,
)
from dexarb.amm.v3_segments import selling_token0, selling_token1
from dexarb.amm.v3_state import UINT128_MAX, impossible
from dexarb.amm.v3_swap import Reached, swap
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
)
from dexarb.core.token import Address, address_from_word
from dexarb.errors import InsufficientLiquidity, InvalidAmount, InvalidPoolState, PoolError

if TYPE_CHECKING:
    from dexarb.amm.limb_swap import Rows

INT256_MAX = (1 << 255) - 1

_EXECUTOR_FIELD = 1 << 24
"""The executor's data word of a pool: the fee, and above this the tick spacing."""


@cache
def _compiled_swap() -> Callable[..., Reached | None]:
    """Late: whoever swaps nothing need not wait for the compiler."""
    from dexarb.amm import limb_swap

    return limb_swap.swap


@cache
def _compiled_quote() -> Callable[..., int | None]:
    from dexarb.amm import limb_swap

    return limb_swap.quote


@dataclass(frozen=True, kw_only=True)
class UniswapV3Pool(PairPool):
    """A pool at one moment. A sqrt_price_x96 of 0: created but not yet initialised.

    liquidity is what is in range; ticks are liquidity_gross and liquidity_net of the initialised
    ticks. All versions of a pool share one tick map until a mint or burn changes it.
    """

    kind: ClassVar[str] = "uniswap_v3"
    topics: ClassVar[frozenset[bytes]] = frozenset(EVENT_SHAPES)
    quiet_topics: ClassVar[frozenset[bytes]] = QUIET
    stating_topics: ClassVar[frozenset[bytes]] = frozenset({INITIALIZE})
    placing_topics: ClassVar[frozenset[bytes]] = frozenset({INITIALIZE, SWAP})
    creation_topic: ClassVar[bytes] = POOL_CREATED
    gas: ClassVar[SwapGas] = swap_gas(
        swap=measured(55_700, cold_reads=6, warm=10, resets=4, accounts=2),
        read=measured(9_600, cold_reads=2, accounts=1),
        touched_saves=measured(0),
        unpaid_flash=measured(10_800, resets=1),
        collects_input=True,
        walks_when_dry=True,
    )

    address: Address
    token0: Address
    token1: Address
    fee_pips: int
    tick_spacing: int
    sqrt_price_x96: int
    tick: int
    liquidity: int
    ticks: Mapping[int, tuple[int, int]] = field(hash=False)
    dex: str = ""
    _initialized: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _packed: PackedTicks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ticks", dict(self.ticks))
        object.__setattr__(self, "_initialized", tuple(sorted(self.ticks)))
        object.__setattr__(self, "_packed", PackedTicks())
        problem = self._problem_of_pair() or impossible(
            tick_spacing=self.tick_spacing,
            sqrt_price_x96=self.sqrt_price_x96,
            tick=self.tick,
            liquidity=self.liquidity,
            ticks=self.ticks,
        )
        if problem:
            raise InvalidPoolState(self.address, problem)

    def swap(
        self,
        token_in: Address,
        amount_in: int,
        token_out: Address | None = None,
        *,
        sqrt_price_limit_x96: int | None = None,
    ) -> SwapResult:
        """Sell exactly amount_in, or with a price limit as much of it as the limit allows.

        The output can be 0 where the amount pays no more than the fee: the contract swaps too.
        Raises UnknownToken, InvalidAmount (also for a limit on the wrong side of the price) and,
        where no limit is given, InsufficientLiquidity.
        """
        zero_for_one = self._sells_token0(token_in, token_out)
        return self._swap(zero_for_one, True, amount_in, sqrt_price_limit_x96)

    def quote(self, token_in: Address, amount_in: int, token_out: Address | None = None) -> int:
        zero_for_one = self._sells_token0(token_in, token_out)
        if 0 < amount_in <= INT256_MAX:
            amount_out = _compiled_quote()(
                self.packed_ticks(),
                self.tick_spacing,
                self.fee_pips,
                self.sqrt_price_x96,
                self.tick,
                self.liquidity,
                zero_for_one,
                amount_in,
            )
            if amount_out is not None:
                return amount_out
        return self._swap(zero_for_one, True, amount_in, None).amount_out

    def most_out(
        self, token_in: Address, amount_in: int, token_out: Address | None = None
    ) -> int | None:
        return ticked_most_out(
            sqrt_price_x96=self.sqrt_price_x96,
            tick=self.tick,
            liquidity=self.liquidity,
            tick_spacing=self.tick_spacing,
            fee_pips=self.fee_pips,
            zero_for_one=self._sells_token0(token_in, token_out),
            amount_in=amount_in,
        )

    def executor_hop(self) -> ExecutorHop | None:
        return ExecutorHop(1, self.fee_pips + _EXECUTOR_FIELD * self.tick_spacing)

    def swap_exact_out(
        self,
        token_out: Address,
        amount_out: int,
        token_in: Address | None = None,
        *,
        sqrt_price_limit_x96: int | None = None,
    ) -> SwapResult:
        """Buy exactly amount_out, or with a price limit what the limit allows. As `swap`."""
        zero_for_one = not self._sells_token0(token_out, token_in)
        return self._swap(zero_for_one, False, amount_out, sqrt_price_limit_x96)

    def segments(self, token_in: Address, token_out: Address | None = None) -> Iterator[Segment]:
        """One segment a range between initialised ticks that has liquidity, in gross input."""
        zero_for_one = self._sells_token0(token_in, token_out)
        segment = selling_token0 if zero_for_one else selling_token1
        kept = (PIPS - self.fee_pips) / PIPS
        price, liquidity = self.sqrt_price_x96, self.liquidity
        index = bisect_right(self._initialized, self.tick)
        ahead = reversed(self._initialized[:index]) if zero_for_one else self._initialized[index:]
        for tick in ahead:
            boundary = get_sqrt_ratio_at_tick(tick)
            if liquidity and boundary != price:
                yield segment(kept, price, boundary, liquidity)
            price = boundary
            liquidity_net = self.ticks[tick][1]
            liquidity += -liquidity_net if zero_for_one else liquidity_net

    def _first_segments(self) -> tuple[Segment, Segment]:
        initialized, price, liquidity = self._initialized, self.sqrt_price_x96, self.liquidity
        index = bisect_right(initialized, self.tick)
        if liquidity and 0 < index < len(initialized):
            below = get_sqrt_ratio_at_tick(initialized[index - 1])
            above = get_sqrt_ratio_at_tick(initialized[index])
            if below != price != above:
                kept = (PIPS - self.fee_pips) / PIPS
                return (
                    selling_token0(kept, price, below, liquidity),
                    selling_token1(kept, price, above, liquidity),
                )
        return (
            next(self.segments(self.token0), NO_SEGMENT),
            next(self.segments(self.token1), NO_SEGMENT),
        )

    def apply(self, log: Log) -> Self:
        """The pool after Initialize, Mint, Burn or Swap; itself after anything else.

        Raises InvalidPoolState where the event is malformed or cannot follow this state.
        """
        topics, data = log.topics, log.data
        if not topics or log.address != self.address:
            return self
        event = topics[0]
        shape = EVENT_SHAPES.get(event)
        if shape is None:
            return self
        if shape != (len(topics), len(data)):
            raise InvalidPoolState(self.address, "malformed event")
        if (event == INITIALIZE) == bool(self.sqrt_price_x96):
            raise InvalidPoolState(self.address, "Initialize must come first, and once")
        if event == SWAP:
            # Sliced here, in half the time of three calls: histories are full of these.
            price, liquidity = int.from_bytes(data[64:96]), int.from_bytes(data[96:128])
            return self._moved(price, liquidity, int.from_bytes(data[128:], signed=True))
        if event == INITIALIZE:
            return self._moved(unsigned(data, 0), 0, signed(data, 1))
        lower, upper = signed(topics[2], 0), signed(topics[3], 0)
        if event == MINT:
            return self._with_position(lower, upper, unsigned(data, 1))
        return self._with_position(lower, upper, -unsigned(data, 0))

    def undo(self, log: Log, placed: Log | None) -> Self:
        """A Swap goes back to where the Swap or Initialize before it has left the price; ticks and
        what they hold are as they were."""
        event = log.topics[0] if log.topics else b""
        if event not in EVENT_SHAPES or log.address != self.address:
            return self
        if not self.sqrt_price_x96 or EVENT_SHAPES[event] != (len(log.topics), len(log.data)):
            raise InvalidPoolState(self.address, "an event that cannot have led here")
        if event in (MINT, BURN):
            lower, upper = signed(log.topics[2], 0), signed(log.topics[3], 0)
            amount = -unsigned(log.data, 1) if event == MINT else unsigned(log.data, 0)
            return self._with_position(lower, upper, amount)
        if placed_at(log) != (self.sqrt_price_x96, self.tick):
            raise InvalidPoolState(self.address, "an event that cannot have led to this price")
        if event == INITIALIZE:
            if self.ticks:
                raise InvalidPoolState(self.address, "liquidity from before it was initialised")
            return self._at(0, 0, 0)
        if unsigned(log.data, 3) != self.liquidity or placed is None:
            raise InvalidPoolState(self.address, "a Swap that cannot have led to this state")
        price, tick = placed_at(placed)
        first, last = (bisect_right(self._initialized, each) for each in (tick, self.tick))
        crossed = self._initialized[min(first, last) : max(first, last)]
        net = sum(self.ticks[each][1] for each in crossed)
        return self._moved(price, self.liquidity + (net if last < first else -net), tick)

    @classmethod
    def created(cls, log: Log, *, dex: str, fee_pips: int) -> Self:  # noqa: ARG003
        if len(log.topics) != 4 or len(log.data) != 64:
            raise InvalidPoolState(log.address, "malformed PoolCreated event")
        token0, token1 = map(address_from_word, log.topics[1:3])
        pool = FoundPool(
            PoolKey(address_from_word(log.data[32:])), (token0, token1), unsigned(log.topics[3], 0)
        )
        return cls._empty(pool, dex, signed(log.data, 0))

    @classmethod
    def empty(cls, found: FoundPool, *, dex: str) -> Self:
        spacing = TICK_SPACINGS.get(found.fee_pips)
        if spacing is None:
            problem = f"a fee of {found.fee_pips} pips does not tell its tick spacing"
            raise InvalidPoolState(found.address, problem)
        return cls._empty(found, dex, spacing)

    @classmethod
    def _empty(cls, found: FoundPool, dex: str, tick_spacing: int) -> Self:
        token0, token1 = found.tokens
        return cls(
            address=found.address,
            dex=dex,
            token0=token0,
            token1=token1,
            fee_pips=found.fee_pips,
            tick_spacing=tick_spacing,
            sqrt_price_x96=0,
            tick=0,
            liquidity=0,
            ticks={},
        )

    def flow(self, log: Log) -> tuple[int, int] | None:
        """The Swap event's own amounts."""
        if log.address != self.address or not log.topics or log.topics[0] != SWAP:
            return None
        return signed(log.data, 0), signed(log.data, 1)

    def explain(self, token_in: Address, real: SwapResult) -> SwapStyle:
        """Whether the swap ended because the price had got to where its caller wanted it."""
        reached = real.pool
        if not isinstance(reached, UniswapV3Pool):
            return SwapStyle.MISMATCH
        limit = reached.sqrt_price_x96
        try:
            limited = self.swap(token_in, INT256_MAX, sqrt_price_limit_x96=limit)
        except PoolError:
            return SwapStyle.MISMATCH
        return SwapStyle.PRICE_LIMIT if limited == real else SwapStyle.MISMATCH

    def implied_fee_pips(self, token_in: Address, amount_in: int, amount_out: int) -> None:
        """The fee stands in the contract: nothing has to be guessed."""

    def crossed_ticks(self, after: Pool) -> int:
        """Initialised ticks of this tick map between this price and that of `after`."""
        tick = self._tick_of(after)
        if tick == self.tick:
            return 0  # as for most swaps
        # A tick is crossed downwards when the pool's tick falls below it, upwards when it reaches
        # it, so both ends count the same way.
        reached = bisect_right(self._initialized, tick)
        return abs(reached - bisect_right(self._initialized, self.tick))

    def left_tick(self, after: Pool) -> bool:
        return self._tick_of(after) != self.tick

    def more_words(self, after: Pool) -> int:
        """One too many for a swap that uses itself up just where a word ends."""
        return words_passed(self.tick, self._tick_of(after), self.tick_spacing)

    def packed_ticks(self) -> Rows:
        """As compiled code reads them, see PackedTicks: the same array until they change."""
        return self._packed.rows(self.ticks, self._initialized)

    def state(self) -> Mapping[str, Any]:
        ticks = [[tick, *map(str, self.ticks[tick])] for tick in self._initialized]
        return {**self._fields(), "ticks": ticks}

    def summary(self) -> Mapping[str, Any]:
        return {**self._fields(), "tick_count": len(self.ticks)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        try:
            return cls(
                address=state["address"],
                dex=state["dex"],
                token0=state["token0"],
                token1=state["token1"],
                fee_pips=int(state["fee_pips"]),
                tick_spacing=int(state["tick_spacing"]),
                sqrt_price_x96=int(state["sqrt_price_x96"]),
                tick=int(state["tick"]),
                liquidity=int(state["liquidity"]),
                ticks={int(tick): (int(gross), int(net)) for tick, gross, net in state["ticks"]},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidPoolState(str(state.get("address")), f"bad state: {error!r}") from error

    @classmethod
    def load(
        cls, found: FoundPool, *, dex: str, known: Self | None = None
    ) -> Generator[Sequence[Call], Replies, Self]:
        """Three rounds of calls, one where it is as it was `known`.

        The liquidity in range must be the sum of liquidity_net below. Raises InvalidPoolState.
        """
        token0, token1 = found.tokens
        likely = (known.tick_spacing, known.ticks) if known else ()
        reading = yield from read_pool(found.address, token0, token1, found.fee_pips, *likely)
        return cls(
            address=found.address,
            dex=dex,
            token0=token0,
            token1=token1,
            fee_pips=found.fee_pips,
            tick_spacing=reading.tick_spacing,
            sqrt_price_x96=reading.sqrt_price_x96,
            tick=reading.tick,
            liquidity=reading.liquidity,
            ticks=reading.ticks,
        )

    @classmethod
    def find(
        cls, *, factory: Address, token_a: Address, token_b: Address, fees_pips: Sequence[int]
    ) -> Generator[Sequence[Call], Replies, Sequence[FoundPool]]:
        """The factory's pools for the pair, one a fee tier that it has."""
        return (yield from find_pools(factory, token_a, token_b, fees_pips))

    def _swap(
        self, zero_for_one: bool, exact_in: bool, amount: int, price_limit: int | None
    ) -> SwapResult:
        if not 0 < amount <= INT256_MAX:
            raise InvalidAmount(self.address, amount, "is not a positive int256")
        limit = self._effective_limit(zero_for_one, price_limit)
        initialized, spacing, fee_pips = self._initialized, self.tick_spacing, self.fee_pips
        price, tick, liquidity = self.sqrt_price_x96, self.tick, self.liquidity
        rows = self.packed_ticks()
        reached = _compiled_swap()(
            rows, spacing, fee_pips, price, tick, liquidity, zero_for_one, exact_in, amount, limit
        )
        if reached is None:
            # Events have reported liquidity that the ticks deny; Python's integers do not mind.
            reached = swap(
                self.ticks, initialized, spacing, fee_pips, price, tick, liquidity,
                zero_for_one, exact_in, amount, limit,
            )  # fmt: skip
        price, tick, liquidity, remaining, calculated = reached
        swapped = amount - remaining
        amount_in, amount_out = (swapped, calculated) if exact_in else (calculated, swapped)
        if remaining and price_limit is None:
            raise InsufficientLiquidity(self.address, amount_in, amount_out)
        return SwapResult(amount_in, amount_out, self._at(price, tick, liquidity))

    def _effective_limit(self, zero_for_one: bool, price_limit: int | None) -> int:
        """The limit, or what routers put in its place: the end of the price range."""
        price = self.sqrt_price_x96
        limit = price_limit
        if limit is None:
            limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
        ahead = MIN_SQRT_RATIO < limit < price if zero_for_one else price < limit < MAX_SQRT_RATIO
        if not price or (price_limit is None and not ahead):
            raise InsufficientLiquidity(self.address, 0, 0)
        if not ahead:
            raise InvalidAmount(self.address, limit, "is no price limit ahead of the price")
        return limit

    def _moved(self, sqrt_price_x96: int, liquidity: int, tick: int) -> Self:
        """The pool after an event that reports where the price went."""
        if (
            sqrt_price_x96 == self.sqrt_price_x96
            and liquidity == self.liquidity
            and tick == self.tick
        ):
            return self
        if not (
            MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO
            and MIN_TICK <= tick < MAX_TICK
            and liquidity <= UINT128_MAX
        ):
            raise InvalidPoolState(self.address, "an event reports an impossible price")
        return self._at(sqrt_price_x96, tick, liquidity)

    def _with_position(self, lower: int, upper: int, amount: int) -> Self:
        """The pool with liquidity added (or, negative, taken) between two ticks."""
        if not amount:
            return self
        spacing = self.tick_spacing
        if not MIN_TICK <= lower < upper <= MAX_TICK or lower % spacing or upper % spacing:
            raise InvalidPoolState(self.address, f"no position from tick {lower} to {upper}")
        ticks = dict(self.ticks)
        for tick, net_change in ((lower, amount), (upper, -amount)):
            gross, net = ticks.get(tick, (0, 0))
            gross += amount
            if not 0 <= gross <= UINT128_MAX:
                raise InvalidPoolState(self.address, f"liquidity of tick {tick} would be {gross}")
            if gross:
                ticks[tick] = gross, net + net_change
            else:
                del ticks[tick]
        same_ticks = len(ticks) == len(self._initialized)
        liquidity = self.liquidity + (amount if lower <= self.tick < upper else 0)
        if not 0 <= liquidity <= UINT128_MAX:
            raise InvalidPoolState(self.address, f"liquidity would be {liquidity}")
        pool = self._at(self.sqrt_price_x96, self.tick, liquidity)
        packed = self._packed.changed(self._initialized, ticks, (lower, upper))
        object.__setattr__(pool, "ticks", ticks)
        object.__setattr__(pool, "_packed", packed)
        if not same_ticks:
            object.__setattr__(pool, "_initialized", tuple(sorted(ticks)))
        return pool

    def _at(self, sqrt_price_x96: int, tick: int, liquidity: int) -> Self:
        """The same pool at another price, unchecked: for swaps and events.

        Every swap makes one: copying the fields at once takes a third of the time of slots.
        """
        fields = self.__dict__.copy()
        fields["sqrt_price_x96"], fields["tick"], fields["liquidity"], fields[MEMO] = (
            sqrt_price_x96, tick, liquidity, None,
        )  # fmt: skip
        pool = object.__new__(type(self))
        object.__setattr__(pool, "__dict__", fields)
        return pool

    def _tick_of(self, after: Pool) -> int:
        if not isinstance(after, UniswapV3Pool):
            raise InvalidPoolState(self.address, "compared with another kind of pool")
        return after.tick

    def _fields(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "dex": self.dex,
            "token0": self.token0,
            "token1": self.token1,
            "fee_pips": self.fee_pips,
            "tick_spacing": self.tick_spacing,
            "sqrt_price_x96": str(self.sqrt_price_x96),
            "tick": self.tick,
            "liquidity": str(self.liquidity),
        }
