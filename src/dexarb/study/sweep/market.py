"""The market, searched once for all configurations of a sweep, and played back to each block."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dexarb.core.market import MAX_REORG_DEPTH, Entry, Keyframe, Market
from dexarb.core.token import Address
from dexarb.search.found import Found
from dexarb.search.playback import PlayedScanner
from dexarb.search.result import Dust
from dexarb.store.files import disk_errors
from dexarb.store.history_reader import HistoryReader
from dexarb.study.searching import scanner_of
from dexarb.study.sweep.plan import FEWEST_HOPS, MARKET_FOLDER, Plan
from dexarb.study.sweep.tape import TapeWriter, read_tape
from dexarb.trading.decide.columns import StrategyColumns
from dexarb.trading.decide.triage import NOBODY, Triage
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.seams import Scanner, ScannerFactory, Strategy
from dexarb.trading.settle.paper_executor import PaperExecutor
from dexarb.trading.strategy import StrategySettings

MEMORY_FILE = "memory"
"""How many blocks can be taken back."""


def is_scanned(folder: Path) -> bool:
    return (folder / MARKET_FOLDER).is_dir()


def scan_market(
    reader: HistoryReader, folder: Path, plan: Plan, settings: Sequence[StrategySettings]
) -> Iterator[Entry]:
    """Search the history for what any of the configurations could want; yields every entry that
    was taken, and leaves the market in the folder. Raises StoreError."""
    partial = folder / f"{MARKET_FOLDER}.tmp"
    with disk_errors(partial, "cannot be made"):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    tape = TapeWriter(partial)
    memory = MAX_REORG_DEPTH
    while True:
        try:
            yield from _searched(reader, plan, settings, tape.add, memory)
            break
        except _GoesBackFurther as further:
            # Once more from the start, able to take back as much; chains hardly ever do that.
            memory = further.entries
            tape.restart()
    tape.close()
    with disk_errors(partial, "cannot be written"):
        (partial / MEMORY_FILE).write_text(str(memory))
        partial.rename(folder / MARKET_FOLDER)


class _GoesBackFurther(Exception):
    """Than is remembered. entries: to be remembered instead."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.entries = entries


def _searched(
    reader: HistoryReader,
    plan: Plan,
    settings: Sequence[StrategySettings],
    told: Callable[[Found], None],
    memory: int,
) -> Iterator[Entry]:
    triage = Triage(StrategyColumns(settings), REALITY.gas)
    engine: Engine | None = None

    def min_gross(token: Address) -> int:
        if engine is None or not is_trading:
            return NOBODY
        return triage.least_gross(token, engine.market, engine.valuation)

    def scanner(market: Market, dust: Dust) -> Scanner:
        return scanner_of(
            market, REALITY.gas, max_hops=FEWEST_HOPS, min_gross=min_gross, dust=dust, told=told
        )

    is_trading = False
    entries = reader.entries(plan.first_seq, plan.last_seq)
    first = next(entries)
    engine = _engine(first, scanner, plan, memory)
    is_trading = True
    engine.search(plan.max_hops)
    for entry in entries:
        if engine.beyond(entry) is not None and memory <= entry.seq - plan.first_seq:
            raise _GoesBackFurther(entry.seq - plan.first_seq + 1)
        engine.step(entry)
        yield entry


def playing(folder: Path, plan: Plan, first: Entry) -> Engine:
    """An engine at the first entry that finds what was found. Raises StoreError."""
    found = read_tape(folder / MARKET_FOLDER)

    def scanner(market: Market, dust: Dust) -> PlayedScanner:  # noqa: ARG001
        starts = market.profile.start_tokens
        return PlayedScanner(market, found, start_tokens=starts, max_hops=FEWEST_HOPS)

    with disk_errors(folder / MARKET_FOLDER, "cannot be read"):
        memory = int((folder / MARKET_FOLDER / MEMORY_FILE).read_text())
    return _engine(first, scanner, plan, memory)


def trade(engine: Engine, strategies: Strategy, plan: Plan, *, weighing: bool) -> None:
    """Let them take part from the next entry on, as a session does."""
    engine.use([strategies])
    engine.weighing = weighing
    engine.search(plan.max_hops)
    engine.deciding = True


def _engine(first: Entry, scanner: ScannerFactory, plan: Plan, memory: int) -> Engine:
    assert isinstance(first, Keyframe)
    executor = PaperExecutor(REALITY)
    engine = Engine(first, scanner, executor, REALITY, max_state_age_s=plan.max_state_age_s)
    engine.remember(memory)
    return engine
