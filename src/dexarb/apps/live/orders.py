"""What a bot is ordered to do, by people and by its own limits: in the journal, and in force.

Controls hold from an entry of the history on, so that a replay finds what held then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from dexarb.apps.live.writing import Writing
from dexarb.core.block import NO_ENTRY
from dexarb.core.sending import Control, ControlKind, Intent, Rest, Terms
from dexarb.core.trade import Fill
from dexarb.ends.live.records import Records
from dexarb.store.journal import Journal

ARM_PATIENCE_S = 2.0
"""An account is asked every second, so who has filled it up and arms the bot is not refused."""

_log = structlog.get_logger("dexarb-bot")


class Told(Protocol):
    """What the bot tells people beside its log."""

    def disarmed(self, reason: str, /) -> None:
        """Whenever it is."""

    def armed(self) -> None:
        """By somebody, after that."""

    def traded(self, fills: Sequence[Fill], /) -> None:
        """With every entry that has some."""

    def stuck(self, problem: str | None, /) -> None:
        """The journal cannot be written, or can be again: None."""


class Orders:
    """Mutable. seq, everywhere: the entry of the history from which it holds."""

    def __init__(
        self,
        journal: Journal,
        records: Records,
        told: Told | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._records, self._told, self._clock = journal, records, told, clock
        self.writing = Writing(journal, told.stuck) if told else Writing(journal)
        self._unwritten: list[Control] = []
        self._arming_since: float | None = None

    def set_terms(self, terms: Terms, seq: int) -> None:
        """Where they hold already, nothing is written. Raises StoreError."""
        if self._records.terms(seq) != terms:
            control = Control(seq, ControlKind.EXPECT, "[live] and [[way]]", terms.subject)
            self._journal.add_controls([control])
            self._records.add_control(control)

    def disarm(self, reason: str, seq: int) -> None:
        """Nothing new is sent until somebody arms it again. The first reason stands."""
        waits = any(each.kind is ControlKind.DISARM for each in self._unwritten)
        if waits or self._records.disarmed_by(seq) is not None:
            return
        _log.error("disarmed", reason=reason)
        control = Control(seq, ControlKind.DISARM, reason, at=self._clock())
        self._order([control], seq)
        self._tell(control)

    def _tell(self, control: Control) -> None:
        if self._told is not None and control.kind is ControlKind.DISARM:
            self._told.disarmed(control.reason)
        elif self._told is not None and control.kind is ControlKind.ARM:
            self._told.armed()

    def avoid(self, subjects: Sequence[str], reason: str, seq: int) -> None:
        """Pools and tokens that no trade passes any more."""
        self._order([Control(seq, ControlKind.AVOID, reason, each) for each in subjects], seq)

    def rest(self, pool: Rest, reverts: int, seq: int) -> None:
        """It has reverted so often in a row."""
        reason = f"{reverts} trades through it in a row reverted: until block {pool.until}"
        _log.warning("rest", pool=pool.pool, reverts=reverts, until=pool.until)
        self._order([Control(seq, ControlKind.REST, reason, pool.subject)], seq)

    def _order(self, controls: Sequence[Control], seq: int) -> None:
        self._unwritten += controls
        self.write(seq)

    def put_off(self, intent: Intent, reason: str) -> None:
        """It will never be sent: the next `write` says so. The first reason stands."""
        decision = intent.decision.id
        if all(each.subject != decision for each in self._unwritten):
            control = Control(NO_ENTRY, ControlKind.DROP, reason, decision, self._clock())
            self._unwritten.append(control)

    @property
    def is_withheld(self) -> bool:
        """Whether something is ordered of which the journal does not know: nothing may be sent."""
        return any(each.kind is not ControlKind.DROP for each in self._unwritten)

    def write(self, seq: int) -> None:
        """What has been ordered. It holds from there on, once the journal has it, and not before:
        else neither a replay nor a restart would come to the same."""
        if not self._unwritten:
            return
        controls = [each._replace(seq=seq) for each in self._unwritten]
        with self.writing():
            self._journal.add_controls(controls)
            self._unwritten.clear()
            for control in controls:
                self._records.add_control(control)
                if control.kind is ControlKind.DROP:
                    _log.info("not sent", decision=control.subject, reason=control.reason)

    def carry_out(self, seq: int, now: float, why_not: Callable[[], str | None]) -> None:
        """What other processes have ordered since. now: seconds of a timer. why_not: what disarms
        it at once where somebody arms it. Both are in the journal together, so whoever gave the
        order reads it there; it may be known no more soon, so an order to arm waits a little."""
        self.write(seq)
        with self.writing():
            orders = self._journal.orders()
            if not orders:
                return
            controls = [
                Control(seq, each.kind, each.reason, each.subject, each.at) for each in orders
            ]
            kinds = {each.kind for each in orders}
            arms = ControlKind.ARM in kinds and ControlKind.DISARM not in kinds
            reason = why_not() if arms else None
            if reason is not None:
                if self._arming_since is None:
                    self._arming_since = now
                if now - self._arming_since < ARM_PATIENCE_S:
                    return
                controls.append(Control(seq, ControlKind.DISARM, reason, at=self._clock()))
            self._arming_since = None
            self._journal.add_controls(controls, orders)
            for control in controls:
                self._records.add_control(control)
                about = {"subject": control.subject} if control.subject else {}
                _log.warning(control.kind, reason=control.reason, **about)
                self._tell(control)
