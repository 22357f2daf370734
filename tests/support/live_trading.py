"""Both processes at work, and what their ledger should say."""

from __future__ import annotations

from pathlib import Path

from dexarb.errors import StoreError
from dexarb.store.ledger_reader import read_only
from dexarb.study.totals import Totals, read_totals
from dexarb.trading.decide.custom import Factories
from tests.support.live import Live, Process
from tests.support.replayed import digest_of_a_replay


def totals(run: Live) -> Totals:
    return read_totals(run.files.ledger)


def is_trading(run: Live) -> bool:
    try:
        return totals(run).is_trading
    except StoreError:
        return False


async def both(run: Live) -> tuple[Process, Process]:
    collector, paper = run.start("data-collector"), run.start("paper-trading")
    await run.until(lambda: is_trading(run), "paper-trading to start")
    return collector, paper


async def settled(run: Live) -> None:
    """Wait until the ledger includes the chain's newest block."""
    await run.collected()
    seq = run.state()["seq"]
    await run.until(lambda: totals(run).seq >= seq, f"entry {seq} in the ledger")


def digest_of_an_uninterrupted_run(
    run: Live, path: Path, factories: Factories | None = None
) -> str:
    """The same history and the same epochs, played once from start to end in this process.

    factories: of own strategies.
    """
    with read_only(run.files.ledger) as real:
        return digest_of_a_replay(real, path, factories)


def digest(run: Live) -> str:
    with read_only(run.files.ledger) as ledger:
        return ledger.digest()
