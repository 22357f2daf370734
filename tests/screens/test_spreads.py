"""dexarb spreads: the distribution that the pools give, and what it means for the strategies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.cli import options
from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import PoolsChanged
from dexarb.store.history_writer import HistoryWriter
from dexarb.study.spreads_survey import chosen_sizes
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import (
    BOLD,
    CLOSES,
    ELSEWHERE,
    OPENS,
    SHY,
    SMALL,
    STRATEGIES,
    arbitrage,
    opened_and_taken,
    round_trip,
    scene,
)
from tests.support.traded import World, configure
from tests.support.worlds.blocks import block
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    weth_pool,
)

SIZE_USD = 2_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Nobody has traded: a history and a configuration are enough."""
    made = configure(tmp_path_factory.mktemp("spreads"), *STRATEGIES)
    record(made.folder / "data", *scene())
    return made


def gain_bps(cheap: int, dear: int, usd: int) -> float:
    amount = usd * 10**6
    return (round_trip(cheap, dear, amount) / amount - 1) * 10_000


def test_raw_and_executable_spreads_are_what_the_pools_give(world: World, dexarb: Dexarb) -> None:
    told = dexarb("spreads", "-c", world.config, "--size", SIZE_USD, "--json").json
    assert (told["first_block"], told["last_block"], told["blocks"]) == (101, CLOSES, 7)
    (pair,) = told["pairs"]
    assert pair["pair"] == "WETH/USDC"
    assert pair["fees_bps"] == pytest.approx((1 / 0.997**2 - 1) * 10_000)
    raw, executable = pair["raw_bps"], pair["executable_bps"]
    assert raw["blocks"] == executable["blocks"] == 7
    assert raw["max"] == pytest.approx((2_500 / 2_450 - 1) * 10_000, abs=0.01)
    assert executable["max"] == pytest.approx(gain_bps(2_450, 2_500, SIZE_USD), abs=0.01)
    assert pair["blocks_above_fees"] == 3
    bought, sold = arbitrage(weth_pool(CHEAP, 2_450), weth_pool(DEAR, 2_500))
    left = sold.swap(WETH, bought.swap(USDC, SIZE_USD * 10**6).amount_out).amount_out
    assert executable["p50"] == pytest.approx((left / SIZE_USD / 10**6 - 1) * 10_000, abs=0.01)
    assert executable["blocks_without"] == 0


def test_the_size_decides_what_can_be_executed(world: World, dexarb: Dexarb) -> None:
    for usd in (10, 20_000):
        told = dexarb("spreads", "-c", world.config, "--size", usd, "--json").json
        best = told["pairs"][0]["executable_bps"]["max"]
        assert best == pytest.approx(gain_bps(2_450, 2_500, usd), abs=0.01)


def test_every_block_is_in_the_histograms_once(world: World, dexarb: Dexarb) -> None:
    told = dexarb("spreads", "-c", world.config, "--json").json
    histogram = told["histogram"]
    assert sum(histogram["raw"]) == sum(histogram["executable"]) == 7
    open_ = histogram["edges_bps"].index(0.0) + 1
    assert sum(histogram["executable"][open_:]) == 3
    assert sum(histogram["raw"][:open_]) == 0


def test_thresholds_count_opportunities_not_blocks(world: World, dexarb: Dexarb) -> None:
    """The first spread stands for two blocks and counts once."""
    told = dexarb("spreads", "-c", world.config, "--size", SIZE_USD, "--json").json
    assert told["opportunities"] == 2
    by_net = {row["net_usd"]: row["opportunities"] for row in told["by_net_usd"]}
    first = (round_trip(2_450, 2_500, SIZE_USD * 10**6) - SIZE_USD * 10**6) / 10**6
    second = (round_trip(2_470, 2_500, SIZE_USD * 10**6) - SIZE_USD * 10**6) / 10**6
    gas = told["gas_usd"]
    assert 0 < gas < 0.1
    for net, counts in by_net.items():
        assert counts["2000"] == sum(gross - gas > net for gross in (first, second)), net
    assert by_net[0]["100"] == 2
    assert by_net[10]["100"] == 0
    by_spread = {row["percent"]: (row["raw"], row["executable"]) for row in told["by_spread"]}
    assert gain_bps(2_450, 2_500, SIZE_USD) > 100
    assert 30 < gain_bps(2_470, 2_500, SIZE_USD) < 50
    assert by_spread[1.0] == by_spread[0.5] == (2, 1)
    # What the rival leaves, and the spread that does not pay, stay above 0.3 %; from there it rises
    # once more to 1 %, and who waits at 0.3 % sees that as well.
    assert by_spread[0.3] == (2, 2)


