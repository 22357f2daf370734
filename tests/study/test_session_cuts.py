"""A trader killed after every single entry, and once more in the middle of each, has the ledger of
one that ran through: over reorganisations, reloads, hours, stale blocks and flush intervals."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.config.difference import compare
from dexarb.core.block import Block, BlockRef
from dexarb.core.market import Market, PoolsChanged
from dexarb.core.trade import FillStatus, Position, SkipReason
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_figures import foreseen
from dexarb.store.ledger_reader import read_only
from dexarb.study import session as session_module
from dexarb.trading.decide.custom import Factories
from dexarb.trading.strategy import StrategySettings
from tests.support.sessions import EverySecond, ResumableSecond, paper_session
from tests.support.worlds.blocks import GENESIS, GWEI
from tests.support.worlds.random_chain import PAIRS, RandomChain

BLOCKS = 44
WARM_UP = 5
RELOADS = (WARM_UP, 12, 20, 21, 33)
"""Entries before which the file has changed."""
BLOCK_S = 300
"""An hour is twelve blocks."""


SEEING_ALL_AGAIN: Factories = {"second": EverySecond}
FACTORIES: Factories = {"second": ResumableSecond}


def history(folder: Path, seed: int) -> HistoryReader:
    """Random blocks, some late; every seventh is followed by a branch that lets up to four die,
    so that time goes back over an hour as well. Behind every fourth pools come and go."""
    chain = RandomChain("cuts", seed, noise=0.01)
    with HistoryWriter.open(folder, chain_id=1, chain="random") as writer:
        writer.append_keyframe(chain.first)
        branch: list[Block] = [chain.first.block]
        market = Market(chain.first)
        for number in range(BLOCKS):
            if number % 7 == 6:
                dying = int(chain.rng.integers(1, 5))
                del branch[max(1, len(branch) - dying) :]
            update = chain.mine(parent=branch[-1])
            timestamp = GENESIS + BLOCK_S * (update.block.number - 100)
            late = 30.0 if chain.rng.random() < 0.3 else 0.5
            block = replace(update.block, timestamp=timestamp, seen_at=timestamp + late)
            market.rewind(block.parent_hash)
            market.apply(replace(update, block=block))
            writer.append(replace(update, block=block))
            branch.append(block)
            if number % 4 == 2:
                market.change(writer.append_pools_changed(changed(chain, market)))
    return HistoryReader(folder)


def changed(chain: RandomChain, market: Market) -> PoolsChanged:
    """One pool leaves, and most of those that were away come back."""
    true = chain.states_at(market.block)
    (left,) = chain.rng.choice(sorted(market.pools), 1).tolist()
    away = sorted(true.keys() - market.pools.keys())
    joined = tuple(true[pool] for pool in away if chain.rng.random() < 0.8)
    ref = BlockRef(market.block.number, market.block.hash)
    return PoolsChanged(0, ref, (), joined, (left,))


def strategies(version: int) -> list[StrategySettings]:
    """Some stay, some change, some come back; the second version has them the other way round."""
    made = [
        StrategySettings(
            name=f"{position.value} {version}",
            pairs=PAIRS,
            min_profit_micro_usd=-(10**6) + (version % 3) * (number % 2),
            max_trade_size_micro_usd=10**9 * (number + 1),
            max_slippage_ppm=2_000,
            max_gas_price=10_000 * GWEI,
            capital_micro_usd=10**12,
            max_consecutive_losses=2,
            cooldown_blocks=3,
            max_daily_trades=40,
            position=position,
            latency_blocks=1 + number % 2,
            min_expected_micro_usd=500_000 if number in (1, 2) else None,
            kind="second" if number == 3 else "threshold",
        )
        for number, position in enumerate(Position)
    ]
    return made[::-1] if version == 2 else made[: 4 - version % 2]


class Trader:
    """Taken up and dropped as a process is: nothing stays but the two folders."""

    def __init__(self, reader: HistoryReader, path: Path, factories: Factories = FACTORIES) -> None:
        self._reader, self._path, self._factories = reader, path, factories
        self.stepped = 0
        """Entries that the ledger had and that were gone through again."""

    def run(self, to_seq: int, *, dies_in_the_middle: bool = False) -> list[str]:
        """Go on to an entry; returns the digests after each. dies_in_the_middle: of the entry
        behind it, between its trades and their way into the ledger."""
        digests = []
        with LedgerDb.open(self._path, chain_id=1, history=self._reader.folder) as ledger:
            session = paper_session(
                self._reader, ledger, max_state_age_s=_max_age_s(to_seq), factories=self._factories
            )
            first = ledger.seq + 1
            self.stepped += first - session.from_seq
            for entry in self._reader.entries(session.from_seq, to_seq + dies_in_the_middle):
                version = sum(entry.seq >= each for each in RELOADS)
                if entry.seq >= first and version:
                    session.max_state_age_s = _max_age_s(entry.seq)
                    wanted = strategies(version)
                    if not compare(session.settings, wanted).is_empty:
                        session.use(wanted)
                session.take(entry)
                if entry.seq <= to_seq:
                    session.write()
                    if entry.seq >= first and version:
                        digests.append(ledger.digest())
        return digests


def digest_of_a_run(folder: str) -> str:
    """Of a history that is made and traded in this process."""
    reader = history(Path(folder) / "history", 0)
    return Trader(reader, Path(folder) / "ledger.db").run(reader.last_seq)[-1]


def _max_age_s(seq: int) -> float:
    return 60.0 if 15 <= seq < 25 else 10.0


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(1, 8))]
)
@pytest.mark.parametrize("factories", [SEEING_ALL_AGAIN, FACTORIES], ids=["steps", "checkpoints"])
def test_a_trader_killed_at_every_entry_has_the_ledger_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, factories: Factories
) -> None:
    # Four strategies then flush every seventh entry, and a checkpoint is due after every fourth.
    monkeypatch.setattr(session_module, "STRATEGIES_PER_FLUSHED_BLOCK", 0.6)
    monkeypatch.setattr(session_module, "WORK_PER_CHECKPOINT", 4 * session_module.WORK_PER_BLOCK)
    reader = history(tmp_path / "history", seed)
    whole = Trader(reader, tmp_path / "whole.db", factories).run(reader.last_seq)
    assert len(whole) == reader.last_seq - WARM_UP + 1
    with read_only(tmp_path / "whole.db") as ledger:
        # The history has something of everything.
        fills, skips = ledger.fills(), ledger.skips()
        assert {row.fill.status for row in fills} >= {FillStatus.FILLED, FillStatus.REVERTED}
        assert any(row.reorged_seq for row in fills)
        assert any(row.state == "void" for row in ledger.decisions())
        assert len({row.hour for row in skips}) > 2
        assert {row.reason for row in skips} >= {
            SkipReason.STALE,
            SkipReason.EXPECTED,
            SkipReason.POOL_BUSY,
        }
        assert any(foreseen(ledger, row.hash) for row in ledger.strategies())
        assert len(ledger.epochs()) > len(ledger.strategies())
    cut = Trader(reader, tmp_path / "cut.db", factories)
    found = []
    for seq in range(WARM_UP, reader.last_seq + 1):
        found += cut.run(seq, dies_in_the_middle=seq < reader.last_seq)
        assert found == whole[: len(found)], f"after entry {seq}"
    assert len(found) == len(whole)
    restarts = reader.last_seq - WARM_UP
    if factories is FACTORIES:
        assert cut.stepped < 12 * restarts, "it begins at its checkpoints"


def test_the_order_of_hashes_changes_nothing(tmp_path: Path) -> None:
    """Sets of addresses have another order under each PYTHONHASHSEED."""
    script = "import sys; from tests.study.test_session_cuts import digest_of_a_run as run;"
    digests = set()
    for seed in ("1", "2"):
        path = os.pathsep.join(filter(None, sys.path))
        ran = subprocess.run(
            [sys.executable, "-c", f"{script} print(run(sys.argv[1]))", str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(ran.stdout)
    assert len(digests) == 1
