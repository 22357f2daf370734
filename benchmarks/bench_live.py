"""From a block to a transaction of ours at a node, step by step.

The whole bot as a person starts it, on blocks of 200 transactions, each proven by its receipts; a
second real node and a relay take what it sends, whichever is first. About 26 trades come of a run,
so its middle moves by some milliseconds, and its 99th percentile is its slowest trade. The
yardsticks are what no bot can do without: that node's answer with the receipts of such a block, and
a file that is synced to this disk.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Row, report, timed
from dexarb.chain.rpc import Rpc
from dexarb.demo.anvil import start_anvil
from dexarb.demo.artifacts import contract
from dexarb.demo.mining import TransactionRequest
from dexarb.study.live_trades import LiveTrade, read_trades
from tests.e2e.test_bot import EAGER
from tests.ends.end_world import end_world
from tests.support.live_bot import LiveBot, live_bot

TRANSACTIONS = 190
"""In each block, beside those of the demo's traders."""
BLOCKS = 150
DECISIONS = 200
LEFT_ALONE_S = 0.15
SYNCS = 200
TRANSFER_GAS = 60_000


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
        folder = Path(name)
        sync = synced(folder)
        signed = signed_and_synced(folder / "signing")
        trades, answer = asyncio.run(sent(folder / "sending"))
    seen = [each.steps.out for each in trades]
    return [
        _row("decision to signed and in the journal, synced; syncing a file",
             signed, sync, goal_ms=(6.0, 25.0)),
        _row("block of 200 receipts seen, to decided; the node's answer with them",
             [each.steps.decided for each in trades], answer),
        _row("  decided, to signed", [each.steps.signed for each in trades], sync),
        _row("  signed, to accepted by the first way",
             [each.steps.accepted for each in trades], answer),
        _row("  all of it: seen, to accepted by the first way; the node's answer",
             seen, answer, goal_ms=(25.0, None)),
    ]  # fmt: skip


def _row(
    name: str,
    milliseconds: Sequence[float | None],
    yardstick: Sequence[float],
    *,
    goal_ms: tuple[float, float | None] | None = None,
) -> Row:
    """goal_ms: of the middle, and of all but a hundredth."""
    ours = sorted(each for each in milliseconds if each is not None)
    p50, p99 = median(ours), ours[int(len(ours) * 0.99)]
    unit = median(yardstick)
    met = goal_ms and p50 <= goal_ms[0] and (goal_ms[1] is None or p99 <= goal_ms[1])
    goal = goal_ms and goal_ms[0]
    return report(Row(name, p50, "ms", p50, p99, unit, unit / p50, goal, met, os.getloadavg()[0]))


def synced(folder: Path) -> list[float]:
    """A page written and synced."""
    with (folder / "synced").open("wb") as file:

        def write() -> None:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())

        return [timed(write) * 1_000 for _ in range(SYNCS)]


def signed_and_synced(folder: Path) -> list[float]:
    """From an engine's step that decides until the sender has what the journal has."""
    folder.mkdir()
    took: list[float] = []
    with end_world(folder) as world:
        world.ready()
        begun = 0.0
        stepped, send = world.end.stepped, world.sender.send

        def step(*args: object, **more: object) -> None:
            nonlocal begun
            begun = time.perf_counter()
            stepped(*args, **more)  # type: ignore[arg-type]

        def take(*args: object) -> None:
            took.append((time.perf_counter() - begun) * 1_000)
            send(*args)  # type: ignore[arg-type]

        world.end.stepped = step  # type: ignore[method-assign]
        world.sender.send = take  # type: ignore[method-assign,assignment]
        while len(took) < DECISIONS:
            known = len(took)
            world.step(world.spread())
            if len(took) > known:
                (signed,) = [each for each in world.journal.signed()[known:] if each.decision]
                world.step(world.including(signed, gain=world.gain_of(signed)))
                world.node.nonces[signed.lane] = signed.nonce + 1
            world.step(world.spread(2_500))
    return took


async def sent(folder: Path) -> tuple[list[LiveTrade], list[float]]:
    """What a bot's journal says of its trades, and how long its node takes for the receipts."""
    folder.mkdir()
    with start_anvil(timestamp=int(time.time())) as node:
        async with live_bot(folder, strategy=EAGER) as bot, Rpc.connect(node.http_url) as rpc:
            for operator in bot.operators:
                await rpc.call("anvil_setBalance", operator, hex(10**22))
            with bot.config.open("a") as file:
                file.write(f'\n[[way]]\nname = "node"\nurl = "{node.http_url}"\n')
            leave_alone(bot.run.rpc)
            bot.start("--live", "--unproven")
            await bot.trading()
            for _ in range(BLOCKS):
                await full_block(bot)
            answer = [await _receipts(bot) for _ in range(20)]
            bot.stop()
            return list(read_trades(bot.journal, bot.ledger).trades), answer


def leave_alone(rpc: Rpc) -> None:
    """Whoever builds the blocks here reads each of them from the node as well, and waits for the
    bot: both only once the bot has had the node and the machine for itself."""
    call = rpc.call

    async def call_and_wait(method: str, *params: object) -> Any:
        answer = await call(method, *params)
        if method == "evm_mine":
            await asyncio.sleep(LEFT_ALONE_S)
        return answer

    rpc.call = call_and_wait  # type: ignore[method-assign]


async def full_block(bot: LiveBot) -> None:
    world = bot.run.driver.world
    token = world.tokens["USDC"].address
    pay = contract("ERC20PresetFixedSupply")["transfer"].call(token, 1)
    filler = [
        TransactionRequest("filler", world.accounts.deployer, token, pay, TRANSFER_GAS, 0)
        for _ in range(TRANSACTIONS)
    ]
    await bot.mine(filler)
    await bot.settled()


async def _receipts(bot: LiveBot) -> float:
    began = time.perf_counter()
    await bot.run.rpc.call("eth_getBlockReceipts", "latest")
    return (time.perf_counter() - began) * 1_000


if __name__ == "__main__":
    rows()
