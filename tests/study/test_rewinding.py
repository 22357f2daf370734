"""A study that is told of dead blocks is as one that never saw them, however they come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.token import Address, pair_of
from dexarb.core.trade import StrategyHash
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_notes import StateAge
from dexarb.store.ledger_rows import Epoch
from dexarb.study.backruns_study import BackrunsStudy
from dexarb.study.calibrating import CalibrationStudy, beginning, followed
from dexarb.study.calibration_sums import Calibration
from dexarb.study.census import CensusStudy
from dexarb.study.map_study import MapStudy
from dexarb.study.open_now import OpenNow, priced, way_to
from dexarb.study.redecide import redecided
from dexarb.study.rivals_study import RivalsStudy
from dexarb.study.side_by_side import SideBySide
from dexarb.study.span import span
from dexarb.study.spreads_survey import SpreadsStudy
from dexarb.study.study import Died, Study, run
from dexarb.study.walk import Moment, engine_on, moments, walk
from dexarb.study.winners import WinnersStudy
from tests.support.recorded import record
from tests.support.worlds.blocks import GWEI, transaction
from tests.support.worlds.random_chain import NATIVE, USD, RandomChain
from tests.support.worlds.small_chain import settings

OTHER = Address("0x" + "0c" * 20)
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


def with_traffic(update: BlockUpdate, chain: RandomChain) -> BlockUpdate:
    """Somebody gained in every block, or failed, through a collected pool and another one."""
    ours, number = chain.first.pools[0].address, update.block.number
    swaps = SwapCount(ours, "ours", 1), SwapCount(OTHER, "other", number % 3 + 1)
    gain = Change(USD, str(number * 10**6))
    sent = transaction(0, succeeded=number % 4 > 0)
    flows = (Flow(0, (0, 1), True, (), (gain,)),) if sent.succeeded else ()
    traffic = None if number % 9 == 0 else Traffic(swaps, flows)
    return replace(update, transactions=(sent,), traffic=traffic)


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
        update = with_traffic(chain.mine(parent=parent), chain)
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


class OfTraffic:
    """Winners and census over the same moments."""

    def __init__(self) -> None:
        self._both = WinnersStudy(lambda each: each.sender), CensusStudy()

    def add(self, seen: Moment) -> None:
        for study in self._both:
            study.add(seen)

    def rewind(self, block_hash: BlockHash) -> None:
        for study in self._both:
            study.rewind(block_hash)

    def answer(self) -> object:
        return [study.answer() for study in self._both]


MAKERS: dict[str, Callable[[], Study[Moment, object]]] = {
    "spreads": spreads,
    "rivals": lambda: RivalsStudy(lambda each: each.sender),
    "traffic": OfTraffic,
    "backruns": BackrunsStudy,
    "map": lambda: MapStudy((30 * GWEI, 60 * GWEI)),
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
    census = run(CensusStudy(), live(histories, histories.standing))
    assert 0 < census.arbitrages < census.blocks < len(histories.standing)
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


# -- studies that keep apart what they saw on dead blocks ------------------------------------------


def parted(
    feed: Iterable[Item | Died], hash_of: Callable[[Item], BlockHash]
) -> tuple[list[Item], list[Item]]:
    """What stands at the end, and what died on the way."""
    standing: list[Item] = []
    died: list[Item] = []
    for each in feed:
        if not isinstance(each, Died):
            standing.append(each)
            continue
        while standing and hash_of(standing[-1]) != each.block_hash:
            died.append(standing.pop())
    return standing, died


def test_a_swap_on_a_dead_block_is_judged_and_kept_apart(histories: Histories) -> None:
    arrived = histories.recorded(histories.arrived, "arrived", 1000)
    stood = histories.recorded(histories.standing, "standing", 1000)
    found, never = (
        run(CalibrationStudy(), followed(reader, beginning(reader, None), None, None))
        for reader in (arrived, stood)
    )
    assert found.standing == never.standing
    assert never.died == Calibration()
    assert found.standing.blocks == len(histories.standing)
    assert found.whole.blocks == len(histories.arrived)
    assert sum(found.standing.swaps.values()) > 0
    assert sum(found.died.swaps.values()) > 0
    asked = asked_all_the_time(
        CalibrationStudy(), followed(arrived, beginning(arrived, None), None, None)
    )
    assert asked == found
    shallow = run(CalibrationStudy(depth=3), followed(stood, beginning(stood, None), None, None))
    assert shallow == never


def test_what_died_is_whatever_was_judged_and_does_not_stand(histories: Histories) -> None:
    """Of any span: what dies behind it is none of its business."""
    reader = histories.recorded(histories.arrived, "spans", 1000)
    numbers = [each.block.number for each in histories.standing]
    first, last = numbers[len(numbers) // 4], numbers[len(numbers) * 3 // 4]
    found = run(CalibrationStudy(), followed(reader, beginning(reader, first), first, last))
    judged = [each for each in histories.arrived if first <= each.block.number <= last]
    standing = [each for each in histories.standing if first <= each.block.number <= last]
    assert found.standing.blocks == len(standing)
    assert found.died.blocks == len(judged) - len(standing)


def test_two_strategies_stand_side_by_side_on_what_stands(histories: Histories) -> None:
    reader = histories.recorded(histories.arrived, "again", 1000)
    chosen = [
        settings(name, pairs=(pair_of(USD, NATIVE),), min_profit_micro_usd=least)
        for name, least in (("Much", 500_000), ("Anything", -5_000_000))
    ]
    keys: list[StrategyHash] = [each.hash for each in chosen]
    epochs = [Epoch(key, 2, None) for key in keys]
    ages, last = [StateAge(0, 10)], reader.last_seq
    feed = list(redecided(reader, chosen, epochs, from_seq=1, to_seq=last, state_ages=ages))
    standing, died = parted(feed, lambda seen: seen.block.hash)
    found = run(SideBySide(keys), feed)
    never = run(SideBySide(keys), standing)
    assert found.episodes == never.episodes
    assert run(SideBySide(keys, depth=3), standing) == never
    assert asked_all_the_time(SideBySide(keys), iter(feed)) == found
    assert found.died == run(SideBySide(keys), died).made
    assert found.made == never.made | found.died
    assert not never.died
    assert found.made
    assert any(stand.reason for each in found.episodes for stand in each.stands.values())
