"""dexarb calibrate: right about real arbitrageurs, and not to be fooled by a changed history."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from dexarb import cli
from dexarb.amm.abi import unsigned
from dexarb.amm.uniswap_v2 import SYNC, UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import MINT, SWAP
from dexarb.core.block import BlockHash, BlockUpdate, Log
from dexarb.core.gas_schedule import SCHEDULES
from dexarb.core.market import Entry, Keyframe
from dexarb.core.pool import Pool, SwapStyle
from dexarb.core.profile import ScheduleChange
from dexarb.core.token import Address
from dexarb.errors import InputError
from dexarb.screens.calibrate import Calibrated, calibrate
from dexarb.screens.tables import as_text
from dexarb.store.follow import newest_market
from dexarb.store.history_reader import HistoryReader
from dexarb.study.calibrating import Calibrations
from dexarb.study.calibration import judge_block
from dexarb.study.calibration_sums import NO_GAS, NO_RECEIPTS
from tests.truth.conftest import RECORDED_BLOCKS, SEED
from tests.truth.recording import changed, record, rewrite


def test_every_swap_of_a_real_history_is_predicted_to_the_wei(recorded: HistoryReader) -> None:
    made = calibrate(recorded)
    found = made.whole
    assert found.ok, as_text(Calibrated(made).render())
    assert not made.died.blocks
    assert found.blocks == RECORDED_BLOCKS
    assert found.swaps[SwapStyle.EXACT_INPUT] >= 250
    assert found.swaps[SwapStyle.EXACT_OUTPUT] >= 10
    assert found.exact >= 10
    assert found.exact + sum(found.not_judged.values()) == found.arbitrages
    assert len(found.ratios()) >= 10
    # Multicall3 and Uniswap's router do more than our executor, not twice as much.
    assert all(0.6 < ratio < 1.2 for ratio in found.ratios())


def edit(place: Callable[[Log], bool], data: Callable[[Log], bytes], nth: int) -> Poison:
    """Change the data of the nth event of a kind."""
    count = 0

    def change(update: BlockUpdate) -> BlockUpdate:
        nonlocal count
        logs = []
        for log in update.logs:
            if place(log):
                count += 1
                if count == nth:
                    log = structs.replace(log, data=data(log))
            logs.append(log)
        return replace(update, logs=tuple(logs))

    return change


Poison = Callable[[BlockUpdate], BlockUpdate]


def word_plus(index: int, amount: int) -> Callable[[Log], bytes]:
    def altered(log: Log) -> bytes:
        word = log.data[32 * index : 32 * index + 32]
        value = (int.from_bytes(word, "big") + amount) % (1 << 256)
        return log.data[: 32 * index] + value.to_bytes(32, "big") + log.data[32 * index + 32 :]

    return altered


def is_event(topic: bytes) -> Callable[[Log], bool]:
    return lambda log: log.topics[0] == topic


def dropped(topic: bytes, nth: int) -> Poison:
    count = 0

    def change(update: BlockUpdate) -> BlockUpdate:
        nonlocal count
        kept = []
        for log in update.logs:
            count += log.topics[0] == topic
            if log.topics[0] != topic or count != nth:
                kept.append(log)
        return replace(update, logs=tuple(kept))

    return change


def v2_output_plus(amount: int, nth: int) -> Poison:
    """The nth swap of a pair that has been seen before leaves less of what it gave."""
    reserves: dict[Address, tuple[int, int]] = {}
    count = 0

    def change(update: BlockUpdate) -> BlockUpdate:
        nonlocal count
        logs = []
        for log in update.logs:
            if log.topics[0] == SYNC:
                now = (unsigned(log.data, 0), unsigned(log.data, 1))
                before = reserves.get(log.address, now)
                reserves[log.address] = now
                fallen = [index for index in (0, 1) if now[index] < before[index]]
                count += len(fallen) == 1
                if len(fallen) == 1 and count == nth:
                    log = structs.replace(log, data=word_plus(fallen[0], -amount)(log))
            logs.append(log)
        return replace(update, logs=tuple(logs))

    return change


POISONS: dict[str, Callable[[], Poison]] = {
    "a wei of a V3 output": lambda: edit(is_event(SWAP), word_plus(0, 1), 10),
    "a V3 price": lambda: edit(is_event(SWAP), word_plus(2, 1), 20),
    "a V3 liquidity": lambda: edit(is_event(SWAP), word_plus(3, 1), 30),
    "a wei of a V2 output": lambda: v2_output_plus(1, 40),
    "a dropped V3 swap": lambda: dropped(SWAP, 12),
    "dropped liquidity": lambda: dropped(MINT, 2),
}


@pytest.mark.parametrize("name", POISONS)
def test_a_poisoned_history_is_found_out(
    recorded: HistoryReader, tmp_path: Path, name: str
) -> None:
    poisoned = rewrite(tmp_path / "history", changed(recorded, 0, POISONS[name]()))
    found = calibrate(poisoned).whole
    assert not found.ok
    assert found.differences


@pytest.mark.parametrize("nth", [3, 12, 25])
def test_a_dropped_v2_event_shows(recorded: HistoryReader, tmp_path: Path, nth: int) -> None:
    """A pair tells its reserves only: two swaps in one look like one that took too little."""
    before = calibrate(recorded).whole.swaps[SwapStyle.LESS]
    found = calibrate(rewrite(tmp_path / "history", changed(recorded, 0, dropped(SYNC, nth)))).whole
    assert found.differences or found.swaps[SwapStyle.LESS] == before + 1


def with_fee(recorded: HistoryReader, folder: Path, kind: type[Pool], pips: int) -> Calibrations:
    """The first pool of a kind with another fee than it has."""

    def entries() -> list[Entry]:
        made: list[Entry] = []
        wrong: Address | None = None
        for entry in recorded.entries():
            if isinstance(entry, Keyframe):
                wrong = wrong or next(p.address for p in entry.pools if isinstance(p, kind))
                pools = tuple(
                    type(p).from_state({**p.state(), "fee_pips": pips}) if p.address == wrong else p
                    for p in entry.pools
                )
                entry = replace(entry, pools=pools)
            made.append(entry)
        return made

    return calibrate(rewrite(folder, entries()))


@pytest.mark.parametrize(("kind", "pips"), [(UniswapV2Pool, 3_100), (UniswapV3Pool, 400)])
def test_a_wrong_fee_is_found_out(
    recorded: HistoryReader, tmp_path: Path, kind: type[Pool], pips: int
) -> None:
    assert len(with_fee(recorded, tmp_path / "history", kind, pips).whole.differences) > 5


@pytest.mark.parametrize(("here", "gives"), [(2_900, "less"), (3_100, "more")])
def test_a_pair_that_always_gives_something_else_is_named_with_its_fee(
    recorded: HistoryReader, tmp_path: Path, here: int, gives: str
) -> None:
    """Each swap by itself could be somebody who asked for less; all of them cannot."""
    made = with_fee(recorded, tmp_path / "history", UniswapV2Pool, here)
    found = made.whole
    assert not found.ok
    (fee,) = found.odd_pairs.values()
    assert fee == pytest.approx(3_000, abs=2)
    shown = as_text(Calibrated(made).render())
    assert f"gives {gives} than its fee of {here} pips here allows; 3000 pips would fit" in shown


def test_receipts_that_tell_no_gas_are_counted_apart(
    recorded: HistoryReader, tmp_path: Path
) -> None:
    def gasless(update: BlockUpdate) -> BlockUpdate:
        free = tuple(structs.replace(each, gas_used=0) for each in update.transactions)
        return replace(update, transactions=free)

    found = calibrate(rewrite(tmp_path / "history", changed(recorded, 0, gasless))).whole
    assert found.ok
    assert not found.ratios()
    assert found.gas_not_compared[NO_GAS] > 0


def test_gas_is_held_against_every_schedule(recorded: HistoryReader, tmp_path: Path) -> None:
    """Here the receipts stay Ethereum's, whatever the profile says of the later blocks."""
    before = calibrate(recorded).whole
    assert before.first_block is not None
    fork = before.first_block + RECORDED_BLOCKS // 2
    changes = (ScheduleChange(fork, "polygon-chicago"),)
    entries = (
        replace(entry, profile=replace(entry.profile, gas_schedules=changes))
        if isinstance(entry, Keyframe)
        else entry
        for entry in recorded.entries()
    )
    made = calibrate(rewrite(tmp_path / "history", entries))
    found = made.whole
    own, dearer = found.ratios("ethereum"), found.ratios("polygon-chicago")
    assert own == before.ratios() == before.ratios("ethereum")
    assert all(1.2 < other / one < 1.4 for one, other in zip(own, dearer, strict=True))
    held = {name: found.held[name] for name in SCHEDULES}
    assert min(held.values()) > 0
    assert sum(held.values()) == len(own)
    # What holds by the profile is what is compared.
    assert sum(ratio in own for ratio in found.ratios()) == held["ethereum"]
    told = Calibrated(made).as_json()["gas"]["schedules"]
    assert told["polygon-chicago"]["held"] == held["polygon-chicago"]
    assert told["polygon-chicago"]["ratio"]["p50"] > told["ethereum"]["ratio"]["p50"] * 1.2
    shown = as_text(Calibrated(made).render())
    assert f"all under polygon-chicago, which held for {held['polygon-chicago']}:  p05 1." in shown
    assert "all under" not in as_text(Calibrated(calibrate(recorded)).render())


