"""Two chains to run the same contracts on: pyrevm for speed, anvil for true gas.

pyrevm keeps storage warm from one transaction to the next, so what it says of gas is too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import httpx
from eth_account.signers.local import LocalAccount
from pyrevm import EVM, BlockEnv

from dexarb.core.block import Log
from dexarb.core.token import Address, to_address
from tests.amm.evm_world import GAS, OWNER
from tests.support.anvil import running_anvil

OPERATOR = Address("0x" + "09" * 20)
"""Runs executors that belong to OWNER."""
SECONDS_PER_BLOCK = 12
GENESIS = 1_700_000_000
_GAS_LIMIT = 400_000_000


class Request(NamedTuple):
    """A transaction to be sent."""

    sender: Address
    to: Address
    data: bytes


class Receipt(NamedTuple):
    """What became of it. output: what it returned or reverted with, on pyrevm alone. hash: of the
    transaction, on a node alone."""

    succeeded: bool
    gas_used: int
    logs: tuple[Log, ...]
    output: bytes = b""
    hash: str = ""


class Chain(Protocol):
    """Every call of `deploy` and `mine` is a block of its own, twelve seconds after the last."""

    block_number: int

    def deploy(self, code: bytes) -> Address: ...
    def mine(self, *requests: Request) -> list[Receipt]: ...
    def read(self, to: Address, data: bytes) -> bytes: ...
    def give(self, to: Address, wei: int) -> None: ...

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What happens in the block is forgotten behind it."""
        yield


class RevmChain:
    """In the process, without gas prices."""

    def __init__(self) -> None:
        self.evm = EVM(gas_limit=GAS, spec_id="CANCUN")
        self.block_number = 0
        self._next_block()
        self.give(OWNER, 10**24)

    def deploy(self, code: bytes) -> Address:
        self._next_block()
        return to_address(self.evm.deploy(OWNER, code))

    def mine(self, *requests: Request) -> list[Receipt]:
        self._next_block()
        return [self._transact(request) for request in requests]

    def read(self, to: Address, data: bytes) -> bytes:
        return bytes(self.evm.message_call(OWNER, to, data, is_static=True))

    def give(self, to: Address, wei: int) -> None:
        self.evm.set_balance(to, wei)

    @contextmanager
    def undone(self) -> Iterator[None]:
        checkpoint, number = self.evm.snapshot(), self.block_number
        yield
        self.evm.revert(checkpoint)
        self.block_number = number

    def _next_block(self) -> None:
        self.block_number += 1
        timestamp = GENESIS + SECONDS_PER_BLOCK * self.block_number
        self.evm.set_block_env(
            BlockEnv(number=self.block_number, timestamp=timestamp, gas_limit=GAS)
        )

    def _transact(self, request: Request) -> Receipt:
        self.evm.reset_transient_storage()
        try:
            output = bytes(self.evm.message_call(request.sender, request.to, request.data))
        except RuntimeError as error:
            reason = re.search(r"output: 0x([0-9a-f]*)", str(error))
            return Receipt(False, 0, (), bytes.fromhex(reason[1]) if reason else b"")
        result = self.evm.result
        assert result is not None
        logs = tuple(
            Log(to_address(log.address), tuple(log.data[0]), log.data[1], 0, index)
            for index, log in enumerate(result.logs)
        )
        return Receipt(True, 0, logs, output)


