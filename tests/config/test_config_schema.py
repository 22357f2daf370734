"""The JSON schemas accept what the program accepts, and refuse what they can see is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from dexarb.config.chain_profile import ChainFile
from dexarb.config.collector import CollectorFile
from dexarb.config.importing import ImportFile, load_import
from dexarb.config.kinds import KINDS, Kind, kind_of
from dexarb.config.live import LiveTables
from dexarb.config.paper import PaperFile
from dexarb.config.schema import schema_of, schema_text
from dexarb.config.strategy_table import StrategyTable
from dexarb.config.toml_file import TomlTable
from dexarb.errors import ConfigError, ConfigErrors

CONFIG = Path(__file__).parent.parent.parent / "config"
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "number": (int, float),
    "integer": int,
}
ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "format"}


def problems(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a value, for the keywords that our schema uses; others are an error."""
    for keyword, rule in schema.items():
        match keyword:
            case "$ref":
                yield from problems(root["$defs"][rule.removeprefix("#/$defs/")], value, root)
            case "type":
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                numeric = rule in ("number", "integer")
                if not isinstance(value, TYPES[rule]) or (numeric and not is_number):
                    yield f"{value!r} is no {rule}"
            case "properties" if isinstance(value, dict):
                for key in rule.keys() & value.keys():
                    yield from problems(rule[key], value[key], root)
            case "additionalProperties" if isinstance(value, dict) and isinstance(rule, dict):
                for key in value.keys() - schema.get("properties", {}).keys():
                    yield from problems(rule, value[key], root)
            case "additionalProperties" if isinstance(value, dict) and rule is False:
                yield from (
                    f"{key} is unknown" for key in value.keys() - schema["properties"].keys()
                )
            case "required" if isinstance(value, dict):
                yield from (f"{key} is missing" for key in rule if key not in value)
            case "items" if isinstance(value, list):
                for each in value:
                    yield from problems(rule, each, root)
            case "minItems" | "minLength" if isinstance(value, list | str):
                if len(value) < rule:
                    yield f"{value!r} is too short"
            case "enum":
                if value not in rule:
                    yield f"{value!r} is none of {rule}"
            case "minimum" | "exclusiveMinimum" | "maximum" if isinstance(value, int | float):
                if {"minimum": value < rule, "exclusiveMinimum": value <= rule}.get(
                    keyword, value > rule
                ):
                    yield f"{value} is out of range"
            case "anyOf":
                if all(list(problems(option, value, root)) for option in rule):
                    yield f"{value!r} fits none"
            case "allOf":
                for part in rule:
                    yield from problems(part, value, root)
            case "if":
                if list(problems(rule, value, root)):
                    yield from problems(schema["else"], value, root)
            case _:
                applies_elsewhere = {
                    "properties", "additionalProperties", "required", "items", "minItems",
                    "maxItems", "minLength", "minimum", "exclusiveMinimum", "maximum", "else",
                }  # fmt: skip
                assert keyword in ANNOTATIONS | applies_elsewhere, keyword


def check(text: str, kind: Kind = "paper") -> list[str]:
    schema = schema_of(kind)
    return list(problems(schema, tomllib.loads(text), schema))


