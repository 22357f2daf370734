"""Everything for real: an embedded chain, its traders, and our processes, under a test's hand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dexarb.chain.rpc import Rpc
from dexarb.demo.anvil import start_anvil
from dexarb.demo.driver import Driver
from dexarb.demo.settings import Files, write_settings

PATIENCE_S = 60.0
PAPER_TOML = Path(__file__).parent.parent.parent / "config" / "paper_trading.toml"


class Process:
    """One of our programs; what it says on standard error is kept in a file."""

    def __init__(self, name: str, config: Path, said: Path) -> None:
        self.name, self.said = name, said
        program = Path(sys.executable).with_name(name)
        with said.open("ab") as errors:
            self._process = subprocess.Popen(
                [program, "--config", str(config)],
                stdout=errors,
                stderr=errors,
                env=os.environ | {"NO_COLOR": "1"},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        return self.said.read_text()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.running:
            self._process.terminate()
        return self.ended()

    def ended(self) -> int:
        """Wait for it to end by itself; returns the exit code."""
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Live:
    """A running chain with its folder. `until` is how tests wait."""

    def __init__(self, folder: Path, rpc: Rpc, driver: Driver, files: Files) -> None:
        self.folder, self.rpc, self.driver, self.files = folder, rpc, driver, files
        self.processes: list[Process] = []

    def start(self, name: str) -> Process:
        config = {"data-collector": self.files.collector, "paper-trading": self.files.paper}[name]
        process = Process(name, config, self.folder / f"{name}.said")
        self.processes.append(process)
        return process

    def state(self) -> dict[str, Any]:
        """pool_state.json, empty while there is none."""
        try:
            found: dict[str, Any] = json.loads(self.files.state.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; fails with what was waited for and what the processes said."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                said = "\n".join(f"{p.name}: {p.text()[-1500:]}" for p in self.processes)
                raise AssertionError(f"waited in vain for {what}\n{said}")
            await asyncio.sleep(0.01)

    async def collected(self) -> None:
        """Wait until the state file shows the chain's newest block."""
        header = await self.rpc.call("eth_getBlockByNumber", "latest", False)
        await self.until(
            lambda: self.state().get("block", {}).get("hash") == header["hash"],
            f"block {int(header['number'], 16)} in pool_state.json",
        )

    async def blocks(self, count: int) -> None:
        """Traffic, as fast as the node makes it."""
        for _ in range(count):
            await self.driver.step()


@asynccontextmanager
async def live(
    folder: Path,
    *,
    seed: int = 1,
    endpoint: str = "ws",
    segment_blocks: int | None = None,
    paper_config: Path = PAPER_TOML,
) -> AsyncIterator[Live]:
    """A chain with traders. endpoint: ws or http, how the collector reaches it. paper_config: with
    the strategies to trade."""
    # Fresh enough to be traded on, and never before the present: traffic runs ahead of the clock.
    with start_anvil(timestamp=int(time.time())) as node:
        async with Rpc.connect(node.http_url) as rpc:
            driver = await Driver.start(rpc, seed=seed)
            url = node.ws_url if endpoint == "ws" else node.http_url
            files = write_settings(driver.world, folder, endpoint=url, paper_config=paper_config)
            text = files.collector.read_text()
            fast = "poll_interval_ms = 20\n"
            if segment_blocks is not None:
                fast += f"segment_blocks = {segment_blocks}\n"
            files.collector.write_text(text.replace("[collector]\n", f"[collector]\n{fast}"))
            made = Live(folder, rpc, driver, files)
            try:
                yield made
            finally:
                for process in made.processes:
                    if process.running:
                        process.kill()
