"""dexarb verdict, finalists and promote on a traded world."""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dexarb.config.live import EvidenceTable, load_live
from dexarb.config.paper import load_paper
from dexarb.config.paths import DEFAULT_JOURNAL_FILE
from dexarb.core.block import Block, BlockHash, BlockRef
from dexarb.core.probes import Probe
from dexarb.core.sending import Intent, Outcome, Paper
from dexarb.core.token import Address
from dexarb.store.journal import Journal
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.store.trials import (
    Finalists,
    TrialKind,
    read_register,
    record_trial,
    register_of,
)
from tests.support.command import Dexarb
from tests.support.scenes import BOLD, SHY, STRATEGIES, scene
from tests.support.traded import World, record_and_trade
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, DEAR

WHO_SENDS = f"""
[live]
executor = "0x{"11" * 20}"
owner = "0x{"22" * 20}"
[[lane]]
key_file = "key.json"
[[way]]
name = "public"
url = "http://127.0.0.1:1"
"""
"""What only its owner can say."""


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> World:
    return record_and_trade(tmp_path_factory.mktemp("verdict"), *scene(), *STRATEGIES)


@pytest.fixture
def world(traded: World, tmp_path: Path) -> World:
    """A copy of its own: registers are written."""
    shutil.copytree(traded.folder, tmp_path / "run")
    own = World(tmp_path / "run")
    with sqlite3.connect(own.ledger) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'history'", (str(own.history),))
    connection.close()
    return own


def gains(world: World) -> None:
    """What was missed had been gained, as if the rival had not come."""
    with sqlite3.connect(world.ledger) as connection:
        connection.execute(
            "UPDATE fills SET status = 'filled', net_micro_usd = 7000000,"
            " band_high_micro_usd = 9000000"
        )
    connection.close()


def probed(world: World, amount_out: int = 2) -> None:
    """A node has run whatever was decided, and came to this where we say 2."""
    with read_only(world.ledger) as ledger:
        seq, (number, hash_) = ledger.seq, ledger.last_block or (0, BlockHash(""))
        cycles = {row.fill.decision.cycle for row in ledger.fills()}
    with LedgerDb.open(world.ledger, chain_id=CHAIN_ID, history=world.history) as books:
        at = Block(number, hash_, hash_, 1, 1, 1, 1, 1.0)
        with books.again(at) as entry:
            entry.add_probes(Probe(each, seq, hash_, 1, 2, amount_out, 1) for each in cycles)


def of(told: dict[str, Any], name: str) -> dict[str, Any]:
    """The strategy of a name."""
    (found,) = [each for each in told["strategies"] if each["name"] == name]
    return dict(found)


def test_every_strategy_has_a_word_and_a_sentence(world: World, dexarb: Dexarb) -> None:
    told = dexarb("verdict", world.config, "--json").json
    assert told["family_size"] == len(STRATEGIES)
    assert told["blocks"] > 0
    assert [each["verdict"] for each in told["strategies"]] == ["KEEP RUNNING"] * len(STRATEGIES)
    assert all(each["reason"] for each in told["strategies"])
    assert all(len(each["hash"]) == 16 for each in told["strategies"])
    assert not all(gate["open"] for gate in of(told, BOLD)["gates"])
    words = dexarb("verdict", "-c", world.config).words
    assert f"{BOLD}: KEEP RUNNING, " in words


def test_a_ledger_can_be_named_as_well(world: World, dexarb: Dexarb) -> None:
    by_config = dexarb("verdict", world.config, "--json").json
    assert dexarb("verdict", world.ledger, "--json").json == by_config


def test_what_was_tried_elsewhere_counts(world: World, dexarb: Dexarb, tmp_path: Path) -> None:
    hashes = [f"{number:016x}" for number in range(300)]
    span = {"first_block": 1, "last_block": 9, "at": 1}
    record_trial(world.history, TrialKind.SWEEP, hashes[:5], **span)  # type: ignore[arg-type]
    away = tmp_path / "away"
    shutil.copytree(world.history, away / "slice")
    record_trial(away / "slice", TrialKind.REPLAY, hashes, **span)  # type: ignore[arg-type]
    assert dexarb("verdict", world.config, "--json").json["family_size"] == 9
    asked = "verdict", world.config, "--trials", away / "trials.jsonl", "--json"
    assert dexarb(*asked).json["family_size"] == 309


def test_without_a_history_the_ledger_speaks_alone_and_says_so(
    world: World, dexarb: Dexarb
) -> None:
    shutil.rmtree(world.history)
    told = dexarb("verdict", world.config, "--json")
    assert told.json["family"] is None
    assert told.json["family_size"] == len(STRATEGIES)
    assert "register of trials" in told.err


def test_a_gain_is_a_canary_once_a_node_has_run_its_route(world: World, dexarb: Dexarb) -> None:
    gains(world)
    found = of(dexarb("verdict", world.config, "--json").json, BOLD)
    assert found["verdict"] == "KEEP RUNNING"
    assert "no node has run" in str(found["reason"])
    probed(world)
    assert of(dexarb("verdict", world.config, "--json").json, BOLD)["verdict"] == "CANARY"
    probed(world, amount_out=1)
    assert of(dexarb("verdict", world.config, "--json").json, BOLD)["verdict"] != "CANARY"


