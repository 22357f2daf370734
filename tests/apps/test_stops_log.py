"""A strategy that its limit has stopped: the log, `status` and `why` say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from structlog.testing import capture_logs

from dexarb.store.history_writer import HistoryWriter
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.traded import configure, strategy
from tests.support.trader import run_trader
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool


def test_it_is_told_once_and_stands_on_the_screens(tmp_path: Path, dexarb: Dexarb) -> None:
    eager = strategy("eager") + "max_daily_trades = 1\n"
    world = configure(tmp_path, eager, strategy("other", size_usd=1000.0))
    first = keyframe()
    chain = SmallChain(first)
    record(tmp_path / "data", first, [chain.mine() for _ in range(2)])

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            yield writer.append(chain.mine())
            yield writer.append(chain.mine(weth_pool(CHEAP, 2_450)))
            for _ in range(3):
                yield writer.append(chain.mine())
            yield None

    with capture_logs() as logs:
        run_trader(world, happens())
    told = [line for line in logs if line["event"].startswith("strategy.")]
    assert [(line["event"], line["by"], line["block"]) for line in told] == [
        ("strategy.stopped", "max_daily_trades", 104)
    ]
    assert "eager" in told[0]["strategies"]
    eager_row, other_row = dexarb("status", "-c", world.config, "--json").json["strategies"]
    assert (eager_row["state"], eager_row["stopped_by"]) == ("stopped", "daily_trades")
    assert eager_row["stopped_since_block"] == 104
    assert eager_row["stopped_until_timestamp"] % 86_400 == 0
    assert (other_row["state"], other_row["stopped_by"]) == ("active", None)
    filtered = dexarb("status", "-c", world.config, "--json", "--filter", "stopped").json
    assert [row["name"] for row in filtered["strategies"]] == ["eager"]
    said = "stopped by max_daily_trades since block 104, until"
    assert f"eager: {said}" in dexarb("status", "-c", world.config).words
    lines = dexarb("why", "eager", "-c", world.config).words
    assert "eager" in lines.split(said)[0]
    assert dexarb("why", "eager", "-c", world.config, "--json").json["stopped_by"] == "daily_trades"
