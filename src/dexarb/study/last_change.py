"""What the last change of the strategies was, and what has come of it since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dexarb.core.trade import StrategyHash
from dexarb.core.units import MICRO_USD
from dexarb.store.ledger_figures import EpochTimes, FillSums, block_from, sums_since
from dexarb.store.ledger_reader import LedgerReader


@dataclass(frozen=True, slots=True)
class LastChange:
    """A reload, or a start with another file or another model of reality.

    Names: of strategies that began, that ended, that did both under one name (`changed`: other
    parameters), and that go on in another model of reality (`revalued`). sent and sums: from that
    entry on, of all strategies. block and timestamp: None where none has been recorded since.
    """

    from_seq: int
    block: int | None
    timestamp: int | None
    began: tuple[str, ...]
    ended: tuple[str, ...]
    changed: tuple[str, ...]
    revalued: tuple[str, ...]
    sent: int
    sums: FillSums


def last_change(
    reader: LedgerReader, epochs: Sequence[EpochTimes], names: Mapping[StrategyHash, str]
) -> LastChange | None:
    """epochs: all. None where the strategies are those of the beginning. Raises StoreError."""
    if not epochs:
        return None
    ends = (each.to_seq + 1 for each in epochs if each.to_seq is not None)
    seq = max(*(each.from_seq for each in epochs), *ends, 0)
    if seq == min(each.from_seq for each in epochs):
        return None
    came = {each.strategy for each in epochs if each.from_seq == seq}
    went = {each.strategy for each in epochs if each.to_seq == seq - 1}
    began, ended = _named(came - went, names), _named(went - came, names)
    both = set(began) & set(ended)
    at = block_from(reader, seq)
    sent, sums = sums_since(reader, seq)
    return LastChange(
        from_seq=seq,
        block=at[0] if at else None,
        timestamp=at[1] if at else None,
        began=tuple(name for name in began if name not in both),
        ended=tuple(name for name in ended if name not in both),
        changed=tuple(name for name in began if name in both),
        revalued=tuple(_named(came & went, names)),
        sent=sent,
        sums=sums,
    )


def last_change_as_json(found: LastChange | None) -> dict[str, Any] | None:
    """Money in USD, the timestamp in UNIX seconds."""
    if found is None:
        return None
    sums = found.sums
    return {
        "from_entry": found.from_seq,
        "block": found.block,
        "timestamp": found.timestamp,
        "began": list(found.began),
        "ended": list(found.ended),
        "changed": list(found.changed),
        "revalued": list(found.revalued),
        "since": {
            "sent": found.sent,
            "filled": sums.filled,
            "reverted": sums.reverted,
            "lost": sums.lost,
            "expired": sums.expired,
            "profit_usd": None if sums.unplaced else sums.net_micro_usd / MICRO_USD,
            "gas_cost_usd": sums.gas_cost_micro_usd / MICRO_USD,
        },
    }


def _named(strategies: set[StrategyHash], names: Mapping[StrategyHash, str]) -> list[str]:
    """In the order of the configuration, which that of the names is."""
    return [name for key, name in names.items() if key in strategies]
