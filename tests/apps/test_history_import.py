"""dexarb history import, with files that cryo wrote of the embedded chain: the history is the one
that was recorded there, and what cannot be one is told by file, row and remedy."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import MINT
from dexarb.chain.rpc import Rpc
from dexarb.config.shipped_files import CLASSIC_STRATEGIES
from dexarb.core.block import BlockUpdate
from dexarb.core.following import Follower
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool, PoolKey
from dexarb.demo.anvil import CHAIN_ID, start_anvil
from dexarb.demo.driver import Driver
from dexarb.demo.settings import write_settings
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from tests.support.command import Dexarb, dexarb
from tests.support.cryo import freeze

__all__ = ["dexarb"]

BLOCKS = 24
DECIMALS = {"WMATIC": 18, "WETH": 18, "USDC": 6, "WBTC": 8}


@dataclass(frozen=True)
class Frozen:
    """own: what was recorded from block `begun` on. parquet, hexed, csv: cryo's of all blocks.
    pools: a TOML that finds all of them."""

    folder: Path
    begun: int
    last: int
    pools: Path

    @property
    def own(self) -> Path:
        return self.folder / "own"

    def files(self, form: str, dataset: str = "") -> list[Path]:
        return sorted((self.folder / form).glob(f"*{dataset}__*"))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    folder = tmp_path_factory.mktemp("frozen")

    async def play() -> Frozen:
        with start_anvil(timestamp=1_700_000_000) as node:
            async with Rpc.connect(node.ws_url) as rpc:
                driver = await Driver.start(rpc, seed=3)
                begun = driver.market.block.number
                settings = write_settings(
                    driver.world, folder, endpoint=node.http_url, paper_config=CLASSIC_STRATEGIES
                )
                with HistoryWriter.open(
                    folder / "own", chain_id=CHAIN_ID, chain="embedded", segment_blocks=10
                ) as writer:
                    writer.append_keyframe(driver.market.keyframe())
                    for _ in range(BLOCKS):
                        writer.append((await driver.step()).update)
                        writer.roll_if_full(driver.market.keyframe)
                pools = folder / "pools.toml"
                pools.write_text(of_collector(settings.collector.read_text()))
                everything = ("logs", "blocks", "transactions")
                for form, options in (
                    ("parquet", {"chunk_size": 7, "include_columns": ["all"]}),
                    ("hexed", {"hex": True, "label": "as_hex", "chunk_size": 1000}),
                    ("csv", {"csv": True}),
                ):
                    await asyncio.to_thread(
                        freeze, node.http_url, folder / form, "0:latest", *everything, **options
                    )
                return Frozen(folder, begun, driver.market.block.number, pools)

    return asyncio.run(asyncio.wait_for(play(), 120))


def of_collector(text: str) -> str:
    """A collector's [[pools]] as those of an import."""
    decimals = "\n".join(f"{name} = {number}" for name, number in DECIMALS.items())
    head = f'[import]\nchain = "chain.toml"\ngas_limit = 30_000_000\n\n[decimals]\n{decimals}\n\n'
    return head + text[text.index("[[pools]]") :]


def told(folder: Path) -> tuple[dict[int, dict[PoolKey, Pool]], dict[int, BlockUpdate]]:
    """The states of all pools after each block, and the blocks, as they are recorded."""
    follower, states, updates = Follower(), {}, {}
    for entry in HistoryReader(folder).entries():
        follower.take(entry)
        assert follower.market is not None
        states[follower.market.block.number] = dict(follower.market.pools)
        if isinstance(entry, BlockUpdate):
            updates[entry.block.number] = replace(
                entry,
                seq=0, traffic=None, witnesses=None, backfilled=False,
                block=replace(entry.block, seen_at=None),
            )  # fmt: skip
    return states, updates


@pytest.mark.parametrize("form", ["parquet", "hexed", "csv"])
def test_an_import_and_the_own_recording_agree(
    frozen: Frozen, tmp_path: Path, dexarb: Dexarb, form: str
) -> None:
    history = tmp_path / "imported"
    said = dexarb(
        "history", "import", history, "--pools", frozen.pools, *frozen.files(form), "--json"
    ).json
    found = check(history)
    assert found.ok, found
    for key in ("blocks", "first_block", "last_block", "pools", "logs"):
        assert said[key] == getattr(found, key)
    assert said["last_block"] == frozen.last
    assert said["without_receipts"] == 0
    assert {each["by"] for each in said["began"]} == {"creation"}
    (own_states, own), (states, updates) = told(frozen.own), told(history)
    assert len(own) == BLOCKS
    for number, update in own.items():
        assert updates[number] == update
        assert states[number] == own_states[number]
    assert states[frozen.begun] == own_states[frozen.begun]
    assert not states[0]


