"""dexarb history import: what became of cryo's files, and what they cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from dexarb.core.pool import PoolKey
from dexarb.core.text import as_name
from dexarb.screens.answer import Answer
from dexarb.screens.output import counted

MISSING_SHOWN = 8
HOW = (
    "A pool comes in by the logs of its factory from its creation on (cryo logs --contract FACTORY"
    " --blocks 0:LAST), by its first event where [[pool]] names it, or as a history has it"
    " (--keyframe HISTORY, which data-collector writes: one block of it within these is enough)"
)
"""What a pool without a beginning needs."""
NOT_KNOWN = (
    "places in the block and rivals there, gas prices and what failed: the blocks without"
    " transactions give the band alone (cryo transactions has them)"
)
NEVER_KNOWN = (
    "when a block was seen (only latency_blocks can hold), and swaps of other pools"
    " (winners, census)"
)


@dataclass(frozen=True, slots=True)
class Began:
    """A pool, and from the end of which block on it is known. by: creation (its factory's log),
    event (one that says the whole state) or keyframe (of another history)."""

    key: PoolKey
    kind: str
    dex: str
    since_block: int
    by: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """A pool that was asked for and did not come in. fee_pips: None where only its key is known."""

    dex: str
    pair: str
    fee_pips: int | None
    reason: str
    key: PoolKey | None = None


@dataclass(frozen=True, slots=True)
class ImportedHistory(Answer):
    """keyframe: the block that the history begins at the end of. pools: at the last block."""

    folder: Path
    blocks: int
    keyframe: int
    last_block: int
    pools: int
    logs: int
    without_receipts: int
    began: Sequence[Began]
    missing: Sequence[NotFound]
    notes: Sequence[str]

    def problems(self) -> Iterator[str]:
        for note in self.notes:
            yield f"note: {note}"

    def as_json(self) -> dict[str, Any]:
        return {
            "history": str(self.folder),
            "blocks": self.blocks,
            "first_block": self.keyframe + 1 if self.blocks else None,
            "last_block": self.last_block if self.blocks else None,
            "keyframe_block": self.keyframe,
            "pools": self.pools,
            "logs": self.logs,
            "without_receipts": self.without_receipts,
            "began": [asdict(each) for each in self.began],
            "missing": [asdict(each) for each in self.missing],
            "notes": list(self.notes),
        }

    def render(self) -> RenderableType:
        what = (
            f"{self.folder}: {counted(self.blocks, 'block')} behind {self.keyframe:,} up to"
            f" {self.last_block:,}, {counted(self.pools, 'pool')}, {counted(self.logs, 'log')}"
        )
        parts: list[RenderableType] = [Text(what)]
        ways = [f"{sum(b.by == by for b in self.began):,} by {by}" for by in _ways(self.began)]
        if ways:
            parts.append(Text(f"Pools known from their beginning here: {', '.join(ways)}"))
        if self.missing:
            parts.append(Text(f"Not in it: {counted(len(self.missing), 'pool')}"))
            table = Table.grid(Column(), Column(), Column(overflow="fold"), padding=(0, 2, 0, 2))
            for each in self.missing[:MISSING_SHOWN]:
                which = each.pair if each.fee_pips is None else f"{each.pair} {each.fee_pips} pips"
                reason = each.reason if each.key is None else f"{each.reason}: {each.key}"
                table.add_row(*map(Text, (as_name(each.dex), as_name(which), as_name(reason))))
            parts.append(table)
            if len(self.missing) > MISSING_SHOWN:
                parts.append(Text(f"  and {len(self.missing) - MISSING_SHOWN:,} more"))
            parts.append(Text(HOW))
        if self.without_receipts:
            parts.append(Text(f"{counted(self.without_receipts, 'block')} without transactions."))
            parts.append(Text(f"Not known there: {NOT_KNOWN}"))
        parts.append(Text(f"Never known of files: {NEVER_KNOWN}"))
        return Group(*parts)


def _ways(began: Sequence[Began]) -> list[str]:
    return list(dict.fromkeys(each.by for each in began))
