"""An executor as an account of the chain: made, looked at, funded and emptied by its owner.

Sends with the owner's key, and waits for each transaction: these are errands of a person, not the
bot's. The roles are fixed at deployment; docs/executor.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from dexarb.amm.abi import encode, unsigned
from dexarb.chain.endpoints.trouble import is_revert
from dexarb.chain.rpc import Rpc
from dexarb.core.token import Address, to_address
from dexarb.ends.executor_contract import (
    MAX_OPERATORS,
    NATIVE_COIN,
    deploy_data,
    withdraw_data,
)
from dexarb.ends.live.keys import Call, Signer
from dexarb.ends.refusal import refusal
from dexarb.errors import RpcError, TransactionRefused

POLL_S = 0.25
PATIENCE_S = 180.0
GAS_HEADROOM = 1.3
"""On top of what the node estimates."""

_OWNER = encode(keccak(b"OWNER()")[:4])
_OPERATORS = encode(keccak(b"operators()")[:4])
_BALANCE = keccak(b"balanceOf(address)")[:4]
_ALLOWANCE = keccak(b"allowance(address,address)")[:4]
_TRANSFER = keccak(b"transfer(address,uint256)")[:4]


def balance_data(of: Address) -> bytes:
    """Asks a token what somebody has of it."""
    return encode(_BALANCE, of)


@dataclass(frozen=True, slots=True)
class Roles:
    """owner: withdraws. operators: run, in the order in which they were given."""

    owner: Address
    operators: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands at an executor's address. code: "ours", "none" or "other". roles: None where it
    does not tell them. balances: by token, in its smallest unit, those that are not zero."""

    address: Address
    code: str
    roles: Roles | None
    balances: Mapping[Address, int]


class Chain:
    """Reads and sends at one chain. default_tip: wei per gas, at least the chain's floor."""

    def __init__(self, rpc: Rpc, chain_id: int, default_tip: int) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self._tip = default_tip

    # -- looking --------------------------------------------------------------------------------

    async def look(self, executor: Address, tokens: Sequence[Address] = ()) -> Seen:
        """Raises OutsideError."""
        code = await self._rpc.call_as(str, "eth_getCode", executor, "latest")
        if code == "0x":
            return Seen(executor, "none", None, {})
        roles = await self._roles(executor)
        expected = roles and await self._code(roles)
        balances = await self.balances(executor, tokens)
        return Seen(executor, "ours" if code == expected else "other", roles, balances)

    async def balances(self, of: Address, tokens: Sequence[Address]) -> dict[Address, int]:
        """Those that are not zero. Raises OutsideError."""
        return await self._amounts(balance_data(of), tokens)

    async def allowances(
        self, owner: Address, spender: Address, tokens: Sequence[Address]
    ) -> dict[Address, int]:
        """Those that are not zero. Raises OutsideError."""
        return await self._amounts(encode(_ALLOWANCE, owner, spender), tokens)

    async def _amounts(self, data: bytes, tokens: Sequence[Address]) -> dict[Address, int]:
        calls = [("eth_call", ({"to": token, "data": _hex(data)}, "latest")) for token in tokens]
        found = await self._rpc.batch_as(str, calls)
        amounts = {
            token: 0 if isinstance(answer, RpcError) or answer == "0x" else int(answer, 16)
            for token, answer in zip(tokens, found, strict=True)
        }
        return {token: amount for token, amount in amounts.items() if amount}

    async def native_balance(self, of: Address) -> int:
        """Wei. Raises OutsideError."""
        return int(await self._rpc.call_as(str, "eth_getBalance", of, "latest"), 16)

    async def _roles(self, executor: Address) -> Roles | None:
        try:
            owner = await self._ask(executor, _OWNER)
            operators = await self._ask(executor, _OPERATORS)
        except RpcError as error:
            if not is_revert(error):
                raise
            return None
        if len(owner) < 32 or len(operators) < 32 * MAX_OPERATORS:
            return None
        named = [_address(operators, place) for place in range(MAX_OPERATORS)]
        return Roles(_address(owner, 0), tuple(each for each in named if each != NATIVE_COIN))

    async def _ask(self, executor: Address, data: bytes) -> bytes:
        call = {"to": executor, "data": _hex(data)}
        return bytes.fromhex((await self._rpc.call_as(str, "eth_call", call, "latest"))[2:])

    async def _code(self, roles: Roles) -> str | None:
        """What a deployment with these roles leaves: they stand in the code. None for roles that
        no executor can have."""
        try:
            data = deploy_data(roles.owner, roles.operators)
        except ValueError:
            return None
        creation = {"from": roles.owner, "data": _hex(data)}
        return await self._rpc.call_as(str, "eth_call", creation, "latest")

    # -- sending --------------------------------------------------------------------------------

    async def deploy(self, owner: Signer, operators: Sequence[Address]) -> Address:
        """A new executor. Raises ValueError for roles that it cannot have, OutsideError."""
        receipt = await self._send(owner, None, deploy_data(owner.address, operators))
        return to_address(receipt["contractAddress"])

    async def pay(self, owner: Signer, token: Address, to: Address, amount: int) -> None:
        """From the owner's own account; NATIVE_COIN for the chain's coin. Raises OutsideError."""
        if token == NATIVE_COIN:
            await self._send(owner, to, b"", value=amount)
        else:
            await self._send(owner, token, encode(_TRANSFER, to, amount))

    async def withdraw(self, owner: Signer, executor: Address, token: Address, amount: int) -> None:
        """To the owner. Raises OutsideError."""
        await self._send(owner, executor, withdraw_data(token, amount))

    async def _send(
        self, signer: Signer, to: Address | None, data: bytes, *, value: int = 0
    ) -> dict[str, Any]:
        """The receipt, once the transaction has succeeded."""
        call: dict[str, Any] = {"from": signer.address, "data": _hex(data), "value": hex(value)}
        if to is not None:
            call["to"] = to
        try:
            gas = int(await self._rpc.call_as(str, "eth_estimateGas", call), 16)
        except RpcError as error:
            if is_revert(error):
                raise TransactionRefused(f"the chain refuses it: {refusal(error)}") from None
            raise
        header = await self._rpc.call("eth_getBlockByNumber", "latest", False)
        base_fee = int(header.get("baseFeePerGas", "0x0"), 16)
        count = await self._rpc.call_as(str, "eth_getTransactionCount", signer.address, "pending")
        signed, raw = signer.sign(
            Call(to, data, int(gas * GAS_HEADROOM), value),
            chain_id=self._chain_id,
            nonce=int(count, 16),
            max_fee=2 * base_fee + self._tip,
            tip=self._tip,
        )
        await self._rpc.call("eth_sendRawTransaction", _hex(raw))
        return await self._receipt(signed.hash)

    async def _receipt(self, hash_: str) -> dict[str, Any]:
        for _ in range(int(PATIENCE_S / POLL_S)):
            found: dict[str, Any] | None = await self._rpc.call("eth_getTransactionReceipt", hash_)
            if found is not None:
                if int(found["status"], 16) != 1:
                    raise TransactionRefused(f"{hash_} was included and has failed")
                return found
            await asyncio.sleep(POLL_S)
        raise TransactionRefused(
            f"{hash_} is in no block after {PATIENCE_S:.0f} s. It may still be: look before you"
            " send again"
        )


def _address(words: bytes, place: int) -> Address:
    return Address("0x" + unsigned(words, place).to_bytes(32, "big")[-20:].hex())


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
