"""One block: the transactions that are sent for it, its header, and what the node made of them.

The node's accounts are unlocked, so that it signs. Nonces, fees, gas limits, base fee and
timestamp are all set here; nothing is left to the node's estimates, and the same requests give
the same block hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
_SENDS = "eth_sendTransaction", "eth_sendRawTransaction"

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
    private: handed to the builder alone, who puts it in front of all others; nobody sees it before.
    raw: signed already, by somebody who is no account of the node's.
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
    private: bool = False
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Mined:
    """A block and its requests in block order, each with its receipt.

    update is what a collector of the collected pools would make of the block, whole what one of
    all pools would; seq is the block's number. left_out: requests that the block had no room for.
    """

    update: BlockUpdate
    whole: BlockUpdate
    requests: tuple[TransactionRequest, ...]
    receipts: tuple[MinedReceipt, ...]
    left_out: tuple[TransactionRequest, ...]

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

    collected, pools: whose logs go into the updates, and into those of all.
    """

    def __init__(self, rpc: Rpc, head: Block) -> None:
        self.rpc = rpc
        self.head = head
        self.collected: frozenset[Address] = frozenset()
        self.pools: frozenset[Address] = frozenset()
        self._nonces: dict[Address, int] = {}

    async def mine(
        self,
        requests: Sequence[TransactionRequest],
        *,
        timestamp: int | None = None,
        base_fee: int | None = None,
    ) -> Mined:
        """Mine one block of these transactions, private ones first, then those that pay most.

        Ties keep the order given. What has no room is left out. timestamp: UNIX seconds, by default
        one after the parent's. base_fee: wei per gas, by default the parent's. Raises RpcError and
        TransportError; after either the chain is in an unknown state and the miner is of no more
        use.
        """
        ordered = in_order(requests)
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
            *self._calls(ordered, base_fee),
        ]
        number = hex(self.head.number + 1)
        block = await self._mined(calls, ordered, number, at_once=_BATCH)
        if block is None:
            # A node under load may take the calls of a batch in another order.
            await self.rpc.call("anvil_rollback", 1)
            await self.rpc.call("anvil_dropAllTransactions")
            block = await self._mined(calls, ordered, number, at_once=1)
        if block is None:
            raise TransportError("anvil", f"block {number} does not hold what was sent for it")
        header, receipts, included = block
        self.head = header.block
        for request in included:
            self._nonces[request.sender] = self._nonces.get(request.sender, 0) + 1
        left_out = tuple(each for each in ordered if not any(each is one for one in included))
        if left_out:
            await self.rpc.call("anvil_dropAllTransactions")
        found = contents.of_receipts(header, receipts, Watched(dict.fromkeys(self.pools, _EVENTS)))
        whole = BlockUpdate(
            self.head.number,
            self.head,
            found.logs,
            found.transactions,
            producer=header.producer(),
            traffic=found.traffic,
        )
        logs = tuple(log for log in whole.logs if log.address in self.collected)
        update = replace(whole, logs=logs)
        return Mined(update, whole, tuple(included), tuple(receipts), left_out)

    async def _mined(
        self,
        calls: Sequence[tuple[str, Sequence[Any]]],
        ordered: Sequence[TransactionRequest],
        number: str,
        *,
        at_once: int,
    ) -> tuple[decode.Header, list[MinedReceipt], list[TransactionRequest]] | None:
        """The block that these calls make, its receipts and which requests these are of; None if
        it is not what a builder makes of what was sent."""
        answers: list[Any] = []
        for start in range(0, len(calls), at_once):
            answers += await self._all(calls[start : start + at_once])
        await self.rpc.call("evm_mine")
        receipts = await self.rpc.call_as(list[MinedReceipt], "eth_getBlockReceipts", number)
        sent = [
            answer for (method, _), answer in zip(calls, answers, strict=True) if method in _SENDS
        ]
        header = await header_at(self.rpc, number)
        included = _with_room(list(zip(ordered, sent, strict=True)), receipts, header.block)
        return None if included is None else (header, receipts, included)

    def _calls(
        self, ordered: Iterable[TransactionRequest], base_fee: int
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        by_node, by_sender = _SENDS
        nonces = dict(self._nonces)
        for request in ordered:
            if request.raw is not None:
                yield by_sender, ["0x" + request.raw.hex()]
                continue
            nonce = nonces.get(request.sender, 0)
            nonces[request.sender] = nonce + 1
            yield by_node, [_fields(request, nonce, base_fee)]

    async def _all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        results = await self.rpc.batch(calls)
        for result in results:
            if isinstance(result, RpcError):
                raise result
        return results


def in_order(requests: Iterable[TransactionRequest]) -> list[TransactionRequest]:
    """As a builder puts them: private ones, then those that pay most, ties as they came."""
    return sorted(requests, key=lambda each: (not each.private, -each.priority_fee))


def _fields(request: TransactionRequest, nonce: int, base_fee: int) -> dict[str, str]:
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


def _with_room(
    sent: Iterable[tuple[TransactionRequest, str]], receipts: Iterable[MinedReceipt], block: Block
) -> list[TransactionRequest] | None:
    """Those of the requests, each with its hash, that the receipts are of. None where the receipts
    are of something else, or one was left out that had room and nothing to wait for."""
    waiting: set[Address] = set()
    included: list[TransactionRequest] = []
    gas_left = block.gas_limit
    rest = iter(receipts)
    receipt = next(rest, None)
    for request, transaction in sent:
        if receipt is not None and receipt.transaction_hash == transaction:
            included.append(request)
            gas_left -= int(receipt.gas_used, 16)
            receipt = next(rest, None)
        elif request.gas <= gas_left and request.sender not in waiting:
            return None
        else:
            waiting.add(request.sender)
    return included if receipt is None else None


async def head_of(rpc: Rpc) -> Block:
    """The node's latest block."""
    return (await header_at(rpc, "latest")).block


async def header_at(rpc: Rpc, number: str) -> decode.Header:
    method = "eth_getBlockByNumber"
    return decode.header(await rpc.call_as(decode.JsonObject, method, number, False), method)
