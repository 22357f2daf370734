"""What is particular to a chain."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from dexarb.core.block import Transaction
from dexarb.core.gas_schedule import ETHEREUM, SCHEDULES, GasSchedule, ScheduleName
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address

T = TypeVar("T", bound=str)

ETHEREUM_HEADER = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot",
    "logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData",
    "mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas",
    "parentBeaconBlockRoot", "requestsHash",
)  # fmt: skip
"""The fields that a block hash is made of, in their order, up to Prague."""

NEEDED_FIELDS = (
    "parentHash", "receiptsRoot", "logsBloom", "number", "gasLimit", "gasUsed", "timestamp",
)  # fmt: skip
"""Without these under its hash a header proves nothing that is of use."""


@dataclass(frozen=True, slots=True)
class ReferencePool:
    """A pool that may price a token, provided it holds at least this much of the numeraire side.

    min_depth: smallest units of `quote` that selling the token into the pool could still draw,
    taken as the pool's virtual reserve at its current price.
    """

    pool: PoolKey
    quote: Address
    min_depth: int


class ScheduleChange(NamedTuple):
    """From this block on, it included, the chain charges by that gas schedule."""

    from_block: int
    name: ScheduleName


class TokenSurcharge(NamedTuple):
    """From this block on, it included, the first transfer of a token in a transaction takes so much
    more gas than that of a plain ERC-20."""

    from_block: int
    token: Address
    gas: int


class TipFloor(NamedTuple):
    """From this block on, it included, no transaction lands that tips less. wei: per gas."""

    from_block: int
    wei: int


@dataclass(frozen=True, slots=True)
class ChainProfile:
    """The chain as its configuration describes it; travels in the history's keyframes.

    tokens: the names that configuration files use, to addresses (two tokens may share a symbol;
    the names come first, their aliases behind them).
    numeraire: the token that counts as one USD. exclude_tokens, exclude_pools: never searched, such
    as tokens that take a fee on transfers. reference_pools: by token, the pools whose mid
    prices value it. default_priority_fee: wei per gas, where a strategy sets no bid.
    gas_schedules: by ascending block; Ethereum's holds before the first of them.
    tip_floors and surcharges: by ascending block. own: our executors and operators.
    """

    chain_id: int
    name: str
    ordering: Literal["fee", "unknown"]
    wrapped_native: Address
    numeraire: Address
    tokens: Mapping[str, Address]
    start_tokens: tuple[Address, ...]
    reference_pools: Mapping[Address, tuple[ReferencePool, ...]]
    default_priority_fee: int
    builder_cutoff_ms: int = 0
    l1_data_fee: bool = False
    exclude_tokens: tuple[Address, ...] = ()
    exclude_pools: tuple[PoolKey, ...] = ()
    gas_schedules: tuple[ScheduleChange, ...] = ()
    tip_floors: tuple[TipFloor, ...] = ()
    surcharges: tuple[TokenSurcharge, ...] = ()
    own: tuple[Address, ...] = ()

    def gas_schedule(self, block: int) -> GasSchedule:
        """What holds in the block of this number."""
        changes = self.gas_schedules
        place = bisect_right(changes, block, key=lambda each: each.from_block)
        return SCHEDULES[changes[place - 1].name] if place else ETHEREUM

    def surcharges_at(self, block: int) -> Mapping[Address, int]:
        """Gas units by token, as they hold in the block of this number."""
        return {each.token: each.gas for each in self.surcharges if each.from_block <= block}

    def is_ours(self, transaction: Transaction) -> bool:
        """Whether an account of ours sent it, or it called an executor of ours."""
        return transaction.sender in self.own or transaction.to in self.own

    def tip_floor(self, block: int) -> int:
        """Wei per gas that holds in the block of this number, 0 where none does."""
        floors = self.tip_floors
        place = bisect_right(floors, block, key=lambda each: each.from_block)
        return floors[place - 1].wei if place else 0

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Names of the tokens that `without_price` tells."""
        priced = {token for token, pools in self.reference_pools.items() if pools}
        lacking = without_price(self.wrapped_native, self.start_tokens, {self.numeraire, *priced})
        return tuple(map(self.name_of, lacking))

    @property
    def native_name(self) -> str:
        """Of the token that pays for gas."""
        return self.name_of(self.wrapped_native)

    def name_of(self, token: Address) -> str:
        """As configuration files call it; its address where they do not."""
        return own_names(self.tokens).get(token, token)


def own_names(tokens: Mapping[str, Address]) -> dict[Address, str]:
    """What each address is called: of several names the first, the others being its aliases."""
    return {address: name for name, address in reversed(list(tokens.items()))}


def without_price(native: T, starts: Iterable[T], priced: Container[T]) -> list[T]:
    """What trades are reckoned in and nothing gives a price: the token that pays for gas, then
    start tokens. All by name, or all by address."""
    return [token for token in dict.fromkeys((native, *starts)) if token not in priced]