def test_without_receipts_amounts_are_judged_and_gas_is_not(
    recorded: HistoryReader, tmp_path: Path
) -> None:
    def blind(update: BlockUpdate) -> BlockUpdate:
        return replace(update, transactions=(), has_receipts=False)

    found = calibrate(rewrite(tmp_path / "history", changed(recorded, 0, blind))).whole
    assert found.ok
    assert found.exact >= 10
    assert not found.ratios()
    assert found.gas_not_compared[NO_RECEIPTS] >= found.exact


def test_blocks_that_a_reorganisation_took_off_count_as_well(
    recorded: HistoryReader, tmp_path: Path
) -> None:
    other = record(tmp_path / "other", SEED, 20, other_seed_after=12)
    old, new = ([*reader.entries()] for reader in (recorded, other))
    assert old[12] == new[12] != old[13] != new[13]
    # Four blocks on the old branch, then eight on the new one.
    found = calibrate(rewrite(tmp_path / "history", [*old[:17], *new[13:21]]))
    assert found.whole.ok, as_text(Calibrated(found).render())
    assert (found.whole.blocks, found.standing.blocks, found.died.blocks) == (24, 20, 4)
    shown = Calibrated(found).as_json()
    assert (shown["blocks"], shown["blocks_that_died"]) == (24, 4)
    assert "24 of them, 4 of which died" in as_text(Calibrated(found).render())
    assert sum(found.died.swaps.values()) > 0


