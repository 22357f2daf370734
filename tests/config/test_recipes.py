"""The recipes of docs/recipes.md, followed step by step from the shipped files."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from dexarb.config.chain_profile import load_chain
from dexarb.config.collector import load_collector
from dexarb.config.paper import load_paper
from tests.config.test_chain_profile import checksummed
from tests.support.command import Dexarb, dexarb

__all__ = ["dexarb"]

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "recipes.md").read_text()
RECIPES: dict[str, str] = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))


@dataclass(frozen=True)
class Step:
    """What its first line says: all of a file, at its end, or into one of its tables."""

    how: str
    file: str
    toml: str

    def apply(self, config: Path) -> None:
        path = config / self.file
        match self.how:
            case "all":
                path.write_text(self.toml)
            case "at the end":
                path.write_text(f"{path.read_text()}\n{self.toml}")
            case _:
                table = self.how.removeprefix("into ")
                text = path.read_text()
                assert text.count(f"\n{table}\n") == 1
                path.write_text(text.replace(f"\n{table}\n", f"\n{table}\n{self.toml}"))


def steps(recipe: str) -> list[Step]:
    blocks = re.findall(r"^```toml\n# (.*?) of (\S+)\n(.*?)^```", RECIPES[recipe], re.M | re.S)
    assert len(blocks) == RECIPES[recipe].count("```toml")
    return [Step(*block) for block in blocks]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that begins with the shipped files."""
    for name in ("POLYGON_RPC_URL", "ETHEREUM_RPC_URL"):
        monkeypatch.setenv(name, "https://node.example")
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_leads_to_files_without_a_fault(run: Path, recipe: str, dexarb: Dexarb) -> None:
    for step in steps(recipe):
        step.apply(run / "config")
    commands = re.findall(r"^dexarb (config check .*)$", RECIPES[recipe], re.M)
    checked = {word for command in commands for word in command.split() if word.endswith(".toml")}
    assert {f"config/{step.file}" for step in steps(recipe)} <= checked
    for command in commands:
        said = dexarb(*command.split())
        assert (said.code, said.err) == (0, ""), command


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_step_of_a_recipe_is_for_nothing(run: Path, recipe: str) -> None:
    """Each changes what its file means."""
    for step in steps(recipe):
        before = meaning(run / "config", step.file)
        step.apply(run / "config")
        assert meaning(run / "config", step.file) != before


def meaning(config: Path, file: str) -> object:
    path = config / file
    match file:
        case "collector.toml":
            return load_collector(path).choices if path.exists() else None
        case "paper_trading.toml":
            return [(each.table.name, each.table.pairs) for each in load_paper(path).strategies]
        case _ if not path.exists():
            return None
    chain = load_chain(path)
    return chain.tokens, list(chain.dexes.values()), chain.references


def test_the_pair_is_collected_priced_and_traded(run: Path) -> None:
    for step in steps("A pair"):
        step.apply(run / "config")
    collector = load_collector(run / "config" / "collector.toml")
    assert {each.dex for each in collector.choices if each.token_a == "CRV"} == {
        *collector.chain.dexes
    }
    assert "CRV" in {each.token for each in collector.chain.references}
    settings = load_paper(run / "config" / "paper_trading.toml").settings(collector.chain.tokens)
    crv = collector.chain.tokens["CRV"]
    assert [each.name for each in settings if any(crv in pair for pair in each.pairs)] == ["CRV"]


def test_addresses_in_recipes_carry_their_checksums() -> None:
    found = re.findall(r"0x[0-9a-fA-F]{40}", TEXT)
    assert len(found) >= 5
    assert found == [checksummed(each) for each in found]
