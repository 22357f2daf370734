"""A replay trades what a ledger says was traded, into the same ledger, wherever it was cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import Market, PoolsChanged
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_difference import first_difference
from dexarb.store.ledger_notes import SKIPS_SEQ
from dexarb.store.ledger_reader import read_only
from dexarb.study import session as session_module
from dexarb.study.replay import Plan, Tally, plan_as, plan_of, replay, unlike_models
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.models.value import ValueModel
from tests.study.test_session import strategies
from tests.study.test_session_cuts import history
from tests.support.models import AlwaysFirst
from tests.support.replayed import digest_of_a_replay
from tests.support.sessions import paper_session
from tests.support.worlds import small_chain

BEGAN, RELOADED, KILLED, LAST = 3, 30, 47, 56


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> HistoryReader:
    made = history(tmp_path_factory.mktemp("replay") / "history", 0)
    assert made.last_seq == LAST
    return made


def live(
    reader: HistoryReader,
    path: Path,
    *,
    stops: tuple[int, ...] = (LAST,),
    realities: tuple[Reality, ...] = (REALITY,),
    kills: tuple[int, ...] = (),
) -> None:
    """A trader that is started again after each stop, some of them kills; with other strategies
    from RELOADED on, and another limit on the age of blocks a little later."""
    all_of_them = strategies()
    for place, stop in enumerate(stops):
        with LedgerDb.open(path, chain_id=1, history=reader.folder) as ledger:
            session = paper_session(reader, ledger, reality=realities[place % len(realities)])
            for entry in reader.entries(session.from_seq, stop):
                if entry.seq > ledger.seq:
                    if entry.seq == BEGAN:
                        session.use(all_of_them)
                    if entry.seq == RELOADED:
                        session.use(all_of_them[1:])
                    session.max_state_age_s = 10.0 if entry.seq < RELOADED + 5 else 60.0
                session.take(entry)
                session.write()
            if stop not in kills:
                session.pause()


def same(path: Path, other: Path) -> None:
    with read_only(path) as real:
        assert real.decisions()
        assert digest_of_a_replay(real, other) == real.digest()
        with read_only(other) as again:
            assert first_difference(real, again) is None
            assert again.epochs() == real.epochs()


def test_epochs_and_limits_are_those_of_the_ledger(reader: HistoryReader, tmp_path: Path) -> None:
    live(reader, tmp_path / "live", stops=(20, 34, LAST))
    same(tmp_path / "live", tmp_path / "again")


@pytest.fixture
def few_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with hundreds of strategies: counters go to the ledger every few blocks, and when the
    trader stops."""
    monkeypatch.setattr(session_module, "STRATEGIES_PER_FLUSHED_BLOCK", 0.6)


@pytest.mark.usefixtures("few_flushes")
@pytest.mark.parametrize("kills", [(), (22, KILLED), (KILLED,)])
def test_counters_are_as_complete_as_the_ledgers(
    reader: HistoryReader, tmp_path: Path, kills: tuple[int, ...]
) -> None:
    live(reader, tmp_path / "live", stops=(22, KILLED), kills=kills)
    with read_only(tmp_path / "live") as ledger:
        assert (ledger.note(SKIPS_SEQ) == ledger.seq) is (kills == ())
    same(tmp_path / "live", tmp_path / "again")


def test_what_is_told_of_reality_is_taken_over(reader: HistoryReader, tmp_path: Path) -> None:
    """A model with other parameters holds where it held."""
    quick = Reality(value=ValueModel(window_blocks=3))
    assert REALITY.as_told(quick.canonical) == quick
    live(reader, tmp_path / "live", stops=(20, 40, LAST), realities=(REALITY, quick, REALITY))
    same(tmp_path / "live", tmp_path / "again")
    with read_only(tmp_path / "live") as ledger:
        assert [seq for seq, _ in plan_as(ledger, 10).eras] == [1, 21, 41]
        assert unlike_models(ledger) == {}


