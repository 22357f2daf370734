"""dexarb fills: each with what the chain did with the same spread."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from dexarb.core.evidence import Outcome
from dexarb.screens.console import plain_console
from dexarb.screens.fills import answer
from tests.store import books
from tests.support.command import Dexarb
from tests.support.scenes import BOLD, SHY, STRATEGIES, scene
from tests.support.traded import World, configure, record_and_trade
from tests.support.worlds.blocks import TRADER

USD = 1_000_000
ONE, TWO = books.STRATEGIES[:2]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two strategies decide after block 1; somebody moves the pools at place 4 of block 2."""
    made = configure(tmp_path)
    made.ledger.parent.mkdir()
    decisions = [
        books.decision(each.name, books.block(1), strategy=each.hash) for each in (ONE, TWO)
    ]
    with books.open_ledger(made.ledger) as ledger:
        with ledger.block(1, books.block(1)) as block:
            block.set_strategies(books.STRATEGIES)
            block.add_decisions(decisions)
        with ledger.block(2, books.block(2)) as block:
            block.add_fills(
                [
                    books.fill(decisions[0], books.block(2), net=3 * USD),
                    books.fill(decisions[1], books.block(2), net=-USD, status="reverted"),
                ]
            )
    return made


def add_evidence(world: World, outcome: Outcome, place: int) -> None:
    found = books.evidence(books.block(2), outcome)
    assert found.mover is not None
    mover = replace(found.mover, place=place)
    found = replace(found, cycle=books.CYCLE, block_hash=books.block(1).hash, mover=mover)
    with books.open_ledger(world.ledger) as ledger, ledger.block(3, books.block(3)) as block:
        block.add_evidence([found])


def test_before_the_spread_has_closed_nothing_is_known(world: World, dexarb: Dexarb) -> None:
    first, second = dexarb("fills", "-c", world.config, "--json").json["fills"]
    assert (first["strategy"], first["status"], first["net_usd"]) == (ONE.name, "filled", 3.0)
    assert (second["strategy"], second["status"], second["net_usd"]) == (TWO.name, "reverted", -1.0)
    assert (first["decided_block"], first["block"], first["place"]) == (1, 2, 3)
    assert first["band_usd"] == [3.0 - 5e-6, 3.0 + 5e-6]
    assert first["amount_in"] == str(2**200)
    assert first["evidence"] is None
    assert "when the spread has closed" in dexarb("fills", "-c", world.config).out


def test_what_became_of_a_spread_is_told_once(world: World, dexarb: Dexarb) -> None:
    add_evidence(world, Outcome.TAKEN, place=4)
    said = dexarb("fills", "-c", world.config).words
    assert said.count("first moved in block 2") == 1
    assert said.index(TWO.name) < said.index("first moved in block 2")
    assert said.index("won over a taker") < said.index(TWO.name)


def test_a_taker_behind_us_was_beaten(world: World, dexarb: Dexarb) -> None:
    add_evidence(world, Outcome.TAKEN, place=4)
    first, second = dexarb("fills", "-c", world.config, "--json").json["fills"]
    assert (first["won_over_taker"], second["won_over_taker"]) == (True, False)
    evidence = first["evidence"]
    assert (evidence["outcome"], evidence["closed_after_blocks"]) == ("taken", 1)
    mover = evidence["mover"]
    assert (mover["block"], mover["place"], mover["sender"]) == (2, 4, TRADER)
    assert (mover["paid_wei"], evidence["gain"]) == (str(2**80), str(2**99))
    said = dexarb("fills", "-c", world.config).words
    assert "taken: closed after 1 block; first moved in block 2 at place 4" in said
    assert "+3.00 USD were won over a taker who was really there" in said


@pytest.mark.parametrize(("outcome", "place"), [(Outcome.TAKEN, 2), (Outcome.VANISHED, 4)])
def test_nobody_was_beaten(world: World, dexarb: Dexarb, outcome: Outcome, place: int) -> None:
    add_evidence(world, outcome, place)
    told = dexarb("fills", "-c", world.config, "--json").json["fills"]
    assert not any(each["won_over_taker"] for each in told)
    assert "won over" not in dexarb("fills", "-c", world.config).out


def test_an_unknown_place_leaves_only_the_band(world: World, dexarb: Dexarb) -> None:
    late = books.decision("late", books.block(3), strategy=ONE.hash)
    with books.open_ledger(world.ledger) as ledger:
        with ledger.block(3, books.block(3)) as block:
            block.add_decisions([late])
        with ledger.block(4, books.block(4)) as block:
            block.add_fills([books.fill(late, books.block(4))._replace(place_known=False)])
    (found,) = dexarb("fills", "-c", world.config, "--last", 1, "--json").json["fills"]
    assert [found[key] for key in ("place", "status", "net_usd", "amount_out")] == [None] * 4
    assert found["band_usd"][0] < found["band_usd"][1]
    assert "only the band is true" in dexarb("fills", "-c", world.config).words


