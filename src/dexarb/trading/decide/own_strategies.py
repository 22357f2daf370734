"""Own strategies at work: asked after every block behind the desk, set aside when they fail."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dexarb.core.market import Market
from dexarb.core.route import CycleId
from dexarb.core.token import Address
from dexarb.core.trade import REASON_CODE, Decision, Incident, Opportunity, SkipReason, StrategyHash
from dexarb.trading.decide.arrays import LARGEST, TAKEN
from dexarb.trading.decide.batch import Judged
from dexarb.trading.decide.columns import StrategyColumns
from dexarb.trading.decide.custom import (
    Books,
    Choice,
    Factories,
    MarketView,
    OwnStrategy,
    Resumable,
)
from dexarb.trading.decide.desk import Desk, Offer
from dexarb.trading.decide.judge import STALE, Judge, expected_of
from dexarb.trading.decide.rules import EXPECTED, NO_PRICE, PROFIT
from dexarb.trading.decide.skips import SkipTally, count
from dexarb.trading.decide.triage import Triage
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View
from dexarb.trading.strategy import StrategySettings

DISABLED = REASON_CODE[SkipReason.DISABLED]
DECLINED = REASON_CODE[SkipReason.DECLINED]
HIDDEN = frozenset((STALE, NO_PRICE))
"""Reasons for which there is nothing to choose."""

_NO_STATE = object()


class OwnState(msgspec.Struct):
    """Own strategies after a block. running: what each of them gave as its state."""

    running: dict[StrategyHash, Any]
    failed: list[StrategyHash]


class OwnStrategies:
    """Runs own strategies behind the desk. Mutable: `use` changes which ones take part.

    One that fails is out of trading from that block on; what it has sent still settles. Its books
    stay. It comes back with other parameters or other code, that is as another strategy, or when it
    has been taken out for a block and is put in again. As deciding is repeated when the trader
    starts again, it is out then as well.
    """

    def __init__(self, factories: Factories, reality: Reality) -> None:
        self._factories = factories
        self._gas = reality.gas
        self._least_gas = LeastGas(reality.gas)
        self._desk = Desk(reality)
        self._running: dict[StrategyHash, OwnStrategy] = {}
        self._failed: dict[StrategyHash, StrategySettings] = {}
        self._at_last_block: tuple[
            dict[StrategyHash, OwnStrategy], dict[StrategyHash, StrategySettings]
        ] = ({}, {})
        self._unsaid: dict[StrategyHash, str] = {}
        self.without_state: list[StrategyHash] = []
        """Those that did not give theirs when they were asked last."""
        self._settings: tuple[StrategySettings, ...] = ()
        self._arrange()

    def use(self, settings: Sequence[StrategySettings]) -> None:
        """From the next block on exactly these take part. Those that stay keep their state, and
        so does what is taken out and put in again before that: a replay cannot know of it."""
        before, failed = self._at_last_block
        self._running = {}
        self._failed = {s.hash: s for s in settings if s.hash in failed}
        self._settings = tuple(settings)
        for each in settings:
            if each.hash in before:
                self._running[each.hash] = before[each.hash]
            elif each.hash not in self._failed:
                self._build(each)
        self._arrange()

    def state(self) -> OwnState | None:
        """After a block; None where one of them does not give its own, see `without_state`."""
        running, failed = self._at_last_block
        states = {}
        self.without_state = [
            name for name, strategy in running.items() if not isinstance(strategy, Resumable)
        ]
        for name, strategy in running.items():
            if isinstance(strategy, Resumable):
                try:
                    states[name] = msgspec.json.decode(msgspec.json.encode(strategy.state()))
                except KeyboardInterrupt:
                    raise
                except BaseException:  # of the user's code, or no JSON
                    self.without_state.append(name)
        return None if self.without_state else OwnState(states, list(failed))

    def resume(self, settings: Sequence[StrategySettings], state: OwnState) -> None:
        """Go on with these after the block that the state is of."""
        self._settings = tuple(settings)
        self._failed = {each.hash: each for each in settings if each.hash in state.failed}
        self._running = {}
        for each in settings:
            if each.hash in state.running:
                self._build(each, state.running[each.hash])
        self._at_last_block = dict(self._running), dict(self._failed)
        self._arrange()

    def _build(self, settings: StrategySettings, state: object = _NO_STATE) -> None:
        try:
            factory = self._factories[settings.kind]
            strategy = factory(**json.loads(settings.parameters))
            if isinstance(strategy, Resumable) and state is not _NO_STATE:
                strategy.resume(state)
            self._running[settings.hash] = strategy
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._fail(settings)

    def _fail(self, settings: StrategySettings) -> None:
        """Within `except`, whatever was raised but the user's own wish to stop: the incident is
        told with the next block that is decided on."""
        self._running.pop(settings.hash, None)
        self._failed[settings.hash] = settings
        self._unsaid[settings.hash] = traceback.format_exc()

    def _arrange(self) -> None:
        columns = StrategyColumns([each for each in self._settings if each.hash in self._running])
        self._judge = Judge(columns, self._desk, self._least_gas)
        self._triage = Triage(columns, self._gas, free_bid=True)
        self._out = StrategyColumns(list(self._failed.values()))

    @property
    def hashes(self) -> tuple[StrategyHash, ...]:
        return tuple(each.hash for each in self._settings)

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self._triage.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        """Ask each of them, and trade what it chose within its limits."""
        decided = self._decide(view, skips) if self._settings else Decided()
        self._at_last_block = dict(self._running), dict(self._failed)
        return decided

    def _decide(self, view: View, skips: SkipTally) -> Decided:
        if self._failed:
            idle = skips.counters(self._out.hashes, self._out.thresholds)
            idle.times[DISABLED] += len(view.scan.table)
        counters = self._judge.start(view, skips)
        batches = list(self._judge.judge())
        found = [judged for batch in batches for judged in batch.each()]
        decisions: list[Decision] = []
        failures = len(self._failed)
        least = {
            token: self._triage.by_terms(token, view.market, view.valuation)
            for token in {each.opportunity.cycle.start_token for each in found}
        }
        for index, settings in enumerate(self._judge.columns.settings):
            offered = self._offered(found, least, index)
            try:
                choices = self._ask(view, settings, offered)
            except KeyboardInterrupt:
                raise
            except BaseException:
                self._fail(settings)
                for judged in found:
                    judged.reasons[index] = DISABLED
                continue
            decisions.extend(self._trade(found, choices, index))
        for batch in batches:
            count(batch.verdicts.reasons, batch.verdicts.best, view.market.block.number, counters)
        self._judge.pass_over(counters)
        if len(self._failed) > failures:
            self._arrange()
        block = view.market.block
        incidents = [Incident(name, block, problem) for name, problem in self._unsaid.items()]
        self._unsaid.clear()
        return Decided(decisions, incidents)

    def _offered(
        self,
        found: Sequence[Judged],
        least: Mapping[Address, Sequence[int]],
        index: int,
    ) -> list[Opportunity]:
        """What a strategy gets to see, which does not depend on who else takes part.

        least: gross profit by start token and place of the terms.
        """
        columns = self._judge.columns
        scope = int(columns.thresholds.scope[index])
        terms = int(columns.thresholds.terms[index])
        offered = []
        for judged in found:
            opportunity = judged.opportunity
            if (
                judged.refusals[scope] == TAKEN
                and judged.reasons[index] not in HIDDEN
                and not self._judge.busy(opportunity.cycle.pools)[index]
                and opportunity.profit >= least[opportunity.cycle.start_token][terms]
            ):
                offered.append(opportunity)
        return offered

    def _ask(
        self, view: View, settings: StrategySettings, offered: Sequence[Opportunity]
    ) -> dict[CycleId, Choice]:
        """Its choices by cycle id. Raises what it raises, and BadChoice."""
        running = self._running[settings.hash]
        books = Books(view.ledger, settings.hash)
        answer = running.decide(MarketView(view), tuple(offered), books)
        known = {each.cycle.id: each for each in offered}
        choices: dict[CycleId, Choice] = {}
        for each in answer:
            choice = _checked(each, known)
            cycle = choice.opportunity.cycle.id
            if cycle in choices:
                raise BadChoice(f"cycle {cycle} was chosen twice")
            choices[cycle] = choice
        return choices

    def _trade(
        self, found: Sequence[Judged], choices: Mapping[CycleId, Choice], index: int
    ) -> Iterator[Decision]:
        """By net USD descending, then cycle id, within the limits of its settings."""
        settings = self._judge.columns.settings[index]
        terms = self._judge.columns.terms[int(self._judge.columns.thresholds.terms[index])]
        wanted: list[tuple[Judged, Offer | None]] = []
        for judged in found:
            choice = choices.get(judged.opportunity.cycle.id)
            if choice is not None:
                offer = self._desk.offer(
                    judged.opportunity,
                    terms,
                    at_most=choice.amount_in,
                    priority_fee=choice.priority_fee,
                )
                wanted.append((judged, offer))
            elif judged.reasons[index] == TAKEN:
                judged.reasons[index] = DECLINED
        wanted.sort(key=lambda pair: -pair[1].net if pair[1] else 0)
        account = self._judge.account(index)
        for judged, offer in wanted:
            code = self._judge.reason(index, judged.opportunity, offer, account)
            judged.reasons[index] = code
            if offer is None or code != TAKEN:
                if code == PROFIT and offer is not None:
                    # A bid of its own can be of any size.
                    judged.best[index] = max(offer.net, -LARGEST)
                elif code == EXPECTED:
                    judged.best[index] = expected_of(offer)
                continue
            account.bind(offer, judged.opportunity.cycle.pools)
            yield self._desk.decide(judged.opportunity, offer, settings, settings.hash)


class BadChoice(Exception):
    """An own strategy returned what is no choice."""


def _checked(answer: object, offered: Mapping[CycleId, Opportunity]) -> Choice:
    """Raise BadChoice for anything but a choice among what was offered."""
    if not isinstance(answer, Choice):
        raise BadChoice(f"expected dexarb.Choice, got {answer!r}")
    # A copy, since a subclass may answer otherwise the next time it is asked.
    choice = Choice(answer.opportunity, answer.amount_in, answer.priority_fee)
    opportunity = choice.opportunity
    if not isinstance(opportunity, Opportunity):
        raise BadChoice(f"opportunity: expected one that was offered, got {opportunity!r}")
    if offered.get(opportunity.cycle.id) is not opportunity:
        raise BadChoice(f"opportunity {opportunity.cycle.id} was not offered in this block")
    for name, least in (("amount_in", 1), ("priority_fee", 0)):
        value = getattr(choice, name)
        if value is None:
            continue
        if type(value) is not int or value < least:
            raise BadChoice(f"{name}: expected an integer from {least} on, got {value!r}")
    return choice
