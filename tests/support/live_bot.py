"""A bot on the embedded chain: executor, key, file, and blocks that hold what it sends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from dexarb.config.collector import load_collector
from dexarb.config.paths import rehearsal_ledger
from dexarb.core.sending import Control, ControlKind, Signed, why_not_armed
from dexarb.core.token import Address
from dexarb.demo.bot import DemoBot, settle_in
from dexarb.demo.mining import Mined, TransactionRequest
from dexarb.demo.relay import request_of
from dexarb.errors import StoreError
from dexarb.store.journal import JournalReader, give_order
from dexarb.store.ledger_reader import read_only
from dexarb.study.totals import read_totals
from tests.support.forking import DEEPEST, Forks
from tests.support.json_rpc_server import Reply, encoded
from tests.support.live import Live, live
from tests.support.lying_relay import TOKEN, LyingRelay
from tests.support.served import served

DEEP = 4
"""Below which no test reorganises."""
WIDE = {
    "daily_loss_usd": 100_000,
    "daily_gas_usd": 100_000,
    "max_reverts_in_a_row": 1_000,
    "max_open_usd": 100_000,
    "max_trade_usd": 10_000,
    "max_disagreement_blocks": DEEP,
}
"""Limits that no test reaches by accident."""
STRATEGY = """
[[strategy]]
name = "Live"
pairs = ["WETH/USDC", "WMATIC/USDC", "WBTC/WETH", "WBTC/USDC", "WMATIC/WETH"]
min_profit_usd = 0.01
max_trade_size_usd = 5000.0
max_slippage_percent = 100.0
max_gas_gwei = 1000
priority_fee_gwei = 60.0
deadline_blocks = 2
"""


class OtherChain:
    """Mutable. Another endpoint of the node, to be asked for blocks by their numbers; it has others
    than the first as long as `is_elsewhere`, and knows nothing else."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_elsewhere = False

    def reply(self, sent: Any) -> Reply:
        if isinstance(sent, list) or sent["method"] != "eth_getBlockByNumber":
            return Reply(b"", 503)
        call = Request(self._url, json.dumps(sent).encode(), {"Content-Type": "application/json"})
        with urlopen(call) as answer:
            found = json.load(answer)
        if self.is_elsewhere and found["result"]:
            found["result"]["hash"] = "0x" + "ab" * 32
        return encoded(found)


