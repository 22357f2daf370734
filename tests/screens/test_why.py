"""dexarb why: the funnel of what really was decided, and two strategies side by side."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.core.trade import Funding, SkipCount, SkipReason
from dexarb.screens.explanation import nearly, quantities, wants
from dexarb.screens.names import names_at
from dexarb.screens.tables import band, signed_usd
from dexarb.store.ledger_notes import METRICS, Metrics
from dexarb.store.ledger_reader import read_only
from dexarb.study.funnel import Miss
from tests.store import books
from tests.support.command import Dexarb
from tests.support.scenes import (
    BOLD,
    ELSEWHERE,
    OPENS,
    OPENS_AGAIN,
    SHY,
    SMALL,
    STRATEGIES,
    scene,
)
from tests.support.traded import World, configure, record_and_trade, row_of
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import WETH, keyframe, settings

NAMES = names_at(Market(keyframe()))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return record_and_trade(tmp_path_factory.mktemp("why"), *scene(), *STRATEGIES)


def expected_net_usd(world: World, block: int) -> float:
    """What the bold strategy expected of the trade that it sent after this block."""
    with read_only(world.ledger) as ledger:
        bold = next(row.hash for row in ledger.strategies() if row.name == BOLD)
        (found,) = (
            row.decision for row in ledger.decisions(bold) if row.decision.block.number == block
        )
    return found.expected_net_micro_usd / 10**6


def test_a_threshold_that_is_too_high(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", SHY, "-c", world.config, "--json").json
    assert (told["sent"], told["offered"], told["stopped"]) == (0, 3, {"profit": 3})
    (miss,) = told["nearest_misses"]
    assert (miss["reason"], miss["needed_usd"], miss["block"]) == ("profit", 50.0, OPENS)
    best = expected_net_usd(world, OPENS)
    assert miss["best_usd"] == pytest.approx(best, abs=0.05)
    assert told["obstacle"]["parameter"] == "min_profit_usd"
    said = dexarb("why", SHY, "-c", world.config).words
    assert "min_profit_usd stands most in the way: it stopped 3 of 3" in said
    assert f"needed 50.00 USD, best was {miss['best_usd']:.2f} USD at block {OPENS}" in said


def test_what_was_sent_and_what_came_of_it(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", BOLD, "-c", world.config, "--json").json
    counts = [told[key] for key in ("offered", "sent", "filled", "reverted", "open")]
    assert counts == [3, 2, 1, 1, 0]
    assert told["stopped"] == {"pool_busy": 1}
    assert told["obstacle"] is None
    assert told["sentence"].endswith("2 sent: too few to tell what decides whether they fill.")


def test_a_strategy_that_looks_elsewhere(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", ELSEWHERE, "-c", world.config, "--json").json
    assert told["stopped"] == {"pair": 3}
    assert told["obstacle"]["parameter"] == "pairs"
    assert "`dexarb spreads`" in dexarb("why", ELSEWHERE, "-c", world.config).out


def test_a_hash_will_do_and_a_typo_is_mended(world: World, dexarb: Dexarb) -> None:
    known = dexarb("why", BOLD, "-c", world.config, "--json").json["hash"]
    assert dexarb("why", known[:6], "-c", world.config, "--json").json["name"] == BOLD
    wrong = dexarb("why", "elsewere", "-c", world.config)
    assert (wrong.code, wrong.out) == (2, "")
    assert f'Did you mean "{ELSEWHERE}"?' in wrong.err
    lost = dexarb("why", "xyzzy", "-c", world.config)
    assert f'There are "{BOLD}", "{SHY}", "{SMALL}", "{ELSEWHERE}"' in lost.err


def test_three_names_are_too_many(world: World, dexarb: Dexarb) -> None:
    said = dexarb("why", BOLD, SHY, SMALL, "-c", world.config)
    assert said.code == 2
    assert "one strategy, or two" in said.err


def test_without_a_name_all_in_brief(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", "-c", world.config, "--json").json["strategies"]
    assert [each["name"] for each in told] == [BOLD, SHY, SMALL, ELSEWHERE]
    for each in told:
        assert each == dexarb("why", each["name"], "-c", world.config, "--json").json
        assert each["offered"] == each["sent"] + sum(each["stopped"].values())
    said = dexarb("why", "-c", world.config).words
    assert f"{BOLD} 3 2 1 Nothing stands in its way" in said
    assert f"{SHY} 3 0 0 min_profit_usd stands most in the way" in said


# -- side by side ---------------------------------------------------------------------------------


def test_the_same_opportunities_side_by_side(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", BOLD, SMALL, "-c", world.config, "--json").json
    assert told["decisions_differing_from_ledger"] == 0
    taken = [told[key] for key in ("both", "first_alone", "second_alone", "neither")]
    assert taken == [1, 1, 0, 0]
    first, second = told["episodes"]
    assert [first["opened_block"], second["opened_block"]] == [OPENS, OPENS_AGAIN]
    bold, small = first["stands"]
    assert (bold["outcome"], small["outcome"]) == ("filled", "filled")
    assert bold["net_usd"] > small["net_usd"] > 0
    bold, small = second["stands"]
    assert bold["outcome"] == "reverted"
    assert bold["net_usd"] < 0
    assert (small["sent"], small["reason"], small["needed_usd"]) == (False, "profit", 1.0)
    assert 0 < small["best_usd"] < 1


def test_people_read_who_took_what(world: World, dexarb: Dexarb) -> None:
    said = dexarb("why", BOLD, SHY, "-c", world.config)
    assert said.err == ""
    assert f"2 episodes: both took 0, {BOLD} alone 2, {SHY} alone 0, neither 0" in said.words
    assert "USDC > WETH > USDC" in said.out
    assert "of 50.00" in said.out


def test_what_lies_outside_both_is_left_out(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", ELSEWHERE, BOLD, "-c", world.config, "--json").json
    assert [each["stands"][0]["reason"] for each in told["episodes"]] == ["pair", "pair"]
    assert told["second_alone"] == 2


def test_a_ledger_that_says_otherwise_is_noticed(
    world: World, tmp_path: Path, dexarb: Dexarb
) -> None:
    other = World(tmp_path)
    shutil.copytree(world.folder / "data", tmp_path / "data")
    text = world.config.read_text()
    other.config.write_text(text.replace(str(world.folder), str(tmp_path)))
    with sqlite3.connect(other.ledger) as connection:
        connection.execute("UPDATE decisions SET id = 'another' WHERE n = 1")
    connection.close()
    said = dexarb("why", BOLD, SMALL, "-c", other.config)
    assert "differs from the ledger in 2 decisions" in said.err
    assert said.code == 0


def test_a_strategy_is_not_compared_with_itself(world: World, dexarb: Dexarb) -> None:
    said = dexarb("why", BOLD, BOLD, "-c", world.config)
    assert said.code == 2
    assert "the same strategy twice" in said.err


def test_code_of_its_own_is_not_run_again(tmp_path: Path, dexarb: Dexarb) -> None:
    """What it would say the second time is its own affair; the counters stand as they are."""
    own = settings("Own", kind="mine", parameters='{"eager":true}')
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    with books.open_ledger(world.ledger) as ledger, ledger.block(1, books.block(1)) as block:
        block.set_strategies([row_of(own), row_of(settings("Plain"))])
    said = dexarb("why", "Own", "Plain", "-c", world.config)
    assert said.code == 2
    assert 'Own" has code of its own (mine)' in said.err
    assert "own strategy mine, parameters" in dexarb("why", "Own", "-c", world.config).words


def test_a_miss_by_less_than_a_cent_is_told_with_all_its_digits() -> None:
    miss = Miss(SkipReason.PROFIT, needed=10_000_000, best=9_999_998, block=7)
    assert nearly(miss) == "needed 10.000000 USD, best was 9.999998 USD at block 7"
    miss = Miss(SkipReason.SPREAD, needed=123_456, best=123_455, block=7)
    assert nearly(miss) == "needed 12.3456 %, best was 12.3455 % at block 7"
    miss = Miss(SkipReason.PROFIT, needed=10_000_000, best=410_000, block=7)
    assert nearly(miss) == "needed 10.00 USD, best was 0.41 USD at block 7"


@pytest.mark.parametrize("reason", [SkipReason.PROFIT, SkipReason.SPREAD])
@pytest.mark.parametrize("needed", [1, 10_000, 5_000_000, 10_000_000, 123_456_789])
@pytest.mark.parametrize("gap", [1, 40, 3_000])
def test_what_was_needed_and_what_there_was_never_look_alike(
    reason: SkipReason, needed: int, gap: int
) -> None:
    shown = quantities(reason, needed, needed - gap)
    assert len(set(shown)) == 2


def test_less_than_nothing_is_said_to_be_that() -> None:
    miss = Miss(SkipReason.PROFIT, needed=1_000_000, best=-20_000, block=7)
    assert nearly(miss).endswith("best was -0.02 USD at block 7: less than its gas costs")


WANTS = "WETH/USDC; wants 1.00 USD after gas and 0 % after fees;\nup to 2,000 USD"


@pytest.mark.parametrize(
    ("changes", "head"),
    [
        ({}, f"{WANTS} of its own and 100 gwei; bids what the chain is used to"),
        ({"bid_ppm": 125_000}, f"{WANTS} of its own and 100 gwei; bids 12.5 % of the profit"),
        (
            {"priority_fee": 500 * GWEI, "funding": Funding.FLASH},
            f"{WANTS} by flash swap and 100 gwei; bids 500 gwei",
        ),
    ],
)
def test_the_head_says_what_is_bid_and_who_pays(changes: dict[str, Any], head: str) -> None:
    assert wants(settings(**changes), NAMES) == head


def test_a_long_list_of_pairs_is_shortened() -> None:
    pairs = tuple((WETH, Address(f"0x{number:040x}")) for number in range(100))
    head = wants(settings(pairs=pairs), NAMES)
    assert " and 96 more; wants" in head
    assert len(head) < 250


def test_a_bid_is_blamed_for_what_it_takes(tmp_path: Path, dexarb: Dexarb) -> None:
    """500 gwei at a cent each, where a dollar is asked for and half of one was left."""
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    row = row_of(settings("Eager", priority_fee=500 * GWEI))
    skip = SkipCount(row.hash, 0, SkipReason.PROFIT, 4, 1_000_000, 500_000, 1)
    with books.open_ledger(world.ledger) as ledger, ledger.block(1, books.block(1)) as block:
        block.set_strategies([row])
        block.add_skips([skip])
    told = dexarb("why", "Eager", "-c", world.config, "--json").json
    assert told["obstacle"]["parameter"] == "min_profit_usd"
    with books.open_ledger(world.ledger) as ledger:
        ledger.put_note(METRICS, Metrics({"p50": None, "p99": None}, usd_per_gwei=0.01))
    told = dexarb("why", "Eager", "-c", world.config, "--json").json
    assert told["obstacle"]["parameter"] == "priority_fee_gwei"
    assert told["sentence"].startswith("priority_fee_gwei stands most in the way: it stopped 4")


def test_what_the_own_bound_has_cost(tmp_path: Path, dexarb: Dexarb) -> None:
    """Of three reverts one gained nothing without it, and one is of a block that died."""
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    row = row_of(settings("Careful"))
    sent = [books.decision(f"0x{n}", books.block(1))._replace(strategy=row.hash) for n in range(3)]
    reverts = [
        books.fill(each, books.block(2), net=-1, status="reverted")._replace(bound_micro_usd=bound)
        for each, bound in zip(sent, (2_500_000, None, 9_000_000), strict=True)
    ]
    with books.open_ledger(world.ledger) as ledger:
        with ledger.block(1, books.block(1)) as block:
            block.set_strategies([row])
            block.add_decisions(sent)
        with ledger.block(2, books.block(2)) as block:
            block.add_fills(reverts)
        with ledger.block(3, books.block(3)) as block:
            block.mark_reorged(reverts[2:])
    told = dexarb("why", "Careful", "-c", world.config, "--json").json
    assert told["bound"] == {"reverted": 1, "gain_usd": 2.5}
    shown = dexarb("why", "Careful", "-c", world.config).out
    assert "1 of 2 reverted by the bound though they would have gained: +2.50 USD." in shown


@pytest.mark.parametrize(
    ("micro_usd", "shown"),
    [
        (-3, "-0.000003"),
        (-4_200, "-0.0042"),
        (0, "+0.00"),
        (10_000, "+0.01"),
        (-5 * 10**9, "-5,000.00"),
    ],
)
def test_no_loss_is_shown_as_none(micro_usd: int, shown: str) -> None:
    assert signed_usd(micro_usd).plain == shown
    assert band(micro_usd, 10**6) == f"{shown.lstrip('+')}..1.00"
