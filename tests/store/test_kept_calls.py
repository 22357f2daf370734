"""Nonces and selectors in a history: as lines and closed, beside blocks and histories without."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from dexarb.core.block import BlockUpdate
from dexarb.store import codec
from dexarb.store.compaction import close_segments
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from tests.store.test_history_writer import append_all, blocks_of, open_writer, record
from tests.store.test_schema_2 import CHANGED, FIXTURES
from tests.support.worlds import arrivals

SELECTORS = ("0x", "0xab", "0xa9059cbb", None)


def with_calls(update: BlockUpdate) -> BlockUpdate:
    """Some of them unknown, as by nodes that tell no calldata."""
    transactions = tuple(
        structs.replace(each, nonce=None if called is None else 2**40 + each.index, selector=called)
        for each in update.transactions
        for called in (SELECTORS[each.index % len(SELECTORS)],)
    )
    return replace(update, transactions=transactions)


KNOWN = [
    with_calls(each) if number % 2 else each
    for number, each in enumerate(arrivals.with_traffic(arrivals.first_updates(60, seed=2, logs=2)))
]


def test_closing_keeps_them(tmp_path: Path) -> None:
    record(tmp_path, KNOWN[:30], segment_blocks=14)
    reader = HistoryReader(tmp_path)
    assert blocks_of(list(reader.entries())) == KNOWN[:30]
    assert close_segments(tmp_path, 10**9)
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == KNOWN[:30]
    found = {each.selector for block in KNOWN[:30] for each in block.transactions}
    assert found == set(SELECTORS)


@pytest.mark.parametrize(("name", "count"), [("schema_1", 24), ("schema_3", 30)])
def test_a_history_without_them_is_read_and_goes_on_with_them(
    tmp_path: Path, name: str, count: int
) -> None:
    history = Path(shutil.copytree(FIXTURES / name, tmp_path / "history"))
    arrived = CHANGED if name == "schema_3" else KNOWN
    before = [each for each in HistoryReader(history).entries() if isinstance(each, BlockUpdate)]
    sent = [each for block in before for each in block.transactions]
    assert {(each.nonce, each.selector) for each in sent} == {(None, None)}
    later = [with_calls(x) if isinstance(x, BlockUpdate) else x for x in arrived[count:]]
    with open_writer(history, segment_blocks=14) as writer:
        append_all(writer, arrivals.market_after(arrived[:count]), later)
    close_segments(history, 10**9)
    after = [each for each in HistoryReader(history).entries() if isinstance(each, BlockUpdate)]
    assert after[: len(before)] == before
    kept = [each for block in after[len(before) :] for each in block.transactions]
    assert {each.selector for each in kept} == set(SELECTORS)
    assert check(history).ok


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonce": -1}, "nonce"),
        ({"nonce": 2**64}, "nonce"),
        ({"selector": "a9059cbb"}, "selector"),
        ({"selector": "0xa9059cb"}, "selector"),
        ({"selector": "0xa9059cbb00"}, "selector"),
        ({"selector": "0xA9059CBB"}, "selector"),
    ],
)
def test_what_is_none_is_refused(changes: dict[str, object], said: str) -> None:
    update = arrivals.first_updates(3)[2]
    wrong = replace(update, transactions=(structs.replace(update.transactions[0], **changes),))
    with pytest.raises(ValueError, match=said):
        codec.encode_block(wrong)
