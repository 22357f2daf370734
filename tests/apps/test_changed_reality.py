"""A trader whose model of reality is another one now says so once, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from structlog.testing import capture_logs

from dexarb.core.block import BlockUpdate
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_reader import read_only
from dexarb.trading.models.reality import REALITY, Reality
from tests.support.models import FlatGas, LaterBlocks
from tests.support.recorded import record
from tests.support.traded import World, configure, strategy
from tests.support.trader import run_trader
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool

OTHER = Reality(gas=FlatGas(), latency=LaterBlocks())


def trade(world: World, reality: Reality, *updates: BlockUpdate) -> list[str]:
    """Start, take these blocks and stop; returns what was told of reality."""

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            for update in updates:
                yield writer.append(update)
            yield None  # the last one is taken

    with capture_logs() as logs:
        run_trader(world, happens(), reality)
    return [line["models"] for line in logs if line["event"] == "reality changed"]


def test_a_changed_reality_is_told_once_and_begins_an_epoch(tmp_path: Path) -> None:
    world = configure(tmp_path, strategy("one"))
    first = keyframe()
    chain = SmallChain(first)
    record(tmp_path / "data", first, [chain.mine() for _ in range(2)])
    assert trade(world, REALITY, chain.mine(), chain.mine()) == []
    assert trade(world, REALITY, chain.mine()) == []
    # Started and stopped without a block there is no epoch yet, so it is told once more.
    assert trade(world, OTHER) == ["gas, latency"]
    assert trade(world, OTHER, chain.mine(weth_pool(CHEAP, 2_450))) == ["gas, latency"]
    assert trade(world, OTHER, *(chain.mine() for _ in range(3))) == []
    with read_only(world.ledger) as books:
        assert [(epoch.to_seq, epoch.reality) for epoch in books.epochs()] == [
            (6, REALITY.hash),
            (None, OTHER.hash),
        ]
        assert [(row.hash, row.spec) for row in books.realities()] == sorted(
            (each.hash, each.canonical) for each in (REALITY, OTHER)
        )
        (fill,) = (row.fill for row in books.fills())
        assert fill.block.number == fill.decision.block.number + 3
