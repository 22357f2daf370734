"""The JSON schemas of the TOML files, for editors and other programs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from dexarb.config.chain_profile import ChainFile
from dexarb.config.collector import CollectorFile
from dexarb.config.described import DESCRIPTIONS
from dexarb.config.grid import LISTS
from dexarb.config.importing import ImportFile
from dexarb.config.kinds import Kind
from dexarb.config.live import LiveTables
from dexarb.config.paper import PaperFile
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


class _Described(_Numbers):
    """With what `described` says of each key."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        built = super().model_schema(schema)
        built.pop("description", None)  # which speaks to those who read the code
        for key, text in DESCRIPTIONS.get(schema["cls"], {}).items():
            if key in built.get("properties", {}):
                built["properties"][key]["description"] = text
        return built


def _file(model: type[TomlTable], name: str) -> dict[str, Any]:
    tidy: dict[str, Any] = _tidy(model.model_json_schema(schema_generator=_Described))
    return {"$schema": DIALECT, "title": f"{name} of dexarb", **tidy}


def schema_of(kind: Kind) -> dict[str, Any]:
    """What a file of this kind may hold, keys, types and ranges. Not in it is what a schema cannot
    say: names of tokens, DEXes and kinds, and which strategies have the same parameters."""
    if kind == "collector":
        return _file(CollectorFile, "collector.toml")
    if kind == "import":
        return _file(ImportFile, "an import's pools.toml")
    if kind == "live":
        return _live()
    return _file(ChainFile, "chain profile") if kind == "chain" else _paper()


def schema_text(kind: Kind) -> str:
    """As a file."""
    return json.dumps(schema_of(kind), indent=2) + "\n"


def _paper() -> dict[str, Any]:
    """Whose [[strategy]] and [[grid]] depend on [defaults]."""
    file = _file(PaperFile, "paper_trading.toml")
    strategy: dict[str, Any] = _tidy(StrategyTable.model_json_schema(schema_generator=_Described))
    file.setdefault("$defs", {}).update(strategy.pop("$defs", {}))
    keys: dict[str, Any] = strategy["properties"]
    required = [key for key in strategy["required"] if key != "name"]
    told = DESCRIPTIONS[PaperFile]
    file["properties"] |= {
        "defaults": {
            "description": told["defaults"],
            "type": "object",
            "additionalProperties": False,
            "properties": {key: each for key, each in keys.items() if key != "name"},
        },
        "strategy": {
            "description": told["strategy"],
            "type": "array",
            "items": {**strategy, "required": ["name"]},
        },
        "grid": {
            "description": told["grid"],
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    key: each if key == "name" else _axis(key, each) for key, each in keys.items()
                },
            },
        },
    }
    return file | {
        "anyOf": [{"required": ["strategy"]}, {"required": ["grid"]}],
        "allOf": [_required_unless_default(key) for key in required],
    }


def _live() -> dict[str, Any]:
    """What a paper trader's file may hold, and what is a bot's own."""
    file, own = _paper(), _file(LiveTables, "live.toml")
    file["$defs"] |= own["$defs"]
    file["properties"] |= own["properties"]
    return file | {"title": own["title"], "required": own["required"]}


def _axis(key: str, one: dict[str, Any]) -> dict[str, Any]:
    """A value, or a list of such values."""
    if key == "parameters":  # its lists vary inside it
        return one
    apart = ("default", "description")
    told = {name: one[name] for name in apart if name in one}
    value = {name: each for name, each in one.items() if name not in apart}
    items = {**value, "minItems": 1} if key in LISTS else value
    return {"anyOf": [value, {"type": "array", "minItems": 1, "items": items}], **told}


def _required_unless_default(key: str) -> dict[str, Any]:
    tables = {"type": "array", "items": {"required": [key]}}
    return {
        "if": {"required": ["defaults"], "properties": {"defaults": {"required": [key]}}},
        "else": {"properties": {"strategy": tables, "grid": tables}},
    }