SHIPPED = sorted(CONFIG.glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_names_its_schema_and_fits_it(path: Path) -> None:
    kind = kind_of(path)
    text = path.read_text()
    assert text.startswith(f"#:schema ../docs/schema/{kind}.json\n")
    assert check(text, kind) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_schema_is_what_the_program_says(kind: Kind) -> None:
    """Else: for k in KINDS; do dexarb config schema $k > docs/schema/$k.json; done"""
    assert (CONFIG.parent / "docs" / "schema" / f"{kind}.json").read_text() == schema_text(kind)


def test_every_kind_of_file_that_a_run_needs_is_shipped() -> None:
    assert {kind_of(path) for path in SHIPPED} == {*KINDS} - {"import"}


def test_the_import_of_the_documents_fits_and_means_what_it_says(tmp_path: Path) -> None:
    text = (CONFIG.parent / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```\n(\[import\].*?)```", text, re.DOTALL)
    assert check(example, "import") == []
    path = tmp_path / "pools.toml"
    path.write_text(example)
    (tmp_path / "polygon.toml").write_text((CONFIG / "polygon.toml").read_text())
    found = load_import(path)
    assert sorted(found.decimals.values()) == [6, 18]
    assert [each.dex for each in found.choices] == ["UniswapV3"]
    assert [each.found.fee_pips for each in found.named] == [3000]


@pytest.mark.parametrize(
    ("find", "put", "says"),
    [
        ("WETH = 18", "WETHH = 18", 'unknown token "WETHH". Did you mean "WETH"?'),
        ("USDC = 6", "USDC = 78", "78 is more than 77"),
        ('dex = "QuickSwap"', 'dex = "QuickSwop"', 'Did you mean "QuickSwap"?'),
        ("f670d", "f670", "is not an address"),
        ('dex = "QuickSwap"', 'dex = "UniswapV3"', "needs its fee_pips. UniswapV3 has"),
    ],
)
def test_mistakes_of_an_import_are_told(tmp_path: Path, find: str, put: str, says: str) -> None:
    text = (CONFIG.parent / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```\n(\[import\].*?)```", text, re.DOTALL)
    path = tmp_path / "pools.toml"
    path.write_text(example.replace(find, put))
    (tmp_path / "polygon.toml").write_text((CONFIG / "polygon.toml").read_text())
    with pytest.raises((ConfigError, ConfigErrors)) as caught:
        load_import(path)
    assert says in str(caught.value)
    assert f"{path}:" in str(caught.value)


def test_the_example_of_the_documents_fits() -> None:
    text = (CONFIG.parent / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert check(example) == []


GRID = """
[defaults]
pairs = ["WETH/USDC"]
max_trade_size_usd = 1000
[[grid]]
name = "g {min_profit_usd}"
min_profit_usd = [0.5, 1]
pairs = [["WETH/USDC"], ["WETH/USDC", "WMATIC/USDC"]]
funding = ["own", "flash"]
latency_ms = 250
[grid.parameters]
window = [10, 20]
"""


def test_a_grid_fits() -> None:
    assert check(GRID) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_trade_size_usd = 1000", "", "max_trade_size_usd is missing"),
        ("[0.5, 1]", "[]", "fits none"),
        ("[0.5, 1]", '"1"', "fits none"),
        ("[0.5, 1]", "2e9", "fits none"),
        ('"flash"', '"flush"', "fits none"),
        ("latency_ms", "latency", "latency is unknown"),
        ("[defaults]", '[defaults]\nname = "x"', "name is unknown"),
        ("[defaults]", "[general]\npoll_interval_ms = 0\n[defaults]", "out of range"),
        ("[[grid]]", "[[grids]]", "grids is unknown"),
    ],
)
def test_what_is_wrong_does_not_fit(old: str, new: str, said: str) -> None:
    assert old in GRID
    assert any(said in each for each in check(GRID.replace(old, new, 1)))


COLLECTOR = """
[collector]
chain = "polygon.toml"
[rpc]
endpoints = ["http://node"]
daily_requests = [1, 2]
compute_units = { eth_call = 26 }
[[pools]]
dexes = ["QuickSwap"]
pairs = ["WETH/USDC"]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("COLLECTOR", "COLLECTOR", None),
        ("[1, 2]", "7", None),
        ("[1, 2]", "[-1]", "fits none"),
        ("[1, 2]", "true", "fits none"),
        ("= 26", '= "26"', "is no integer"),
        ("endpoints", "endpoint", "endpoint is unknown"),
        ('chain = "polygon.toml"', "", "chain is missing"),
        ("[[pools]]", "[pools]", "is no array"),
        ('["QuickSwap"]', "[]", "is too short"),
    ],
)
def test_what_is_wrong_with_a_collectors_file(old: str, new: str, said: str | None) -> None:
    found = check(COLLECTOR.replace(old, new, 1), "collector")
    assert any(said in each for each in found) if said else found == []


def test_every_key_is_in_it() -> None:
    properties = schema_of("paper")["properties"]
    keys = StrategyTable.model_fields.keys()
    assert properties["strategy"]["items"]["properties"].keys() == keys
    assert properties["grid"]["items"]["properties"].keys() == keys
    assert properties["defaults"]["properties"].keys() == keys - {"name"}


class LiveFile(PaperFile, LiveTables):
    """A bot's file has the tables of both."""


MODELS: dict[Kind, type[TomlTable]] = {
    "paper": PaperFile,
    "collector": CollectorFile,
    "chain": ChainFile,
    "import": ImportFile,
    "live": LiveFile,
}


def keys_of(model: type[TomlTable]) -> set[str]:
    """As the file calls them."""
    return {field.alias or name for name, field in model.model_fields.items()}


def tables(model: type[TomlTable]) -> Iterator[type[TomlTable]]:
    """The model and those of its tables, as the loader takes them."""
    yield model
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, TomlTable):
                yield from tables(part)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_those_that_the_loader_takes_each_with_a_description(kind: Kind) -> None:
    schema = schema_of(kind)
    assert schema["properties"].keys() == keys_of(MODELS[kind])
    for model in tables(MODELS[kind]):
        table = schema if model is MODELS[kind] else schema["$defs"][model.__name__]
        assert table["properties"].keys() == keys_of(model)
        undescribed = [
            key for key, each in table["properties"].items() if not each.get("description")
        ]
        assert undescribed == []


def test_keys_of_strategies_have_descriptions() -> None:
    properties = schema_of("paper")["properties"]
    for part in (properties["defaults"], *(properties[n]["items"] for n in ("strategy", "grid"))):
        assert all(each.get("description") for each in part["properties"].values())