def test_a_part_of_a_history(recorded: HistoryReader) -> None:
    whole = calibrate(recorded).whole
    assert whole.first_block is not None
    assert whole.last_block is not None
    middle = whole.first_block + RECORDED_BLOCKS // 2
    spans = (None, middle), (middle + 1, None)
    first, second = (calibrate(recorded, *span).whole for span in spans)
    assert (second.first_block, second.last_block) == (middle + 1, whole.last_block)
    assert first.blocks + second.blocks == whole.blocks
    assert first.swaps + second.swaps == whole.swaps
    with pytest.raises(InputError, match="has no blocks from 5 to 6"):
        calibrate(recorded, 5, 6)


def test_styles_are_told_apart(recorded: HistoryReader) -> None:
    """Swaps made up on the last state: of an amount, for an amount, up to a price."""
    pool = next(p for p in newest_market(recorded).pools.values() if isinstance(p, UniswapV3Pool))
    amount = pool.liquidity >> 20
    limit = pool.sqrt_price_x96 * 99_999 // 100_000
    results = {
        SwapStyle.EXACT_INPUT: pool.swap(pool.token0, amount),
        SwapStyle.EXACT_OUTPUT: pool.swap_exact_out(pool.token1, amount),
        SwapStyle.PRICE_LIMIT: pool.swap(pool.token0, 1 << 200, sqrt_price_limit_x96=limit),
    }
    for style, result in results.items():
        market = newest_market(recorded)
        after = result.pool
        assert isinstance(after, UniswapV3Pool)
        words = (result.amount_in, -result.amount_out)
        data = b"".join(
            (word % (1 << 256)).to_bytes(32, "big")
            for word in (*words, after.sqrt_price_x96, after.liquidity, after.tick)
        )
        log = Log(pool.address, (SWAP, bytes(32), bytes(32)), data, 0, 0)
        block = replace(market.block, hash=BlockHash("0xnext"), parent_hash=market.block.hash)
        update = BlockUpdate(1, block, (log,), (), has_receipts=False)
        market.apply(update)
        ((judged,),) = [each.swaps for each in judge_block(market, update)]
        assert judged.style is style


def test_the_command_prints_and_exits(
    recorded: HistoryReader,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison = POISONS["a wei of a V3 output"]()
    bad = rewrite(tmp_path / "bad", changed(recorded, 0, poison)).folder
    for folder, code in ((recorded.folder, 0), (bad, 1), (tmp_path / "none", 3)):
        monkeypatch.setattr("sys.argv", ["dexarb", "calibrate", str(folder), "--json"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        out, err = capsys.readouterr()
        if code == 3:
            assert "holds no history" in err
        else:
            told = json.loads(out)
            assert told["ok"] == (code == 0)
            assert told["arbitrages"]["found"] >= 10
            assert (told["differences"] > 0) == (code == 1)
