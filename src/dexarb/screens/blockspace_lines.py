"""What the last day of blocks was like, in words: in how many the order of tips held, how many were
full, and where a bid would have stood among what landed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dexarb.core.units import GWEI
from dexarb.study.blockspace import share_below
from dexarb.study.order_meter import Kept


def order_line(kept: Kept) -> str:
    """`The order of tips held in 1,190 of 1,200 blocks (99.2 %); inversions: 34`"""
    if not kept.blocks:
        return "The order of tips: no block with receipts tells it"
    share = 100 * kept.kept / kept.blocks
    line = f"The order of tips held in {kept.kept:,} of {kept.blocks:,} blocks"
    if kept.kept == kept.blocks:
        return line
    # Rounded down: 100.0 % would say that it always held.
    return f"{line} ({int(share * 10) / 10:.1f} %); inversions: {kept.inversions:,}"


def blockspace_lines(blockspace: Mapping[str, Any]) -> Iterator[str]:
    """Of what the collector tells in its metrics; nothing before its first block."""
    if not blockspace.get("blocks"):
        return
    full, blocks = blockspace["full"], blockspace["blocks"]
    share = f"{100 * full / blocks:.1f} %"
    yield f"Of the last {blocks:,} blocks {full:,} were full ({share})"
    yield order_line(Kept(**blockspace["order"]))
    bid, tips = blockspace.get("default_bid"), [int(tip) for tip in blockspace["tips"]]
    if bid is not None and tips:
        below, middle = share_below(tips, int(bid)), tips[len(tips) // 2]
        yield (
            f"A bid of {int(bid) / GWEI:g} gwei, the chain's default, pays more than {below} % of"
            f" what landed there; half of it paid {middle / GWEI:,.4g} gwei or more"
        )
