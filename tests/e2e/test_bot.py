"""The bot on the embedded chain: real transactions of a real key, and their twins."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from dexarb.apps import preflight
from dexarb.ends.live.live_executor import LiveExecutor
from dexarb.ends.live.records import Records
from dexarb.store.history_reader import HistoryReader
from dexarb.store.journal import JournalReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.study.live_results import read_results
from dexarb.study.replay import Ends, plan_as, replay
from dexarb.trading.models.reality import Reality
from tests.support.live_bot import LiveBot, live_bot

pytestmark = pytest.mark.e2e


def digest_of(path: Path) -> str:
    with read_only(path) as ledger:
        return ledger.digest()


def replayed_digest(bot: LiveBot, path: Path) -> str:
    """Of history and journal alone, played once more with nothing sent."""
    with JournalReader.open_to_read(bot.journal) as journal:
        records = Records(journal.signed(), journal.controls())

    def ends(reality: Reality) -> Ends:
        executor = LiveExecutor(reality, records, [bot.operator])
        return Ends(executor, executor)

    with read_only(bot.ledger) as real:
        plan, history, chain_id = plan_as(real, 600.0), real.history, real.chain_id
    with LedgerDb.open(path, chain_id=chain_id, history=history) as again:
        for _ in replay(HistoryReader(history), again, plan, ends=ends):
            pass
        return again.digest()


def test_trades_and_twins_agree(tmp_path: Path) -> None:
    async def play() -> None:
        async with live_bot(tmp_path) as bot:
            bot.start("--live", "--unproven")
            await bot.trading()
            for _ in range(40):
                await bot.block()
            assert bot.stop() == 0
            found = read_results(bot.journal, bot.ledger)
            assert replayed_digest(bot, tmp_path / "again.sqlite") == digest_of(bot.ledger)
            assert (await asyncio.to_thread(preflight.answer, bot.config, time.time)).exit_code == 0
            assert found.included >= 6
            assert not found.differences

    asyncio.run(play())
