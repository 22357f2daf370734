"""dexarb demo: a node with real contracts and traders, and both processes, for real.

The demo drives the blocks; data-collector and paper-trading are processes of their own that talk
through files alone, as they would on a public chain.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog
from rich.console import Console

from dexarb.apps.process import Signals
from dexarb.chain.rpc import Rpc
from dexarb.config.paper import load_paper
from dexarb.config.paths import CONFIG_FOLDER
from dexarb.config.shipped_files import CLASSIC_STRATEGIES
from dexarb.demo.anvil import start_anvil
from dexarb.demo.artifacts import require_packages
from dexarb.demo.bot import DemoBot, settle_in
from dexarb.demo.driver import Driver
from dexarb.demo.guardian import Guarded, start_guarded
from dexarb.demo.live_table import Finished, LiveTable, look_inside
from dexarb.demo.npm import anvil_binary
from dexarb.demo.relay import Relay
from dexarb.demo.settings import Files, is_ours, write_settings
from dexarb.demo.stages import Stages
from dexarb.demo.watch import Watch
from dexarb.errors import ConfigError, OutsideError
from dexarb.screens import bot_status
from dexarb.screens.answer import show
from dexarb.screens.console import plain_console
from dexarb.store.files import disk_errors
from dexarb.store.locking import WriterLock

HEAD_START_S = 120
"""The chain's clock starts this long ago, so that its deployment ends before the present."""
STATE_AGE_S, AHEAD_S = 10, 3_600
"""The chain's blocks are a second apart: made faster than that, they run ahead of the clock, which
a bot would take for a clock that has jumped."""
POLL_S = 0.02
INTERRUPTED = 130
LOCK = "demo.lock"
EARLIER = "earlier"
PATIENCE_S = 60.0
"""How long a process may take to start, or to catch up at the end."""


def run(
    *,
    folder: Path,
    paper_config: Path | None,
    blocks: int | None,
    seed: int,
    interval_s: float,
    live: bool,
    as_json: bool,
) -> int:
    """Run until `blocks` or a signal. paper_config: None for the strategies that come with us.
    live: dexarb-bot trades as well, armed, with money of that chain.

    Returns the exit code; raises MissingTool, ConfigError.
    """
    signals = Signals()
    strategies = paper_config or CLASSIC_STRATEGIES
    load_paper(strategies)  # what is wrong or missing is told before anything is started
    anvil_binary()
    require_packages()
    # Standard output belongs to the result; structlog's own default would write there.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    console = plain_console(stderr=True)
    return asyncio.run(
        Demo(folder, strategies, blocks, seed, interval_s, signals, console).run(as_json, live=live)
    )


