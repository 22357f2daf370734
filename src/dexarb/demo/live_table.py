"""The live table of the demo, and what it shows at its end."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from dexarb.demo.settings import Files
from dexarb.demo.watch import Progress
from dexarb.screens.answer import Answer
from dexarb.screens.bot_status import BotStatus
from dexarb.screens.console import unbroken
from dexarb.screens.fitting import fitting
from dexarb.screens.tables import best, spread_table, strategy_table

LOOK_FURTHER = {
    "spreads": "the market",
    "why": "why not more",
    "fills": "each outcome",
    "rivals": "who took it",
    "census": "what is not collected",
    "map": "which bid would have paid",
}
SHOWN = 30
"""Strategies at the end of a run."""
FEW_PAIRS, FEW_STRATEGIES = 3, 5
"""Below this the spreads give way to the strategies."""
PLAIN_EVERY = 10
"""Without a terminal: a line every so many blocks instead of a live table."""


class LiveTable:
    """A context: live while it is open, where there is a terminal."""

    def __init__(self, console: Console, blocks: int | None, files: Files) -> None:
        self._console = console
        self._files = files
        self._blocks = blocks
        # On a screen of its own: nothing of it is left above the final table.
        self._live = (
            Live(console=console, auto_refresh=False, screen=True) if console.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        if self._live:
            self._live.update(live(progress, self._files, self._console), refresh=True)
        elif progress.blocks % PLAIN_EVERY == 0:
            sent = sum(row.sent for row in progress.totals.rows)
            nearest = max(spread.after_fees_bps for spread in progress.spreads.values())
            goal = f"/{self._blocks}" if self._blocks else ""
            self._console.print(
                f"block {progress.blocks}{goal}: best spread after fees {nearest:+.1f} bp,"
                f" {sent} decisions sent",
                highlight=False,
            )


def live(progress: Progress, files: Files, console: Console) -> RenderableType:
    """All strategies and as many of the spreads as there are lines for. Where there are too few: no
    spreads, and the best strategies, at last nothing but them."""
    help_text = f"Ctrl-C stops; {look_inside(files)} looks inside"

    def screen(pairs: int, strategies: int = SHOWN) -> RenderableType:
        shown = tables(progress, pairs, strategies)
        return Group(Text(help_text, style="dim", overflow="fold"), *shown)

    def brief(strategies: int) -> RenderableType:
        _, *shown = tables(progress, 0, strategies)
        return Group(*shown)

    pairs, few = len(progress.spreads), min(len(progress.totals.rows), FEW_STRATEGIES)
    return (
        fitting(console, screen, pairs)
        or fitting(console, partial(screen, min(pairs, FEW_PAIRS)), SHOWN, few)
        or fitting(console, partial(screen, 0), SHOWN, few)
        or fitting(console, brief, SHOWN)
        or brief(1)
    )


def tables(
    progress: Progress, pairs: int | None = None, strategies: int = SHOWN
) -> list[RenderableType]:
    """Block, spreads and strategies. pairs: only so many, the nearest to paying; strategies: only
    so many, the best."""
    state, totals = progress.state, progress.totals
    head = Text.assemble(
        ("block ", "dim"),
        (str(state.block.number), "bold"),
        ("   blocks ", "dim"),
        str(progress.blocks),
        ("   pools ", "dim"),
        str(len(state.pools)),
        ("   requests a block ", "dim"),
        str(state.metrics.get("rpc_requests_per_block", "?")),
        ("\nblock to state ", "dim"),
        _milliseconds(state.metrics.get("block_to_state_ms")),
        ("   to decision ", "dim"),
        _milliseconds(totals.block_to_decision_ms),
    )
    spreads = spread_table(
        progress.spreads, progress.market, "Spreads against what the fees need", pairs
    )
    shown = best(totals.rows, strategies)
    table = strategy_table(shown, "Strategies (net of gas, settled a block later)")
    rest = len(totals.rows) - len(shown)
    more = [Text(f"{rest:,} more: `dexarb status --limit {len(totals.rows)}` shows all", "dim")]
    return [head, *([] if pairs == 0 else [spreads]), table, *(more if rest else [])]


@dataclass(frozen=True, slots=True)
class Finished(Answer):
    """The last table, where everything is, and what to ask next. live: of the bot, where one
    traded."""

    progress: Progress
    files: Files
    live: BotStatus | None = None

    def as_json(self) -> dict[str, Any]:
        found = self.progress.as_json(self.files)
        return found if self.live is None else found | {"live": self.live.as_json()}

    def render(self) -> RenderableType:
        paths = {
            "history": self.files.data / "history" / str(self.progress.market.profile.chain_id),
            "ledger": self.files.ledger,
            "logs": self.files.logs,
        }
        lines = [unbroken((f"{what:<8}", "dim"), str(path)) for what, path in paths.items()]
        bot = [] if self.live is None else [Text(""), self.live.render(), Text("")]
        return Group(*tables(self.progress), *bot, *lines, Text(""), *_next(self.files))


def look_inside(files: Files) -> str:
    """The command that follows a run from another terminal."""
    return _command("status --watch", files)


def _command(words: str, files: Files) -> str:
    """One of our own, as it can be pasted."""
    program = shlex.quote(os.path.relpath(Path(sys.executable).with_name("dexarb")))
    return f"{program} {words} --config {shlex.quote(str(files.paper))}"


def _next(files: Files) -> list[Text]:
    """Commands to look further."""
    asked = [_command(name, files) for name in LOOK_FURTHER]
    width = max(map(len, asked))
    return [
        Text("Look further:", style="bold"),
        *(
            unbroken(f"  {command:<{width}}  ", (answer, "dim"))
            for command, answer in zip(asked, LOOK_FURTHER.values(), strict=True)
        ),
    ]


def _milliseconds(quantiles: Any) -> str:
    """`7.8 ms (p99 16.5)`"""
    if not quantiles or quantiles.get("p50") is None:
        return "-"
    return f"{quantiles['p50']:.1f} ms (p99 {quantiles['p99']:.1f})"
