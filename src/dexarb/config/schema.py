"""The JSON schema of paper_trading.toml, for editors and other programs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from dexarb.config.alerts import AlertsTable
from dexarb.config.grid import LISTS
from dexarb.config.paper import GeneralTable
from dexarb.config.strategy_table import StrategyTable
from dexarb.config.toml_file import TomlTable

DIALECT = "https://json-schema.org/draft/2020-12/schema"


_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "min_length": "minLength",
}
_LEFT_OUT = {"title", "decimal_places"}


class _Numbers(GenerateJsonSchema):
    """Decimals are numbers; pydantic would allow strings for them as well, which the file does
    not."""

    def decimal_schema(self, _: core_schema.DecimalSchema) -> JsonSchemaValue:
        return {"type": "number"}

    def encode_default(self, dft: Any) -> Any:
        return float(dft) if isinstance(dft, Decimal) else super().encode_default(dft)


def _tidy(node: Any) -> Any:
    """Bounds under JSON schema's names (pydantic leaves its own behind a validator), and no null,
    which TOML does not have."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    options = [each for each in node.get("anyOf", ()) if each != {"type": "null"}]
    if len(options) == 1:
        kept = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
        node = kept | options[0]
    return {_BOUNDS.get(k, k): _tidy(value) for k, value in node.items() if k not in _LEFT_OUT}


def _table(model: type[TomlTable]) -> dict[str, Any]:
    tidy: dict[str, Any] = _tidy(model.model_json_schema(schema_generator=_Numbers))
    return tidy


def paper_schema() -> dict[str, Any]:
    """What a file may hold, keys, types and ranges. Not in it is what a schema cannot say: names
    of tokens, DEXes and kinds, and which strategies have the same parameters."""
    strategy, general = _table(StrategyTable), _table(GeneralTable)
    alerts = _table(AlertsTable)
    definitions = strategy.pop("$defs", {}) | general.pop("$defs", {})
    keys: dict[str, Any] = strategy["properties"]
    required = [key for key in strategy["required"] if key != "name"]
    defaults = {key: each for key, each in keys.items() if key != "name"}
    axes = {key: each if key == "name" else _axis(key, each) for key, each in keys.items()}
    return {
        "$schema": DIALECT,
        "title": "paper_trading.toml of dexarb",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "general": general,
            "alerts": alerts,
            "defaults": {
                "description": "Hold for every strategy and grid that does not state the key.",
                "type": "object",
                "additionalProperties": False,
                "properties": defaults,
            },
            "strategy": {
                "type": "array",
                "items": {**strategy, "required": ["name"]},
            },
            "grid": {
                "type": "array",
                "items": {
                    "description": "Lists multiply into strategies; {key} in the name is replaced.",
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": axes,
                },
            },
        },
        "anyOf": [{"required": ["strategy"]}, {"required": ["grid"]}],
        "allOf": [_required_unless_default(key) for key in required],
        "$defs": definitions,
    }


def _axis(key: str, one: dict[str, Any]) -> dict[str, Any]:
    """A value, or a list of such values."""
    if key == "parameters":  # its lists vary inside it
        return one
    default = {"default": one["default"]} if "default" in one else {}
    value = {name: each for name, each in one.items() if name != "default"}
    items = {**value, "minItems": 1} if key in LISTS else value
    return {"anyOf": [value, {"type": "array", "minItems": 1, "items": items}], **default}


def _required_unless_default(key: str) -> dict[str, Any]:
    tables = {"type": "array", "items": {"required": [key]}}
    return {
        "if": {"required": ["defaults"], "properties": {"defaults": {"required": [key]}}},
        "else": {"properties": {"strategy": tables, "grid": tables}},
    }
