"""The bot on the embedded chain: real transactions of a real key, and their twins."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from eth_account import Account
from eth_hash.auto import keccak

from dexarb.amm.abi import encode
from dexarb.apps.live import preflight
from dexarb.core.sending import Difference, TransactionHash, why_not_armed
from dexarb.core.token import Address
from dexarb.demo.mining import TransactionRequest
from dexarb.ends.executor_contract import withdraw_data
from dexarb.ends.live.keys import Call, open_key
from dexarb.ends.live.live_executor import LiveExecutor
from dexarb.ends.live.records import Records
from dexarb.store.history_reader import HistoryReader
from dexarb.store.journal import JournalReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.study.live_results import LiveResults, read_results
from dexarb.study.replay import Ends, plan_as, replay
from dexarb.trading.models.reality import Reality
from tests.alerts.files import alerts_table
from tests.support.command import Dexarb, dexarb
from tests.support.left_behind import found_in, told_by
from tests.support.live_bot import DEEP, STRATEGY, LiveBot, live_bot
from tests.support.lying_relay import KEY, TOKEN, Lie
from tests.support.mailbox import mailbox

__all__ = ["dexarb"]

TRANSFER = keccak(b"transfer(address,uint256)")[:4]
DISARMED = "the bot is disarmed"

LANES = 2
PER_LANDED = 12_500
"""What the way charges, in micro-USD."""
OLD = 12
"""Blocks, behind which no pool is used for the first time: that costs more gas once."""
EAGER = STRATEGY.replace("min_profit_usd = 0.01", "min_profit_usd = -1.0").replace(
    "priority_fee_gwei = 60.0", "priority_fee_gwei = 600.0"
)
MANY = "".join(
    EAGER.replace('name = "Live"', f'name = "Live{at or ""}"\nfunding = "{funding}"').replace(
        "5000.0", f"{size}.0"
    )
    for at, (funding, size) in enumerate([("own", 5_000), ("flash", 1_000), ("flash", 200)])
)
"""As many trades a block as there are lanes."""

pytestmark = pytest.mark.e2e


def digest_of(path: Path) -> str:
    with read_only(path) as ledger:
        return ledger.digest()


def replayed_digest(bot: LiveBot, path: Path) -> str:
    """Of history and journal alone, played once more with nothing sent."""
    with JournalReader.open_to_read(bot.journal) as journal:
        records = Records(journal.signed(), journal.controls())

    def ends(reality: Reality) -> Ends:
        executor = LiveExecutor(reality, records, bot.operators)
        return Ends(executor, executor)

    with read_only(bot.ledger) as real:
        plan, history, chain_id = plan_as(real, 600.0), real.history, real.chain_id
    with LedgerDb.open(path, chain_id=chain_id, history=history) as again:
        for _ in replay(HistoryReader(history), again, plan, ends=ends):
            pass
        return again.digest()


def assert_taught(bot: LiveBot, found: LiveResults, dexarb: Dexarb) -> None:
    """The report knows each step of each trade, paper is placed as if the real trade were not
    there, and the file for the taxes has what the ledger has."""
    told = dexarb("live", "report", "--config", bot.config, "--json").json
    assert {each["values"] for each in told["steps_ms"].values()} == {found.sent, found.included}
    assert told["steps_ms"].keys() == {"decided", "signed", "accepted", "included", "out"}
    assert told["places"]["there"] >= 3
    assert any(each["status"] == "filled" and each["predicted"] for each in told["trades"])
    assert abs(told["optimism_percent"]) < 1
    assert told["proposed"]["priority_fee_gwei"] == 600
    assert told["proposed"]["latency_blocks"] == 1
    assert 0 < told["proposed"]["latency_ms"] < 60_000
    said = dexarb("live", "report", "--config", bot.config)
    assert told["said"] in said.words
    table = dexarb("live", "report", "--config", bot.config, "--csv").out
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == found.included
    assert sum(int(row["net_micro_usd"]) for row in rows) == found.profit_micro_usd
    assert sum(int(row["gas_micro_usd"]) for row in rows) == found.gas_micro_usd
    assert {row["ways_micro_usd"] for row in rows} == {str(PER_LANDED)}
    assert told["ways_usd"] == found.included * PER_LANDED / 10**6
    assert [row["kind"] for row in rows].count("fee: reverted") == found.reverted
    for row in rows:
        assert Decimal(row["gas_native"]) * 10**18 == int(row["gas_wei"])
        if row["kind"] == "trade":
            gain = int(row["amount_out_units"]) - int(row["amount_in_units"])
            assert gain == int(row["gain_units"]) > 0
            assert row["strategy"].startswith("Live")


def debugs(bot: LiveBot) -> None:
    text = bot.config.read_text()
    bot.config.write_text(text.replace("[general]", '[general]\nlog_level = "debug"'))


def secrets_of(bot: LiveBot) -> dict[str, bytes]:
    with JournalReader.open_to_read(bot.journal) as journal:
        raw = {
            f"signed {each.hash}": raw
            for each, raw in journal.raw(x.hash for x in journal.signed())
        }
    password = (bot.keys[0].parent / "password").read_text()
    keys = {
        f"key {each.name}": bytes(Account.decrypt(each.read_text(), password)) for each in bot.keys
    }
    return (
        raw
        | keys
        | {"password": password.encode(), "key of the relay": KEY.encode(), "token": TOKEN.encode()}
    )


def assert_keeps_its_secrets(bot: LiveBot) -> None:
    """Nothing of them in what it has left behind."""
    secrets = secrets_of(bot)
    assert len(secrets) > 6
    apart = [bot.config, *(bot.keys[0].parent.iterdir())]
    assert found_in(bot.run.folder, secrets, apart) == []
    # It would be found.
    (bot.run.folder / "planted").write_text(secrets["key operator.json"].hex())
    assert found_in(bot.run.folder, secrets, apart) == ["key operator.json in planted"]


def assert_tells_no_secret(bot: LiveBot, dexarb: Dexarb, called: bytes) -> None:
    """called: what it was called with."""
    secrets = secrets_of(bot)
    assert told_by(called, secrets) == []
    for command in (["status"], ["status", "--json"], ["report", "--json"], ["report", "--csv"]):
        said = dexarb("live", *command, "--config", bot.config)
        assert told_by((said.out + said.err).encode(), secrets) == [], command


def assert_is_on_the_map(bot: LiveBot, found: LiveResults, dexarb: Dexarb) -> None:
    """Among the sends that were computed, ours that were real."""
    live = dexarb("map", "--config", bot.config, "--tip", 30, "--json").json["live"]
    assert (live["included"], live["hits"]) == (found.included, found.filled)
    assert live["tip_gwei"] == 600
    assert live["net_usd"] == pytest.approx(found.profit_micro_usd / 10**6)


def assert_is_told_from_others(bot: LiveBot, found: LiveResults, dexarb: Dexarb) -> None:
    """Among the winners we are named as us, and we are no rivals."""
    winners = dexarb("winners", "--config", bot.config, "--json").json["winners"]
    (us,) = (each for each in winners if each["us"])
    assert (us["target"], us["arbitrages"]) == (bot.executor, found.filled)
    assert set(us["senders"]) == {each.lane for each in found.lanes if each.filled}
    told = dexarb("rivals", "--config", bot.config, "--by", "sender", "--json").json
    assert told["own_takes"] == found.filled
    assert not {each["sender"] for each in told["rivals"]} & set(bot.operators)
    lanes = dexarb("live", "status", "--config", bot.config, "--json").json["lanes"]
    assert [each["copied_of"] for each in lanes] == [each.landed for each in found.lanes]


def assert_screens_know_it(bot: LiveBot, dexarb: Dexarb) -> None:
    """Those of the paper trader take the bot's file, and say that it trades without a verdict."""
    for command in ("status", "fills", "why", "rivals", "winners", "spreads"):
        said = dexarb(command, "--config", bot.config)
        assert said.code == 0, said.err
        assert 'unproven: the bot trades "Live", "Live1", "Live2" without a verdict' in said.err, (
            command
        )
    assert dexarb("live", "status", "--config", bot.config, "--json").json["unproven"] == [
        "Live",
        "Live1",
        "Live2",
    ]
    assert "unproven: the bot" in dexarb("live", "status", "--config", bot.config).words


