"""Between the blocks of a bot: what nodes answered, what the chain says of its accounts, and which
nonces have waited too long."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty

import structlog

from dexarb.apps.live.orders import Orders
from dexarb.core.block import Block
from dexarb.core.sending import Answer, Offer
from dexarb.core.token import Address
from dexarb.ends.live.keys import Call, Signer
from dexarb.ends.live.lanes import Fees, Lanes
from dexarb.ends.live.records import Records
from dexarb.ends.live.sender import Account, Sender
from dexarb.errors import OutsideError
from dexarb.store.journal import Journal

ASK_S = 1.0
BALANCES_S = 30.0
PLAIN_GAS = 21_000

_log = structlog.get_logger("dexarb-bot")


class LaneKeeper:
    """Mutable. Everything that it is told comes out of the sender's queues; it waits for nothing.

    seq, everywhere: the entry of the history from which holds what it orders.
    """

    def __init__(
        self,
        journal: Journal,
        records: Records,
        lanes: Lanes,
        signers: Mapping[Address, Signer],
        sender: Sender,
        orders: Orders,
        clock: Callable[[], float],
        *,
        min_native: int,
        cancel_after_blocks: int,
        timer: Callable[[], float],
    ) -> None:
        """min_native: wei, with less of which the bot is disarmed. timer: seconds that no clock
        setter moves."""
        self._journal, self._records, self._lanes = journal, records, lanes
        self._signers, self._sender, self._orders = signers, sender, orders
        self._clock = clock
        self._min_native, self._patience = min_native, cancel_after_blocks
        self._balances: dict[Address, int] = {}
        self._timer = timer
        self._questions = 0
        self._doubted_behind: dict[Address, int] = {}
        self._asked_at = dict.fromkeys(signers, -math.inf)
        self._to_repeat: set[Address] = set()
        self._unwritten: list[Offer] = []
        self._block: Block | None = None

    def balance(self, lane: Address) -> int | None:
        """In wei, as the chain said last; None while nobody knows."""
        return self._balances.get(lane)

    @property
    def too_little(self) -> str | None:
        """In words, where an account has less than the limit; it is asked again all the time."""
        for lane, balance in self._balances.items():
            if balance < self._min_native:
                return f"min_native: {lane} has less than that for gas"
        return None

    def look(self, seq: int) -> None:
        """At what has come back since, and ask again where it is time."""
        self._take_offers(seq)
        self._take_accounts(seq)
        self._ask()

    def _ask(self) -> None:
        """What was asked before a doubt arose may be answered as things stood then."""
        now, in_doubt = self._timer(), self._lanes.in_doubt
        for lane, asked_at in self._asked_at.items():
            if lane not in in_doubt:
                self._doubted_behind.pop(lane, None)
                is_poor = self._balances.get(lane, self._min_native) < self._min_native
                pause_s = ASK_S if is_poor else BALANCES_S
            else:
                is_new = lane not in self._doubted_behind
                self._doubted_behind.setdefault(lane, self._questions)
                pause_s = 0.0 if is_new else ASK_S
            if now - asked_at >= pause_s:
                self._asked_at[lane] = now
                self._questions += 1
                self._sender.ask(lane, self._questions)

    def _take_offers(self, seq: int) -> None:
        offers: list[Offer] = []
        with suppress(Empty):
            while True:
                offers.append(self._sender.offers.get_nowait())
        self._unwritten += offers
        if offers:
            self._write()
        for offer in offers:
            signed = self._records.signed(offer.hash)
            if signed is None or offer.answer in (Answer.TAKEN, Answer.KNOWN):
                continue
            _log.warning("offer", way=offer.way, answer=offer.answer, said=offer.said)
            if offer.answer is Answer.NONCE_TOO_LOW:
                self._lanes.doubt(signed.lane)
            elif offer.answer is Answer.NO_FUNDS:
                self._orders.disarm(f"{signed.lane} has too little for gas", seq)

    def _write(self) -> None:
        if self._unwritten:
            with self._orders.writing():
                self._journal.add_offers(self._unwritten)
                self._unwritten.clear()

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
        if self.too_little is not None:
            self._orders.disarm(self.too_little, seq)
        if found.lane in self._lanes.in_doubt and (
            found.question <= self._doubted_behind.get(found.lane, self._questions)
        ):
            return
        if not self._lanes.hear(found.lane, found.nonce):
            return
        if self._lanes.waiting(found.lane) is not None:
            self._to_repeat.add(found.lane)
            self._repeat()
        elif found.pending > found.nonce:
            reason = f"transactions of {found.lane} wait that are not in the journal"
            self._orders.disarm(reason, seq)

    def _repeat(self) -> None:
        """What waits has perhaps never left the process, or was lost with a block; the same bytes
        do no harm twice. What would come too late is left to the next trade, which takes its nonce.
        """
        if self._block is None:
            return
        waiting = [each for lane in self._to_repeat if (each := self._lanes.waiting(lane))]
        in_time = [
            each.hash
            for each in waiting
            if each.decision is None or each.deadline_block > self._block.number
        ]
        with self._orders.writing():
            for one, raw in self._journal.raw(in_time):
                self._sender.send(one, raw)
            self._to_repeat.clear()

    def mined(self, block: Block) -> None:
        """A block has been traded on."""
        self._block = block
        self._write()
        self._repeat()
        self._use_up(block)

    def _use_up(self, block: Block) -> None:
        """A nonce that has waited for long with nobody to take it is used up."""
        for lane, signer in self._signers.items():
            waiting = self._lanes.waiting(lane)
            if waiting is None or block.number < waiting.deadline_block + self._patience:
                continue
            fees = Fees(2 * block.base_fee_per_gas + waiting.tip, waiting.tip)
            # What is paid is base fee and tip: a bid of dearer days is outbid for no more.
            most = Fees(2 * max(fees.max_fee, waiting.max_fee), 2 * fees.max_fee)
            slot = self._lanes.slot(lane, fees, most)
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
            with self._orders.writing():
                self._journal.add([], [one])
                self._records.add_signed(one.signed)
                self._sender.send(one.signed, one.raw)
                _log.info("cancel", lane=lane, nonce=slot.nonce)