def test_what_each_strategy_needs_and_what_there_was(world: World, dexarb: Dexarb) -> None:
    told = dexarb("spreads", "-c", world.config, "--json").json
    rows = {row["name"]: row for row in told["strategies"]}
    enough = {name: row["opportunities"] for name, row in rows.items()}
    assert enough == {BOLD: 2, SHY: 0, SMALL: 1, ELSEWHERE: 0}
    shy = rows[SHY]
    assert shy["needs_after_fees_bps"] == pytest.approx((50 + told["gas_usd"]) / 2_000 * 10_000)
    gross = round_trip(2_450, 2_500, SIZE_USD * 10**6) / 10**6 - SIZE_USD
    assert shy["best_net_usd"] == pytest.approx(gross - told["gas_usd"], abs=0.01)
    assert shy["best_block"] == OPENS
    assert rows[ELSEWHERE]["best_net_usd"] is None


def test_people_read_the_answer_first(world: World, dexarb: Dexarb) -> None:
    said = dexarb("spreads", "-c", world.config)
    assert "2 spreads paid their fees, 2 of them their gas as well" in said.words
    assert "2 of 4 strategies saw nothing that was enough" in said.words
    assert "< fees are paid" in said.words


def test_spreads_below_the_fees_are_told_as_such(tmp_path: Path, dexarb: Dexarb) -> None:
    """What a user of 0.03 % spreads has to see at a glance."""
    world = configure(tmp_path, *STRATEGIES)
    first = keyframe()
    chain = SmallChain(first)
    record(
        tmp_path / "data", first, [chain.mine(weth_pool(CHEAP, price)) for price in (2_499, 2_492)]
    )
    said = dexarb("spreads", "-c", world.config).words
    assert (
        "No opportunity: nearest came WETH/USDC between QuickSwap 0.30% and SushiSwap 0.30%, in the"
        " better of both directions 0.32 % apart, where their fees need 0.60 %."
    ) in said
    told = dexarb("spreads", "-c", world.config, "--json").json
    assert told["opportunities"] == 0
    assert all(not any(row["opportunities"].values()) for row in told["by_net_usd"])


