"""What the twins of a bot's trades say, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from dexarb.apps.live.orders import Orders
from dexarb.core.market import Market
from dexarb.core.sending import Difference, Paper, Twin
from dexarb.ends.live.back_off import BackOff
from dexarb.ends.live.watchdog import ModelErrors
from dexarb.store.journal import Journal

_log = structlog.get_logger("dexarb-bot")


class Twins:
    """Mutable: remembers what came to something else than its twin, and what reverted."""

    def __init__(self, journal: Journal, orders: Orders) -> None:
        """Raises StoreError."""
        self._journal, self._orders = journal, orders
        self._known = journal.twins()  # now, as no block may wait for it
        self._twins: list[Twin] = []
        self._papers: list[Paper] = []
        self._errors: ModelErrors | None = None
        self._back_off = BackOff()

    def note(self, twins: Sequence[Twin], papers: Sequence[Paper]) -> None:
        """Into the journal, which may have them; with those that it could not be given before."""
        self._twins += twins
        self._papers += papers
        if self._twins or self._papers:
            with self._orders.writing():
                self._journal.add_results(self._twins, self._papers)
                self._twins.clear()
                self._papers.clear()

    def judge(self, twins: Sequence[Twin], market: Market, seq: int) -> None:
        """Those of the newest block. seq: the entry from which holds what follows from them."""
        if self._errors is None:
            known = [each for each in self._known if each not in twins]
            self._errors = ModelErrors(market.profile.start_tokens, known)
            self._back_off = BackOff(known)
            self._known.clear()
        for twin in twins:
            for rest, reverts in self._back_off.take(twin):
                self._orders.rest(rest, reverts, seq)
            if twin.difference is not Difference.NONE:
                self._judge(twin, self._errors, seq)

    def _judge(self, twin: Twin, errors: ModelErrors, seq: int) -> None:
        _log.warning(
            "twin",
            decision=twin.decision.id,
            difference=twin.difference,
            block=twin.block.number,
            place=twin.place,
            live=twin.live,
            paper=twin.twin,
        )
        found = errors.take(twin)
        if found is None:
            return
        self._orders.avoid(found.avoid, found.why, seq)
        if found.disarm is not None:
            self._orders.disarm(found.disarm, seq)
