"""A study that is told of dead blocks is as one that never saw them, however they come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.token import pair_of
from dexarb.core.trade import StrategyHash
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_rows import Epoch
from dexarb.study.calibrating import Calibration, beginning, followed
from dexarb.study.open_now import OpenNow, priced, way_to
from dexarb.study.redecide import Redecided, redecided
from dexarb.study.rivals_study import RivalsStudy
from dexarb.study.side_by_side import SideBySide
from dexarb.study.spreads_survey import SpreadsStudy
from dexarb.study.study import Died, Study, run
from dexarb.study.walk import Moment, engine_on, moments, span, walk
from tests.support.recorded import record
from tests.support.worlds.random_chain import NATIVE, USD, RandomChain
from tests.support.worlds.small_chain import settings

SEEDS = range(6)
BLOCKS = 60
SIZES = (50_000_000, 500_000_000, 5_000_000_000)
Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Histories:
    """The same chain as it arrived, with branches that died, and without them."""

    chain: RandomChain
    arrived: list[BlockUpdate]
    standing: list[BlockUpdate]
    folder: Path

    def recorded(self, updates: list[BlockUpdate], name: str, segment_blocks: int) -> HistoryReader:
        folder = self.folder / f"{name}{segment_blocks}"
        return HistoryReader(
            record(folder, self.chain.first, updates, segment_blocks=segment_blocks)
        )


@pytest.fixture(params=SEEDS)
def histories(request: pytest.FixtureRequest, tmp_path: Path) -> Histories:
    """Up to five blocks die at once, some of a branch that has just come."""
    chain = RandomChain("rewinding", request.param, noise=0.006)
    arrived: list[BlockUpdate] = []
    branch: list[BlockUpdate] = []
    for _ in range(BLOCKS):
        if branch and chain.rng.random() < 0.25:
            branch = branch[: -int(chain.rng.integers(1, 6))]
            parent = branch[-1].block if branch else chain.first.block
        else:
            parent = chain.tip
        update = chain.mine(parent=parent)
        arrived.append(update)
        branch.append(update)
    assert len(branch) < len(arrived)
    return Histories(chain, arrived, branch, tmp_path)


def live(histories: Histories, updates: list[BlockUpdate]) -> Iterator[Moment | Died]:
    """As a page that is kept running is fed."""
    return moments(engine_on(histories.chain.first), updates)


def asked_all_the_time(study: Study[Item, Found], feed: Iterator[Item | Died]) -> Found:
    """As `run`, but somebody looks at every step."""
    for each in feed:
        if isinstance(each, Died):
            study.rewind(each.block_hash)
        else:
            study.add(each)
            study.answer()
    return study.answer()


def spreads() -> SpreadsStudy:
    strategies = [
        settings("Native", pairs=(pair_of(USD, NATIVE),)),
        settings("Nearly all", pairs=(pair_of(USD, NATIVE),), min_profit_micro_usd=-1_000_000),
    ]
    return SpreadsStudy(SIZES, 1, strategies)


MAKERS: dict[str, Callable[[], Study[Moment, object]]] = {
    "spreads": spreads,
    "rivals": lambda: RivalsStudy(lambda each: each.sender),
}


def without_market(found: object) -> object:
    """Markets are compared by what they hold."""
    market = getattr(found, "market", None)
    if market is None:
        return found
    return replace(found, market=None), market.block, market.pools  # type: ignore[type-var]


@pytest.mark.parametrize("name", MAKERS)
def test_what_died_was_never_seen(histories: Histories, name: str) -> None:
    made = MAKERS[name]
    never = without_market(run(made(), live(histories, histories.standing)))
    feed = list(live(histories, histories.arrived))
    assert any(isinstance(each, Died) for each in feed)
    assert without_market(run(made(), live(histories, histories.arrived))) == never
    assert without_market(asked_all_the_time(made(), live(histories, histories.arrived))) == never


@pytest.mark.parametrize("name", MAKERS)
def test_a_walk_over_what_was_recorded_says_the_same(histories: Histories, name: str) -> None:
    reader = histories.recorded(histories.arrived, "walk", segment_blocks=9)
    asked = span(reader, first=None, last=None, count=None)
    found = run(MAKERS[name](), walk(asked))
    expected = run(MAKERS[name](), live(histories, histories.standing))
    assert without_market(found) == without_market(expected)


def test_the_studies_had_something_to_see(histories: Histories) -> None:
    survey = run(spreads(), live(histories, histories.standing))
    assert survey.blocks == len(histories.standing)
    assert survey.episodes
    assert any(course.executable.values.blocks for course in survey.pairs)


def test_what_is_open_now_does_not_depend_on_what_died(histories: Histories) -> None:
    readers = (
        histories.recorded(histories.arrived, "arrived", 1000),
        histories.recorded(histories.standing, "standing", 1000),
    )
    told, never = (run(OpenNow(), priced(reader, way_to(reader, None))) for reader in readers)
    assert without_market(told) == without_market(never)


# -- studies that count dead blocks too -----------------------------------------------------------


def untold(feed: Iterator[Item | Died]) -> Iterator[Item]:
    return (each for each in feed if not isinstance(each, Died))


def test_calibration_counts_every_swap_that_was_made_anywhere(histories: Histories) -> None:
    reader = histories.recorded(histories.arrived, "calibrate", 1000)
    first = beginning(reader, None)
    found = run(Calibration(), followed(reader, first, None, None))
    assert found == run(Calibration(), untold(followed(reader, first, None, None)))
    assert found.blocks == len(histories.arrived)
    assert sum(found.swaps.values()) > 0


def test_deciding_again_counts_every_block_that_strategies_decided_in(
    histories: Histories,
) -> None:
    reader = histories.recorded(histories.arrived, "again", 1000)
    chosen = [
        settings(name, pairs=(pair_of(USD, NATIVE),), min_profit_micro_usd=least)
        for name, least in (("Much", 500_000), ("Anything", -5_000_000))
    ]
    keys: list[StrategyHash] = [each.hash for each in chosen]

    def feed() -> Iterator[Redecided | Died]:
        return redecided(
            reader,
            chosen,
            [Epoch(key, 2, None) for key in keys],
            from_seq=1,
            to_seq=reader.last_seq,
            max_state_age_s=10,
        )

    found = run(SideBySide(keys), feed())
    assert found == run(SideBySide(keys), untold(feed()))
    assert found.made
    assert any(stand.reason for each in found.episodes for stand in each.stands.values())
