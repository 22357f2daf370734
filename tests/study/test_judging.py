"""Verdicts from a ledger of many days: what counts from when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dexarb.core.block import Block, BlockHash, BlockRef
from dexarb.core.probes import Probe
from dexarb.core.sending import (
    Difference,
    Intent,
    Outcome,
    Paper,
    Signed,
    TransactionHash,
    Twin,
)
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, FillStatus, Position, StrategyHash
from dexarb.core.units import MICRO_USD, SECONDS_PER_DAY
from dexarb.store.journal import Journal, SignedRaw
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.store.trials import Finalists, enter, family_of, register_of
from dexarb.study.verdict.canary import bot_evidence, live_hash
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


def test_paper_alone_promotes_nobody_and_a_canary_does(run: Path, tmp_path: Path) -> None:
    """Where enough trades went well and what they brought lies in the band that paper told."""
    alone = considered(read_verdicts(run / "ledger.sqlite"))
    assert {each.judged.word for each in alone.values()} <= {Word.CANARY, Word.KEEP_RUNNING}
    assert promoted(run, bot(tmp_path / "fine", run)) == {LATE}
    assert promoted(run, bot(tmp_path / "few", run, sent=29, own_effect=10)) == set()
    assert promoted(run, bot(tmp_path / "wrong", run, model_errors=1)) == set()
    assert promoted(run, bot(tmp_path / "dear", run, net=101_001)) == set()
    assert promoted(run, bot(tmp_path / "own", run, own_effect=22)) == set()
    assert promoted(run, bot(tmp_path / "missed", run, expired=20)) == set()


LATENT = small_chain.settings("a", latency_ms=200)
AS_TRADED = replace(STRATEGIES[1], config=LATENT.canonical)
"""On paper it is late by a fixed time, which a bot's file does not have."""


def promoted(run: Path, folder: Path) -> set[StrategyHash]:
    ledger = run / "ledger.sqlite"
    with read_only(ledger) as books:
        strategies = [replace(row, config=AS_TRADED.config) for row in books.strategies()]
    found = bot_evidence(strategies, folder / "journal.sqlite", folder / "ledger.sqlite")
    told = read_verdicts(ledger, own_effect=found.own_effect, canaries=found.canaries)
    return {each.row.hash for each in told.strategies if each.judged.word is Word.PROMOTE}


def bot(
    folder: Path,
    run: Path,
    *,
    sent: int = 31,
    net: int = 100_000,
    model_errors: int = 0,
    own_effect: int = 21,
    expired: int = 0,
) -> Path:
    """Journal and ledger of a bot with LATE's parameters. Paper told 0 to 0.1 USD of each trade;
    those of own effect come first, and then there was ten times as much on the chain. A decision
    that nobody signed counts for nothing."""
    lane, live = Address("0x" + "05" * 20), live_hash(AS_TRADED)
    with (
        Journal.open(folder / "journal.sqlite", chain_id=137) as journal,
        LedgerDb.open(
            folder / "ledger.sqlite", chain_id=137, history=run / "history" / "137"
        ) as books,
    ):
        for number in range(sent + 2):
            at = block(number)
            of = decision(f"{number:016x}", at, strategy=live)
            is_own = number < own_effect
            paid = 10 * net if is_own else net
            done = fill(of, block(number + 1), net=paid, status=FillStatus.FILLED)
            done = done._replace(gas_cost_micro_usd=10)
            if number < expired:
                done = done._replace(status=FillStatus.EXPIRED, net_micro_usd=0, gas_used=0)
            is_signed = number < sent
            with books.block(2 * number + 1, at) as entry:
                entry.set_strategies([replace(STRATEGIES[1], hash=live)])
                entry.add_decisions([of])
            with books.block(2 * number + 2, block(number + 1)) as entry:
                entry.add_fills([done])
            one = Signed(TransactionHash(f"0x{number}"), lane, number, of.id, 1, 1, 1, number)
            journal.add([Intent(of, 1, lane)], [SignedRaw(one, b"raw")] if is_signed else [])
            if is_signed:
                here = BlockRef(number + 1, block(number + 1).hash)
                outcome = Outcome(done.status, 1, 1, done.net_micro_usd)
                kind = Difference.MODEL if number < model_errors else Difference.NONE
                told = Paper(of.id, here, 1, outcome, is_own, (0, 100_000))
                twin = Twin(of, one.hash, here, 1, outcome, outcome, kind)
                journal.add_results([twin], [told])
    return folder


def test_every_strategy_of_the_ledger_belongs_to_the_family(run: Path) -> None:
    found = read_verdicts(run / "ledger.sqlite")
    assert found.family_size == len(STRATEGIES)
    assert all(not each.untaken for each in found.strategies)
