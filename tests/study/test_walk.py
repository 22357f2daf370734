"""Walking a recorded history: every block of the branch once, from wherever it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.errors import InputError
from dexarb.store.history_reader import HistoryReader
from dexarb.study.open_now import priced, way_to
from dexarb.study.span import span
from dexarb.study.study import Died
from dexarb.study.walk import walk
from tests.support.recorded import record
from tests.support.worlds import arrivals

UPDATES = arrivals.first_updates(60, seed=3, logs=2)
CHANGED = arrivals.with_changes(120, seed=3, corrections=True)
Entries = Sequence[BlockUpdate | PoolsChanged]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> HistoryReader:
    """Segments so short that reorganisations reach over them."""
    folder = tmp_path_factory.mktemp("walk")
    return HistoryReader(record(folder, arrivals.first_keyframe(), UPDATES, segment_blocks=4))


def standing(
    updates: Entries = UPDATES,
) -> dict[int, tuple[BlockUpdate, dict[PoolKey, Pool]]]:
    """By number, the blocks of the branch that is left, with the pools at their ends."""
    market = Market(arrivals.first_keyframe())
    found: dict[int, tuple[BlockUpdate, dict[PoolKey, Pool]]] = {}
    for update in updates:
        if isinstance(update, PoolsChanged):
            market.change(update)
            continue
        market.rewind(update.block.parent_hash)
        market.apply(update)
        found = {number: known for number, known in found.items() if number < update.block.number}
        found[update.block.number] = update, dict(market.pools)
    return found


def test_the_history_has_dead_branches() -> None:
    assert len(standing()) < len(UPDATES)


@pytest.mark.parametrize("skipped", [0, 1, 7, 31, 33, 38, 41])
def test_every_block_that_stands_comes_once_as_the_chain_had_it(
    reader: HistoryReader, skipped: int
) -> None:
    chain = standing()
    first, last = min(chain) + skipped, max(chain)
    numbers = []
    for moment in walk(span(reader, first=first, last=None, count=None)):
        block = moment.update.block
        update, pools = chain[block.number]
        assert block == update.block
        assert moment.market.pools == pools
        numbers.append(block.number)
    assert numbers == list(range(first, last + 1))


@pytest.mark.parametrize("skipped", [0, 7, 31])
def test_a_walk_past_pools_that_come_and_go_has_those_that_a_reader_of_all_has(
    tmp_path: Path, skipped: int
) -> None:
    """Also where they came or went on branches that the walk leaves out."""
    reader = HistoryReader(record(tmp_path, arrivals.first_keyframe(), CHANGED, segment_blocks=4))
    chain = standing(CHANGED)
    dead = {update.block.hash for update in CHANGED if isinstance(update, BlockUpdate)}
    dead -= {update.block.hash for update, _ in chain.values()}
    assert any(isinstance(each, PoolsChanged) and each.block.hash in dead for each in CHANGED)
    first, last = min(chain) + skipped, max(chain)
    numbers = []
    before: dict[PoolKey, Pool] = {}
    for moment in walk(span(reader, first=first, last=None, count=None)):
        number = moment.update.block.number
        pools = moment.market.pools
        assert pools == chain[number][1]
        touched = {log.address for log in moment.update.logs}
        is_other = pools.keys() != before.keys() or any(
            pools[key] != before[key] for key in pools.keys() - touched
        )
        assert moment.has_other_pools or not is_other
        numbers.append(number)
        before = dict(pools)
    assert numbers == list(range(first, last + 1))


def test_scan_has_the_same_market_at_any_block(tmp_path: Path) -> None:
    reader = HistoryReader(record(tmp_path, arrivals.first_keyframe(), CHANGED, segment_blocks=40))
    for number, (_, pools) in standing(CHANGED).items():
        *_, now = (
            each for each in priced(reader, way_to(reader, number)) if not isinstance(each, Died)
        )
        market = now.market
        assert market.pools == pools


def test_a_span_is_what_the_history_has_of_it(reader: HistoryReader) -> None:
    first, last = min(standing()), max(standing())
    whole = span(reader, first=0, last=10**9, count=None)
    assert (whole.first, whole.last) == (first, last)
    newest = span(reader, first=first, last=last - 2, count=5)
    assert (newest.first, newest.last, newest.blocks) == (last - 6, last - 2, 5)
    with pytest.raises(InputError, match=f"has blocks {first} to {last}"):
        span(reader, first=last + 1, last=None, count=None)