def test_what_lay_behind_a_live_trade_of_ours_is_left_out(world: World, dexarb: Dexarb) -> None:
    before = of(dexarb("verdict", world.config, "--json").json, BOLD)
    with read_only(world.ledger) as ledger:
        first = ledger.fills(before["hash"])[0].fill
    outcome = Outcome(first.status, first.amount_out, first.gas_used, first.net_micro_usd)
    paper = Paper(
        first.decision.id,
        BlockRef(first.block.number, first.block.hash),
        first.place,
        outcome,
        own_effect=True,
    )
    with Journal.open(world.folder / DEFAULT_JOURNAL_FILE, chain_id=CHAIN_ID) as journal:
        journal.add([Intent(first.decision, 1, Address("0x" + "11" * 20))], [])
        journal.add_results([], [paper])
    after = of(dexarb("verdict", world.config, "--json").json, BOLD)
    assert after["settled"] == before["settled"] - 1


def test_what_nobody_took_stands_apart(world: World, dexarb: Dexarb) -> None:
    gains(world)
    with sqlite3.connect(world.ledger) as connection:
        connection.execute("UPDATE evidence SET outcome = 'persisted', closed_after = NULL")
    connection.close()
    found = of(dexarb("verdict", world.config, "--json").json, BOLD)
    assert found["verdict"] == "KEEP RUNNING"
    assert found["net_usd"] == 0.0
    (route,) = found["untaken"]
    assert sorted(route["route"]) == sorted([CHEAP, DEAR])
    words = dexarb("verdict", "-c", world.config).words
    assert "Why did nobody take it?" in words
    assert "USDC > WETH > USDC" in words or "WETH > USDC > WETH" in words
    probed(world)
    again = of(dexarb("verdict", world.config, "--json").json, BOLD)
    assert again["net_usd"]
    assert again["verdict"] == "CANARY"


def test_finalists_are_registered_with_the_rule_that_chose_them(
    world: World, dexarb: Dexarb
) -> None:
    assert dexarb("finalists", "show", "-c", world.config, "--json").json["finalists"] == []
    none = dexarb("finalists", "register", "-c", world.config)
    assert none.code == 2
    assert "none is eligible" in none.err
    asked = "finalists", "register", BOLD, SHY, "--rule", "a hunch", "-c", world.config
    assert f"Rule: a hunch {BOLD} {SHY}" in dexarb(*asked).words
    written = read_register(register_of(world.history))[-1]
    assert isinstance(written, Finalists)
    assert (written.rule, written.names) == ("a hunch", (BOLD, SHY))
    told = dexarb("finalists", "show", "-c", world.config, "--json").json
    assert [each["name"] for each in told["finalists"]] == [BOLD, SHY]
    assert (told["block"], told["days"]) == (107, 0)
    again = dexarb(*asked)
    assert again.code == 2
    assert "with --replace it ends" in again.err
    assert dexarb(*asked, "--replace").code == 0


def test_at_most_ten_finalists(world: World, dexarb: Dexarb) -> None:
    with sqlite3.connect(world.ledger) as connection:
        for number in range(11):
            connection.execute(
                "INSERT INTO strategies (hash, name, config, ordinal)"
                f" SELECT '{number:016x}', 'No {number}', config, {number}"
                " FROM strategies LIMIT 1"
            )
    connection.close()
    names = [f"No {number}" for number in range(11)]
    told = dexarb("finalists", "register", *names, "-c", world.config)
    assert told.code == 2
    assert "10 at most" in told.err


def test_nothing_is_promoted_that_only_keeps_running(world: World, dexarb: Dexarb) -> None:
    told = dexarb("promote", BOLD, "-c", world.config)
    assert told.code == 1
    assert "Nothing was written" in told.out
    assert not (world.folder / "live.toml").exists()


def test_a_canary_is_written_with_its_evidence_and_over_nothing(
    world: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains(world)
    probed(world)
    told = dexarb("promote", BOLD, "-c", world.config, "--json").json
    path = world.folder / "live.toml"
    assert told["file"] == str(path)
    written = tomllib.loads(path.read_text())
    (evidence,) = written["evidence"]
    assert EvidenceTable.model_validate(evidence).verdict == "CANARY"
    assert evidence["hash"] == told["live_hash"] == told["hash"]
    assert evidence["daily_gas_usd"] == 5
    (strategy,) = written["strategy"]
    (stated,) = [
        each.table for each in load_paper(world.config).strategies if each.table.name == BOLD
    ]
    assert type(stated).model_validate(strategy) == stated
    path.write_text(path.read_text() + WHO_SENDS)
    assert load_live(path).verdicts == {told["live_hash"]: "CANARY"}
    path.write_text("mine")
    again = dexarb("promote", BOLD, "-c", world.config)
    assert again.code == 2
    assert "is there already" in again.err
    assert path.read_text() == "mine"
    monkeypatch.chdir(world.folder)
    written_to = dexarb("promote", BOLD, "-c", world.config, "--out", "other.toml")
    assert "Written: other.toml" in written_to.out
    assert (world.folder / "other.toml").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("promote", "Bald"), 'Did you mean "Bold"?'),
        (("verdict", "."), "is a folder"),
        (("verdict", "no.sqlite"), "does not exist"),
        (("verdict", "--trials", "no.jsonl"), "does not exist"),
    ],
)
def test_what_is_not_there_is_named(
    world: World, dexarb: Dexarb, words: tuple[str, ...], says: str
) -> None:
    told = dexarb(*words, "-c", world.config)
    assert told.code in (2, 3)
    assert says in told.err