def assert_rehearses(bot: LiveBot, dexarb: Dexarb) -> None:
    """All screens know that nothing was sent, and the books of trades do not begin with it."""
    said = dexarb("live", "status", "--config", bot.config)
    assert f"rehearses, process {bot.pid}: nothing is sent" in said.words
    said = dexarb("status", "--config", bot.config)
    assert said.code == 0
    assert "rehearsal: nothing of this was sent" in said.err
    assert dexarb("live", "report", "--config", bot.config, "--json").json["sent"] == 0
    reloaded = dexarb("reload", "--config", bot.config, "--json").json
    assert (reloaded["ok"], reloaded["asked_by"]) == (True, "SIGHUP")
    assert not bot.ledger.exists()


def test_trades_and_twins_agree(tmp_path: Path, dexarb: Dexarb) -> None:
    async def play() -> None:
        async with live_bot(tmp_path, seed=2, strategy=MANY, lanes=LANES) as bot:
            debugs(bot)
            charged = f"[[way]]\nusd_per_landed = {PER_LANDED / 10**6}"
            bot.config.write_text(bot.config.read_text().replace("[[way]]", charged))
            with bot.config.open("a") as file:
                kinds = 'kinds = ["first_trade", "disarmed"]\nrepeat_mins = 0'
                file.write(alerts_table(box.url(), more=kinds))
            await bot.run.blocks(OLD)
            bot.start()
            await bot.rehearsing()
            assert_rehearses(bot, dexarb)
            assert bot.stop() == 0
            bot.start("--live", "--unproven")
            await bot.trading()
            for _ in range(62):
                await bot.block()
            called = Path(f"/proc/{bot.pid}/cmdline").read_bytes()
            called += Path(f"/proc/{bot.pid}/environ").read_bytes()
            limits = Path(f"/proc/{bot.pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0 ", limits)
            dexarb("live", "stop", "--config", bot.config, "--reason", "enough")
            assert bot.stop() == 0
            found = read_results(bot.journal, bot.ledger)
            assert replayed_digest(bot, tmp_path / "again.sqlite") == digest_of(bot.ledger)
            assert (await asyncio.to_thread(preflight.answer, bot.config, time.time)).exit_code == 0
            another = bot.config.with_name("another.toml")
            another.write_text(bot.config.read_text().replace(bot.executor, "0x" + "99" * 20))
            told = await asyncio.to_thread(preflight.answer, another, time.time)
            another.unlink()
            assert any(
                each.subject == "own" and "99 for rivals" in each.found for each in told.findings
            )
            sys.stdout.write(f"{found.included} trades, no difference\n")
            assert found.included >= 24
            assert all(lane.landed for lane in found.lanes)
            assert len(found.lanes) > 1
            assert len(set(found.blocks)) < len(found.blocks)  # two of ours in one block
            assert not found.differences
            assert_taught(bot, found, dexarb)
            assert_screens_know_it(bot, dexarb)
            assert_is_on_the_map(bot, found, dexarb)
            assert_is_told_from_others(bot, found, dexarb)
            assert_tells_no_secret(bot, dexarb, called)
            assert_keeps_its_secrets(bot)

    with mailbox() as box:
        asyncio.run(play())
        titles = [f"dexarb dexarb-bot: {what}" for what in ("first real trade", DISARMED)]
        box.wait(lambda: box.titles == titles)
        assert " at block " in box.mails[0]["message"]
        assert box.mails[1]["message"] == "enough"