def test_one_strategy_and_only_the_last(world: World, dexarb: Dexarb) -> None:
    def told(*options: object) -> list[str]:
        fills = dexarb("fills", "-c", world.config, "--json", *options).json["fills"]
        return [each["strategy"] for each in fills]

    assert told("--strategy", ONE.name) == [ONE.name]
    assert told("--strategy", TWO.hash) == [TWO.name]
    assert told("--last", 1) == [TWO.name]
    wrong = dexarb("fills", "-c", world.config, "-s", "Strategi 1")
    assert wrong.code == 2
    assert 'Did you mean "Strategy' in wrong.err


def test_names_come_from_the_collectors_state(tmp_path: Path, dexarb: Dexarb) -> None:
    world = record_and_trade(tmp_path, *scene(), *STRATEGIES)
    said = dexarb("fills", "-c", world.config, "--strategy", BOLD)
    assert "2,000.00 USDC, USDC > WETH > USDC by QuickSwap 0.30%, SushiSwap 0.30%" in said.words
    empty = dexarb("fills", "-c", world.config, "--strategy", SHY)
    assert f'No fills of "{SHY}" yet.' in empty.out
    assert f'`dexarb why "{SHY}"`' in empty.out


def test_nothing_traded_yet(tmp_path: Path, dexarb: Dexarb) -> None:
    said = dexarb("fills", "-c", configure(tmp_path).config)
    assert said.code == 3
    assert "Start paper-trading" in said.err


# -- when, and which exactly ----------------------------------------------------------------------


@pytest.fixture
def days(world: World) -> World:
    """One more fill two days on, at block 9."""
    at = replace(books.block(9), timestamp=books.block(2).timestamp + 2 * 86_400)
    late = books.decision("late", at, strategy=ONE.hash)
    with books.open_ledger(world.ledger) as ledger, ledger.block(9, at) as block:
        block.add_decisions([late])
        block.add_fills([books.fill(late, at)])
    return world


@pytest.mark.parametrize(
    ("options", "blocks"),
    [
        (["--since", "24h"], [9]),
        (["--since", "3d"], [2, 2, 9]),
        (["--to", "24h"], [2, 2]),
        (["--from", "2023-11-14", "--to", "2023-11-14"], [2, 2]),
        (["--since", "2023-11-14T22:13:25"], [9]),
        (["--from", "3"], [9]),
        (["--to", "8"], [2, 2]),
        (["--from", "2", "--to", "24h", "--last", "1"], [2]),
    ],
)
def test_of_some_time(days: World, dexarb: Dexarb, options: list[str], blocks: list[int]) -> None:
    told = dexarb("fills", "-c", days.config, "--json", *options).json["fills"]
    assert [each["block"] for each in told] == blocks


def test_nothing_in_these_blocks_is_not_nothing_at_all(days: World, dexarb: Dexarb) -> None:
    said = dexarb("fills", "-c", days.config, "--since", "2099-01-01", "-s", ONE.name)
    assert (said.code, said.words) == (0, f'No fills of "{ONE.name}" in these blocks.')


def test_json_has_times_and_whole_hashes(world: World, dexarb: Dexarb) -> None:
    add_evidence(world, Outcome.TAKEN, place=4)
    first, _ = dexarb("fills", "-c", world.config, "--json").json["fills"]
    one, two = books.block(1), books.block(2)
    assert (first["block_hash"], first["timestamp"]) == (two.hash, two.timestamp)
    assert (first["decided_block_hash"], first["decided_timestamp"]) == (one.hash, one.timestamp)
    mover = first["evidence"]["mover"]
    assert (mover["block_hash"], mover["transaction"]) == (two.hash, "0xaa")


def test_people_see_the_day_once_and_the_time_of_each(days: World, dexarb: Dexarb) -> None:
    said = dexarb("fills", "-c", days.config).out
    assert said.count("2023-11-14 UTC") == 1
    assert said.count("22:13:24") == 3
    assert said.index("2023-11-14 UTC") < said.index(TWO.name) < said.index("2023-11-16 UTC")


def test_hashes_are_whole_on_request_and_where_there_is_room(world: World, dexarb: Dexarb) -> None:
    add_evidence(world, Outcome.TAKEN, place=4)
    short = dexarb("fills", "-c", world.config).out
    assert books.block(2).hash not in short
    assert TRADER not in short
    full = dexarb("fills", "-c", world.config, "--full").out
    for whole in (books.block(1).hash, books.block(2).hash, TRADER, "0xaa", ONE.hash):
        assert whole in full
    console = plain_console(file=StringIO(), width=140)
    console.print(answer(world.config, strategy=None, last=2).render())
    assert isinstance(console.file, StringIO)
    assert books.block(2).hash in console.file.getvalue()
