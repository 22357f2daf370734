"""What the processes have made of the chain so far, read from their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.demo.bot import DemoBot
from dexarb.demo.settings import Files
from dexarb.errors import StoreError
from dexarb.store.snapshot import State, read_state
from dexarb.study.spreads import Spread, best_spreads
from dexarb.study.totals import Totals, read_totals


@dataclass(frozen=True, slots=True)
class Progress:
    """One look. head: the newest block of the chain; the others may still be behind it."""

    head: int
    blocks: int
    state: State
    totals: Totals
    spreads: Mapping[tuple[Address, Address], Spread]
    market: Market

    @property
    def caught_up(self) -> bool:
        """Whether both processes have taken the head, and the ledger every entry."""
        return self.state.block.number == self.head and self.totals.seq >= self.state.seq

    def as_json(self, files: Files) -> dict[str, Any]:
        return {
            "blocks": self.blocks,
            "pools": len(self.state.pools),
            "rpc_requests_per_block": self.state.metrics.get("rpc_requests_per_block"),
            "block_to_state_ms": self.state.metrics.get("block_to_state_ms"),
            "block_to_decision_ms": self.totals.block_to_decision_ms,
            "strategies": [self.totals.as_json(row) for row in self.totals.rows],
            "history": str(self.state.history),
            "ledger": str(files.ledger),
        }


class Watch:
    """Reads the collector's state file and the paper trader's ledger of a run."""

    def __init__(self, files: Files, first: int) -> None:
        """first: the number of the block before the run's first one."""
        self._files = files
        self._first = first

    def ready(self, bot: DemoBot | None = None) -> bool:
        """Whether the collector has the pools and the traders their strategies."""
        ledgers = [self._files.ledger, *([bot.ledger] if bot else [])]
        try:
            read_state(self._files.state)
            return all(read_totals(ledger).is_trading for ledger in ledgers)
        except StoreError:
            return False

    def took_all(self, bot: DemoBot | None) -> bool:
        """Whether the bot's ledger has every entry of the history."""
        if bot is None:
            return True
        return read_totals(bot.ledger).seq >= read_state(self._files.state).seq

    def progress(self, market: Market) -> Progress:
        """market: the driver's own, which is the chain's newest block."""
        state = read_state(self._files.state)
        return Progress(
            head=market.block.number,
            blocks=market.block.number - self._first,
            state=state,
            totals=read_totals(self._files.ledger, state.block.timestamp),
            spreads=best_spreads(market.pools.values()),
            market=market,
        )