def test_a_model_that_is_no_longer_there_is_named(reader: HistoryReader, tmp_path: Path) -> None:
    live(reader, tmp_path / "live", realities=(Reality(order=AlwaysFirst()),))
    with read_only(tmp_path / "live") as ledger:
        there, here = AlwaysFirst().spec, REALITY.order.spec
        pair = tuple(f"{each['name']} {each['version']}" for each in (there, here))
        assert unlike_models(ledger) == {"order": pair}
        assert digest_of_a_replay(ledger, tmp_path / "again") != ledger.digest()
        with read_only(tmp_path / "again") as again:
            found = first_difference(ledger, again)
    assert found is not None
    assert found.block is not None


def plan(reader: HistoryReader) -> Plan:
    return plan_of(strategies(), 10.0, first_seq=1, from_seq=BEGAN, last_seq=reader.last_seq)


def go_on(reader: HistoryReader, path: Path, entries: int | None = None) -> str:
    """So many entries more, and then it is killed; None: to the end. Returns the digest."""
    with LedgerDb.open(path, chain_id=1, history=reader.folder) as ledger:
        for count, _ in enumerate(replay(reader, ledger, plan(reader)), start=1):
            if count == entries:
                break
        return ledger.digest()


def test_two_replays_are_identical_wherever_they_were_cut(
    reader: HistoryReader, tmp_path: Path
) -> None:
    whole = go_on(reader, tmp_path / "whole")
    assert go_on(reader, tmp_path / "again") == whole
    assert go_on(reader, tmp_path / "whole") == whole, "there is nothing left to do"
    for entries in (1, 2, 3, 17, 40, 58, None):
        cut = go_on(reader, tmp_path / "cut", entries)
    assert cut == whole


def test_a_plan_is_known_by_all_that_it_comes_to(reader: HistoryReader) -> None:
    known = plan(reader)
    assert replace(known, last_seq=20).fingerprint == known.fingerprint
    others = [
        replace(known, turns=(BEGAN,), taking_part=lambda _: strategies()[1:]),
        replace(known, state_ages=((1, 11.0),)),  # type: ignore[arg-type]
        replace(known, eras=((1, Reality(order=AlwaysFirst())),)),
    ]
    assert len({known.fingerprint, *(each.fingerprint for each in others)}) == 4


@pytest.mark.usefixtures("few_flushes")
def test_a_trader_that_stops_where_pools_have_changed_is_replayed(tmp_path: Path) -> None:
    """Its last entry is no block: counters are complete all the same, in both."""
    first = small_chain.keyframe()
    chain, market = small_chain.SmallChain(first), Market(first)
    folder = tmp_path / "history"
    with HistoryWriter.open(folder, chain_id=137, chain="small") as writer:
        writer.append_keyframe(first)
        for price in [2_450, 2_500] * 3:
            update = chain.mine(small_chain.weth_pool(small_chain.CHEAP, price))
            market.apply(update)
            writer.append(update)
        here = BlockRef(market.block.number, market.block.hash)
        writer.append_pools_changed(PoolsChanged(0, here, left=(small_chain.DEAR,)))
    reader, settings = HistoryReader(folder), small_chain.settings()
    many = [replace(settings, max_trade_size_micro_usd=10**9 + n) for n in range(4)]
    with LedgerDb.open(tmp_path / "live", chain_id=137, history=folder) as ledger:
        session = paper_session(reader, ledger)
        for entry in reader.entries():
            session.take(entry)
            if entry.seq == 1:
                session.use(many)
            session.write()
        session.pause()
        assert ledger.note(SKIPS_SEQ) == ledger.seq == reader.last_seq
    same(tmp_path / "live", tmp_path / "again")


def test_the_tally_counts_what_nobody_knows(reader: HistoryReader) -> None:
    tally = Tally(BEGAN)
    for entry in reader.entries():
        tally.add(entry)
    updates = [each for each in reader.entries(BEGAN) if isinstance(each, BlockUpdate)]
    assert tally.blocks + tally.died == len(updates)
    assert tally.died > 5
    assert (tally.without_receipts, tally.backfilled) == (0, 0)
    unseen, last = tally.unseen, updates[-1]
    tally.add(replace(last, has_receipts=False, backfilled=True))
    assert (tally.without_receipts, tally.backfilled, tally.unseen) == (1, 1, unseen)
    tally.add(replace(last, block=replace(last.block, seen_at=None)))
    assert tally.unseen == unseen + 1
