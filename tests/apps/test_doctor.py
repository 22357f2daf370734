"""dexarb doctor against nodes of a `TrueChain`: what is well, and each thing that can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from dexarb.amm import UniswapV2Pool
from dexarb.apps.doctor import diagnose
from dexarb.chain.rpc import Rpc
from dexarb.screens.answer import show
from dexarb.screens.doctor import Diagnosis, Health
from tests.support.chain_driver import run
from tests.support.collector import Collecting, collector_config
from tests.support.command import Dexarb
from tests.support.traded import strategy
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode, served, transport
from tests.support.worlds.small_chain import CHAIN_ID


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Settings whose only strategy trades, in a folder of the user's alone."""
    collector_config(tmp_path)
    general = "".join(
        f'{key} = "{tmp_path}/{name}"\n'
        for key, name in (
            ("state_file", "data/pool_state.json"),
            ("ledger_file", "data/ledger.sqlite"),
            ("log_dir", "logs"),
        )
    )
    (tmp_path / "paper.toml").write_text(f"[general]\n{general}" + strategy("Bold"))
    return tmp_path


def examine(
    folder: Path, *nodes: TrueNode, http: bool = False, age_s: float = 0.5, collect: bool = False
) -> Diagnosis:
    """age_s: of the chain's head by our clock. collect: first record what the chain has."""

    async def look() -> Diagnosis:
        config = collector_config(folder)
        if collect:
            async with Rpc([transport(nodes[0])]) as rpc:
                collecting = Collecting(config, rpc)
                async with collecting.running():
                    await collecting.until_at(nodes[0].chain.head)
        async with served(*nodes):
            urls = [each.http_url if http else each.ws_url for each in nodes]
            path = folder / "collector.toml"
            path.write_text(path.read_text().replace('["http://node0"]', json.dumps(urls)))
            now = nodes[0].chain.head.block.timestamp + age_s
            return await diagnose(path, folder / "paper.toml", lambda: now)

    return run(look())


def told(diagnosis: Diagnosis, health: Health) -> list[str]:
    return [
        f"{each.subject.split(' ')[0]}: {each.found}"
        for each in diagnosis.findings
        if each.health is health
    ]


def chain_of(blocks: int = 30) -> TrueChain:
    chain = TrueChain(1)
    for _ in range(blocks):
        chain.mine()
    return chain


def test_all_is_well_where_all_is_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = chain_of()
    found = examine(folder, TrueNode(chain), collect=True)
    assert told(found, Health.WRONG) == []
    well = told(found, Health.OK)
    assert [each.split(":")[0] for each in well if not each.startswith("folder")] == [
        "collector.toml", "paper.toml", "pool_state.json", "ledger.sqlite", "history",
        "compiled", "endpoint", "pools", "clock",
    ]  # fmt: skip
    assert f"pools: 4 pools at block {chain.head.number:,} are as the chain has them" in well
    assert any("headers, receipts, batches, push" in each for each in well)
    capsys.readouterr()
    assert show(found, as_json=True) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["ok"]
    (endpoint,) = data["endpoints"]
    assert endpoint["newest_block"] == chain.head.number
    assert endpoint["block_time_s"] == 1.0
    assert set(endpoint["lacks"]) == {"multicall3"}


def lie_about(wanted: str, answer: Callable[[Any], Any]) -> Callable[..., Any]:
    def lie(method: str, _: Sequence[Any], result: Any) -> Any:
        return answer(result) if method == wanted else result

    return lie


def test_what_an_endpoint_lacks_is_a_note_that_says_what_it_costs(folder: Path) -> None:
    node = TrueNode(chain_of(), without=["eth_getBlockReceipts"])
    found = examine(folder, node, http=True)
    assert found.exit_code == 0
    notes = "\n".join(told(found, Health.NOTE))
    assert "no receipts, so blocks stay unproven, and the place of trades" in notes
    assert "no push, so new blocks are asked for; wss:// and ipc:// announce them" in notes
    assert "pool_state.json: is not there yet" in notes
    assert set(found.endpoints[0]["lacks"]) == {"receipts", "push", "multicall3"}


def test_receipts_that_are_not_those_of_the_block_do_not_count(folder: Path) -> None:
    node = TrueNode(chain_of(), lie=lie_about("eth_getBlockReceipts", lambda found: found[:-1]))
    assert "receipts" in examine(folder, node).endpoints[0]["lacks"]


def test_an_endpoint_of_another_chain_is_wrong_and_the_others_serve(folder: Path) -> None:
    chain = chain_of()
    found = examine(folder, TrueNode(chain), TrueNode(chain, chain_id=1), TrueNode(chain, lag=9))
    (wrong,) = [each for each in found.findings if each.health is Health.WRONG]
    assert wrong.found == f"on chain 1, not {CHAIN_ID}: not used"
    assert wrong.remedy == "The others serve meanwhile"
    assert "endpoint: 9 blocks behind another endpoint" in told(found, Health.NOTE)
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (-3_600.0, "3,600 s behind the chain's newest block"),
        (3_600.0, "the newest block is 3,600 s old; after 10 s none is traded on"),
        (12.5, "the newest block is 12 s old; after 10 s none is traded on"),
        (11.5, None),
        (-1.5, None),
        (-2.5, "2 s behind the chain's newest block"),
    ],
)
def test_the_clock_is_held_against_the_newest_block(
    folder: Path, age_s: float, said: str | None
) -> None:
    found = examine(folder, TrueNode(chain_of(3)), age_s=age_s)
    assert told(found, Health.WRONG) == ([f"clock: {said}"] if said else [])


