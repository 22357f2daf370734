"""What is particular to a chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dexarb.core.pool import PoolKey
from dexarb.core.token import Address

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


@dataclass(frozen=True, slots=True)
class ChainProfile:
    """The chain as its configuration describes it; travels in the history's keyframes.

    tokens: the names that configuration files use, to addresses (two tokens may share a symbol).
    numeraire: the token that counts as one USD. exclude_tokens, exclude_pools: never searched, such
    as tokens that take a fee on transfers. reference_pools: by token, the pools whose mid
    prices value it. default_priority_fee: wei per gas, where a strategy sets no bid.
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

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Names of what trades are reckoned in and no reference pool gives a price: the token that
        pays for gas, then start tokens."""
        names = {address: name for name, address in self.tokens.items()}
        needed = dict.fromkeys((self.wrapped_native, *self.start_tokens))
        return tuple(
            names.get(token, token)
            for token in needed
            if token != self.numeraire and not self.reference_pools.get(token)
        )

    @property
    def native_name(self) -> str:
        """Of the token that pays for gas."""
        names = {address: name for name, address in self.tokens.items()}
        return names.get(self.wrapped_native, self.wrapped_native)
