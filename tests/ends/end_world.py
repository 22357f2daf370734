"""The live end on the small chain: real files, a real key, and a node that says what a test wants.

Blocks come one at a time; everything between them is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_account import Account as Key

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.apps.live.end import LiveEnd
from dexarb.config.live import load_live
from dexarb.core.block import BlockUpdate
from dexarb.core.sending import Answer, ControlKind, Signed
from dexarb.core.token import Address, to_address
from dexarb.core.trade import Fill
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.demo.bot import bot_file
from dexarb.ends.live.keys import Signer
from dexarb.ends.live.live_executor import LiveExecutor
from dexarb.ends.live.records import Records
from dexarb.ends.live.sender import Sender
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.journal import Journal, JournalReader, give_order
from dexarb.store.ledger_db import LedgerDb
from dexarb.study.replay import Ends, plan_as, replay
from dexarb.study.session import Session
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.seams import Step
from tests.support.json_rpc_server import Call, Reply, encoded, failure, result
from tests.support.served import served
from tests.support.worlds.blocks import transaction
from tests.support.worlds.small_chain import (
    CHAIN_ID,
    CHEAP,
    PROFILE,
    SmallChain,
    keyframe,
    settings,
    weth_pool,
)

EXECUTOR, OWNER = Address("0x" + "ee" * 20), Address("0x" + "0f" * 20)
KEY = "s3cr3t-of-the-relay"
"""In the way's URL, and in that of the node that is asked."""
TOKEN = "t0k3n-of-the-relay"
"""In the way's headers."""
STRATEGY = """
[[strategy]]
name = "test"
pairs = ["WETH/USDC"]
min_profit_usd = 1.0
max_trade_size_usd = 2000.0
max_slippage_percent = 0.5
max_gas_gwei = 100
"""
LIMITS = {"max_trade_usd": 10_000, "max_open_usd": 100_000, "min_native": 0}
AGE_S = 4
MOVED = REALITY.gas.before_run([UniswapV2Pool.gas] * 2)
"""What a run takes that the executor does not start."""
MUCH = 10**21
PATIENCE_S = 20.0


class Node:
    """Mutable: what the chain says of accounts, and everything that was given to it."""

    def __init__(self) -> None:
        self.nonces: dict[str, int] = {}
        self.balance = MUCH
        self.asked = 0
        self.taken: list[str] = []
        self.held: dict[str, int] = {}
        """By account, or token of the executor, at the block that is asked for; MUCH of others."""
        self.read: list[str] = []
        """Blocks at which it was asked."""
        self.blocks: dict[int, str] = {}
        """Their hashes by number; without any it has none."""
        self.compared: list[int] = []
        """Numbers that it was asked for."""
        self.unknown: set[str] = set()
        """Blocks of which it does not know."""
        self.is_there = True
        self.babbles = False
        self.lie: Callable[[Call], Reply] | None = None
        """Instead of what it should say when it is given a transaction; it has taken it."""

    def reply(self, sent: Any) -> Reply:
        if not self.is_there:
            return Reply(b"", 503)
        is_given = not isinstance(sent, list) and sent["method"] == "eth_sendRawTransaction"
        if self.lie is not None and is_given:
            self.taken.append(sent["params"][0])
            return self.lie(sent)
        if isinstance(sent, list):
            return encoded([self._answer(call) for call in sent])
        return encoded(self._answer(sent))

    def _answer(self, call: Call) -> Call:
        method, params = call["method"], call.get("params", [])
        if method == "eth_getTransactionCount":
            return result(call, hex(self.nonces.get(params[0], 0)))
        if isinstance(params[-1] if params else None, dict) and "blockHash" in params[-1]:
            self.read.append(params[-1]["blockHash"])
            if self.read[-1] in self.unknown:
                return failure(call, -32000, "header not found")
            of = params[0]["to"] if method == "eth_call" else params[0]
            return result(call, hex(self.held.get(of, MUCH)))
        if method == "eth_getBlockByNumber":
            self.compared.append(int(params[0], 16))
            found = self.blocks.get(self.compared[-1])
            return result(call, found and {"hash": found})
        if method == "eth_getBalance":
            self.asked += 1
            return result(call, "nothing" if self.babbles else hex(self.balance))
        if method == "eth_sendRawTransaction":
            self.taken.append(params[0])
            return result(call, "0x" + "00" * 32)
        return failure(call, -32601, "method not found")


class Said:
    """What people were told."""

    def __init__(self) -> None:
        self.disarmed_by: list[str] = []
        self.fills: list[Fill] = []
        self.times_armed = 0
        self.journal: list[str | None] = []

    def disarmed(self, reason: str) -> None:
        self.disarmed_by.append(reason)

    def armed(self) -> None:
        self.times_armed += 1

    def traded(self, fills: Sequence[Fill]) -> None:
        self.fills += fills

    def stuck(self, problem: str | None) -> None:
        self.journal.append(problem)


