"""The bot on the embedded chain: real transactions of a real key, and their twins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dexarb.study.live_results import read_results
from tests.support.live_bot import live_bot

pytestmark = pytest.mark.e2e


def test_trades_and_twins_agree(tmp_path: Path) -> None:
    async def play() -> None:
        async with live_bot(tmp_path) as bot:
            bot.start("--live", "--unproven")
            await bot.trading()
            for _ in range(40):
                await bot.block()
            assert bot.stop() == 0
            found = read_results(bot.journal, bot.ledger)
            assert found.included >= 6
            assert not found.differences

    asyncio.run(play())
