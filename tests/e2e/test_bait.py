"""A pool that lets everybody trade but the bot: it is avoided, and nobody stops the bot by it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from dexarb.core.sending import ControlKind, Difference, Twin, avoided, why_not_armed
from dexarb.core.token import Address
from dexarb.store.journal import JournalReader
from tests.e2e.test_bot import EAGER
from tests.support.live_bot import LiveBot, live_bot

pytestmark = [pytest.mark.e2e, pytest.mark.fuzz]

COPY = Address("0x" + "c0" * 20)
SWAP = "022c0d9f"
OLD = 12
"""Blocks, behind which no pool is used for the first time."""


def bait_code(executor: Address, copy: Address) -> str:
    """All calls go on to the pair's own code, but for the executor's swaps."""
    refuses = f"3373{executor[2:]}145f3560e01c63{SWAP}1416605357"
    passes = f"365f5f375f5f365f73{copy[2:]}5af43d5f5f3e604f573d5ffd"
    return f"0x{refuses}{passes}5b3d5ff35b5f5ffd"


def twins(bot: LiveBot) -> list[Twin]:
    with JournalReader.open_to_read(bot.journal) as journal:
        return journal.twins()


async def is_pair(bot: LiveBot, pool: str) -> bool:
    code = await bot.run.rpc.call_as(str, "eth_getCode", pool, "latest")
    return SWAP in code


def test_a_bait_is_avoided_and_everything_else_is_traded(tmp_path: Path) -> None:
    async def play() -> None:
        async with live_bot(tmp_path, seed=7, strategy=EAGER) as bot:
            await bot.run.blocks(OLD)
            bot.start("--live", "--unproven")
            await bot.trading()
            pairs: list[str] = []
            while not pairs:
                await bot.block()
                passed = {pool for each in twins(bot) for pool in each.decision.cycle.pools}
                pairs = [pool for pool in sorted(passed) if await is_pair(bot, pool)]
            rpc, pair = bot.run.rpc, pairs[0]
            await rpc.call("anvil_setCode", COPY, await rpc.call("eth_getCode", pair, "latest"))
            await rpc.call("anvil_setCode", pair, bait_code(bot.executor, COPY))
            for _ in range(200):
                await bot.block()
                if any(each.difference is Difference.MODEL for each in twins(bot)):
                    break
            (model,) = [each for each in twins(bot) if each.difference is Difference.MODEL]
            before = len(twins(bot))
            assert pair in model.decision.cycle.pools
            assert pair in avoided(bot.controls())
            for _ in range(150):
                await bot.block()
            assert bot.stop() == 0
            after = [
                each
                for each in twins(bot)[before:]
                if each.decision.block.number > model.block.number
            ]
            assert after
            assert not any(pair in each.decision.cycle.pools for each in after)
            assert why_not_armed(bot.controls()) is None
            assert not any(each.kind is ControlKind.DISARM for each in bot.controls())
            sys.stdout.write(f"{before} trades until it was found, {len(after)} elsewhere\n")

    asyncio.run(play())
