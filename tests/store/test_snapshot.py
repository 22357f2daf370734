"""pool_state.json: what is in it, when it is written, and what a bad one says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.errors import StoreError
from dexarb.store import snapshot
from dexarb.store.snapshot import StateWriter, read_state
from tests.store.disks import no_room
from tests.support.worlds import arrivals


def written(folder: Path, blocks: int = 10) -> tuple[Path, Market]:
    market = arrivals.market_after(arrivals.first_updates(blocks))
    path = folder / "pool_state.json"
    assert StateWriter(path, folder / "history" / "137").write(market, 11)
    return path, market


def test_a_state_survives_the_round_trip(tmp_path: Path) -> None:
    path, market = written(tmp_path)
    state = read_state(path)
    assert (state.chain_id, state.chain, state.seq) == (137, "testnet", 11)
    assert state.block == market.block
    assert state.tokens == market.tokens
    assert [pool["address"] for pool in state.pools] == list(market.pools)
    v3 = state.pools[2]
    assert v3["symbols"] == ["WETH", "USDC"]
    assert v3["kind"] == "uniswap_v3"
    assert {**market.pools[arrivals.V3].summary()}.items() <= v3.items()
    assert "ticks" not in v3


def test_the_history_is_found_wherever_the_files_are_moved(tmp_path: Path) -> None:
    data, moved = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    path, _ = written(data)
    assert read_state(path).history == data / "history" / "137"
    data.rename(moved)
    assert read_state(moved / "pool_state.json").history == moved / "history" / "137"


def test_the_file_has_the_documented_keys(tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    state = json.loads(path.read_bytes())
    assert list(state) == [
        "schema",
        "chain",
        "block",
        "history",
        "seq",
        "metrics",
        "tokens",
        "pools",
        "names",
        "numeraire",
    ]
    assert state["schema"] == 1
    assert state["chain"] == {"id": 137, "name": "testnet"}
    assert state["history"] == "history/137"


def test_names_are_those_of_the_profile_and_older_files_have_none(tmp_path: Path) -> None:
    path, market = written(tmp_path)
    state = read_state(path)
    assert state.names == market.profile.tokens != {}
    assert state.numeraire == market.profile.numeraire
    older = {k: v for k, v in json.loads(path.read_bytes()).items() if not k.startswith("n")}
    path.write_text(json.dumps(older))
    assert (read_state(path).names, read_state(path).numeraire) == ({}, None)


def test_a_token_that_nobody_described_is_shown_by_its_address(tmp_path: Path) -> None:
    market = Market(replace(arrivals.first_keyframe(), tokens=arrivals.TOKENS[:1]))
    path = tmp_path / "pool_state.json"
    StateWriter(path, tmp_path).write(market, 1)
    assert read_state(path).pools[0]["symbols"] == ["WETH", arrivals.USDC]


def test_every_block_is_written_while_the_file_is_small(tmp_path: Path) -> None:
    path = tmp_path / "pool_state.json"
    writer = StateWriter(path, tmp_path, every_s=3600)
    market = Market(arrivals.first_keyframe())
    for seq, update in enumerate(arrivals.updates(reorgs=False), start=2):
        market.apply(update)
        assert writer.write(market, seq)
        state = read_state(path)
        assert (state.seq, state.block) == (seq, market.block)
        assert {p["address"]: p for p in state.pools} == {
            pool.address: {
                "kind": pool.kind,
                "symbols": [market.tokens[token].symbol for token in pool.tokens],
                **pool.summary(),
            }
            for pool in market.pools.values()
        }
        if seq > 30:
            break


def test_a_large_file_is_written_every_few_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("dexarb.store.snapshot.time.monotonic", lambda: clock)
    pools = tuple(
        UniswapV2Pool(
            address=Address(f"0x{number:040x}"),
            token0=arrivals.WETH,
            token1=arrivals.USDC,
            reserve0=1,
            reserve1=1,
        )
        for number in range(5000)
    )
    market = Market(replace(arrivals.first_keyframe(), pools=pools))
    path = tmp_path / "pool_state.json"
    writer = StateWriter(path, tmp_path, every_s=3)
    assert writer.write(market, 1)
    assert path.stat().st_size > snapshot.EVERY_BLOCK_UP_TO_BYTES
    clock += 2.9
    assert not writer.write(market, 2, lambda: pytest.fail("nobody is told"))
    assert read_state(path).seq == 1
    assert writer.write(market, 3, now=True)
    clock += 3
    assert writer.write(market, 4)
    assert read_state(path).seq == 4


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path, market = written(tmp_path)
    before = path.read_bytes()
    writer = StateWriter(path, tmp_path / "history" / "137")
    with no_room(100), pytest.raises(StoreError, match="Free space"):
        writer.write(market, 12)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["pool_state.json"]
    assert writer.write(market, 12)
    assert read_state(path).seq == 12


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be created"):
        StateWriter(tmp_path / "file" / "pool_state.json", tmp_path)
    market = Market(arrivals.first_keyframe())
    writer = StateWriter(tmp_path / "deep" / "pool_state.json", tmp_path)
    (tmp_path / "deep").rmdir()
    with pytest.raises(StoreError, match="cannot be written"):
        writer.write(market, 1)


def test_what_the_collector_measured_travels_along(tmp_path: Path) -> None:
    path, market = written(tmp_path)
    assert read_state(path).metrics == {}
    measured = {"reorgs": 3, "block_to_state_ms": {"p50": 0.5}}
    StateWriter(path, tmp_path).write(market, 12, lambda: measured)
    assert read_state(path).metrics == measured


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "does not exist.*Start data-collector"),
        (b"", "not a pool state.*Start data-collector"),
        (b'{"schema":1,"chain":{"id":1', "not a pool state.*Start data-collector"),
        (b"[1]", "not a pool state"),
        (b'{"schema":1,"chain":{"id":1}}', "not a pool state.*name"),
        (b'{"schema":9}', "has schema 9, this program knows 1.*the same version"),
        (b'{"pools":[]}', "has schema None"),
    ],
)
def test_a_bad_file_says_what_to_do(tmp_path: Path, data: bytes | None, problem: str) -> None:
    path = tmp_path / "pool_state.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(StoreError, match=problem) as caught:
        read_state(path)
    assert caught.value.path == str(path)


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        read_state(tmp_path)
