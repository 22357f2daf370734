"""Runs of the executor that nobody sends: a node carries them out on the state of a block.

The executor's code is put to an address that nobody has, by state override, for the call alone. So
it takes neither a key nor a deployment, and what tokens and pools really do is seen: a token that
takes a fee, is paused or bars somebody is found without a wei at risk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from dexarb.amm.abi import encode, unsigned
from dexarb.chain.endpoints.trouble import is_revert
from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockHash
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.ends.executor_contract import NATIVE_COIN, deploy_data, execute_data, withdraw_data
from dexarb.ends.refusal import refusal
from dexarb.errors import OutsideError, RpcError, TransportError


def _nobodys(name: str) -> Address:
    """An address of which nobody can have the key: the end of a hash of a name."""
    return Address("0x" + keccak(name.encode())[-20:].hex())


EXECUTOR = _nobodys("dexarb probe: executor")
OPERATOR = _nobodys("dexarb probe: operator")
OWNER = _nobodys("dexarb probe: owner")
_OPERATORS = encode(keccak(b"operators()")[:4])
_FOREVER = (1 << 64) - 1
"""Some rollups count the blocks of the chain below."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a node says of a run. amount_out: in the start token's smallest unit, None where it was
    refused; then `refusal` says why, in words. gas: the least limit with which it runs, by the
    node; None where it was refused or the node cannot estimate with overrides."""

    amount_out: int | None
    gas: int | None = None
    refusal: str | None = None


class Prober:
    """Runs cycles on one endpoint. Made by `open`.

    endpoint: its name. estimates: whether it estimates gas with overrides.
    """

    def __init__(self, rpc: Rpc, code: str, *, estimates: bool) -> None:
        self._rpc = rpc
        self._overrides = _override(code)
        self.endpoint = rpc.names[0]
        self.estimates = estimates

    @classmethod
    async def open(cls, rpc: Rpc, block: BlockHash) -> Prober:
        """At the first endpoint that takes state overrides. Raises TransportError where none
        does, with what each of them said."""
        problems = []
        for name in rpc.names:
            alone = rpc.only(name)
            try:
                code = await _code(alone, block)
                found = await _call(alone, _OPERATORS, block, _override(code))
                if OPERATOR[2:] in found:
                    estimates = await _estimates(alone, block, _override(code))
                    return cls(alone, code, estimates=estimates)
                problems.append(f"{name} ignores state overrides")
            except OutsideError as error:
                problems.append(f"{name}: {str(error).removeprefix(f'{name}: ')}")
        raise TransportError("no endpoint", f"runs a call with our code. {'; '.join(problems)}")

    async def run(
        self, cycle: Cycle, pool_at: Callable[[PoolKey], Pool], amount_in: int, block: BlockHash
    ) -> Ran:
        """The cycle at the end of a block, paid by a flash swap of its first pool.

        pool_at: tells the pools' addresses and fees; their state is the node's. Raises PoolError
        for a kind that the executor cannot call, OutsideError where the node does not answer.
        """
        data = execute_data(cycle, pool_at, amount_in, 0, _FOREVER, flash=True)
        try:
            answer = await _call(self._rpc, data, block, self._overrides)
        except RpcError as error:
            if not is_revert(error):
                raise
            return Ran(None, refusal=refusal(error))
        amount_out = unsigned(bytes.fromhex(answer[2:]), 0)
        return Ran(amount_out, await self._gas(data, block) if self.estimates else None)

    async def _gas(self, data: bytes, block: BlockHash) -> int | None:
        """None where the node refuses to estimate what it has just carried out."""
        try:
            return await _estimate(self._rpc, data, block, self._overrides)
        except RpcError as error:
            if not is_revert(error):
                raise
            return None


def _override(code: str) -> dict[str, Any]:
    return {EXECUTOR: {"code": code}}


async def _code(rpc: Rpc, block: BlockHash) -> str:
    """What a deployment would leave: the roles stand in the code."""
    creation = {"from": OWNER, "data": "0x" + deploy_data(OWNER, [OPERATOR]).hex()}
    return await rpc.call_as(str, "eth_call", creation, {"blockHash": block})


async def _call(rpc: Rpc, data: bytes, block: BlockHash, overrides: dict[str, Any]) -> str:
    return await rpc.call_as(str, "eth_call", _sent(data), {"blockHash": block}, overrides)


async def _estimate(rpc: Rpc, data: bytes, block: BlockHash, overrides: dict[str, Any]) -> int:
    asked = _sent(data), {"blockHash": block}, overrides
    return int(await rpc.call_as(str, "eth_estimateGas", *asked), 16)


def _sent(data: bytes) -> dict[str, str]:
    return {"from": OPERATOR, "to": EXECUTOR, "data": "0x" + data.hex()}


async def _estimates(rpc: Rpc, block: BlockHash, overrides: dict[str, Any]) -> bool:
    """Whether the code is there for an estimate as well: then this is refused."""
    try:
        await _estimate(rpc, withdraw_data(NATIVE_COIN, 0), block, overrides)
    except RpcError as error:
        return is_revert(error)
    except OutsideError:
        return False
    return False
