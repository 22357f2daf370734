"""One block: the transactions that are sent for it, its header, and what the node made of them.

The node's accounts are unlocked, so that it signs. Nonces, fees, gas limits, base fee and
timestamp are all set here; nothing is left to the node's estimates, and the same requests give
the same block hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dexarb.amm import POOL_TYPES
from dexarb.chain import contents, decode
from dexarb.chain.contents import Events, Watched
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockUpdate
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address, to_address
from dexarb.errors import RpcError, TransportError

_BATCH = 100
"""Calls in one request; the client splits larger batches and sends the parts side by side."""
_SEND = "eth_sendTransaction"

_EVENTS = Events(frozenset().union(*(pool.topics for pool in POOL_TYPES.values())))


class MinedReceipt(decode.Receipt, frozen=True, rename="camel"):
    """A receipt, and the contract that its transaction deployed."""

    contract_address: decode.HexAddress | None = None


@dataclass(frozen=True, slots=True)
class Sale:
    """What a pending transaction will do, for those who read the call data of others."""

    pool: PoolKey
    token_in: Address
    amount_in: int


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """A transaction to be sent. purpose names its sender's trade, for people and tests.

    priority_fee: wei per gas above the base fee, whatever the base fee will be. legacy: sent with
    a single gas price instead of the two fees of EIP-1559; the effective price is the same.
    """

    purpose: str
    sender: Address
    to: Address | None
    data: bytes
    gas: int
    priority_fee: int
    legacy: bool = False
    value: int = 0
    sale: Sale | None = None


@dataclass(frozen=True, slots=True)
class Mined:
    """A block and its requests in block order, each with its receipt.

    update is what a collector of the pools would make of the block; seq is the block's number.
    """

    update: BlockUpdate
    requests: tuple[TransactionRequest, ...]
    receipts: tuple[MinedReceipt, ...]

    @property
    def block(self) -> Block:
        return self.update.block

    def created(self) -> list[Address]:
        """Addresses of the contracts that the block deployed, in block order."""
        return [
            to_address(receipt.contract_address)
            for receipt in self.receipts
            if receipt.contract_address is not None
        ]


class Miner:
    """Makes blocks on a fresh node that mines on demand. Nobody else may mine or send there.

    pools: whose logs go into the updates.
    """

    def __init__(self, rpc: Rpc, head: Block) -> None:
        self.rpc = rpc
        self.head = head
        self.pools: frozenset[Address] = frozenset()
        self._nonces: dict[Address, int] = {}

    async def mine(
        self,
        requests: Sequence[TransactionRequest],
        *,
        timestamp: int | None = None,
        base_fee: int | None = None,
    ) -> Mined:
        """Mine one block of these transactions, those that pay most first.

        Ties keep the order given. timestamp: UNIX seconds, by default one after the parent's.
        base_fee: wei per gas, by default the parent's. Raises RpcError and TransportError; after
        either the chain is in an unknown state and the miner is of no more use.
        """
        ordered = sorted(requests, key=lambda request: -request.priority_fee)
        return await self.mine_in_order(ordered, timestamp=timestamp, base_fee=base_fee)

    async def mine_in_order(
        self,
        ordered: Sequence[TransactionRequest],
        *,
        timestamp: int | None = None,
        base_fee: int | None = None,
    ) -> Mined:
        """As `mine`, of these transactions as they stand, whatever they pay."""
        timestamp = self.head.timestamp + 1 if timestamp is None else timestamp
        base_fee = self.head.base_fee_per_gas if base_fee is None else base_fee
        calls: list[tuple[str, Sequence[Any]]] = [
            ("evm_setNextBlockTimestamp", [timestamp]),
            ("anvil_setNextBlockBaseFeePerGas", [hex(base_fee)]),
            *((_SEND, [self._numbered(one, base_fee)]) for one in ordered),
        ]
        number = hex(self.head.number + 1)
        receipts = await self._mined(calls, number, at_once=_BATCH)
        if receipts is None:
            # A node under load may take the calls of a batch in another order.
            await self.rpc.call("anvil_rollback", 1)
            await self.rpc.call("anvil_dropAllTransactions")
            receipts = await self._mined(calls, number, at_once=1)
        if receipts is None:
            raise TransportError("anvil", f"block {number} does not hold what was sent for it")
        header = await header_at(self.rpc, number)
        self.head = header.block
        found = contents.of_receipts(header, receipts, Watched(dict.fromkeys(self.pools, _EVENTS)))
        update = BlockUpdate(
            self.head.number,
            self.head,
            found.logs,
            found.transactions,
            producer=header.producer(),
            traffic=found.traffic,
        )
        return Mined(update, tuple(ordered), tuple(receipts))

    async def _mined(
        self, calls: Sequence[tuple[str, Sequence[Any]]], number: str, *, at_once: int
    ) -> list[MinedReceipt] | None:
        """The receipts of the block that these calls make; None if it is not what was sent."""
        answers: list[Any] = []
        for start in range(0, len(calls), at_once):
            answers += await self._all(calls[start : start + at_once])
        await self.rpc.call("evm_mine")
        receipts = await self.rpc.call_as(list[MinedReceipt], "eth_getBlockReceipts", number)
        sent = [
            answer for (method, _), answer in zip(calls, answers, strict=True) if method == _SEND
        ]
        return receipts if [each.transaction_hash for each in receipts] == sent else None

    def _numbered(self, request: TransactionRequest, base_fee: int) -> dict[str, str]:
        nonce = self._nonces.get(request.sender, 0)
        self._nonces[request.sender] = nonce + 1
        fields = {
            "from": request.sender,
            "data": "0x" + request.data.hex(),
            "gas": hex(request.gas),
            "nonce": hex(nonce),
            "value": hex(request.value),
        }
        if request.to is not None:
            fields["to"] = request.to
        if request.legacy:
            fields["gasPrice"] = hex(base_fee + request.priority_fee)
        else:
            # Wallets leave room for the base fee to double.
            fields["maxFeePerGas"] = hex(2 * base_fee + request.priority_fee)
            fields["maxPriorityFeePerGas"] = hex(request.priority_fee)
        return fields

    async def _all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        results = await self.rpc.batch(calls)
        for result in results:
            if isinstance(result, RpcError):
                raise result
        return results


async def head_of(rpc: Rpc) -> Block:
    """The node's latest block."""
    return (await header_at(rpc, "latest")).block


async def header_at(rpc: Rpc, number: str) -> decode.Header:
    method = "eth_getBlockByNumber"
    return decode.header(await rpc.call_as(decode.JsonObject, method, number, False), method)
