"""The live end of a trader: intents become signed transactions, in the journal before they leave.

Nothing of a step waits for the network: nonces, balances and answers come from the sender's queues
between entries. What cannot be sent now is never sent: the journal says so, and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty
from typing import Protocol

import structlog

from dexarb.config.live import LiveConfig
from dexarb.core.block import Block, BlockUpdate
from dexarb.core.market import Entry, Market
from dexarb.core.sending import (
    Answer,
    Control,
    ControlKind,
    Difference,
    Intent,
    Offer,
    Surprise,
    Terms,
    Twin,
)
from dexarb.core.token import Address
from dexarb.core.trade import Fill
from dexarb.ends.live.keys import Call, Signer
from dexarb.ends.live.lanes import Fees, Lanes
from dexarb.ends.live.live_executor import LiveExecutor, Results
from dexarb.ends.live.records import Records
from dexarb.ends.live.sender import Account, Sender
from dexarb.ends.live.signing import NotNow, Signing
from dexarb.ends.live.watchdog import ModelErrors, Watchdog
from dexarb.errors import OutsideError, StoreError
from dexarb.store.journal import Journal, SignedRaw
from dexarb.study.session import Session
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Step

ORDERS_S = 0.2
ASK_S = 1.0
BALANCES_S = 30.0
PLAIN_GAS = 21_000

_log = structlog.get_logger("dexarb-bot")


class Told(Protocol):
    """What the bot tells people beside its log."""

    def disarmed(self, reason: str, /) -> None:
        """Whenever it is."""

    def traded(self, fills: Sequence[Fill], /) -> None:
        """With every entry that has some."""


class LiveEnd:
    """Mutable. See `apps.end.End`."""

    def __init__(
        self,
        config: LiveConfig,
        journal: Journal,
        signers: Sequence[Signer],
        sender: Sender,
        reality: Reality,
        *,
        known_fills: Sequence[Fill] = (),
        told: Told | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """known_fills: of today, as the ledger has them. The sender has been started."""
        self._config = config
        self._journal = journal
        self._signers: Mapping[Address, Signer] = {each.address: each for each in signers}
        self._sender = sender
        self._clock = clock
        self._told = told
        self.records = Records(journal.signed(), journal.controls())
        self.executor = LiveExecutor(reality, self.records, tuple(self._signers))
        self.door = self.executor
        self._lanes = Lanes(tuple(self._signers), self.records, config.price_bump_ppm)
        self._signing = Signing(
            config.executor,
            config.limits.trade_micro_usd,
            config.limits.min_native,
            reality.gas,
            self._lanes,
            self._signers,
            clock,
        )
        self._watchdog = Watchdog(config.limits, known_fills)
        self._errors: ModelErrors | None = None
        self._balances: dict[Address, int] = {}
        self._undropped: list[tuple[Intent, str]] = []
        self._asked_at = dict.fromkeys(self._signers, 0.0)
        self._looked_at = 0.0
        self._left: int | None = None

    def set_terms(self, terms: Terms, seq: int) -> None:
        """From that entry on; where they hold already, nothing is written. Raises StoreError."""
        if self.records.terms(seq) != terms:
            control = Control(seq, ControlKind.EXPECT, "[live] and [[way]]", terms.subject)
            self._journal.add_controls([control])
            self.records.add_control(control)

    def limit_to(self, included: int | None) -> None:
        """Disarm behind so many included trades; None: go on."""
        self._left = included

    # -- with every entry -----------------------------------------------------------------------

    def stepped(self, session: Session, entry: Entry, step: Step, *, is_live: bool) -> None:
        decided_at = self._clock()
        market, results = session.engine.market, self.executor.take_results()
        for lane, nonce in self.executor.nonces.items():
            self._lanes.used(lane, nonce)
        self._watchdog.take(step.fills, step.undone)
        intents = [each for each in results.intents if not self.records.knows(each.decision.id)]
        wrong = self._why_not(entry, step, is_live=is_live)
        now = [each for each in intents if each.seq == step.seq and wrong is None]
        self._undropped += [
            (each, wrong or "it was decided before the bot was started")
            for each in intents
            if each not in now
        ]
        self._send(now, market, session.engine.valuation, decided_at)
        # What follows may wait for the disk: the trades are on their way.
        self._book(results, market, step)
        reached = self._watchdog.reached(step.block.timestamp, self.executor.open_decisions)
        if reached is not None:
            self._disarm(reached, step.seq + 1)
        self._drop(step.seq + 1)
        self._use_up(market.block)
        self._count(step)
        if self._told is not None and step.fills:
            self._told.traded(step.fills)

    def _count(self, step: Step) -> None:
        if self._left is None:
            return
        self._left -= sum(bool(fill.gas_used) for fill in step.fills)
        if self._left <= 0:
            self._disarm("the canary is done", step.seq + 1)

    def _why_not(self, entry: Entry, step: Step, *, is_live: bool) -> str | None:
        """Why nothing decided behind this entry may be sent; None where it may."""
        if not is_live or not isinstance(entry, BlockUpdate):
            return "its block was there before the bot was started"
        if step.stale:
            return "its block came too late"
        if not entry.has_receipts:
            return "the node gave no receipts"
        if not entry.witnesses:
            return "its block is not proven"
        age = self._clock() - step.block.timestamp
        if age > self._config.limits.state_age_s:
            return f"its block is {age:.1f} s old"
        return None

    def _send(
        self, intents: Sequence[Intent], market: Market, valuation: Valuation, decided_at: float
    ) -> None:
        """Signed, in the journal, then given to the sender: all of a block together."""
        signed: list[tuple[Intent, SignedRaw]] = []
        for intent in intents:
            try:
                balance = self._balances.get(intent.lane)
                ours = self._signing.sign(intent, market, valuation, balance, decided_at)
                signed.append((intent, ours))
            except NotNow as reason:
                self._undropped.append((intent, str(reason)))
        if not signed:
            return
        try:
            self._journal.add([intent for intent, _ in signed], [raw for _, raw in signed])
        except StoreError as error:
            _log.error("journal.stuck", problem=str(error), sent=0)
            self._undropped += [
                (intent, "the journal could not be written") for intent, _ in signed
            ]
            return
        for _, (one, raw) in signed:
            self.records.add_signed(one)
            self._sender.send(one, raw)
        for intent, (one, _) in signed:
            _log.info("sent", decision=intent.decision.id, lane=one.lane, nonce=one.nonce)

    # -- what came out --------------------------------------------------------------------------

    def _book(self, results: Results, market: Market, step: Step) -> None:
        if results.twins or results.papers:
            with _SayingSo():
                self._journal.add_results(results.twins, results.papers)
        if self._errors is None:
            self._errors = ModelErrors(market.profile.start_tokens, self._journal.twins())
        for twin in results.twins:
            self._judge(twin, step.seq + 1)
        for surprise in results.surprises:
            self._surprised(surprise, step.seq + 1)

    def _judge(self, twin: Twin, seq: int) -> None:
        assert self._errors is not None
        if twin.difference is Difference.NONE:
            return
        _log.warning(
            "twin",
            decision=twin.decision.id,
            difference=twin.difference,
            block=twin.block.number,
            place=twin.place,
            live=twin.live,
            paper=twin.twin,
        )
        avoided, is_second = self._errors.take(twin)
        reason = f"decision {twin.decision.id} came to something else than its twin"
        self._order([Control(seq, ControlKind.AVOID, reason, each) for each in avoided])
        if is_second:
            self._disarm("two model errors within a day that share no token", seq)
        elif twin.difference is Difference.GAS:
            self._disarm("gas is off the schedule: is it the chain's of today?", seq)

    def _surprised(self, surprise: Surprise, seq: int) -> None:
        _log.error("surprise", transaction=surprise.hash, lane=surprise.lane)
        self._lanes.doubt(surprise.lane)
        self._disarm(f"somebody else sends from {surprise.lane}: {surprise.hash}", seq)

    # -- orders ---------------------------------------------------------------------------------

    def _disarm(self, reason: str, seq: int) -> None:
        if self.records.disarmed_by(seq) is not None:
            return
        _log.error("disarmed", reason=reason)
        self._order([Control(seq, ControlKind.DISARM, reason, at=self._clock())])
        if self._told is not None:
            self._told.disarmed(reason)

    def _order(self, controls: Sequence[Control]) -> None:
        """In memory as well where the disk is full: it is for the safe side."""
        if controls:
            with _SayingSo():
                self._journal.add_controls(controls)
            for control in controls:
                self.records.add_control(control)

    def _drop(self, seq: int) -> None:
        """Only what the journal has taken holds: else a replay would not know of it."""
        if not self._undropped:
            return
        controls = [
            Control(seq, ControlKind.DROP, reason, intent.decision.id, self._clock())
            for intent, reason in self._undropped
        ]
        with _SayingSo():
            self._journal.add_controls(controls)
            for control in controls:
                self.records.add_control(control)
                _log.info("not sent", decision=control.subject, reason=control.reason)
            self._undropped.clear()

    def _use_up(self, block: Block) -> None:
        """A nonce that has waited for long with nobody to take it is used up."""
        for lane, signer in self._signers.items():
            waiting = self._lanes.waiting(lane)
            patience = self._config.cancel_after_blocks
            if waiting is None or block.number < waiting.deadline_block + patience:
                continue
            fees = Fees(2 * block.base_fee_per_gas + waiting.tip, waiting.tip)
            slot = self._lanes.slot(lane, fees, Fees(2 * fees.max_fee, 2 * fees.max_fee))
            if slot is None:
                continue
            one = signer.sign(
                Call(lane, b"", PLAIN_GAS),
                chain_id=self._journal.chain_id,
                nonce=slot.nonce,
                max_fee=max(slot.fees),
                tip=slot.fees.tip,
                deadline_block=block.number,
                at=self._clock(),
            )
            with _SayingSo():
                self._journal.add([], [one])
                self.records.add_signed(one.signed)
                self._sender.send(one.signed, one.raw)
                _log.info("cancel", lane=lane, nonce=slot.nonce)

    # -- between entries ------------------------------------------------------------------------

    def idle(self, session: Session) -> None:
        seq = session.next_seq
        if seq is None:
            return
        self._take_offers(seq)
        self._take_accounts(seq)
        now = self._clock()
        for lane, asked_at in self._asked_at.items():
            pause_s = ASK_S if lane in self._lanes.in_doubt else BALANCES_S
            if now - asked_at >= pause_s:
                self._asked_at[lane] = now
                self._sender.ask(lane)
        if now - self._looked_at >= ORDERS_S:
            self._looked_at = now
            self._take_orders(seq)

    def _take_offers(self, seq: int) -> None:
        offers: list[Offer] = []
        with suppress(Empty):
            while True:
                offers.append(self._sender.offers.get_nowait())
        if not offers:
            return
        with _SayingSo():
            self._journal.add_offers(offers)
        for offer in offers:
            signed = self.records.signed(offer.hash)
            if signed is None or offer.answer in (Answer.TAKEN, Answer.KNOWN):
                continue
            _log.warning("offer", way=offer.way, answer=offer.answer, said=offer.said)
            if offer.answer is Answer.NONCE_TOO_LOW:
                self._lanes.doubt(signed.lane)
            elif offer.answer is Answer.NO_FUNDS:
                self._disarm(f"{signed.lane} has too little for gas", seq)

    def _take_accounts(self, seq: int) -> None:
        with suppress(Empty):
            while True:
                found = self._sender.accounts.get_nowait()
                if isinstance(found, Account):
                    self._take_account(found, seq)
                elif isinstance(found, OutsideError):
                    _log.warning("account", problem=str(found))

    def _take_account(self, found: Account, seq: int) -> None:
        self._balances[found.lane] = found.balance
        if found.balance < self._config.limits.min_native:
            self._disarm(f"min_native: {found.lane} has less than that for gas", seq)
        if found.lane not in self._lanes.in_doubt:
            return
        self._lanes.trust(found.lane, found.nonce)
        waiting = self._lanes.waiting(found.lane)
        if found.pending > found.nonce and waiting is None:
            self._disarm(f"transactions of {found.lane} wait that are not in the journal", seq)
        if waiting is not None:
            # Perhaps it has never left the process: the same bytes do no harm twice.
            for one, raw in self._journal.raw([waiting.hash]):
                self._sender.send(one, raw)

    def _take_orders(self, seq: int) -> None:
        with _SayingSo():
            orders = self._journal.orders()
            if not orders:
                return
            controls = [Control(seq, each.kind, each.reason, at=each.at) for each in orders]
            self._journal.add_controls(controls, orders)
            for control in controls:
                self.records.add_control(control)
                _log.warning(control.kind, reason=control.reason)
                if control.kind is ControlKind.DISARM and self._told is not None:
                    self._told.disarmed(control.reason)


class _SayingSo(suppress):
    """A journal that cannot be written is told, and nothing is sent for it."""

    def __init__(self) -> None:
        super().__init__(StoreError)

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if isinstance(error, StoreError):
            _log.error("journal.stuck", problem=str(error))
        return super().__exit__(kind, error, trace)  # type: ignore[arg-type]