class LiveBot:
    """Mutable: a chain with traders, a relay, and a bot that may be started and killed."""

    def __init__(self, run: Live, relay: LyingRelay, other: OtherChain, bot: DemoBot) -> None:
        """other: what the bot may ask beside the collector's endpoint."""
        self.run, self.relay, self.other = run, relay, other
        self.forks = Forks(run.driver)
        self._pending: dict[tuple[Address, int], TransactionRequest] = {}
        self._included: deque[list[TransactionRequest]] = deque(maxlen=DEEPEST)
        self.executor, self.operators, self.keys = bot.executor, bot.operators, bot.keys
        self.config, self.journal, self.ledger = bot.config, bot.journal, bot.ledger
        self.said = run.folder / "bot.said"
        self._started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        program = Path(sys.executable).with_name("dexarb-bot")
        self._started_at = time.time()
        with self.said.open("ab") as said:
            self._process = subprocess.Popen(
                [program, "--config", str(self.config), *options],
                stdout=said,
                stderr=said,
                env=os.environ | {"NO_COLOR": "1"},
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def trading(self) -> None:
        """Wait until it has warmed up."""
        await self._ready(self.ledger)

    async def rehearsing(self) -> None:
        await self._ready(rehearsal_ledger(self.ledger))

    async def _ready(self, ledger: Path) -> None:
        def is_trading() -> bool:
            if not self.running:
                raise AssertionError(self.said.read_text()[-3000:])
            try:
                return read_totals(ledger).is_trading
            except StoreError:
                return False

        await self.run.until(is_trading, "the bot to start")

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def seq(self) -> int:
        try:
            with read_only(self.ledger) as ledger:
                return max(0, ledger.seq)
        except StoreError:
            return 0

    def _is_offered(self) -> bool:
        """Whether every transaction signed since its start has been given to the relay, or refused
        by it. Older ones may come too late to be given out again."""
        try:
            with JournalReader.open_to_read(self.journal) as journal:
                offered = {each.hash for each in journal.offers()}
                return all(
                    each.hash in offered for each in journal.signed() if each.at >= self._started_at
                )
        except StoreError:
            return False

    def signed(self) -> list[Signed]:
        with JournalReader.open_to_read(self.journal) as journal:
            return journal.signed()

    async def settled(self) -> None:
        """Wait until the bot has taken the newest block, and sent what it decided."""
        await self.run.collected()
        seq = self.run.state()["seq"]
        await self.run.until(
            lambda: self.seq() >= seq and self._is_offered(),
            f"entry {seq} at the bot\n{self.said.read_text()[-3000:]}",
        )

    async def mine(self, others: Sequence[TransactionRequest] = ()) -> Mined:
        """The next block, with what the bot and others have sent for it."""
        guests = await self._guests()
        mined = await self.run.driver.step(guests=[*guests, *others])
        self._included.append([each for each in guests if each in mined.requests])
        self.forks.remember()
        return mined

    async def block(self) -> Mined:
        """As `mine`, and the bot has settled it."""
        mined = await self.mine()
        if self.running:
            await self.settled()
        return mined

    async def take_back(self, depth: int, *, forgets: bool) -> int:
        """Of the newest blocks so many; the next one takes their place. Returns how many of ours
        were in them. forgets: nodes do not remember these, so that the bot has to send them again.
        """
        await self.forks.take_back(depth)
        dead = [request for _ in range(depth) for request in self._included.pop()]
        if not forgets:
            for each in dead:
                self._put(each)
        return len(dead)

    def has_just_included(self) -> bool:
        return bool(self._included and self._included[-1])

    async def next_nonce(self, operator: Address) -> int:
        return int(await self.run.rpc.call("eth_getTransactionCount", operator, "latest"), 16)

    async def _guests(self) -> list[TransactionRequest]:
        """As a node's pool: what comes next of each account, the dearer of two with a nonce."""
        for each in self.relay.take():
            self._put(each)
        found: list[TransactionRequest] = []
        for operator in self.operators:
            following = await self.next_nonce(operator)
            self._pending = {
                (who, nonce): each
                for (who, nonce), each in self._pending.items()
                if who != operator or nonce >= following
            }
            request = self._pending.pop((operator, following), None)
            found += [] if request is None else [request]
        return found

    def put(self, raw: bytes) -> None:
        """Somebody else sends from the bot's account."""
        self._put(request_of(raw)[1])

    def _put(self, request: TransactionRequest) -> None:
        place = place_of(request)
        known = self._pending.get(place)
        if known is None or request.priority_fee > known.priority_fee:
            self._pending[place] = request

    def controls(self) -> list[Control]:
        with JournalReader.open_to_read(self.journal) as journal:
            return journal.controls()

    async def is_disarmed_by(self, reason: str) -> None:
        def is_so() -> bool:
            return reason in (why_not_armed(self.controls()) or "")

        await self.run.until(is_so, f"{reason}\n{self.said.read_text()[-3000:]}")

    async def arm(self) -> None:
        give_order(self.journal, ControlKind.ARM, "a test", time.time())
        await self.run.until(lambda: why_not_armed(self.controls()) is None, "it to be armed")


def place_of(request: TransactionRequest) -> tuple[Address, int]:
    """Account and nonce."""
    assert request.raw is not None
    return request.sender, request_of(request.raw)[0]


@asynccontextmanager
async def live_bot(
    folder: Path, *, seed: int = 1, strategy: str = STRATEGY, lanes: int = 1
) -> AsyncIterator[LiveBot]:
    relay = LyingRelay()
    async with live(folder, seed=seed) as run:
        relay.start()
        settled = await settle_in(
            run.driver,
            run.rpc,
            folder,
            relay,
            strategy=strategy,
            limits=WIDE,
            max_state_age_secs=600,
            lanes=lanes,
        )
        text, way = settled.config.read_text(), f'name = "relay"\nheaders = {{Auth = "{TOKEN}"}}'
        settled.config.write_text(text.replace('name = "relay"', way))
        (url,) = load_collector(run.files.collector).endpoints
        other = OtherChain(url.replace("ws:", "http:"))
        bot = LiveBot(run, relay, other, settled)
        try:
            with served(other.reply) as server:
                text = run.files.collector.read_text()
                asks = run.files.collector.with_name("asks.toml")
                asks.write_text(text.replace(f'["{url}"]', f'["{url}", "{server.http_url}"]'))
                for_bot = settled.config.read_text().replace('"collector.toml"', '"asks.toml"')
                settled.config.write_text(for_bot)
                yield bot
        finally:
            if bot.running:
                bot.kill()
            relay.stop()
