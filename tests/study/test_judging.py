"""Verdicts from a ledger of many days: what counts from when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dexarb.core.block import Block, BlockHash
from dexarb.core.probes import Probe
from dexarb.core.trade import Decision, Fill, FillStatus, Position, StrategyHash
from dexarb.core.units import MICRO_USD, SECONDS_PER_DAY
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.trials import Finalists, enter, family_of, register_of
from dexarb.study.verdict.gates import CanaryEvidence
from dexarb.study.verdict.judging import Considered, Verdicts, read_verdicts
from dexarb.study.verdict.verdict import Word
from tests.store.books import CYCLE, STRATEGIES, decision, fill
from tests.support.recorded import record
from tests.support.worlds import small_chain

DAYS, A_DAY, REGISTERED = 46, 4, 15
FIRST_DAY = 19_700
EARLY, LATE, NEVER = (row.hash for row in STRATEGIES)
"""Who gains before the registration alone, behind it alone, and not at all."""


def block(number: int) -> Block:
    """Five a day, from the beginning of a day on."""
    second = FIRST_DAY * SECONDS_PER_DAY + number * SECONDS_PER_DAY // (A_DAY + 1)
    own, parent = (BlockHash(f"0x{each:064x}") for each in (number, number - 1))
    return Block(number, own, parent, second, 1, 1, 2, None)


def net_of(strategy: StrategyHash, day: int, chance: np.random.Generator) -> int:
    gains = {EARLY: day < REGISTERED, LATE: day >= REGISTERED, NEVER: False}[strategy]
    return round(float(chance.normal(1.0 if gains else 0.0, 0.5)) * MICRO_USD)


def settled(of: Decision, at: Block, net: int) -> Fill:
    status = FillStatus.FILLED if net > 0 else FillStatus.REVERTED
    return fill(of, at, net=net, status=status)._replace(
        gas_cost_micro_usd=1_000, band_micro_usd=(min(net, 0), max(net, 1))
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every strategy decides four times a day; the ledger's folder."""
    folder = tmp_path_factory.mktemp("judging")
    history = record(folder, small_chain.keyframe(), [])
    chance = np.random.default_rng(4)
    with LedgerDb.open(folder / "ledger.sqlite", chain_id=137, history=history) as books:
        open_: list[Decision] = []
        for number in range(DAYS * (A_DAY + 1) + 1):
            at = block(number)
            with books.block(number + 1, at) as entry:
                if not number:
                    entry.set_strategies(STRATEGIES)
                    entry.add_probes([Probe(CYCLE, 0, at.hash, 1, 2, 2, 1)])
                day = (number - 1) // (A_DAY + 1)
                entry.add_fills(
                    settled(each, at, net_of(each.strategy, day, chance)) for each in open_
                )
                open_ = []
                if (number + 1) % (A_DAY + 1):
                    open_ = [
                        decision(f"{number:08x}{row.hash[-8:]}", at, strategy=row.hash)._replace(
                            position=Position.CONTESTED
                        )
                        for row in STRATEGIES
                    ]
                entry.add_decisions(open_)
    family = family_of(history)
    registered = block(REGISTERED * (A_DAY + 1) - 1)
    everybody = tuple(row.hash for row in STRATEGIES)
    names = tuple(row.name for row in STRATEGIES)
    chosen = Finalists(family.id, 1, registered.number, registered.timestamp, "", everybody, names)
    enter(register_of(history), family, chosen)
    return folder


def considered(found: Verdicts) -> dict[StrategyHash, Considered]:
    return {each.row.hash: each for each in found.strategies}


def test_only_what_comes_behind_the_registration_confirms(run: Path) -> None:
    found = read_verdicts(run / "ledger.sqlite")
    assert found.confirmed is not None
    assert found.confirmed.days == DAYS - REGISTERED
    assert found.confirmed.passed == {LATE: 14}
    assert found.confirmed.next_look == 56
    assert found.confirmed.p_values[EARLY] > 0.05
    assert found.selection.days == DAYS


def test_an_older_registration_from_a_copy_is_not_the_newest(run: Path, tmp_path: Path) -> None:
    family = family_of(run / "history" / "137")
    older = Finalists(family.id, 0, 1, FIRST_DAY * SECONDS_PER_DAY, "", (EARLY,), ("Early",))
    enter(tmp_path / "trials.jsonl", family, older)
    found = read_verdicts(run / "ledger.sqlite", [tmp_path / "trials.jsonl"])
    assert found.finalists is not None
    assert found.finalists.at == 1


def test_paper_alone_promotes_nobody_and_with_a_canary_one_is(run: Path) -> None:
    alone = considered(read_verdicts(run / "ledger.sqlite"))
    assert {each.judged.word for each in alone.values()} <= {Word.CANARY, Word.KEEP_RUNNING}
    fine = CanaryEvidence(sent=40, filled=40, model_errors=0, net=1, low=0, high=2)
    with_canary = considered(
        read_verdicts(run / "ledger.sqlite", canaries=dict.fromkeys((EARLY, LATE, NEVER), fine))
    )
    words = {name: each.judged.word for name, each in with_canary.items()}
    assert words[LATE] is Word.PROMOTE
    assert list(words.values()).count(Word.PROMOTE) == 1


def test_every_strategy_of_the_ledger_belongs_to_the_family(run: Path) -> None:
    found = read_verdicts(run / "ledger.sqlite")
    assert found.family_size == len(STRATEGIES)
    assert all(not each.untaken for each in found.strategies)
