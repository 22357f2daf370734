"""The watchdog: what a bot has lost and spent today, and which limit that reaches.

Pure: it is fed outcomes, and says what is reached. Whoever asks disarms, and writes it down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dexarb.core.sending import Difference, Twin
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, FillStatus
from dexarb.core.units import MICRO_USD, SECONDS_PER_DAY


class Limits(Protocol):
    """As config.live.BotLimits. Money in micro-USD."""

    @property
    def daily_loss_micro_usd(self) -> int: ...
    @property
    def daily_gas_micro_usd(self) -> int: ...
    @property
    def reverts_in_a_row(self) -> int: ...
    @property
    def open_micro_usd(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one UTC day, in micro-USD. reverts: in a row, up to now."""

    day: int
    net: int = 0
    gas: int = 0
    reverts: int = 0


class Watchdog:
    """Mutable. `take` fills as they stand and as they are undone, in their order."""

    def __init__(self, limits: Limits, known: Iterable[tuple[int, Fill]] = ()) -> None:
        """known: the standing fills so far with the entries that brought them, in their order; at
        least those of today, and those before it at which a row of reverts may have begun."""
        self._limits = limits
        self._fills: list[tuple[int, Fill]] = list(known)

    def take(self, seq: int, fills: Sequence[Fill], undone: Sequence[Fill] = ()) -> None:
        gone = {(fill.decision.id, fill.block.hash) for fill in undone}
        if gone:
            self._fills = [
                (at, fill)
                for at, fill in self._fills
                if (fill.decision.id, fill.block.hash) not in gone
            ]
        self._fills += ((seq, fill) for fill in fills)

    def spent(self, timestamp: int, armed_from: int = 0) -> Spent:
        """On the day of this second. armed_from: whoever armed it from that entry on has seen what
        reverted before."""
        day, net, gas, reverts, in_a_row = timestamp // SECONDS_PER_DAY, 0, 0, 0, True
        for seq, fill in reversed(self._fills):
            is_today = fill.block.timestamp // SECONDS_PER_DAY >= day
            in_a_row = in_a_row and seq >= armed_from and fill.status is not FillStatus.FILLED
            if not is_today and not in_a_row:
                break
            reverts += in_a_row and fill.status is FillStatus.REVERTED
            net += fill.net_micro_usd * is_today
            gas += fill.gas_cost_micro_usd * is_today
        return Spent(day, net, gas, reverts)

    def reached(
        self, timestamp: int, open_decisions: Sequence[Decision], armed_from: int = 0
    ) -> str | None:
        """The first limit that is, in words."""
        limits, spent = self._limits, self.spent(timestamp, armed_from)
        if -spent.net >= limits.daily_loss_micro_usd:
            return f"daily_loss_usd: {_usd(-spent.net)} USD lost today"
        if spent.gas >= limits.daily_gas_micro_usd:
            return f"daily_gas_usd: {_usd(spent.gas)} USD of gas today"
        if spent.reverts >= limits.reverts_in_a_row:
            return f"max_reverts_in_a_row: {spent.reverts} reverts"
        value = sum(decision.capital_micro_usd for decision in open_decisions)
        if value > limits.open_micro_usd:
            return f"max_open_usd: {_usd(value)} USD under way"
        return None


def _usd(micro_usd: int) -> str:
    return f"{micro_usd / MICRO_USD:,.2f}"


class Consequence(NamedTuple):
    """avoid: pools and tokens that no trade may pass from now on. why: what they are avoided for.
    disarm: why nothing may be sent at all; None where the rest may go on."""

    avoid: tuple[str, ...]
    why: str
    disarm: str | None


_KINDS = {
    Difference.MODEL: (
        "came to something else than its twin",
        "two model errors within a day that share no token",
    ),
    Difference.GAS: (
        "used other gas than its twin",
        "gas is off the schedule, on two trades that share no token: is it the chain's of today?",
    ),
}


class ModelErrors:
    """Mutable: trades that came to something else than their twins. What they passed is avoided;
    the second within a day that shares no token with the first is no accident of a pool. A run that
    lost cannot be by the contract, so that one is enough."""

    def __init__(self, start_tokens: Iterable[Address], known: Iterable[Twin] = ()) -> None:
        """start_tokens: of the chain; nearly all trades pass them, so they say nothing."""
        self._start_tokens = frozenset(start_tokens)
        self._seen: list[tuple[Difference, int, frozenset[Address]]] = []
        for twin in known:
            self.take(twin)

    def take(self, twin: Twin) -> Consequence | None:
        """None where nothing follows."""
        decision, live = twin.decision, twin.live
        if live.status is FillStatus.FILLED and live.amount_out < decision.amount_in:
            lost = decision.amount_in - live.amount_out
            return Consequence((), "", f"decision {decision.id} lost {lost} of its start token")
        if twin.difference not in _KINDS:
            return None
        what, on_the_second = _KINDS[twin.difference]
        at, tokens = decision.block.timestamp, frozenset(decision.cycle.tokens) - self._start_tokens
        is_second = any(
            kind is twin.difference and at - before < SECONDS_PER_DAY and tokens.isdisjoint(others)
            for kind, before, others in self._seen
        )
        self._seen.append((twin.difference, at, tokens))
        return Consequence(
            (*decision.cycle.pools, *sorted(tokens)),
            f"decision {decision.id} {what}",
            on_the_second if is_second else None,
        )
