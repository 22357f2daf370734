"""What a ledger says of the entries it includes, for a session that finds its state again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from dexarb.core.block import NO_ENTRY
from dexarb.core.trade import Decision, Fill, StrategyHash
from dexarb.store.ledger_reader import LedgerReader
from dexarb.study.lineup import Lineup
from dexarb.trading.models.reality import Reality
from dexarb.trading.strategy import THRESHOLD


class Booked(NamedTuple):
    """Of an entry: what the built-in strategy and own ones sent, and what came of what was open.

    None: the ledger does not say, or it comes to the same when it is done again.
    """

    built_in: Sequence[Decision] | None = None
    own: Sequence[Decision] | None = None
    fills: Sequence[Fill] | None = None


class Past:
    """Who took part, what was sent, and what came of it. Mutable: trades are given out once.

    An entry that was traded in the reality of now is decided and settled again: it comes to the
    same. In another reality, or one that the ledger does not tell, it may not; there the ledger is
    believed. Own strategies are never taken to answer the same twice.
    """

    def __init__(self, ledger: LedgerReader, reality: Reality, after: int = NO_ENTRY) -> None:
        """after: what later entries brought is all that will be asked for."""
        self._now = reality.hash
        epochs = ledger.epochs()
        lineup = Lineup(ledger.strategies(), epochs)
        self.taking_part, self._known = lineup.at, lineup.known
        self._eras = [
            (next(those).from_seq, name)
            for name, those in groupby(epochs, key=attrgetter("reality"))
        ]
        self._sent: dict[int, list[Decision]] = {}
        self._filled: dict[int, list[Fill]] = {}
        self._load(ledger, after)
        last = {epoch.reality for epoch in epochs if epoch.to_seq is None}
        self.goes_on = last <= {self._now}
        """Whether the epochs that have not ended are of the reality of now."""
        specs = [row.spec for row in ledger.realities() if row.hash in last - {self._now}]
        self.changed = tuple({model: None for spec in specs for model in reality.changes(spec)})
        """The models that were other ones in them, as far as the ledger tells."""

    def _load(self, ledger: LedgerReader, after: int) -> None:
        if all(name == self._now for _, name in self._eras):
            own = [key for key in self._known if self._is_own(key)]
            rows = [row for key in own for row in ledger.decisions(key, after=after)]
        else:
            rows = ledger.decisions(after=after)
            for row in ledger.fills(after=after):
                self._filled.setdefault(row.seq, []).append(row.fill)
        for sent in rows:
            self._sent.setdefault(sent.seq, []).append(sent.decision)

    def _is_own(self, strategy: StrategyHash) -> bool:
        return self._known[strategy].kind != THRESHOLD

    def booked(self, seq: int) -> Booked:
        sent, fills = self._sent.pop(seq, []), self._filled.pop(seq, [])
        own = [each for each in sent if self._is_own(each.strategy)]
        begun = [name for from_seq, name in self._eras if from_seq <= seq]
        if not begun or begun[-1] == self._now:
            return Booked(own=own)
        return Booked([each for each in sent if not self._is_own(each.strategy)], own, fills)