async def transactions_of(bot: LiveBot, operator: Address) -> list[str]:
    """All of an operator's that the chain has, by hash, in their order."""
    rpc = bot.run.rpc
    head = int(await rpc.call("eth_blockNumber"), 16)
    blocks = await rpc.batch(
        [("eth_getBlockByNumber", [hex(number), True]) for number in range(head + 1)]
    )
    return [
        each["hash"]
        for block in blocks
        for each in block["transactions"]  # type: ignore[index]
        if each["from"].lower() == operator
    ]


class Story:
    """Mutable: everything that can go wrong around a bot, and what of it really has."""

    def __init__(self, bot: LiveBot, random: Random) -> None:
        self.bot, self.random = bot, random
        self.seen: Counter[str] = Counter()
        self.strange: set[str] = set()

    async def blocks(self, least: int, most: int) -> None:
        for _ in range(self.random.randint(least, most)):
            await self.bot.block()

    async def killed(self) -> None:
        """At a moment of its work, whichever it is. Blocks go on."""
        await self.bot.mine()
        await asyncio.sleep(self.random.random() * 0.05)
        self.bot.kill(self.random.choice([signal.SIGKILL, signal.SIGABRT]))
        for _ in range(self.random.randint(0, 2)):
            await self.bot.mine()
        self.seen["kill"] += 1

    async def starts(self) -> None:
        self.bot.start("--live", "--unproven")
        await self.bot.trading()

    async def kill(self) -> None:
        await self.killed()
        await self.starts()

    async def reorganisation(self) -> None:
        """Of blocks with a trade of ours among them."""
        for _ in range(40):
            await self.bot.block()
            if self.bot.has_just_included():
                break
        later = self.random.randint(0, 2)
        await self.blocks(later, later)
        depth = self.random.randint(later + 1, 3)
        ours = await self.bot.take_back(depth, forgets=self.random.random() < 0.5)
        self.seen["taken back"] += ours
        self.seen["reorganisation"] += 1
        for _ in range(depth):
            await self.bot.block()

    async def lie(self) -> None:
        for lie in (self.random.choice([Lie.FORGET, Lie.CUT, Lie.BABBLE]), Lie.ECHO):
            await self._lies(lie)

    async def _lies(self, lie: Lie) -> None:
        before = self.bot.relay.told[lie]
        self.bot.relay.lie = lie
        for _ in range(12):
            await self.bot.block()
            if self.bot.relay.told[lie] > before:
                break
        self.bot.relay.lie = None
        self.seen["lie"] += self.bot.relay.told[lie] - before

    async def emptied(self) -> None:
        """Its account, while it is down."""
        rpc, operator = self.bot.run.rpc, self.bot.operators[0]
        await self.killed()
        balance = await rpc.call("eth_getBalance", operator, "latest")
        await rpc.call("anvil_setBalance", operator, "0x1")
        await self.starts()
        await self.bot.is_disarmed_by("min_native")
        await rpc.call("anvil_setBalance", operator, balance)
        self.seen["emptied"] += 1
        await self.bot.arm()

    async def disagreement(self) -> None:
        """One of its endpoints is on another chain, from its start on."""
        if self.bot.running:
            await self.killed()
        self.bot.other.is_elsewhere = True
        await self.starts()
        await self.blocks(DEEP + 1, DEEP + 1)
        await self.bot.is_disarmed_by("max_disagreement_blocks")
        self.bot.other.is_elsewhere = False
        self.seen["disagreement"] += 1
        await self.bot.arm()

    async def gift(self) -> None:
        """Anybody can send anything: it stops nothing."""
        await self._from_owner(*self.bot.operators, value=1)
        tokens = self.bot.run.driver.world.tokens.values()
        transfer = encode(TRANSFER, self.bot.executor, 1)
        await self._from_owner(*(each.address for each in tokens), data=transfer)
        assert why_not_armed(self.bot.controls()) is None
        self.seen["gift"] += 1

    async def owner_takes(self) -> None:
        """Some of his money, while the bot runs; what was given to it since is not missed."""
        token = self.bot.run.driver.world.tokens["USDC"].address
        await self._from_owner(self.bot.executor, data=withdraw_data(token, 1_500_000))
        await self.bot.is_disarmed_by("its owner took 1.")
        self.seen["owner"] += 1
        await self.bot.arm()

    async def _from_owner(self, *to: Address, data: bytes = b"", value: int = 0) -> None:
        owner = self.bot.run.driver.world.accounts.deployer
        mined = await self.bot.mine(
            [
                TransactionRequest("owner", owner, each, data, 100_000, 10**12, value=value)
                for each in to
            ]
        )
        ours = [each for each in mined.requests if each.purpose == "owner"]
        assert len(ours) == len(to)
        await self.bot.settled()

    async def stranger(self) -> None:
        """Somebody has the operator's key, and uses the nonce that comes next."""
        bot = self.bot
        (key,), (operator,) = bot.keys, bot.operators
        signer = open_key(key, (key.parent / "password").read_text())
        ours = signer.sign(
            Call(operator, b"", 21_000),
            chain_id=bot.run.driver.world.chain_id,
            nonce=await bot.next_nonce(operator),
            max_fee=10**13,
            tip=10**13,
        )
        bot.put(ours.raw)
        self.strange.add(ours.signed.hash)
        await bot.block()
        await bot.is_disarmed_by("somebody else sends from")
        self.seen["stranger"] += 1
        await bot.arm()


