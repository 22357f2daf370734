"""What a node may say instead of a block's receipts. Each lie changes a copy that is its own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.true_chain import Json, TrueBlock, TrueChain
from tests.support.worlds.small_chain import CHEAP, DEAR

Lie = Callable[[list[Json], TrueBlock, Random], list[Json] | None]
"""The receipts and their block to other receipts; None where there is nothing to change."""


def _log_of(receipts: list[Json], rng: Random) -> Json | None:
    logs = [log for receipt in receipts for log in receipt["logs"]]
    return rng.choice(logs) if logs else None


def first_missing(receipts: list[Json], *_: object) -> list[Json]:
    return receipts[1:]


def first_missing_and_renumbered(receipts: list[Json], *_: object) -> list[Json]:
    for place, receipt in enumerate(receipts[1:]):
        for entry in (receipt, *receipt["logs"]):
            entry["transactionIndex"] = hex(place)
    return receipts[1:]


def last_missing(receipts: list[Json], *_: object) -> list[Json]:
    return receipts[:-1]


def all_missing(*_: object) -> list[Json]:
    return []


def no_logs(receipts: list[Json], *_: object) -> list[Json] | None:
    if not any(receipt["logs"] for receipt in receipts):
        return None
    return [receipt | {"logs": []} for receipt in receipts]


def doubled_log(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json] | None:
    full = [receipt for receipt in receipts if receipt["logs"]]
    if not full:
        return None
    logs = rng.choice(full)["logs"]
    logs.append(copy.deepcopy(rng.choice(logs)))
    return receipts


def doubled_log_with_an_index_of_its_own(
    receipts: list[Json], block: TrueBlock, rng: Random
) -> list[Json] | None:
    told = doubled_log(receipts, block, rng)
    for receipt in told or ():
        for place, log in enumerate(receipt["logs"]):
            log["logIndex"] = hex(place)
    return told


def doubled_receipt(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    place = rng.randrange(len(receipts))
    return [*receipts[:place], receipts[place], *receipts[place:]]


def another_blocks_logs(receipts: list[Json], *_: object) -> list[Json] | None:
    other = TrueChain(10_099).mine(len(receipts)).receipts
    if [each["logs"] for each in other] == [each["logs"] for each in receipts]:
        return None
    return [mine | {"logs": theirs["logs"]} for mine, theirs in zip(receipts, other, strict=True)]


def another_blocks_logs_disguised(receipts: list[Json], *_: object) -> list[Json] | None:
    names = ("blockHash", "blockNumber", "transactionHash", "transactionIndex")
    told = another_blocks_logs(receipts)
    for receipt in told or ():
        receipt["logs"] = [log | {name: receipt[name] for name in names} for log in receipt["logs"]]
    return told


def _core(log: Json) -> Json:
    return {name: log[name] for name in ("address", "topics", "data")}


def another_blocks_receipts(*_: object) -> list[Json]:
    return TrueChain(10_098).mine(3).receipts


def another_blocks_receipts_disguised(
    receipts: list[Json], block: TrueBlock, _: Random
) -> list[Json]:
    told = copy.deepcopy(TrueChain(10_098).mine(len(receipts)).receipts)
    for receipt in told:
        for entry in (receipt, *receipt["logs"]):
            entry |= {"blockHash": block.hash, "blockNumber": block.header["number"]}
    return told


def swapped_logs(receipts: list[Json], *_: object) -> list[Json] | None:
    for receipt in receipts:
        logs = receipt["logs"]
        if len(logs) > 1 and _core(logs[0]) != _core(logs[-1]):
            logs[0], logs[-1] = logs[-1], logs[0]
            return receipts
    return None


def swapped_receipts(receipts: list[Json], *_: object) -> list[Json] | None:
    if len(receipts) < 2:
        return None
    receipts[0], receipts[1] = receipts[1], receipts[0]
    for place, receipt in enumerate(receipts[:2]):
        for entry in (receipt, *receipt["logs"]):
            entry["transactionIndex"] = hex(place)
    return receipts


def changed_data(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json] | None:
    log = _log_of(receipts, rng)
    if log is None or len(log["data"]) < 4:
        return None
    log["data"] = log["data"][:-1] + ("1" if log["data"][-1] == "0" else "0")
    return receipts


def changed_address(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json] | None:
    log = _log_of(receipts, rng)
    if log is None:
        return None
    log["address"] = "0x" + rng.randbytes(20).hex()
    return receipts


def address_of_another_pool(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json] | None:
    log = _log_of(receipts, rng)
    if log is None:
        return None
    log["address"] = CHEAP if log["address"] != CHEAP else DEAR
    return receipts


def changed_topic(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json] | None:
    log = _log_of(receipts, rng)
    if log is None:
        return None
    log["topics"][0] = "0x" + rng.randbytes(32).hex()
    return receipts


def changed_status(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    receipt = rng.choice(receipts)
    receipt["status"] = "0x0" if receipt["status"] == "0x1" else "0x1"
    return receipts


def changed_type(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    receipt = rng.choice(receipts)
    receipt["type"] = hex((int(receipt["type"], 16) + 1) % 5)
    return receipts


def changed_bloom(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    receipt = rng.choice(receipts)
    bloom = int(receipt["logsBloom"], 16) ^ 1 << rng.randrange(2048)
    receipt["logsBloom"] = f"0x{bloom:0512x}"
    return receipts


def wrong_gas(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    receipt = rng.choice(receipts)
    name = rng.choice(["gasUsed", "cumulativeGasUsed"])
    receipt[name] = hex(int(receipt[name], 16) + rng.choice([-1, 1]))
    return receipts


def price_below_the_base_fee(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    rng.choice(receipts)["effectiveGasPrice"] = "0x1"
    return receipts


def moved_index(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    receipt = rng.choice(receipts)
    moved = hex(int(receipt["transactionIndex"], 16) + 1)
    for entry in (receipt, *receipt["logs"]):
        entry["transactionIndex"] = moved
    return receipts


def moved_log(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json] | None:
    log = _log_of(receipts, rng)
    if log is None:
        return None
    log["transactionIndex"] = hex(int(log["transactionIndex"], 16) + 1)
    return receipts


def log_of_another_transaction(receipts: list[Json], _: TrueBlock, rng: Random) -> Any:
    log = _log_of(receipts, rng)
    if log is None:
        return None
    log["transactionHash"] = "0x" + "77" * 32
    return receipts


def wrong_block_number(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json]:
    receipt = rng.choice(receipts)
    entry = rng.choice([receipt, *receipt["logs"]])
    entry["blockNumber"] = hex(int(entry["blockNumber"], 16) + 1)
    return receipts


def broken_hexadecimal(receipts: list[Json], _: TrueBlock, rng: Random) -> list[Json] | None:
    log = _log_of(receipts, rng)
    if log is None:
        return None
    name = rng.choice(["address", "data"])
    log[name] = rng.choice(["0x1", "12" * 20, "0x" + "zz" * 20, "0x" + " 1" * 20, ""])
    return receipts


SEEN_CHEAPLY: list[Lie] = [
    first_missing, first_missing_and_renumbered, last_missing, all_missing, no_logs,
    doubled_log, doubled_receipt, another_blocks_logs, another_blocks_receipts,
    changed_address, changed_topic, changed_bloom, wrong_gas, price_below_the_base_fee,
    moved_index, moved_log, log_of_another_transaction, wrong_block_number,
]  # fmt: skip
"""Lies that also a header without roots gives away."""

SEEN_BY_THE_ROOT: list[Lie] = [
    address_of_another_pool, doubled_log_with_an_index_of_its_own,
    another_blocks_logs_disguised, another_blocks_receipts_disguised, swapped_logs,
    swapped_receipts, changed_data, changed_status, changed_type, broken_hexadecimal,
]  # fmt: skip
