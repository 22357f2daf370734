"""What the journal says, for the fold that asks it in every block: in memory, and complete."""

from __future__ import annotations

from collections.abc import Iterable

from dexarb.core.route import Cycle
from dexarb.core.sending import (
    Control,
    ControlKind,
    Rest,
    Signed,
    Terms,
    TransactionHash,
    avoided,
    why_not_armed,
)
from dexarb.core.token import Address
from dexarb.core.trade import DecisionId


class Records:
    """Mutable. A record is added when the journal has it, never before.

    What is asked for an entry of the history heeds the controls that hold from there on, so that a
    replay finds what held then.
    """

    def __init__(self, signed: Iterable[Signed] = (), controls: Iterable[Control] = ()) -> None:
        self._signed: dict[str, Signed] = {}
        self._at_nonce: dict[tuple[Address, int], Signed] = {}
        self._nonces: dict[DecisionId, set[tuple[Address, int]]] = {}
        self._controls: list[Control] = []  # of the whole bot; what is about one thing is below
        self._dropped: dict[str, int] = {}
        self._about: dict[str, list[Control]] = {}
        for one in signed:
            self.add_signed(one)
        for control in controls:
            self.add_control(control)

    def add_signed(self, signed: Signed) -> None:
        self._signed[signed.hash] = signed
        self._at_nonce[signed.lane, signed.nonce] = signed
        if signed.decision is not None:
            nonces = self._nonces.setdefault(signed.decision, set())
            nonces.add((signed.lane, signed.nonce))

    def add_control(self, control: Control) -> None:
        if control.kind is ControlKind.DROP:
            self._dropped.setdefault(control.subject, control.seq)
        elif control.kind in (ControlKind.AVOID, ControlKind.TRUST):
            self._about.setdefault(control.subject, []).append(control)
        elif control.kind is ControlKind.REST:
            self._about.setdefault(Rest.of(control.subject).pool, []).append(control)
        else:
            self._controls.append(control)

    def signed(self, hash_: str) -> Signed | None:
        """By the transaction's hash; None for one that is not ours."""
        return self._signed.get(TransactionHash(hash_))

    def nonces(self, decision: DecisionId) -> frozenset[tuple[Address, int]]:
        """Lane and nonce of all that was signed for a decision."""
        return frozenset(self._nonces.get(decision, ()))

    def at_nonce(self, lane: Address, nonce: int) -> Signed | None:
        """What was signed last for it."""
        return self._at_nonce.get((lane, nonce))

    def knows(self, decision: DecisionId) -> bool:
        """Whether something was signed for it, or nothing ever will be."""
        return decision in self._nonces or decision in self._dropped

    @property
    def armed_from(self) -> int:
        """The entry from which somebody has armed it last; 0 where nobody has."""
        found = [each.seq for each in self._controls if each.kind is ControlKind.ARM]
        return found[-1] if found else 0

    def disarmed_by(self, seq: int) -> str | None:
        """Why nothing may be sent behind that entry; None while it may."""
        return why_not_armed(self._controls, seq)

    def is_dropped(self, decision: DecisionId, seq: int) -> bool:
        """Whether it is known behind that entry that nobody will ever send it."""
        return decision in self._dropped and self._dropped[decision] <= seq

    def terms(self, seq: int) -> Terms | None:
        """Those that hold behind that entry; None where nobody has set any."""
        found = None
        for each in self._controls:
            if each.kind is ControlKind.EXPECT and each.seq <= seq:
                found = Terms.of(each.subject)
        return found

    def avoids(self, cycle: Cycle, seq: int, block: int) -> bool:
        """Whether no trade may pass one of its pools or tokens behind that entry, which brought
        that block."""
        passed = [*cycle.pools, *(hop.token_in for hop in cycle.hops)]
        return any(avoided(self._about.get(each, ()), seq, block) for each in passed)