async def play_with_kills(story: Story, kills: int) -> None:
    bot, random = story.bot, story.random
    # As when it is out of the bot's own hands whether what it sent is included.
    bot.run.start("data-collector")
    await bot.run.collected()
    moves = [
        *(story.disagreement, story.reorganisation, story.gift, story.lie),
        *(story.owner_takes, story.emptied, story.stranger),
    ]
    first, *later = moves
    await first()
    order = [story.kill, *later]
    while order or story.seen["kill"] < kills:
        await story.blocks(1, 5)
        move = order.pop(0) if order else random.choice([*moves, *[story.kill] * 6])
        await move()
    await story.blocks(6, 6)
    assert bot.stop() == 0


async def assert_accounted_for(bot: LiveBot, again: Path, strange: Collection[str] = ()) -> None:
    with JournalReader.open_to_read(bot.journal) as journal:
        signed = {each.hash: each for each in journal.signed()}
        by_decision = Counter(each.decision for each in signed.values() if each.decision)
    trades = 0
    for operator in bot.operators:
        chain = await transactions_of(bot, operator)
        assert len(chain) == len(set(chain)) >= 1
        assert set(chain) - signed.keys() <= set(strange)
        ours = [(nonce, signed.get(TransactionHash(each))) for nonce, each in enumerate(chain)]
        for nonce, each in ours:
            if each is not None:
                assert (each.lane, each.nonce) == (operator, nonce)
                trades += each.decision is not None
    assert set(by_decision.values()) == {1}  # nothing was sent again under another nonce
    found = read_results(bot.journal, bot.ledger)
    assert found.included == trades
    # A pool of a young chain costs more gas where it is used for the first time.
    assert found.differences.keys() <= {Difference.GAS}
    assert replayed_digest(bot, again) == digest_of(bot.ledger)


