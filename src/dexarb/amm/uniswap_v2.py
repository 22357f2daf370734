"""Uniswap V2 pairs and their forks (QuickSwap, SushiSwap and others): x·y = k.

Source: Uniswap v2-core, UniswapV2Pair.sol; v2-periphery, UniswapV2Library.sol.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Self

from dexarb.amm.abi import ZERO_ADDRESS, encode, expect_address, unsigned, words_of
from dexarb.amm.executor_guard import pair_most_out
from dexarb.amm.pair import MEMO, PairPool
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
from dexarb.core.token import Address, address_from_word, pair_of
from dexarb.errors import (
    InsufficientLiquidity,
    InvalidAmount,
    InvalidPoolState,
    PoolError,
    PoolOverflow,
)

UINT112_MAX, UINT256_MAX = (1 << 112) - 1, (1 << 256) - 1

# keccak256("Sync(uint112,uint112)")
SYNC = bytes.fromhex("1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1")

# keccak256 of Swap(address,uint256,uint256,uint256,uint256,address),
# Mint(address,uint256,uint256), Burn(address,uint256,uint256,address) and, the pair being the token
# of its own shares, Transfer(address,address,uint256) and Approval(address,address,uint256).
# Whatever moves reserves ends in a Sync.
QUIET = frozenset(
    map(
        bytes.fromhex,
        (
            "d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822",
            "4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f",
            "dccd412f0b1252819cb1fd330b93224ca42612892bb3f4f789976e6d81936496",
            "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
            "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925",
        ),
    )
)

# keccak256("PairCreated(address,address,address,uint256)")
PAIR_CREATED = bytes.fromhex("0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9")

GET_RESERVES = bytes.fromhex("0902f1ac")
TOKEN0 = bytes.fromhex("0dfe1681")
TOKEN1 = bytes.fromhex("d21220a7")
GET_PAIR = bytes.fromhex("e6a43905")


@dataclass(frozen=True, kw_only=True)
class UniswapV2Pool(PairPool):
    """A pair with its reserves in smallest units. Zero reserves: not yet funded.

    fee_pips belongs to the fork's code, not to its storage: 3000 is the original's 0.3 %. For a
    fork whose contract counts its fee per 1,000 or 10,000 the same fraction in pips is bit-equal.

    Amounts are those of UniswapV2Library. For exact input they are also the most that the pair's
    own check of k lets out. For exact output the library asks for floor + 1, which is one unit
    more than the pair needs where the division has no remainder; routers pay that unit.
    """

    kind: ClassVar[str] = "uniswap_v2"
    topics: ClassVar[frozenset[bytes]] = frozenset({SYNC})
    quiet_topics: ClassVar[frozenset[bytes]] = QUIET
    stating_topics: ClassVar[frozenset[bytes]] = frozenset({SYNC})
    placing_topics: ClassVar[frozenset[bytes]] = frozenset({SYNC})
    creation_topic: ClassVar[bytes] = PAIR_CREATED
    gas: ClassVar[SwapGas] = swap_gas(
        swap=measured(53_500, cold_reads=8, warm=7, resets=6, restored=1, accounts=2),
        read=measured(6_250, cold_reads=1, accounts=1),
        touched_saves=measured(10_400, cold_reads=2, resets=2),
        unpaid_flash=measured(31_800, cold_reads=3, resets=4),
        collects_input=False,
        walks_when_dry=False,
    )

    address: Address
    token0: Address
    token1: Address
    reserve0: int
    reserve1: int
    fee_pips: int = 3000
    dex: str = ""

    def __post_init__(self) -> None:
        problem = self._problem_of_pair()
        if problem:
            raise InvalidPoolState(self.address, problem)
        for reserve in (self.reserve0, self.reserve1):
            if not 0 <= reserve <= UINT112_MAX:
                raise InvalidPoolState(self.address, f"reserve {reserve} is not a uint112")

    def swap(
        self, token_in: Address, amount_in: int, token_out: Address | None = None
    ) -> SwapResult:
        """Sell exactly amount_in.

        Raises UnknownToken, InvalidAmount (also where the amount is too small to buy one unit:
        the pair reverts), InsufficientLiquidity and PoolOverflow.
        """
        amount_out = self.quote(token_in, amount_in, token_out)
        return self._swapped(token_in == self.token0, amount_in, amount_out)

    def quote(self, token_in: Address, amount_in: int, token_out: Address | None = None) -> int:
        reserve_in, reserve_out = self.reserve0, self.reserve1
        if not self._sells_token0(token_in, token_out):
            reserve_in, reserve_out = reserve_out, reserve_in
        if amount_in <= 0:
            raise InvalidAmount(self.address, amount_in, "is not positive")
        if not reserve_in or not reserve_out:
            raise InsufficientLiquidity(self.address, 0, 0)
        if reserve_in + amount_in > UINT112_MAX:
            raise PoolOverflow(self.address, "the reserve")
        amount_out = self._amount_out(reserve_in, reserve_out, amount_in)
        if not amount_out:
            raise InvalidAmount(self.address, amount_in, "is too small to buy anything")
        return amount_out

    def most_out(
        self, token_in: Address, amount_in: int, token_out: Address | None = None
    ) -> int | None:
        reserve_in, reserve_out = self._reserves(self._sells_token0(token_in, token_out))
        return pair_most_out(reserve_in, reserve_out, self.fee_pips, amount_in)

    def executor_hop(self) -> ExecutorHop | None:
        return ExecutorHop(0, self.fee_pips)

    def swap_exact_out(
        self, token_out: Address, amount_out: int, token_in: Address | None = None
    ) -> SwapResult:
        """Buy exactly amount_out. Raises as `swap` does."""
        sells_token0 = not self._sells_token0(token_out, token_in)
        reserve_in, reserve_out = self._reserves(sells_token0)
        if amount_out <= 0:
            raise InvalidAmount(self.address, amount_out, "is not positive")
        if amount_out >= reserve_out or not reserve_in:
            raise InsufficientLiquidity(self.address, *self._most(reserve_in, reserve_out))
        amount_in = self._amount_in(reserve_in, reserve_out, amount_out)
        if reserve_in + amount_in > UINT112_MAX:
            raise PoolOverflow(self.address, "the reserve")
        return self._swapped(sells_token0, amount_in, amount_out)

    def segments(self, token_in: Address, token_out: Address | None = None) -> Iterator[Segment]:
        """One segment without an end; none without reserves."""
        first = self.first_segments()[not self._sells_token0(token_in, token_out)]
        if first is not NO_SEGMENT:
            yield first

    def _first_segments(self) -> tuple[Segment, Segment]:
        """Rate γ·R_out/R_in and depth γ/R_in.

        Source: Angeris et al., An analysis of Uniswap markets.
        """
        reserve0, reserve1 = self.reserve0, self.reserve1
        if not reserve0 or not reserve1:
            return NO_SEGMENT, NO_SEGMENT
        kept = (PIPS - self.fee_pips) / PIPS
        depth0, depth1 = kept / reserve0, kept / reserve1
        return Segment(depth0 * reserve1, depth0, inf), Segment(depth1 * reserve0, depth1, inf)

    def apply(self, log: Log) -> Self:
        """The pool after an event. Every change of the reserves ends in a Sync, which says all.

        Raises InvalidPoolState where the event is malformed.
        """
        topics, data = log.topics, log.data
        if not topics or topics[0] != SYNC or log.address != self.address:
            return self
        if len(data) != 64 or len(topics) != 1:
            raise InvalidPoolState(self.address, "malformed Sync event")
        # Both words at once, in a third of the time: histories are full of these.
        reserves = int.from_bytes(data)
        reserve0, reserve1 = reserves >> 256, reserves & UINT256_MAX
        if reserve0 > UINT112_MAX or reserve1 > UINT112_MAX:
            raise InvalidPoolState(self.address, "Sync beyond uint112")
        if reserve0 == self.reserve0 and reserve1 == self.reserve1:
            return self
        return self._at(reserve0, reserve1)

    def undo(self, log: Log, placed: Log | None) -> Self:
        """What the Sync before said; nothing at all before the first."""
        if not log.topics or log.topics[0] != SYNC or log.address != self.address:
            return self
        if self.apply(log) is not self:
            raise InvalidPoolState(self.address, "a Sync that cannot have led to these reserves")
        before = self._at(0, 0)
        return before if placed is None else before.apply(placed)

    @classmethod
    def created(cls, log: Log, *, dex: str, fee_pips: int) -> Self:
        if len(log.topics) != 3 or len(log.data) != 64:
            raise InvalidPoolState(log.address, "malformed PairCreated event")
        token0, token1 = map(address_from_word, log.topics[1:])
        pair = FoundPool(PoolKey(address_from_word(log.data[:32])), (token0, token1), fee_pips)
        return cls.empty(pair, dex=dex)

    @classmethod
    def empty(cls, found: FoundPool, *, dex: str) -> Self:
        token0, token1 = found.tokens
        return cls(
            address=found.address,
            dex=dex,
            token0=token0,
            token1=token1,
            reserve0=0,
            reserve1=0,
            fee_pips=found.fee_pips,
        )

    def flow(self, log: Log) -> tuple[int, int] | None:
        """A swap is the Sync after which one reserve is larger and the other smaller."""
        after = self.apply(log)
        flow0, flow1 = after.reserve0 - self.reserve0, after.reserve1 - self.reserve1
        return (flow0, flow1) if flow0 * flow1 < 0 else None

    def explain(self, token_in: Address, real: SwapResult) -> SwapStyle:
        """The caller of a pair names the output, so he can take less than he might have."""
        try:
            could = self.swap(token_in, real.amount_in).amount_out
        except PoolError:
            could = 0
        return SwapStyle.LESS if real.amount_out < could else SwapStyle.MISMATCH

    def implied_fee_pips(self, token_in: Address, amount_in: int, amount_out: int) -> float:
        reserve_in, reserve_out = self._reserves(self._sells_token0(token_in))
        needed = amount_out * reserve_in / (reserve_out - amount_out)
        return PIPS * (1.0 - needed / amount_in)

    def crossed_ticks(self, after: Pool) -> int:  # noqa: ARG002
        """Always 0: there are no ticks."""
        return 0

    def left_tick(self, after: Pool) -> bool:  # noqa: ARG002
        """Never: every swap writes the pair's oracle."""
        return False

    def more_words(self, after: Pool) -> int:  # noqa: ARG002
        return 0

    def state(self) -> Mapping[str, Any]:
        return {
            "address": self.address,
            "dex": self.dex,
            "token0": self.token0,
            "token1": self.token1,
            "fee_pips": self.fee_pips,
            "reserve0": str(self.reserve0),
            "reserve1": str(self.reserve1),
        }

    def summary(self) -> Mapping[str, Any]:
        return self.state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        try:
            return cls(
                address=state["address"],
                dex=state["dex"],
                token0=state["token0"],
                token1=state["token1"],
                fee_pips=int(state["fee_pips"]),
                reserve0=int(state["reserve0"]),
                reserve1=int(state["reserve1"]),
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
        """One round of calls."""
        address, (token0, token1) = found.address, found.tokens
        replies = yield [Call(address, selector) for selector in (TOKEN0, TOKEN1, GET_RESERVES)]
        expect_address(replies[0], token0, address, "token0()")
        expect_address(replies[1], token1, address, "token1()")
        reserves = words_of(replies[2], 3, address, "getReserves()")
        return cls(
            address=address,
            dex=dex,
            token0=token0,
            token1=token1,
            reserve0=unsigned(reserves, 0),
            reserve1=unsigned(reserves, 1),
            fee_pips=found.fee_pips,
        )

    @classmethod
    def find(
        cls, *, factory: Address, token_a: Address, token_b: Address, fees_pips: Sequence[int]
    ) -> Generator[Sequence[Call], Replies, Sequence[FoundPool]]:
        """The factory's pair, if there is one. fees_pips[0] is the fork's fee: no call tells it.

        Raises InvalidPoolState where the address is not a factory.
        """
        (reply,) = yield [Call(factory, encode(GET_PAIR, token_a, token_b))]
        pair = address_from_word(words_of(reply, 1, factory, "getPair()")[:32])
        if pair == ZERO_ADDRESS:
            return ()
        return (FoundPool(PoolKey(pair), pair_of(token_a, token_b), fees_pips[0]),)

    def _reserves(self, sells_token0: bool) -> tuple[int, int]:
        """(of the token that comes in, of the one that goes out)."""
        reserves = self.reserve0, self.reserve1
        return reserves if sells_token0 else reserves[::-1]

    def _amount_out(self, reserve_in: int, reserve_out: int, amount_in: int) -> int:
        net_in = amount_in * (PIPS - self.fee_pips)
        # Rounds down: the remainder stays with the pair.
        return net_in * reserve_out // (reserve_in * PIPS + net_in)

    def _amount_in(self, reserve_in: int, reserve_out: int, amount_out: int) -> int:
        # floor + 1, not ceil: the library's way, on the safe side of the pair's check.
        denominator = (reserve_out - amount_out) * (PIPS - self.fee_pips)
        return reserve_in * amount_out * PIPS // denominator + 1

    def _most(self, reserve_in: int, reserve_out: int) -> tuple[int, int]:
        """The largest fill: all but one unit of the reserve, or what fits into uint112 paid in."""
        if not reserve_in or reserve_out <= 1:
            return 0, 0
        amount_in = self._amount_in(reserve_in, reserve_out, reserve_out - 1)
        if reserve_in + amount_in <= UINT112_MAX:
            return amount_in, reserve_out - 1
        amount_in = UINT112_MAX - reserve_in
        amount_out = self._amount_out(reserve_in, reserve_out, amount_in)
        return (amount_in, amount_out) if amount_out else (0, 0)

    def _swapped(self, sells_token0: bool, amount_in: int, amount_out: int) -> SwapResult:
        if sells_token0:
            after = self._at(self.reserve0 + amount_in, self.reserve1 - amount_out)
        else:
            after = self._at(self.reserve0 - amount_out, self.reserve1 + amount_in)
        return SwapResult(amount_in, amount_out, after)

    def _at(self, reserve0: int, reserve1: int) -> Self:
        """The same pair with other reserves, unchecked: for swaps and events.

        Every event makes one: copying the fields at once takes half the time of slots.
        """
        fields = self.__dict__.copy()
        fields["reserve0"], fields["reserve1"], fields[MEMO] = reserve0, reserve1, None
        pool = object.__new__(type(self))
        object.__setattr__(pool, "__dict__", fields)
        return pool
