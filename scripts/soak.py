"""A long life in a short time: `make soak`, or `make soak ARGS="--blocks 5000"`.

The real paper-trading follows a chain that comes as fast as it can be traded, with a thousand
strategies: forks of a few blocks and now and then of 150, blocks that come late, a ledger that
another program holds, and kills at any moment. Told are its memory after the first hour and at the
end, and whether its books are those of one replay of the same history without any checkpoint.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dexarb.core.block import Block, BlockRef
from dexarb.core.market import Market
from dexarb.errors import StoreError
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_reader import read_only
from dexarb.store.snapshot import StateWriter
from tests.support.replayed import digest_of_a_replay
from tests.support.worlds.random_chain import RandomChain

DAY_BLOCKS, HOUR_BLOCKS = 57_600, 2_400
"""At 1.5 seconds."""
REMEMBERED = 400
"""Blocks to which the chain may still go back."""
MOST_BEHIND = 100
"""Entries that the trader may be behind the chain."""
FORK_EVERY, DEEP_EVERY, KILL_EVERY, LOCK_EVERY = 37, 5_003, 1_009, 1_511
DEEP = 150
CONFIG = """
[general]
state_file = "{folder}/pool_state.json"
ledger_file = "{folder}/ledger.sqlite"
log_dir = "{folder}/logs"
[[grid]]
name = "g"
pairs = ["NATIVE/USD", "OTHER/USD", "NATIVE/OTHER"]
min_profit_usd = [{profits}]
max_trade_size_usd = [{sizes}]
max_slippage_percent = [0.1, 0.2, 0.5, 1.0]
max_gas_gwei = 10000
max_consecutive_losses = 5
cooldown_blocks = 100
"""


class Soak:
    """A chain, its history, and the trader that follows it."""

    def __init__(self, folder: Path) -> None:
        self._chain = RandomChain("soak", noise=0.004)
        self._market = Market(self._chain.first)
        self._branch: list[Block] = [self._chain.first.block]
        self._history, self._ledger = folder / "history", folder / "ledger.sqlite"
        self._writer = HistoryWriter.open(self._history, chain_id=1, chain="random")
        self._writer.append_keyframe(self._chain.first)
        self._state = StateWriter(folder / "pool_state.json", self._history)
        self._state.write(self._market, 1, now=True)
        self._config = folder / "paper.toml"
        profits = ", ".join(str(n / 10) for n in range(25))
        sizes = ", ".join(str(100 * (n + 1)) for n in range(10))
        self._config.write_text(CONFIG.format(folder=folder, profits=profits, sizes=sizes))
        self._trader = self._started()
        self.memory: list[float] = []
        """Of the trader, in MiB, hour by hour."""

    def _started(self) -> subprocess.Popen[bytes]:
        program = Path(sys.executable).with_name("paper-trading")
        return subprocess.Popen([program, "-c", self._config], stderr=subprocess.DEVNULL)

    def run(self, blocks: int) -> None:
        began = time.monotonic()
        for number in range(1, blocks + 1):
            self._next(number)
            self._wait_for_trader()
            if number % KILL_EVERY == 0:
                self._trader.kill()
                self._trader.wait()
                self._trader = self._started()
            if number % LOCK_EVERY == 0:
                self._hold_ledger()
            if number % HOUR_BLOCKS == 0 or number == blocks:
                self.memory.append(memory_of(self._trader.pid))
                took = time.monotonic() - began
                print(
                    f"block {number:,}: {self.memory[-1]:.0f} MiB, {number / took:,.0f} blocks/s",
                    flush=True,
                )
        self._wait_for_trader(0)
        self._trader.send_signal(signal.SIGTERM)
        self._trader.wait()
        self._writer.close()

    def _next(self, number: int) -> None:
        if number % DEEP_EVERY == 0:
            self._fork_deep()
        elif number % FORK_EVERY == 0:
            del self._branch[max(1, len(self._branch) - 1 - number % 5) :]
        update = self._chain.mine(parent=self._branch[-1], busy=3)
        late = 60.0 if number % 23 == 0 else 0.5
        block = replace(update.block, seen_at=update.block.timestamp + late)
        update = replace(update, block=block)
        self._market.rewind(block.parent_hash)
        self._market.apply(update)
        self._writer.append(update)
        self._writer.roll_if_full(self._market.keyframe)
        self._branch.append(block)
        if len(self._branch) > REMEMBERED:
            self._chain.forget(self._branch.pop(0))

    def _fork_deep(self) -> None:
        """As the collector writes one."""
        del self._branch[-DEEP:]
        fork = self._branch[-1]
        self._writer.append_break(BlockRef(fork.number, fork.hash), "deep")
        pools = tuple(self._chain.states_at(fork).values())
        keyframe = replace(self._chain.first, block=fork, pools=pools)
        self._writer.append_keyframe(keyframe)
        self._market = Market(keyframe)

    def _hold_ledger(self) -> None:
        """As a program that looks into it and does not let go for a while."""
        with closing(sqlite3.connect(self._ledger, timeout=5, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(2)
            other.execute("ROLLBACK")

    def _wait_for_trader(self, behind: int = MOST_BEHIND) -> None:
        while self._writer.last_seq - (seq := self._seq()) > behind:
            if self._trader.poll() is not None:
                raise SystemExit(f"the trader has ended with {self._trader.returncode}")
            time.sleep(0.01)
            if not seq:
                return  # it begins with a block that is still to come

    def _seq(self) -> int:
        try:
            with read_only(self._ledger) as books:
                return max(0, books.seq)
        except StoreError:  # not there yet, or being made
            return 0

    def digests(self) -> tuple[str, str]:
        """The trader's, and that of a replay."""
        with read_only(self._ledger) as live:
            fresh = self._ledger.with_name("replayed.sqlite")
            return live.digest(), digest_of_a_replay(live, fresh)


def memory_of(pid: int) -> float:
    """Resident, in MiB."""
    told = Path(f"/proc/{pid}/status").read_text()
    return int(told.split("VmRSS:")[1].split()[0]) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=DAY_BLOCKS)
    blocks = parser.parse_args().blocks
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder))
        soak.run(blocks)
        print(f"memory: {soak.memory[0]:.0f} MiB, at the end {soak.memory[-1]:.0f} MiB")
        live, replayed = soak.digests()
    print(f"digest {live}, replayed {replayed}")
    if live != replayed:
        raise SystemExit("the books are not those of a replay")


if __name__ == "__main__":
    main()