class Demo:
    """One run of everything; leaves nothing behind but its folder."""

    def __init__(
        self,
        folder: Path,
        paper_config: Path,
        blocks: int | None,
        seed: int,
        interval_s: float,
        signals: Signals,
        console: Console,
    ) -> None:
        self._folder = folder
        self._paper_config = paper_config
        self._blocks = blocks
        self._seed = seed
        self._interval_s = interval_s
        self._signals = signals
        self._console = console
        self._stages = Stages(console)
        self._relay = Relay()

    async def run(self, as_json: bool, *, live: bool) -> int:
        bot: DemoBot | None = None
        with ExitStack() as running:
            stages = self._stages
            running.enter_context(_claim(self._folder))
            # The search is compiled while the chain deploys, into the cache that the paper trader
            # will load it from.
            compiling = running.enter_context(
                start_guarded([sys.executable, "-P", "-m", "dexarb.demo.compiling"])
            )
            stages.say("starting the node")
            node = running.enter_context(start_anvil(timestamp=int(time.time()) - HEAD_START_S))
            # Only now that there is a node for a new run.
            earlier = set_aside(self._folder)
            if earlier is not None:
                stages.say(f"the run before this one is in {earlier}, with its settings and books")
            async with Rpc.connect(node.ws_url) as rpc:
                async with stages.during("deploying Uniswap V2 and V3, tokens and traders"):
                    driver = await Driver.start(rpc, seed=self._seed)
                async with stages.during("preparing the search"):
                    while compiling.poll() is None and not self._signals.stopping:
                        await asyncio.sleep(POLL_S)
                if self._signals.stopping:
                    return self._interrupted()
                if code := compiling.poll():
                    return code  # it has said why
                files = write_settings(
                    driver.world,
                    self._folder,
                    endpoint=node.ws_url,
                    paper_config=self._paper_config,
                )
                if live:
                    self._relay.start()
                    running.callback(self._relay.stop)
                    async with stages.during("deploying and funding the bot's executor"):
                        bot = await settle_in(
                            driver,
                            rpc,
                            self._folder,
                            self._relay,
                            max_state_age_secs=STATE_AGE_S if self._interval_s >= 1 else AHEAD_S,
                        )
                programs: dict[str, tuple[Path, tuple[str, ...]]] = {
                    "data-collector": (files.collector, ()),
                    "paper-trading": (files.paper, ()),
                }
                if bot is not None:
                    programs["dexarb-bot"] = bot.config, ("--live", "--unproven")
                children = {
                    name: running.enter_context(_start(name, config, files, *options))
                    for name, (config, options) in programs.items()
                }
                watch = Watch(files, driver.market.block.number)
                async with stages.during(f"starting {' and '.join(children)}"):
                    await self._until(
                        lambda: self._signals.stopping or watch.ready(bot), children, files
                    )
                if self._signals.stopping:
                    return self._interrupted()
                stages.say(f"to look inside meanwhile, in another terminal: {look_inside(files)}")
                await self._drive(driver, watch, children, files)
                async with stages.during("settling the last blocks"):
                    await self._until(
                        lambda: watch.progress(driver.market).caught_up and watch.took_all(bot),
                        children,
                        files,
                    )
                for child in reversed(children.values()):
                    child.stop()
                progress = watch.progress(driver.market)
        live_status = bot_status.answer(bot.config) if bot is not None else None
        return show(Finished(progress, files, live_status), as_json=as_json)

    def _interrupted(self) -> int:
        self._stages.say("interrupted before the first block")
        return INTERRUPTED

    async def _drive(
        self, driver: Driver, watch: Watch, children: dict[str, Guarded], files: Files
    ) -> None:
        """Make blocks, one an interval, and show what the processes make of them."""
        progress = watch.progress(driver.market)
        with LiveTable(self._console, self._blocks, files) as table:
            due = time.monotonic()
            while not self._signals.stopping:
                if self._blocks is not None and progress.blocks >= self._blocks:
                    break
                _check(children)
                await driver.step(self._timestamp(driver), self._relay.take())
                due += self._interval_s
                progress = watch.progress(driver.market)
                table.show(progress)
                while not self._signals.stopping and time.monotonic() < due:
                    await asyncio.sleep(min(0.1, max(0.0, due - time.monotonic())))

    def _timestamp(self, driver: Driver) -> int | None:
        """The present, so that blocks are as fresh as on a live chain; never before the last."""
        return max(driver.market.block.timestamp + 1, int(time.time()))

    async def _until(
        self, ready: Callable[[], bool], children: dict[str, Guarded], files: Files
    ) -> None:
        """Raises OutsideError where it takes too long or a process has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            _check(children)
            if time.monotonic() > deadline:
                raise OutsideError(f"a process is stuck: see the logs in {files.logs}")
            await asyncio.sleep(POLL_S)


def _start(name: str, config: Path, files: Files, *options: str) -> Guarded:
    """One of our programs, its standard error kept beside its logs."""
    program = Path(sys.executable).with_name(name)
    files.logs.mkdir(parents=True, exist_ok=True)
    with (files.logs / f"{name}.stderr").open("wb") as errors:
        return start_guarded(
            [program, "--config", config, *options],
            stdout=errors,
            stderr=errors,
            env=dict(os.environ),
        )


def _check(children: dict[str, Guarded]) -> None:
    for name, child in children.items():
        code = child.poll()
        if code is not None:
            raise OutsideError(f"{name} ended with code {code}")


def _claim(folder: Path) -> WriterLock:
    """Keep other demos out: they would remove the data under our feet.

    Raises ConfigError for a folder with anybody else's data, Locked while a demo runs there,
    StoreError where it cannot be written.
    """
    if folder.absolute().name == CONFIG_FOLDER:
        raise ConfigError(
            f"{folder} is called {CONFIG_FOLDER}, and the data of such a folder lies beside it",
            where="--dir",
            remedy="Choose another folder",
        )
    kept = _earlier(folder)
    if kept and not is_ours(folder):
        raise ConfigError(
            f"{kept[0]} was not written by the demo",
            where="--dir",
            remedy="Choose another folder",
        )
    with disk_errors(folder, "cannot be created"):
        folder.mkdir(parents=True, exist_ok=True)
    return WriterLock(folder / LOCK, folder)


def _earlier(folder: Path) -> list[Path]:
    return [folder / name for name in ("data", "logs") if (folder / name).exists()]


def set_aside(folder: Path) -> Path | None:
    """Keep an earlier run, with its settings as they were edited, until the next but one; returns
    where. None: there is none."""
    if not _earlier(folder):
        return None
    earlier = folder / EARLIER
    with disk_errors(earlier, "cannot be written"):
        shutil.rmtree(earlier, ignore_errors=True)
        earlier.mkdir()
        for path in [*_earlier(folder), *folder.glob("*.toml")]:
            path.rename(earlier / path.name)
    return earlier
