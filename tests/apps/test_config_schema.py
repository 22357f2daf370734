"""The JSON schema accepts what the program accepts, and refuses what it can see is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dexarb.config.schema import paper_schema
from dexarb.config.strategy_table import StrategyTable

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
                    "minLength", "minimum", "exclusiveMinimum", "maximum", "else",
                }  # fmt: skip
                assert keyword in ANNOTATIONS | applies_elsewhere, keyword


def check(text: str) -> list[str]:
    schema = paper_schema()
    return list(problems(schema, tomllib.loads(text), schema))


def test_the_classic_file_fits() -> None:
    assert check((CONFIG / "paper_trading.toml").read_text()) == []


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


def test_every_key_is_in_it() -> None:
    properties = paper_schema()["properties"]
    keys = StrategyTable.model_fields.keys()
    assert properties["strategy"]["items"]["properties"].keys() == keys
    assert properties["grid"]["items"]["properties"].keys() == keys
    assert properties["defaults"]["properties"].keys() == keys - {"name"}
