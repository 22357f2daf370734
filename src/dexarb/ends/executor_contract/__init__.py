"""The reference executor: the contract that runs a cycle, and how to call it.

Source: contracts/executor.vy. The compiled artifact lies beside this file, so that nobody who runs
dexarb needs a compiler. See docs/executor.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from eth_hash.auto import keccak

from dexarb.amm.abi import encode, unsigned
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.errors import PoolError

MIN_HOPS, MAX_HOPS = 2, 4
"""The contract's own limits on the length of a cycle."""

MAX_OPERATORS = 4

NATIVE_COIN = Address("0x" + "0" * 40)
"""What `withdraw_data` takes for the coin that pays for gas."""

EXECUTE = keccak(
    b"execute((address,address,uint8,bytes32)[],uint256,uint256,uint256,bool,uint256)"
)[:4]
WITHDRAW = keccak(b"withdraw(address,uint256)")[:4]

_REVERT_WITH_REASON = keccak(b"Error(string)")[:4]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What the compiler made of the source.

    source_sha256: of the file's bytes. settings: the compiler's, as the source's pragmas set them.
    bytecode: creates the contract, once the constructor's argument is appended.
    """

    source_sha256: str
    compiler: str
    settings: Mapping[str, Any]
    abi: Sequence[Mapping[str, Any]]
    bytecode: bytes


@cache
def artifact() -> Artifact:
    """The compiled contract."""
    text = files(__name__).joinpath("executor.json").read_text()
    content = json.loads(text)
    return Artifact(
        content["source_sha256"],
        content["compiler"],
        content["settings"],
        content["abi"],
        bytes.fromhex(content["bytecode"].removeprefix("0x")),
    )


def deploy_data(owner: Address, operators: Sequence[Address]) -> bytes:
    """The data of a transaction that creates an executor with these roles, for good.

    owner: withdraws, and may do nothing else. operators: one to four, who run and may do nothing
    else. Raises ValueError where they are not that many or the owner is one of them.
    """
    if not 1 <= len(operators) <= MAX_OPERATORS or owner in operators:
        raise ValueError(f"an executor has 1 to {MAX_OPERATORS} operators beside its owner")
    nobody = [NATIVE_COIN] * (MAX_OPERATORS - len(operators))
    return encode(artifact().bytecode, owner, *operators, *nobody)


def execute_data(
    cycle: Cycle,
    pool_at: Callable[[PoolKey], Pool],
    amount_in: int,
    min_amount_out: int,
    deadline_block: int,
    *,
    flash: bool = False,
    min_profit: int = 0,
) -> bytes:
    """Call data of a run: amount_in of the start token round the cycle.

    Amounts in the start token's smallest unit. It reverts where less than min_amount_out, or than
    amount_in + min_profit, would come out. flash: the first pool is paid at the end, out of what
    the others gave; else the executor needs to hold amount_in. Raises PoolError for a kind of pool
    that the contract cannot call, ValueError for a cycle it has no room for.
    """
    if not MIN_HOPS <= len(cycle.hops) <= MAX_HOPS:
        raise ValueError(f"the executor runs {MIN_HOPS} to {MAX_HOPS} hops, not {len(cycle.hops)}")
    words: list[int | Address] = []
    for hop in cycle.hops:
        pool = pool_at(hop.pool)
        how = pool.executor_hop()
        if how is None:
            raise PoolError(f"pool {pool.key}: the executor cannot call a {pool.kind}")
        words += [pool.address, hop.token_in, how.kind, how.data]
    head = (6 * 32, amount_in, min_amount_out, min_profit, flash, deadline_block)
    return encode(EXECUTE, *head, len(cycle.hops), *words)


def withdraw_data(token: Address, amount: int) -> bytes:
    """Call data that sends the owner an amount of a token, or of NATIVE_COIN."""
    return encode(WITHDRAW, token, amount)


def revert_reason(data: bytes) -> str | None:
    """The text of a revert, None where it has none (a failed check inside a pool or token)."""
    if data[:4] != _REVERT_WITH_REASON:
        return None
    return data[68 : 68 + unsigned(data[4:], 1)].decode(errors="replace")