def test_pools_are_compared_with_the_chain_at_the_same_block(folder: Path) -> None:
    chain = chain_of()
    examine(folder, TrueNode(chain), collect=True)
    pool = next(each for each in chain.head.pools.values() if isinstance(each, UniswapV2Pool))
    chain.head.pools[pool.key] = replace(pool, reserve0=pool.reserve0 + 1)
    found = examine(folder, TrueNode(chain))
    (wrong,) = told(found, Health.WRONG)
    assert wrong == f"pools: {pool.key} differ from the chain at block {chain.head.number:,}"
    stranger = TrueNode(TrueChain(2))
    assert any("not compared" in each for each in told(examine(folder, stranger), Health.NOTE))


def test_a_trader_that_would_wait_for_another_state_is_told(folder: Path) -> None:
    paper = folder / "paper.toml"
    paper.write_text(paper.read_text().replace("pool_state.json", "pools.json"))
    (wrong,) = told(examine(folder, TrueNode(chain_of(3))), Health.WRONG)
    assert wrong.startswith(f"state_file: the collector writes {folder}/data/pool_state.json, and")


@pytest.mark.parametrize(
    ("url", "health", "said"),
    [
        ("json://127.0.0.1:9/a-long-secret", "ok", "1 target; dexarb alerts test sends a message"),
        ("nobody://127.0.0.1:9/a-long-secret", "wrong", "no URL of a service that apprise knows"),
        ("${NOT_SET_HERE}", "wrong", "NOT_SET_HERE is not set"),
    ],
)
def test_whether_alerts_can_be_sent(folder: Path, url: str, health: str, said: str) -> None:
    paper = folder / "paper.toml"
    paper.write_text(paper.read_text() + f'[alerts]\nurls = ["{url}"]\n')
    found = examine(folder, TrueNode(chain_of(3)))
    (told_of,) = [each for each in found.findings if each.subject == "paper.toml [alerts]"]
    assert (told_of.health, said in told_of.found) == (health, True)
    assert "a-long-secret" not in str(found.as_json())


def test_mistakes_in_both_files_are_told_with_their_lines(folder: Path, dexarb: Dexarb) -> None:
    collector, paper = folder / "collector.toml", folder / "paper.toml"
    collector.write_text(collector.read_text().replace('"WETH/USDC"', '"WETH/USDX"'))
    paper.write_text(paper.read_text().replace("min_profit_usd", "min_profit_eur"))
    said = dexarb("doctor", "--collector", collector, "--config", paper)
    assert said.code == 1
    assert 'unknown token "USDX" in "WETH/USDX". Did you mean "USDC"?' in said.words
    assert "min_profit_eur: unknown key" in said.words
    assert "wrong" in said.out


def test_folders_and_files_that_cannot_be_used(folder: Path, dexarb: Dexarb) -> None:
    (folder / "logs").write_text("a file")
    (folder / "data").mkdir()
    (folder / "data" / "pool_state.json").write_text("{")
    (folder / "data" / "ledger.sqlite").write_bytes(b"no ledger at all, but long enough" * 99)
    path = folder / "collector.toml"
    path.write_text(path.read_text().replace("http://node0", "http://127.0.0.1:9/a-long-secret"))
    said = dexarb("doctor", "--collector", path, "--config", folder / "paper.toml", "--json")
    assert said.code == 1
    data = json.loads(said.out)
    wrong = {
        each["subject"].split("/")[-1]: each["found"]
        for each in data["findings"]
        if each["health"] == "wrong"
    }
    assert wrong["logs"].endswith("is a file")
    assert "is not a pool state" in wrong["pool_state.json"]
    assert "file is not a database" in wrong["ledger.sqlite"]
    assert "127.0.0.1:9" in wrong
    assert "a-long-secret" not in said.out + said.err
    assert not data["ok"]


@pytest.mark.parametrize(
    ("url", "mode", "is_told"),
    [
        ("http://127.0.0.1:9/a-long-secret", 0o644, True),
        ("http://127.0.0.1:9/a-long-secret", 0o600, False),
        ("http://127.0.0.1:9", 0o644, False),
        ("${A_SECRET_URL}", 0o644, False),
    ],
)
def test_a_key_in_a_file_that_others_can_read(
    dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch, url: str, mode: int, *, is_told: bool
) -> None:
    monkeypatch.setenv("A_SECRET_URL", "http://127.0.0.1:9/a-long-secret")
    # Others can look into this one. pytest's own are the user's alone, and so may $TMPDIR be.
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        collector_config(folder)
        path = folder / "collector.toml"
        path.write_text(path.read_text().replace("http://node0", url))
        path.chmod(mode)
        said = dexarb("doctor", "--collector", path, "--config", folder / "none.toml")
    assert ("others can read it, and an endpoint stands in it" in said.words) == is_told
