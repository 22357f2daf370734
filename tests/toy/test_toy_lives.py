"""A kind that no line of the program knows is collected, traded, judged and shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dexarb.amm import POOL_TYPES
from dexarb.core.trade import FillStatus
from dexarb.store.follow import newest_market
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_reader import read_only
from dexarb.store.segment import list_segments
from tests.support.command import Dexarb
from tests.toy.kind import ToyPool
from tests.toy.life import Life, live, trade

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(POOL_TYPES, "toy", ToyPool)
        lived = asyncio.run(live(tmp_path_factory.mktemp("toy")))
        trade(lived)
        yield lived


def test_what_is_recorded_is_what_the_chain_has(life: Life) -> None:
    found = check(life.history)
    assert found.ok, found
    assert len(list_segments(life.history)) > 1
    market = newest_market(HistoryReader(life.history))
    assert market.pools == life.read
    assert life.key in market.pools
    assert isinstance(market.pools[life.key], ToyPool)
    assert market.timed == (life.key,)


def test_what_was_decided_is_settled_at_the_fee_of_the_block_it_is_in(life: Life) -> None:
    with read_only(life.files.ledger) as ledger:
        strategies = {row.hash for row in ledger.strategies()}
        fills = [row.fill for key in strategies for row in ledger.fills(key)]
    through = [fill for fill in fills if life.key in fill.decision.cycle.pools]
    filled = [fill for fill in through if fill.status is FillStatus.FILLED]
    assert len(through) > 3
    assert filled
    assert any(fill.amount_out != fill.decision.amount_out for fill in filled)


def test_others_swaps_in_it_are_judged_to_the_unit(life: Life, dexarb: Dexarb) -> None:
    found = dexarb("calibrate", life.history, "--json").json
    kinds = found["swaps"]
    assert kinds["mismatch"] == 0, found
    assert kinds["exact_input"] > 20
    assert not found["differences"]


SCREENS = [
    ("status", "--config", "{paper}"),
    ("why", "Everything", "--config", "{paper}"),
    ("why", "Everything", "Toys", "--config", "{paper}"),
    ("spreads", "--config", "{paper}"),
    ("fills", "--config", "{paper}"),
    ("rivals", "--config", "{paper}"),
    ("scan", "{history}"),
    ("history", "check", "{history}"),
    ("config", "check", "--config", "{paper}"),
]


@pytest.mark.parametrize("words", SCREENS, ids=" ".join)
def test_every_screen_shows_it(life: Life, dexarb: Dexarb, words: tuple[str, ...]) -> None:
    asked = [word.format(paper=life.files.paper, history=life.history) for word in words]
    assert dexarb(*asked, "--json").json
    shown = dexarb(*asked)
    assert shown.code == 0, shown.err
    assert shown.words
    if words[0] in ("spreads", "fills"):
        assert "Toy 0." in shown.words
