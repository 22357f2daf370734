"""Where the bids of strategies would stand among what landed of late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dexarb.config.resolve import Listed, place
from dexarb.config.toml_file import TomlFile
from dexarb.core.units import GWEI
from dexarb.errors import ConfigError
from dexarb.study.blockspace import share_below

MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class BidPlace:
    """wei: per gas. percentile: the percentage of what landed that paid less, None where nobody has
    seen any."""

    wei: int
    strategies: tuple[Listed, ...]
    percentile: int | None


def bid_places(
    strategies: Sequence[Listed], default_bid: int, blockspace: Mapping[str, Any]
) -> list[BidPlace]:
    """Of the enabled ones with a bid per gas, by it. What `bid_percent` comes to nobody knows
    before there is a trade."""
    by_bid: dict[int, list[Listed]] = defaultdict(list)
    for each in strategies:
        if each.table.enabled and each.table.bid_percent is None:
            gwei = each.table.priority_fee_gwei
            by_bid[default_bid if gwei is None else int(gwei * GWEI)].append(each)
    tips = [int(tip) for tip in blockspace.get("tips") or ()]
    return [
        BidPlace(wei, tuple(each), share_below(tips, wei)) for wei, each in sorted(by_bid.items())
    ]


def bids_json(places: Sequence[BidPlace]) -> list[dict[str, Any]]:
    return [
        {
            "gwei": each.wei / GWEI,
            "strategies": len(each.strategies),
            "percentile": each.percentile,
        }
        for each in places
    ]


def bid_lines(places: Sequence[BidPlace], blocks: int) -> Iterator[str]:
    """blocks: in which was seen what landed."""
    known = [each for each in places if each.percentile is not None]
    if known:
        yield f"Of what landed in the last {blocks:,} blocks"
    for each in known[:MOST_SHOWN]:
        count = len(each.strategies)
        who = "1 strategy" if count == 1 else f"{count:,} strategies"
        yield f"  {each.wei / GWEI:g} gwei pays more than {each.percentile} %: {who}"
    if len(known) > MOST_SHOWN:
        yield f"  and {len(known) - MOST_SHOWN} bids more"


def too_low(
    file: TomlFile, places: Sequence[BidPlace], blockspace: Mapping[str, Any]
) -> Iterator[ConfigError]:
    """Bids below everything that landed, each once a table."""
    lowest = blockspace.get("lowest_tip")
    if lowest is None:
        return
    for each in places:
        if each.wei >= int(lowest):
            continue
        for at in dict.fromkeys(listed.at for listed in each.strategies):
            yield file.error(
                place(file, at, "priority_fee_gwei"),
                f"a bid of {each.wei / GWEI:g} gwei is below all that landed in the last"
                f" {blockspace['blocks']:,} blocks: the lowest was {int(lowest) / GWEI:g} gwei",
                "Raise priority_fee_gwei",
            )
