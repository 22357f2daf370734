"""A trader that cannot follow the history says so once, and once that it can again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from structlog.testing import capture_logs

from dexarb.core.market import Market
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_reader import read_only
from tests.support.recorded import record
from tests.support.traded import configure, strategy
from tests.support.trader import run_trader
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool


def test_being_lost_is_told_once_and_ends_with_the_next_keyframe(tmp_path: Path) -> None:
    world = configure(tmp_path, strategy("one"))
    first = keyframe()
    chain, market = SmallChain(first), Market(first)
    before = [chain.mine() for _ in range(3)]
    for update in before:
        market.apply(update)
    record(tmp_path / "data", first, before)

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            yield writer.append_break(None, "another chain")
            yield writer.append_keyframe(market.keyframe())
            yield writer.append(chain.mine(weth_pool(CHEAP, 2_450)))
            yield writer.append(chain.mine())

    with capture_logs() as logs:
        run_trader(world, happens())
    told = [line for line in logs if line["event"].startswith("lost")]
    assert [line["event"] for line in told] == ["lost", "lost.over"]
    assert (told[0]["since_block"], told[0]["until"]) == (103, "the next keyframe")
    assert told[1]["block"] == 103
    with read_only(world.ledger) as books:
        assert [row.decision.block.number for row in books.decisions()] == [104]