@pytest.mark.parametrize(
    ("kills", "seed"),
    [(2, 3), *(pytest.param(17, seed, marks=pytest.mark.fuzz) for seed in (3, 4, 5))],
)
def test_whatever_happens_all_that_the_chain_has_is_accounted_for(
    tmp_path: Path, kills: int, seed: int
) -> None:
    """Kills, reorganisations, a relay that lies, endpoints that disagree, an empty account, a
    stranger with the key."""

    async def play() -> None:
        async with live_bot(tmp_path, seed=seed, strategy=EAGER) as bot:
            debugs(bot)
            story = Story(bot, Random(f"{kills} {seed}"))
            await play_with_kills(story, kills)
            await assert_accounted_for(bot, tmp_path / "again.sqlite", story.strange)
            found = read_results(bot.journal, bot.ledger)
            sys.stdout.write(f"seed {seed}: {found.included} trades, {dict(story.seen)}\n")
            assert found.included >= 5
            what = {"kill", "reorganisation", "taken back", "lie", "emptied", "stranger"}
            what |= {"gift", "owner", "disagreement"}
            assert {each for each, times in story.seen.items() if times} == what
            assert bot.relay.told[Lie.ECHO]
            assert_keeps_its_secrets(bot)

    asyncio.run(play())


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_hundreds_of_trades_have_equal_twins(tmp_path: Path, seed: int) -> None:
    """Own funds and flash swaps, fixed bids and shares of the profit."""
    flash = STRATEGY.replace('name = "Live"', 'name = "Flash"').replace(
        "priority_fee_gwei = 60.0", 'funding = "flash"\nbid_percent = 10.0'
    )

    async def play() -> None:
        async with live_bot(tmp_path, seed=seed, strategy=STRATEGY + flash) as bot:
            bot.start("--live", "--unproven")
            await bot.trading()
            for _ in range(400):
                await bot.block()
            assert bot.stop() == 0
            await assert_accounted_for(bot, tmp_path / "again.sqlite")
            found = read_results(bot.journal, bot.ledger)
            sys.stdout.write(f"seed {seed}: {found.included} trades, no difference\n")
            assert found.included >= 60
            assert not found.differences

    asyncio.run(play())
