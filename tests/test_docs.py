"""What the documents say is what the program does."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from dexarb.cli import app
from dexarb.config.alerts import AlertKind, AlertsTable
from dexarb.config.collector import CollectorTable, PoolsTable, RpcTable
from dexarb.config.importing import ImportTable, NamedPoolTable
from dexarb.config.paper import GeneralTable, load_paper
from dexarb.config.strategy_table import StrategyTable
from dexarb.core.evidence import Outcome
from dexarb.core.trade import FillStatus
from dexarb.store.ledger_rows import DecisionState

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def documented_keys(heading: str) -> set[str]:
    """First back-quoted words of table cells and of prose below a heading of configuration.md."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = text.split(f"## {heading}")[1].split("\n## ")[0]
    return set(re.findall(r"`([a-z_0-9]+)`", section))


@pytest.mark.parametrize(
    ("heading", "models"),
    [
        ("collector.toml", (CollectorTable, RpcTable, PoolsTable)),
        ("paper_trading.toml", (GeneralTable, StrategyTable)),
        ("pools.toml of an import", (ImportTable, NamedPoolTable, PoolsTable)),
    ],
)
def test_every_key_is_documented(heading: str, models: tuple[type[BaseModel], ...]) -> None:
    for model in models:
        assert model.model_fields.keys() <= documented_keys(heading)


def test_every_key_and_kind_of_the_alerts_is_documented() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert rows == {*AlertsTable.model_fields, *AlertKind}


def test_the_grid_of_the_documents_is_what_they_say(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "paper.toml"
    path.write_text(example)
    names = [each.table.name for each in load_paper(path).strategies]
    assert "= 33 strategies" in text
    assert len(names) == 33
    (shown,) = re.findall(r"appended to it\s+\(`([^`]+)`\)", text)
    assert shown in names


SOURCE = ROOT / "src" / "dexarb"
ROOMS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_the_architecture_names_the_files_of_a_room_and_no_others(room: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().split("## Inside")[1]
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{room}` |"))
    named = set(re.findall(r"`([a-z_0-9]+)`", row.split("|")[2]))
    folder = SOURCE / room
    files = {path.stem for path in folder.rglob("*.py")} - {"__init__"}
    assert named == files | {path.parent.name for path in folder.glob("*/__init__.py")}


def test_the_collectors_warnings_are_told_in_the_documents_and_no_others() -> None:
    source = ROOT / "src" / "dexarb"
    apps = (
        "collect",
        "collector",
        "collect_report",
        "recorder",
        "pool_reader",
        "pool_watch",
        "self_check",
        "retrying",
        "collector_alerts",
    )
    files = [*(source / "chain").rglob("*.py"), *(source / "apps" / f"{name}.py" for name in apps)]
    text = "".join(path.read_text() for path in files if path.name != "choice.py")
    logged = re.findall(r'_log\.(\w+)\(\s*"([a-z_0-9.]+)"', text)
    table = (ROOT / "docs" / "collecting.md").read_text().split("| event |")[1]
    told = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([a-z_0-9.]+)`", row)
    }
    assert {event for level, event in logged if level in ("warning", "error")} <= told
    assert told - {"endpoint.left", "endpoint.back"} <= {event for _, event in logged}


def test_every_dependency_has_a_reason() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = pyproject["project"]
    extras = (*project["optional-dependencies"].values(), *pyproject["dependency-groups"].values())
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    names = {re.split(r"[\[><=!~; ]", each)[0] for each in wanted}
    for file in ("package.json", "tests/hardhat/package.json"):
        names |= json.loads((ROOT / file).read_text())["dependencies"].keys()
    text = (ROOT / "docs" / "dependencies.md").read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    told = {name.split()[0] for cell in cells for name in cell.split(",") if name.strip()}
    assert names <= told
    assert told - names <= {"package", "---", "with"}


def commands() -> list[list[str]]:
    """Every `dexarb ...` in the documents, options included."""
    found = set()
    for document in DOCUMENTS:
        for line in document.read_text().splitlines():
            for match in re.finditer(r"(?:^|`|bin/)dexarb ((?:[a-z]+ ?)+(?:--[a-z-]+)*)", line):
                found.add(match[1].strip())
    return [command.split() for command in sorted(found)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_in_the_documents_exists(words: list[str]) -> None:
    names = [word for word in words if not word.startswith("--")]
    told = CliRunner().invoke(app, [*names, "--help"])
    assert told.exit_code == 0, told.output
    for option in (word for word in words if word.startswith("--")):
        assert option in told.output


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


GLOSSARY = ROOT / "docs" / "glossary.md"


def glossary() -> dict[str, str]:
    """Words and their meanings."""
    rows = [line.split("|")[1:3] for line in GLOSSARY.read_text().splitlines() if "|" in line]
    return {word.strip(): meaning for word, meaning in rows[2:]}


@pytest.mark.parametrize("word", glossary())
def test_a_word_of_the_glossary_is_used(word: str) -> None:
    others = [each for each in DOCUMENTS if each != GLOSSARY]
    uses = [each for each in others if re.search(rf"\b{word}s?\b", each.read_text(), re.I)]
    assert len(uses) > 1


def test_the_glossary_tells_every_way_to_end() -> None:
    """Of a decision, and of a spread that was decided on."""
    ends = {*FillStatus, DecisionState.OPEN, DecisionState.VOID}
    assert ends <= set(re.findall(r"`([a-z]+)`", glossary()["fill"]))
    assert set(Outcome) == set(re.findall(r"`([a-z]+)`", glossary()["evidence"]))


def test_the_version_is_that_of_the_project() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert told.exit_code == 0
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert told.output.startswith(f"dexarb {version} (Python 3.")


def test_shells_can_complete_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the script that `--show-completion` prints asks for them."""
    monkeypatch.setenv("_DEXARB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "dexarb config s")
    monkeypatch.setenv("COMP_CWORD", "2")
    told = CliRunner().invoke(app, [], prog_name="dexarb")
    assert told.output.split() == ["schema"]