class EndWorld:
    """Mutable. late_s: by how much the bot's clock is behind each block's timestamp. waited_s: what
    its timer says. nodes: one for each way of sending; the first is asked for accounts as well."""

    def __init__(
        self,
        folder: Path,
        urls: Sequence[str],
        nodes: Sequence[Node],
        lanes: int,
        limits: Any,
        timeout_s: float,
    ) -> None:
        self.folder, self.nodes, self.said = folder, nodes, Said()
        self.node = nodes[0]
        self.late_s = 0.5
        self.waited_s = 0.0
        self.strategies = [settings(deadline_blocks=1)]
        url, *more = urls
        path = folder / "live.toml"
        path.write_text(
            bot_file(EXECUTOR, OWNER, f"{url}/{KEY}", LIMITS | limits, AGE_S)
            .replace("[live]", "[live]\ncancel_after_blocks = 3")
            .replace(
                'name = "relay"',
                f'name = "relay"\nheaders = {{Authorization = "Bearer {TOKEN}"}}',
            )
            + "".join(f'[[way]]\nname = "way {n}"\nurl = "{each}"\n' for n, each in enumerate(more))
            + STRATEGY
        )
        self.config = load_live(path)
        self.keys = [Signer(Key.from_key(bytes([each + 1] * 32))) for each in range(lanes)]
        self.lanes = [each.address for each in self.keys]
        self.history = folder / "history"
        first = keyframe()
        self.chain = SmallChain(first)
        self.writer = HistoryWriter.open(self.history, chain_id=CHAIN_ID, chain=PROFILE.name)
        self.writer.append_keyframe(first)
        self._read_urls, self._timeout_s = [f"{url}/{KEY}"], timeout_s
        self._senders: list[Sender] = []
        self.begin()

    def clock(self) -> float:
        return self.chain.tip.timestamp + self.late_s

    def begin(self) -> None:
        """As a program that starts."""
        self.sender = Sender(
            self.config.ways, self._read_urls, timeout_s=self._timeout_s, clock=self.clock
        )
        self.sender.start()
        self._senders.append(self.sender)
        self.journal = Journal.open(self.config.journal_file, chain_id=CHAIN_ID)
        self.ledger = LedgerDb.open(
            self.config.paper.general.ledger_file, chain_id=CHAIN_ID, history=self.history
        )
        fills = [(row.seq, row.fill) for row in self.ledger.fills() if row.reorged_seq is None]
        self.end = LiveEnd(
            self.config,
            self.journal,
            self.keys,
            self.sender,
            REALITY,
            known_fills=fills,
            told=self.said,
            clock=self.clock,
            timer=lambda: self.waited_s,
        )
        self.reader = HistoryReader(self.history)
        self.session = Session(
            self.reader,
            self.ledger,
            executor=self.end.executor,
            reality=REALITY,
            max_state_age_s=AGE_S,
            door=self.end.door,
        )
        known = self.session.ledger_seq
        for entry in self.reader.entries(self.session.from_seq):
            step = self.session.take(entry)
            if entry.seq > known:
                self._follow(step, entry, is_live=False)
        if [*self.session.settings] != self.strategies:
            self.session.use(self.strategies)

    def use_another_strategy(self) -> None:
        """Beside the first, which waits for its own trade."""
        small = settings("small", max_trade_size_micro_usd=500_000_000, deadline_blocks=1)
        self.strategies.append(small)
        self.session.use(self.strategies)

    def end_it(self) -> None:
        """As a program that is killed: nothing is written any more. What it has begun to send may
        still arrive."""
        self.journal.close()
        self.ledger.close()

    def close(self) -> None:
        for sender in self._senders:
            sender.stop()
        self.end_it()
        self.writer.close()

    def arm(self, *, tick_s: float = 0.01) -> None:
        self.order(ControlKind.ARM, "a test", tick_s=tick_s)

    def order(
        self, kind: ControlKind, reason: str, subject: str = "", *, tick_s: float = 0.01
    ) -> None:
        give_order(self.journal.path, kind, reason, self.clock(), subject)
        self.until(lambda: not self.journal.orders(), f"the order {kind}", tick_s=tick_s)

    def arm_again(self) -> None:
        """Where what disarmed it is over, of which the bot hears before it answers."""
        self.waited_s += 1.1
        self.arm(tick_s=0.001)

    # -- blocks ---------------------------------------------------------------------------------

    def step(self, update: BlockUpdate, *, is_live: bool = True, witnesses: int = 2) -> Step:
        update = replace(update, witnesses=witnesses)
        self.writer.append(update)
        step = self.session.take(update)
        assert step is not None
        self._follow(step, update, is_live=is_live)
        self.end.idle(self.session)
        return step

    def _follow(self, step: Step | None, entry: Any, *, is_live: bool) -> None:
        if step is not None:
            self.end.stepped(self.session, entry, step, is_live=is_live)
            self.session.write()

    def quiet(self) -> Step:
        return self.step(self.chain.mine())

    def spread(self, price: int = 2_450) -> BlockUpdate:
        """A block behind which one is decided."""
        return self.chain.mine(weth_pool(CHEAP, price))

    def including(
        self, signed: Signed, *, gain: int | None, gas_used: int = 145_000, **changes: Any
    ) -> BlockUpdate:
        """The next block, with a transaction of ours. gain: of the start token; None: reverted."""
        update = self.chain.mine(**changes)
        ours = transaction(
            0, hash=signed.hash, sender=signed.lane, to=EXECUTOR, gas_used=gas_used,
            succeeded=gain is not None,
        )  # fmt: skip
        swaps: tuple[SwapCount, ...] = ()
        flows: tuple[Flow, ...] = ()
        if gain is not None:
            (decision,) = [
                each.decision
                for each in self.journal.intents()
                if each.decision.id == signed.decision
            ]
            change = Change(decision.cycle.start_token, str(gain))
            swaps = tuple(SwapCount(to_address(pool), "v2", 1) for pool in decision.cycle.pools)
            flows = (Flow(0, tuple(range(len(swaps))), True, (), (change,)),)
        return replace(update, transactions=(ours,), traffic=Traffic(swaps, flows))

    def overtaken(self, signed: Signed, *, gas_used: int = MOVED, **changes: Any) -> BlockUpdate:
        """The next block: somebody took all there was before ours, which reverts, as its twin."""
        update = self.chain.mine(weth_pool(CHEAP, 2_500), **changes)
        ours = transaction(
            1, hash=signed.hash, sender=signed.lane, to=EXECUTOR, gas_used=gas_used, succeeded=False
        )
        return replace(update, transactions=(*update.transactions, ours))

    def gain_of(self, signed: Signed) -> int:
        (gain,) = [
            each.decision.amount_out - each.decision.amount_in
            for each in self.journal.intents()
            if each.decision.id == signed.decision
        ]
        return gain

    # -- waiting --------------------------------------------------------------------------------

    def until(self, condition: Callable[[], object], what: str, *, tick_s: float = 0.01) -> None:
        """While the bot idles. tick_s: of its timer, with every look."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            self.waited_s += tick_s
            self.end.idle(self.session)
            time.sleep(0.001)

    def ready(self) -> None:
        """Until it knows nonce and balance of every lane, and may send."""
        self.quiet()
        self.heard()
        self.arm()

    def heard(self) -> None:
        """Until it knows nonce and balance of every lane."""
        self.until(
            lambda: (
                all(self.end.keeper.balance(lane) is not None for lane in self.lanes)
                and not self.end.lanes.in_doubt
            ),
            "the accounts",
        )

    def ask(self) -> None:
        """Until the bot has been told of its accounts once more."""
        asked = self.node.asked
        self.waited_s += 60
        self.until(lambda: self.node.asked > asked, "a question for the accounts")
        self.until(
            lambda: all(self.end.keeper.balance(lane) == self.node.balance for lane in self.lanes),
            "the answer",
        )

    def compare(self) -> None:
        """Until the bot has heard once more which blocks the endpoint has."""
        for _ in range(2):  # who asks once more has had the answer before
            self._until_compared(len(self.node.compared) + 1)
        self.ask()

    def _until_compared(self, times: int) -> None:
        self.waited_s += 60
        self.until(lambda: len(self.node.compared) >= times, "a question for a block")

    def offered(self) -> None:
        """Until everything signed has been answered by the node."""
        self.until(
            lambda: (
                {each.hash for each in self.journal.signed()}
                <= {each.hash for each in self.journal.offers()}
            ),
            "an answer of the node",
        )

    # -- what came of it --------------------------------------------------------------------------

    @property
    def drops(self) -> list[str]:
        return [each.reason for each in self.journal.controls() if each.kind is ControlKind.DROP]

    @property
    def answers(self) -> list[Answer]:
        return [each.answer for each in self.journal.offers()]

    @property
    def disarmed_by(self) -> str | None:
        return self.end.records.disarmed_by(10**9)

    def assert_replays(self) -> None:
        """History and journal alone come to the same books."""
        with JournalReader.open_to_read(self.journal.path) as journal:
            records = Records(journal.signed(), journal.controls())

        def ends(reality: Reality) -> Ends:
            executor = LiveExecutor(reality, records, self.lanes)
            return Ends(executor, executor)

        path = self.folder / "again.sqlite"
        path.unlink(missing_ok=True)
        with LedgerDb.open(path, chain_id=CHAIN_ID, history=self.history) as again:
            for _ in replay(
                HistoryReader(self.history), again, plan_as(self.ledger, AGE_S), ends=ends
            ):
                pass
            assert again.digest() == self.ledger.digest()


@contextmanager
def end_world(
    folder: Path,
    *,
    lanes: int = 1,
    limits: dict[str, object] | None = None,
    timeout_s: float = 2.0,
    ways: int = 1,
) -> Iterator[EndWorld]:
    nodes = [Node() for _ in range(ways)]
    with ExitStack() as stack:
        urls = [stack.enter_context(served(node.reply)).http_url for node in nodes]
        world = EndWorld(folder, urls, nodes, lanes, limits or {}, timeout_s)
        try:
            yield world
        finally:
            world.close()
