"""`dexarb replay`: which blocks, whose strategies, into which ledger, and what it says of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.config.shipped_files import SAMPLE_HISTORY
from dexarb.core.market import Entry
from dexarb.errors import ConfigError
from dexarb.screens import replay as screen
from dexarb.store.ledger_reader import read_only
from dexarb.store.trials import Trial, read_register, register_of
from dexarb.study.replay import replay
from tests.support.command import Dexarb
from tests.support.own_package import install
from tests.support.recorded import record
from tests.support.scenes import BOLD, CLOSES, OPENS, SHY, STRATEGIES, scene
from tests.support.traded import World, configure, record_and_trade, strategy
from tests.support.trader import run_trader

KEYS = {
    "blocks",
    "first_block",
    "last_block",
    "pools",
    "opportunities",
    "ledger_digest",
    "strategies",
}
S_KEYS = {"name", "hash", "seen", "sent", "filled", "reverted", "lost", "profit_usd", "band_usd"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    return record_and_trade(tmp_path, *scene(), *STRATEGIES)


def digest(path: Path) -> str:
    with read_only(path) as ledger:
        return ledger.digest()


def test_a_whole_history_is_ranked(world: World, dexarb: Dexarb) -> None:
    found = dexarb("replay", world.history, "-c", world.config, "--json").json
    assert found.keys() >= KEYS
    assert all(each.keys() >= S_KEYS for each in found["strategies"])
    assert (found["blocks"], found["first_block"], found["last_block"]) == (7, 101, CLOSES)
    assert found["opportunities"] > 0
    profits = [each["profit_usd"] for each in found["strategies"]]
    assert profits == sorted(profits, reverse=True)
    assert found["strategies"][0]["name"] == BOLD
    # Nobody traded live before the first block, so it is the trader's ledger.
    assert found["ledger_digest"] == digest(world.ledger) == digest(Path(found["ledger"]))
    shown = dexarb("replay", "-c", world.config)
    assert "A replay ranks, it does not prove: 7 blocks in" in shown.words
    assert f"data/history/replays/{world.history.name}-2.sqlite\n" in shown.out
    assert shown.err == ""


def test_the_register_has_it_before_it_begins(world: World, dexarb: Dexarb) -> None:
    found = dexarb("replay", world.history, "-c", world.config, "--json").json
    (trial,) = (r for r in read_register(register_of(world.history)) if isinstance(r, Trial))
    assert set(trial.hashes) == {each["hash"] for each in found["strategies"]}
    assert (trial.first_block, trial.last_block) == (101, CLOSES)
    assert trial.file == found["ledger"]


@pytest.mark.parametrize(
    ("words", "blocks"),
    [
        (("--from", OPENS, "--to", OPENS + 2), (OPENS, OPENS + 2)),
        (("--last", "3"), (CLOSES - 2, CLOSES)),
        (("--since", "2s"), (CLOSES - 2, CLOSES)),
    ],
)
def test_some_blocks_of_it(
    world: World, dexarb: Dexarb, words: tuple[object, ...], blocks: tuple[int, int]
) -> None:
    found = dexarb("replay", world.history, "-c", world.config, *words, "--json").json
    assert (found["first_block"], found["last_block"]) == blocks
    assert found["blocks"] == 3
    with read_only(Path(found["ledger"])) as ledger:
        assert ledger.last_block is not None
        assert ledger.last_block[0] == blocks[1]
        assert all(row.decision.block.number >= blocks[0] for row in ledger.decisions())


def test_what_was_interrupted_goes_on(
    world: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mine.sqlite"

    def interrupted(*words: object) -> Iterator[Entry]:
        for count, entry in enumerate(replay(*words)):  # type: ignore[arg-type]
            yield entry
            if count == 4:
                raise KeyboardInterrupt

    words = ("replay", world.history, "-c", world.config, "--ledger", path)
    with monkeypatch.context() as patched:
        patched.setattr(screen, "replay", interrupted)
        cut = dexarb(*words)
    assert cut.code == 130
    assert cut.err.startswith("interrupted: the same with --ledger mine.sqlite goes on\n")
    with read_only(path) as ledger:
        assert 0 < ledger.seq < 8
    gone_on = dexarb(*words, "--json").json
    assert gone_on["ledger_digest"] == digest(world.ledger)
    assert (gone_on["blocks"], gone_on["last_block"]) == (7, CLOSES)
    # Nothing is left to do: the same answer, and nothing tried anew.
    tried = len(read_register(register_of(world.history)))
    again = dexarb(*words, "--json").json
    assert gone_on | {"took_s": 0} == again | {"took_s": 0}
    assert len(read_register(register_of(world.history))) == tried


def test_no_other_ledger_is_written_over(world: World, dexarb: Dexarb, tmp_path: Path) -> None:
    before = world.ledger.read_bytes()
    live = dexarb("replay", world.history, "-c", world.config, "--ledger", world.ledger)
    assert live.code == 2
    assert "is not the ledger of a replay and stays as it is" in live.err
    assert world.ledger.read_bytes() == before
    path = tmp_path / "mine.sqlite"
    assert dexarb("replay", world.history, "-c", world.config, "--ledger", path).code == 0
    configure(tmp_path, strategy("Another", size_usd=7.0))
    other = dexarb("replay", world.history, "-c", world.config, "--ledger", path)
    assert other.code == 2
    assert "is the ledger of another replay" in other.err


def test_no_trader_goes_on_with_a_replays_ledger(world: World, dexarb: Dexarb) -> None:
    world.ledger.unlink()
    words = ("--from", OPENS, "--ledger", world.ledger)
    assert dexarb("replay", world.history, "-c", world.config, *words).code == 0
    for command in ("status", f"why {BOLD}", "fills"):
        told = dexarb(*command.split(), "-c", world.config)
        assert told.code == 0, told.err
        assert BOLD in told.out
    with pytest.raises(ConfigError, match="is the ledger of a replay") as found:
        run_trader(world, iter(()))
    lines = world.config.read_text().splitlines()
    assert lines[(found.value.line or 0) - 1].startswith("ledger_file")


def test_an_own_strategy_that_is_gone_is_told(world: World, dexarb: Dexarb) -> None:
    with sqlite3.connect(world.ledger) as connection:
        gone = """UPDATE strategies SET config = replace(config, '"threshold"', '"gone"')"""
        connection.execute(f"{gone} WHERE name = '{SHY}'")
    connection.close()
    told = dexarb("replay", "--as-ledger", world.ledger)
    assert told.code == 2
    assert '"Shy" is of kind "gone", which no installed package offers' in told.err


def test_live_and_replay_are_compared(world: World, dexarb: Dexarb) -> None:
    found = dexarb("replay", "--as-ledger", world.ledger, "--json").json
    assert found["live"]["unlike"] == {}
    assert found["live"]["equal"]
    assert found["ledger_digest"] == digest(world.ledger)
    shown = dexarb("replay", "--as-ledger", world.ledger)
    assert shown.code == 0
    assert "live equals replay" in shown.words
    with sqlite3.connect(world.ledger) as connection:  # as before there was such a thing
        connection.execute("UPDATE epochs SET reality = NULL")
    connection.close()
    older = dexarb("replay", "--as-ledger", world.ledger)
    assert older.code == 0
    assert "warning: the model of reality was not told in" in older.err


def test_the_first_difference_is_named(world: World, dexarb: Dexarb) -> None:
    with sqlite3.connect(world.ledger) as connection:
        connection.execute("UPDATE fills SET gas_used = gas_used + 1")
        connection.execute(
            """UPDATE realities SET spec = replace(spec, '"version":2', '"version":9')"""
        )
    connection.close()
    shown = dexarb("replay", "--as-ledger", world.ledger)
    assert shown.code == 1
    assert f'error: block {OPENS + 1}: "{BOLD}": fills' in shown.err
    assert "gas_used is" in shown.err
    assert "warning: order was fee_and_rivals 9" in shown.err
    found = dexarb("replay", "--as-ledger", world.ledger, "--json")
    assert found.code == 1
    assert f'"block": {OPENS + 1}' in found.out


def test_what_cannot_be_known_is_said(
    tmp_path: Path, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, updates = scene()
    imported = [
        replace(
            each,
            block=replace(each.block, seen_at=None),
            transactions=(),
            has_receipts=False,
            traffic=None,
        )
        for each in updates
    ]
    history = record(tmp_path / "data", first, imported)
    quick = strategy("Quick").rstrip() + "\nlatency_ms = 300\n"
    config = configure(tmp_path, quick, strategy(SHY)).config
    shown = dexarb("replay", history, "-c", config)
    assert shown.code == 0, shown.err
    assert "7 of 7 blocks have no receipts" in shown.words
    assert "latency_ms of Quick is not held there" in shown.words
    found = dexarb("replay", history, "-c", config, "--json").json
    assert found["not_known"] == {
        "blocks_without_receipts": 7,
        "blocks_nobody_saw_live": 7,
        "blocks_fetched_later": 0,
        "latency_ms_not_held": ["Quick"],
    }
    assert found["strategies"][0]["profit_usd"] is None
    later = [replace(each, backfilled=True) for each in imported]
    history = record(tmp_path / "later", first, later)
    shown = dexarb("replay", history, "-c", config)
    assert "7 of 7 blocks were fetched after their time" in shown.words


def test_a_history_without_blocks_is_told(tmp_path: Path, dexarb: Dexarb) -> None:
    config = configure(tmp_path, *STRATEGIES).config
    told = dexarb("replay", record(tmp_path / "data", scene()[0], []), "-c", config)
    assert told.code == 3
    assert "has no blocks yet" in told.err


def test_the_sample_ranks_eight_strategies(dexarb: Dexarb, tmp_path: Path) -> None:
    found = dexarb("replay", "--sample", "--last", "500", "--json").json
    assert len(found["strategies"]) == 8
    assert found["blocks"] == 500
    assert found["ledger"] is None
    assert len({each["placed_profit_usd"] for each in found["strategies"]}) == 8
    assert sum(each["filled"] > 0 for each in found["strategies"]) >= 6
    assert not register_of(SAMPLE_HISTORY).exists()
    kept = dexarb(
        "replay", "--sample", "--last", "50", "--ledger", tmp_path / "kept", "--json"
    ).json
    assert kept["blocks"] == 50
    assert digest(tmp_path / "kept") == kept["ledger_digest"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "holds no history"),
        (("--sample", "some/folder"), "leave some/folder or --sample out"),
        (("--sample", "--as-ledger", "x"), "--sample and --as-ledger do not go together"),
        (("--as-ledger", "x", "-c", "y"), "--as-ledger and --config do not go together"),
        (("--as-ledger", "x", "--last", "3"), "leave out which ones"),
        (("--as-ledger", "x"), "x: does not exist"),
        (("--sample", "-c", "nothing.toml"), "nothing.toml"),
        (("--sample", "--from", "9999"), "none of 9999.."),
        (("--sample", "--from", "last week"), '"last week" names no block'),
    ],
)
def test_what_is_wrong_is_said(
    dexarb: Dexarb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = dexarb("replay", *words)
    assert done.code in (2, 3)
    assert said in " ".join(done.err.replace("│", " ").split())
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


OWN = """
from dexarb import Choice


class Eager:
    def decide(self, market, opportunities, ledger):
        return [Choice(each) for each in opportunities]
"""


def test_own_strategies_are_replayed_and_other_code_is_named(
    world: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = world.folder / "packages"
    packages.mkdir()
    install(packages, "replay_own", OWN, {"replay_eager": "Eager"})
    monkeypatch.syspath_prepend(packages)
    own = strategy("Own").rstrip() + '\nkind = "replay_eager"\n'
    configure(world.folder, own, strategy(BOLD))
    found = dexarb("replay", world.history, "-c", world.config, "--json").json
    assert {each["name"]: each["sent"] > 0 for each in found["strategies"]} == {
        "Own": True,
        BOLD: True,
    }
    again = dexarb("replay", "--as-ledger", found["ledger"], "--json")
    assert again.json["ledger_digest"] == found["ledger_digest"]
    assert again.err == ""
    (packages / "replay_own.py").write_text(OWN + "# changed\n")
    told = dexarb("replay", "--as-ledger", found["ledger"], "--json")
    assert told.code == 0
    assert 'warning: the code of "Own" was replay_own' in told.err.replace("-", "_")