def test_what_was_imported_is_replayed_and_looked_at(
    frozen: Frozen, tmp_path: Path, dexarb: Dexarb
) -> None:
    history = tmp_path / "imported"
    dexarb("history", "import", history, "--pools", frozen.pools, *frozen.files("parquet"))
    ours, theirs = (
        dexarb("scan", folder, "--block", frozen.last, "--json").json["opportunities"]
        for folder in (history, frozen.own)
    )
    # Prices are medians of the last blocks, of which the import has more.
    keys = ("route", "amount_in", "amount_out", "gas_units")
    assert ours
    assert [[each[key] for key in keys] for each in ours] == [
        [each[key] for key in keys] for each in theirs
    ]


def test_without_transactions_places_are_not_known(
    frozen: Frozen, tmp_path: Path, dexarb: Dexarb
) -> None:
    files = [*frozen.files("csv", "logs"), *frozen.files("hexed", "blocks")]
    said = dexarb(
        "history", "import", tmp_path / "imported", "--pools", frozen.pools, *files, "--json"
    ).json
    assert said["without_receipts"] == said["blocks"] == frozen.last
    states, _ = told(tmp_path / "imported")
    assert states[frozen.last] == told(frozen.own)[0][frozen.last]
    words = dexarb("history", "import", tmp_path / "other", "--pools", frozen.pools, *files).words
    assert f"{frozen.last} blocks without transactions" in words
    assert "places in the block and rivals there" in words


