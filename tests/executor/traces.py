"""What a transaction did, counted from the node's own trace of it.

Every step tells its cost, and the costs of storage tell what was done there: so the counts come
from the trace alone, and under the schedule of the node they have to come to its receipt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dexarb.core.gas_schedule import ETHEREUM, GasCounts

Step = Mapping[str, Any]

CALLS = frozenset({"CALL", "STATICCALL", "DELEGATECALL", "CALLCODE"})
WRITES = {
    ETHEREUM.warm: ("warm",),
    ETHEREUM.cold_write + ETHEREUM.warm: ("cold_writes", "warm"),
    ETHEREUM.reset: ("resets",),
    ETHEREUM.cold_write + ETHEREUM.reset: ("cold_writes", "resets"),
    ETHEREUM.set: ("sets",),
    ETHEREUM.cold_write + ETHEREUM.set: ("cold_writes", "sets"),
}
"""By the cost of an SSTORE."""
REFUNDS: dict[int, dict[str, int]] = {
    0: {},
    ETHEREUM.cleared: {"cleared": 1},
    -ETHEREUM.cleared: {"cleared": -1},
    ETHEREUM.restored: {"restored": 1},
    ETHEREUM.unset: {"unset": 1},
    ETHEREUM.restored - ETHEREUM.cleared: {"restored": 1, "cleared": -1},
}
"""By what an SSTORE does to the sum of refunds."""


def counts_of(trace: Mapping[str, Any], data: bytes) -> GasCounts:
    """Of a transaction with these data, from `debug_traceTransaction` of a node with Ethereum's
    schedule. What a run that fails does not get back is not counted."""
    steps: Sequence[Step] = trace["structLogs"]
    found: Counter[str] = Counter(calldata=sum(16 if byte else 4 for byte in data), rest=21_000)
    for number, step in enumerate(steps):
        cost, op = own_cost(steps, number), step["op"]
        if op == "SLOAD":
            found["cold_reads" if cost == ETHEREUM.cold_read else "warm"] += 1
        elif op == "SSTORE":
            found.update(WRITES[cost])
            if not trace["failed"]:
                found.update(REFUNDS[steps[number + 1].get("refund", 0) - step.get("refund", 0)])
        elif op in CALLS and cost >= ETHEREUM.account:
            found["accounts"] += 1
            found["rest"] += cost - ETHEREUM.account
        else:
            found["rest"] += cost
    return GasCounts(**found)


def own_cost(steps: Sequence[Step], number: int) -> int:
    """Of a step, without what it hands on to a call."""
    step = steps[number]
    if step["op"] not in CALLS:
        return int(step["gasCost"])
    after = steps[number + 1]
    handed_on = after["gas"] if after["depth"] > step["depth"] else 0
    # Where no code ran, nothing tells what was handed on but what is left.
    return int(step["gasCost"] - handed_on if handed_on else step["gas"] - after["gas"])