def wide_apart(folder: Path, *, shrunk: int, **profile: object) -> World:
    """Two pools ten percent apart, one of them so many times smaller than usual."""
    first = keyframe()
    small = weth_pool(CHEAP, 2_500)
    small = replace(small, reserve0=small.reserve0 // shrunk, reserve1=small.reserve1 // shrunk)
    changed = replace(first.profile, **profile)  # type: ignore[arg-type]
    first = replace(first, profile=changed, pools=(small, *first.pools[1:]))
    world = configure(folder, *STRATEGIES)
    wide = replace(small, reserve1=small.reserve1 * 11 // 10)
    record(folder / "data", first, [SmallChain(first).mine(wide)])
    return world


APART = "in the better of both directions 10.00 % apart, where their fees need 0.60 %"


def test_a_spread_above_its_fees_that_pays_no_gas_is_told_as_such(
    tmp_path: Path, dexarb: Dexarb
) -> None:
    said = dexarb("spreads", "-c", wide_apart(tmp_path, shrunk=10**7).config).words
    assert "1 spread paid their fees, 0 of them their gas as well; the best was -0." in said


def test_a_spread_above_its_fees_without_an_opportunity_is_explained(
    tmp_path: Path, dexarb: Dexarb
) -> None:
    """Of a pool with 250 millionths of a dollar nothing can be gained."""
    said = dexarb("spreads", "-c", wide_apart(tmp_path, shrunk=10**10).config).words
    assert f"{APART}; 100 USD came to -100.00 %, and no smaller amount gained" in said


@pytest.mark.parametrize("profile", [{"exclude_pools": (DEAR,)}, {"exclude_tokens": (WETH,)}])
def test_pools_that_are_not_searched_are_told_as_such(
    tmp_path: Path, dexarb: Dexarb, profile: dict[str, object]
) -> None:
    said = dexarb("spreads", "-c", wide_apart(tmp_path, shrunk=1, **profile).config).words
    assert f"{APART}; but the chain's profile lets no trade begin and end there." in said


def test_a_part_of_the_history(world: World, dexarb: Dexarb) -> None:
    told = dexarb("spreads", "-c", world.config, "--from", 103, "--to", 105, "--json").json
    assert (told["first_block"], told["last_block"]) == (103, 105)
    assert told["pairs"][0]["raw_bps"]["blocks"] == 3
    assert told["opportunities"] == 1
    told = dexarb("spreads", "-c", world.config, "--last", 1, "--json").json
    assert (told["first_block"], told["opportunities"]) == (CLOSES, 0)


def test_who_says_where_to_begin_gets_all_from_there(
    world: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "BLOCKS_READ", 2)
    for asked, first in (
        ([], CLOSES - 1),
        (["--from", 103], 103),
        (["--from", 103, "--last", 1], CLOSES),
    ):
        told = dexarb("spreads", "-c", world.config, *asked, "--json").json
        assert (told["first_block"], told["last_block"]) == (first, CLOSES)
    assert "(2; 5 older ones with --from or --last)" in dexarb("spreads", "-c", world.config).words
    for command in ("spreads", "rivals"):
        told = dexarb(command, "-c", world.config, "--to", 104, "--json").json
        assert told["older_blocks_left_out"] == 2
        said = dexarb(command, "-c", world.config, "--to", 104).words
        assert "Blocks 103 to 104 (2; 2 older ones with --from or --last)" in said
        assert "older ones" not in dexarb(command, "-c", world.config, "--from", 101).words


def test_dead_branches_do_not_count(tmp_path: Path, dexarb: Dexarb) -> None:
    world = configure(tmp_path, *STRATEGIES)
    first = keyframe()
    chain = SmallChain(first)
    updates = [chain.mine(), chain.mine(weth_pool(CHEAP, 2_450))]
    updates += [chain.mine(parent=updates[0].block, branch="b"), chain.mine()]
    record(tmp_path / "data", first, updates)
    told = dexarb("spreads", "-c", world.config, "--json").json
    assert (told["blocks"], told["opportunities"]) == (3, 0)
    assert told["pairs"][0]["raw_bps"]["max"] == 0


def test_blocks_that_the_collector_missed_are_not_made_up(tmp_path: Path, dexarb: Dexarb) -> None:
    """The spread of block 101 is not said to have stood until the new start at block 110."""
    world = configure(tmp_path, *STRATEGIES)
    first = keyframe()
    later = replace(first, block=block(110, "0x110"))
    folder = record(tmp_path / "data", first, [SmallChain(first).mine(weth_pool(CHEAP, 2_450))])
    with HistoryWriter.open(folder, chain_id=first.profile.chain_id, chain="small") as writer:
        writer.append_keyframe(later)
        writer.append(SmallChain(later).mine())
    told = dexarb("spreads", "-c", world.config, "--json").json
    assert (told["first_block"], told["last_block"], told["blocks"]) == (101, 111, 2)
    raw = told["pairs"][0]["raw_bps"]
    assert (raw["blocks"], raw["p50"]) == (2, 0.0)
    assert told["opportunities"] == 1


def test_what_opens_and_closes_within_a_block_was_never_offered(
    tmp_path: Path, dexarb: Dexarb
) -> None:
    world = configure(tmp_path, *STRATEGIES)
    first = keyframe()
    chain = SmallChain(first)
    record(tmp_path / "data", first, [chain.mine(), opened_and_taken(chain, 2_450)])
    assert dexarb("spreads", "-c", world.config, "--json").json["opportunities"] == 0


def test_a_history_needs_no_configuration(
    world: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = dexarb("spreads", world.history, "--size", SIZE_USD, "--json").json
    assert (told["opportunities"], told["strategies"]) == (2, [])
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "paper_trading.toml").write_text("of another chain")
    told = dexarb("spreads", world.history, "--json").json
    assert (told["size_usd"], told["opportunities"], told["strategies"]) == (1_000, 2, [])
    assert len(dexarb("spreads", world.history, "-c", world.config, "--json").json["strategies"])
    assert dexarb("spreads", world.history, "-c", "none.toml").code == 2
    assert "paper_trading.toml" in dexarb("spreads").err


def test_without_any_strategy_there_is_still_a_size() -> None:
    assert chosen_sizes((), None) == ((1_000 * 10**6,), 0)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--from", "900"], 2, "has blocks 101 to 107, none of 900.."),
        (["nowhere"], 3, "holds no history. Start data-collector"),
    ],
)
def test_what_is_not_there(
    world: World, dexarb: Dexarb, options: list[str], code: int, said: str
) -> None:
    found = dexarb("spreads", "-c", world.config, *options)
    assert (found.code, found.out) == (code, "")
    assert said in found.err


def test_blocks_without_one_of_the_pools_tell_nothing_of_their_pair(
    tmp_path: Path, dexarb: Dexarb
) -> None:
    """It leaves, comes back as another state, and is gone again at the end."""
    both = STRATEGIES[0].replace("max_gas", 'dexes = ["QuickSwap", "SushiSwap"]\nmax_gas')
    made = configure(tmp_path, both)
    first = keyframe()
    chain, entries = SmallChain(first), list[BlockUpdate | PoolsChanged]()
    for number in range(8):
        entries.append(chain.mine(weth_pool(CHEAP, 2_450)))
        here = BlockRef(chain.tip.number, chain.tip.hash)
        if number in (2, 6):
            entries.append(PoolsChanged(0, here, left=(DEAR,)))
        elif number == 5:
            entries.append(PoolsChanged(0, here, joined=(weth_pool(DEAR, 2_600),)))
    record(made.folder / "data", first, entries)
    told = dexarb("spreads", "-c", made.config, "--json").json
    (pair,) = told["pairs"]
    assert pair["raw_bps"]["blocks"] == pair["executable_bps"]["blocks"] == 4
    assert pair["raw_bps"]["max"] == pytest.approx((2_600 / 2_450 - 1) * 10_000, abs=0.01)