def test_pools_come_in_by_a_keyframe_and_by_an_event(
    frozen: Frozen, tmp_path: Path, dexarb: Dexarb
) -> None:
    """Of the last blocks alone: no creation is among them."""
    first = (frozen.begun // 7 + 1) * 7
    files = [path for path in frozen.files("parquet") if int(path.stem.split("__")[2][:8]) >= first]
    said = dexarb("history", "import", tmp_path / "a", "--pools", frozen.pools, *files)
    assert said.code == 2
    assert "hold no creation" in said.err
    assert "--keyframe" in said.err
    said = dexarb(
        "history", "import", tmp_path / "b", "--pools", frozen.pools, *files,
        "--keyframe", frozen.own, "--json",
    ).json  # fmt: skip
    assert {each["by"] for each in said["began"]} == {"keyframe"}
    states, own_states = told(tmp_path / "b")[0], told(frozen.own)[0]
    since = said["began"][0]["since_block"]
    assert first < since < frozen.last
    assert not states[since - 1]
    assert all(states[n] == own_states[n] for n in range(since, frozen.last + 1))
    assert check(tmp_path / "b").ok
    pair = next(
        pool for pool in own_states[frozen.last].values()
        if pool.kind == "uniswap_v2" and pool != own_states[first][pool.key]
    )  # fmt: skip
    (_, one), (_, other) = sorted(zip(pair.tokens, names_of(frozen, pair), strict=True))
    named = tmp_path / "named.toml"
    named.write_text(
        frozen.pools.read_text().split("[[pools]]")[0].replace('"chain', f'"{frozen.folder}/chain')
        + f'[[pool]]\ndex = "{pair.dex}"\naddress = "{pair.address}"\npair = "{one}/{other}"\n'
    )
    assert dexarb("config", "check", "--config", named).code == 0
    said = dexarb("history", "import", tmp_path / "c", "--pools", named, *files, "--json").json
    (began,) = said["began"]
    assert began["by"] == "event"
    states = told(tmp_path / "c")[0]
    for number in range(began["since_block"], frozen.last + 1):
        assert states[number] == {pair.key: own_states[number][pair.key]}


def names_of(frozen: Frozen, pool: Pool) -> list[str]:
    frame = next(HistoryReader(frozen.own).entries())
    assert isinstance(frame, Keyframe)
    return [frame.profile.name_of(token) for token in pool.tokens]


def spoilt(frozen: Frozen, folder: Path, dataset: str, find: str, put: str) -> list[Path]:
    """The CSV files, with one thing in one of them that is not so."""
    shutil.copytree(frozen.folder / "csv", folder)
    (path,) = folder.glob(f"*__{dataset}__*")
    text = path.read_text()
    assert find in text
    path.write_text(text.replace(find, put, 1))
    return sorted(folder.iterdir())


def line_of(frozen: Frozen, dataset: str, number: int) -> str:
    """The row of that number in the CSV file."""
    (path,) = frozen.files("csv", dataset)
    return path.read_text().splitlines()[number]


def test_broken_rows_are_named(frozen: Frozen, tmp_path: Path, dexarb: Dexarb) -> None:
    changed = line_of(frozen, "logs", 90)
    for number, (dataset, find, put, says) in enumerate(
        (
            ("blocks", line_of(frozen, "blocks", 5), line_of(frozen, "blocks", 5)[:40] + ",1,2",
             "cannot be read"),
            ("blocks", ",1700000003,", ",yesterday,", "row 4: timestamp:"),
            ("blocks", line_of(frozen, "blocks", 7) + "\n", "", "blocks 6 to 6 are missing"),
            ("blocks", ",137", ",1", "is of chain 1. "),
            ("logs", changed, changed.replace("0x", "0y"), "row 90: address:"),
            ("transactions", line_of(frozen, "transactions", 30) + "\n", "", "some are missing"),
        )
    ):  # fmt: skip
        files = spoilt(frozen, tmp_path / str(number), dataset, find, put)
        history = tmp_path / f"history{number}"
        said = dexarb("history", "import", history, "--pools", frozen.pools, *files)
        assert said.code == 2, says
        assert says in said.err
        assert not history.exists()
        if "row" in says or "read" in says:
            assert f"__{dataset}__" in said.err
            assert "Freeze it again" in said.err


def test_missing_logs_of_a_pool_are_noticed(frozen: Frozen, tmp_path: Path, dexarb: Dexarb) -> None:
    """One mint of a pool is."""
    (path,) = frozen.files("csv", "logs")
    states = told(frozen.own)[0][frozen.begun]
    pool = next(pool for pool in states.values() if isinstance(pool, UniswapV3Pool))
    few = tmp_path / path.name
    mints = [
        line
        for line in path.read_text().splitlines(keepends=True)
        if pool.address in line and MINT.hex() in line
    ]
    few.write_text(path.read_text().replace(mints[0], ""))
    files = [few, *frozen.files("csv", "blocks")]
    said = dexarb("history", "import", tmp_path / "imported", "--pools", frozen.pools, *files)
    assert said.code == 2
    assert pool.address in said.err
    assert "all logs of the pool" in said.err


def test_what_an_import_cannot_begin_with(frozen: Frozen, tmp_path: Path, dexarb: Dexarb) -> None:
    logs, blocks = frozen.files("parquet", "logs"), frozen.files("parquet", "blocks")
    text = frozen.pools.read_text().replace('"chain', f'"{frozen.folder}/chain')
    silent = tmp_path / "silent.toml"
    silent.write_text(text.replace("WBTC = 8\n", ""))
    cut = tmp_path / "cut__logs__00000000_to_00000006.parquet"
    cut.write_bytes(logs[0].read_bytes()[:-100])
    other = tmp_path / "traces.json"
    other.write_text("[]")
    for files, pools, says in (
        (logs, frozen.pools, "dataset blocks"),
        (blocks, frozen.pools, "dataset logs"),
        ([*logs[:2], *logs[3:], *blocks], frozen.pools, "logs of blocks 14 to 20 are missing"),
        ([*logs, *blocks], silent, "decimals of WBTC"),
        ([cut, *logs[1:], *blocks], frozen.pools, f"{cut}: cannot be read"),
        ([other], frozen.pools, "neither .parquet nor .csv"),
        ([tmp_path / "none.parquet"], frozen.pools, "no such file"),
    ):
        said = dexarb("history", "import", tmp_path / "history", "--pools", pools, *files)
        assert said.code == 2, says
        assert says in said.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    said = dexarb("history", "import", tmp_path / "full", "--pools", frozen.pools, *logs, *blocks)
    assert said.code == 2
    assert "is not empty" in said.err
