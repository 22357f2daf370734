"""dexarb status: how the strategies stand, from the files alone."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from dexarb.apps.config.paper import load_paper
from dexarb.apps.output import print_json
from dexarb.apps.standing import as_json, read_standings
from dexarb.apps.tables import strategy_table
from dexarb.store.snapshot import read_state


def run(config_path: Path, *, as_json_text: bool) -> int:
    """Returns 0. Raises ConfigError, and StoreError where the processes have not written yet."""
    general = load_paper(config_path).general
    state = read_state(general.state_file)
    standings = read_standings(general.ledger_file)
    age_s = round(time.time() - (state.block.seen_at or state.block.timestamp), 1)
    if as_json_text:
        strategies = [as_json(row) for row in standings.rows]
        print_json({"block": standings.block, "state_age_s": age_s, "strategies": strategies})
        return 0
    console = Console()
    title = f"{state.chain}: block {state.block.number}, {age_s:.0f} s old"
    console.print(strategy_table(standings.rows, title))
    if standings.block is not None and standings.block < state.block.number:
        behind = state.block.number - standings.block
        console.print(f"paper-trading is {behind} blocks behind", style="yellow")
    return 0
