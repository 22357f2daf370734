"""The live end of a trader: intents become signed transactions, in the journal before they leave.

Nothing of a step waits for the network: nonces, balances and answers come from the sender's queues
between entries. What cannot be sent now is never sent: the journal says so, and why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from dexarb.apps.live.agreement_keeper import AgreementKeeper
from dexarb.apps.live.balance_keeper import BalanceKeeper
from dexarb.apps.live.lane_keeper import LaneKeeper
from dexarb.apps.live.orders import Orders, Told
from dexarb.apps.live.twins import Twins
from dexarb.config.live import LiveConfig
from dexarb.core.block import Block, BlockRef, BlockUpdate
from dexarb.core.market import Entry, Market
from dexarb.core.sending import Intent
from dexarb.core.token import Address
from dexarb.core.trade import Fill
from dexarb.ends.live.keys import Signer
from dexarb.ends.live.lanes import Lanes
from dexarb.ends.live.live_executor import LiveExecutor, Results
from dexarb.ends.live.records import Records
from dexarb.ends.live.sender import Sender
from dexarb.ends.live.signing import NotNow, Signing
from dexarb.ends.live.watchdog import Watchdog
from dexarb.store.journal import Journal, SignedRaw
from dexarb.study.session import Session
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Step

ORDERS_S = 0.2
NOT_WRITTEN = "the journal could not be written"

_log = structlog.get_logger("dexarb-bot")


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
        known_fills: Sequence[tuple[int, Fill]] = (),
        told: Told | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """known_fills: as Watchdog's. The sender has been started. clock: tells how old blocks are;
        timer: how long to wait, which no jump of the clock changes."""
        self._config = config
        self._journal = journal
        self._signers: Mapping[Address, Signer] = {each.address: each for each in signers}
        self._sender = sender
        self._clock = clock
        self._told = told
        self.records = Records(journal.signed(), journal.controls())
        self.executor = LiveExecutor(reality, self.records, tuple(self._signers))
        self.door = self.executor
        self.orders = Orders(journal, self.records, told, clock)
        self.lanes = Lanes(tuple(self._signers), self.records, config.price_bump_ppm)
        self._signing = Signing(
            config.executor,
            config.limits.trade_micro_usd,
            config.limits.min_native,
            reality.gas,
            self.lanes,
            self._signers,
            clock,
        )
        self.keeper = LaneKeeper(
            journal,
            self.records,
            self.lanes,
            self._signers,
            sender,
            self.orders,
            clock,
            min_native=config.limits.min_native,
            cancel_after_blocks=config.cancel_after_blocks,
            timer=timer,
        )
        self.balances = BalanceKeeper(
            config.executor, config.owner, tuple(self._signers), sender, self.orders, timer
        )
        self._agreement = AgreementKeeper(
            config.limits.disagreement_blocks, sender, self.orders, timer
        )
        self._watchdog = Watchdog(config.limits, known_fills)
        self._twins = Twins(journal, self.orders)
        self._timer = timer
        self._looked_at = -math.inf
        self._left: int | None = None

    def limit_to(self, included: int | None) -> None:
        """Disarm behind so many included trades; None: go on."""
        self._left = included

    def stepped(self, session: Session, entry: Entry, step: Step, *, is_live: bool) -> None:
        decided_at = self._clock()
        market, results = session.engine.market, self.executor.take_results()
        self.lanes.follow(self.executor.nonces)
        self._watchdog.take(step.seq, step.fills, step.undone)
        self._heed(results, market, step)
        now: list[Intent] = []
        for each in results.intents:
            if not self.records.knows(each.decision.id):
                wrong = self._why_not(each, entry, step, is_live=is_live)
                if wrong is None:
                    now.append(each)
                else:
                    self.orders.put_off(each, wrong)
        self._send(now, market, session.engine.valuation, decided_at)
        # What follows may wait for the disk: the trades are on their way.
        self._twins.note(results.twins, results.papers)
        self.orders.write(step.seq + 1)
        self.keeper.mined(market.block)
        if isinstance(entry, BlockUpdate):
            self.balances.mined(entry, market)
            self._agreement.mined(entry.block)
        if self._told is not None and step.fills:
            self._told.traded(step.fills)

    def _heed(self, results: Results, market: Market, step: Step) -> None:
        """What has come out may disarm it, before anything decided behind it is sent. On the way to
        a state everything comes out once more: that was judged when it was new, and somebody may
        have armed the bot since."""
        seq, here = step.seq + 1, BlockRef(step.block.number, step.block.hash)
        self._twins.judge([each for each in results.twins if each.block == here], market, seq)
        for surprise in results.surprises:
            if surprise.block != here:
                continue
            _log.error("surprise", transaction=surprise.hash, lane=surprise.lane)
            self.lanes.doubt(surprise.lane)
            self.orders.disarm(f"somebody else sends from {surprise.lane}: {surprise.hash}", seq)
        reached = self._reached(step.block.timestamp, self.records.armed_from)
        if reached is not None:
            self.orders.disarm(reached, seq)
        self._count(step)

    def _reached(self, timestamp: int, armed_from: int) -> str | None:
        return self._watchdog.reached(timestamp, self.executor.open_decisions, armed_from)

    def _count(self, step: Step) -> None:
        if self._left is None:
            return
        self._left -= sum(bool(fill.gas_used) for fill in step.fills)
        if self._left <= 0:
            self._left = None  # who arms it again has seen that
            self.orders.disarm("the canary is done", step.seq + 1)

    def _why_not(self, intent: Intent, entry: Entry, step: Step, *, is_live: bool) -> str | None:
        """Why it may not be sent; None where it may."""
        seq = step.seq + 1
        if intent.seq != step.seq:
            return "it was decided before the bot was started"
        if self.orders.is_withheld:
            return NOT_WRITTEN
        disarmed_by = self.records.disarmed_by(seq)
        if disarmed_by is not None:
            return f"disarmed: {disarmed_by}"
        if self.records.avoids(intent.decision.cycle, seq, step.block.number):
            return "one of its pools or tokens is avoided"
        return self._why_not_behind(entry, step, is_live=is_live)

    def _why_not_behind(self, entry: Entry, step: Step, *, is_live: bool) -> str | None:
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
        most = self._config.limits.state_age_s
        if age > most:
            return f"its block is {age:.1f} s old"
        if age < -most:
            return f"its block is {-age:.1f} s ahead of the clock"
        return None

    def _send(
        self, intents: Sequence[Intent], market: Market, valuation: Valuation, decided_at: float
    ) -> None:
        """Signed, in the journal, then given to the sender: all of a block together."""
        signed: list[tuple[Intent, SignedRaw]] = []
        for intent in intents:
            try:
                balance = self.keeper.balance(intent.lane)
                funds = self.balances.executor_holds(intent.decision.cycle.start_token)
                ours = self._signing.sign(intent, market, valuation, balance, funds, decided_at)
                signed.append((intent, ours))
            except NotNow as reason:
                self.orders.put_off(intent, str(reason))
        if not signed:
            return
        is_written = False
        with self.orders.writing():
            self._journal.add([intent for intent, _ in signed], [raw for _, raw in signed])
            is_written = True
        if not is_written:
            for intent, _ in signed:
                self.orders.put_off(intent, NOT_WRITTEN)
            return
        for _, (one, raw) in signed:
            self.records.add_signed(one)
            self._sender.send(one, raw)
        for intent, (one, _) in signed:
            _log.info("sent", decision=intent.decision.id, lane=one.lane, nonce=one.nonce)

    def _why_not_armed(self, block: Block, seq: int) -> str | None:
        """Why it may not send though somebody arms it from entry seq on: what holds still. Of
        reverts, a canary and strange transactions, whoever arms it has seen them."""
        reached = self._reached(block.timestamp, seq)
        return reached or self.keeper.too_little or self._agreement.disagreement

    def idle(self, session: Session) -> None:
        seq = session.next_seq
        if seq is None:
            return
        # Before anything is heard: what the first block takes back is no news otherwise.
        self.lanes.follow(self.executor.nonces)
        self.keeper.look(seq)
        self.balances.look(seq)
        self._agreement.look(seq)
        now = self._timer()
        if now - self._looked_at >= ORDERS_S:
            self._looked_at = now
            block = session.engine.market.block
            self.orders.carry_out(seq, now, lambda: self._why_not_armed(block, seq))