class AnvilChain:
    """A real node. All senders are impersonated, the gas price is 1 gwei."""

    def __init__(self, http: httpx.Client, url: str, *, tells_steps: bool = False) -> None:
        self._http, self._url = http, url
        self.tells_steps = tells_steps
        self.block_number = 0
        self._senders: set[Address] = set()

    def deploy(self, code: bytes) -> Address:
        self._prepare(OWNER)
        self._ask([self._transaction(OWNER, None, code)])
        receipt = self._mined()[0]
        assert receipt["status"] == "0x1"
        return to_address(receipt["contractAddress"])

    def mine(self, *requests: Request) -> list[Receipt]:
        for request in requests:
            self._prepare(request.sender)
        self._ask([self._transaction(*request) for request in requests])
        return [_receipt(raw) for raw in self._mined()]

    def read(self, to: Address, data: bytes) -> bytes:
        call = {"from": OWNER, "to": to, "data": "0x" + data.hex()}
        return bytes.fromhex(self._ask([("eth_call", [call, "latest"])])[0][2:])

    def trace(self, transaction: str) -> dict[str, Any]:
        """What it did step by step, as geth tells it, without memory and stack. Only of a node that
        tells steps."""
        left_out = {"disableMemory": True, "disableStack": True, "disableStorage": True}
        return dict(self._ask([("debug_traceTransaction", [transaction, left_out])])[0])

    def give(self, to: Address, wei: int) -> None:
        self._ask([("anvil_setBalance", [to, hex(wei)])])

    def delegate(self, account: LocalAccount, to: Address) -> None:
        """Let an account with a key carry a contract's code (EIP-7702)."""
        self.give(to_address(account.address), 10**24)
        chain_id = int(self._ask([("eth_chainId", [])])[0], 16)
        lent = account.sign_authorization({"chainId": chain_id, "address": to, "nonce": 1})
        fields: dict[str, Any] = {
            "type": 4,
            "chainId": chain_id,
            "nonce": 0,
            "to": "0x" + "00" * 20,
            "value": 0,
            "data": b"",
            "gas": 100_000,
            "maxFeePerGas": 10**9,
            "maxPriorityFeePerGas": 10**9,
            "authorizationList": [lent],
        }
        signed = account.sign_transaction(fields)
        self._ask([("eth_sendRawTransaction", [signed.raw_transaction.to_0x_hex()])])
        assert [each["status"] for each in self._mined()] == ["0x1"]

    def code(self, at: Address) -> bytes:
        return bytes.fromhex(self._ask([("eth_getCode", [at, "latest"])])[0][2:])

    @contextmanager
    def undone(self) -> Iterator[None]:
        snapshot, number = self._ask([("evm_snapshot", [])])[0], self.block_number
        senders = set(self._senders)
        yield
        assert self._ask([("evm_revert", [snapshot])])[0]
        self.block_number, self._senders = number, senders

    def _prepare(self, sender: Address) -> None:
        if sender not in self._senders:
            self._senders.add(sender)
            self.give(sender, 10**24)
            self._ask([("anvil_impersonateAccount", [sender])])

    def _transaction(
        self, sender: Address, to: Address | None, data: bytes
    ) -> tuple[str, list[object]]:
        fields: dict[str, object] = {
            "from": sender,
            "data": "0x" + data.hex(),
            "gas": hex(_GAS_LIMIT),
            "gasPrice": hex(10**9),
        }
        return "eth_sendTransaction", [fields | ({"to": to} if to else {})]

    def _mined(self) -> list[dict[str, Any]]:
        """Mine what has been sent; the receipts of the block."""
        self.block_number += 1
        timestamp = GENESIS + SECONDS_PER_BLOCK * self.block_number
        *_, receipts = self._ask(
            [
                ("evm_setNextBlockTimestamp", [timestamp]),
                ("evm_mine", []),
                ("eth_getBlockReceipts", ["latest"]),
            ]
        )
        return list(receipts)

    def _ask(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Results in the order of the calls, which are carried out one after the other."""
        answers = []
        for method, params in calls:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answer = self._http.post(self._url, json=body).json()
            assert "error" not in answer, (method, answer)
            answers.append(answer["result"])
        return answers


@contextmanager
def anvil_chain(*, tells_steps: bool = False) -> Iterator[AnvilChain]:
    """A node of its own, for as long as the block runs. tells_steps: it keeps those of every
    transaction."""
    arguments: tuple[str, ...] = (
        "--gas-limit",
        "10000000000",
        "--base-fee",
        "0",
        "--disable-min-priority-fee",
    )
    if tells_steps:
        arguments += ("--steps-tracing",)
    with (
        running_anvil(*arguments, timestamp=GENESIS) as node,
        httpx.Client(trust_env=False, timeout=60) as http,
    ):
        yield AnvilChain(http, node.http_url, tells_steps=tells_steps)


def _receipt(raw: dict[str, Any]) -> Receipt:
    logs = tuple(
        Log(
            to_address(log["address"]),
            tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
            bytes.fromhex(log["data"][2:]),
            int(log["transactionIndex"], 16),
            int(log["logIndex"], 16),
        )
        for log in raw["logs"]
    )
    gas_used, name = int(raw["gasUsed"], 16), raw["transactionHash"]
    return Receipt(raw["status"] == "0x1", gas_used, logs, hash=name)
