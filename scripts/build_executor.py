"""Compile contracts/executor.vy into the artifact that dexarb ships.

Run it after a change of the contract: `.venv/bin/python scripts/build_executor.py`. The same
source and compiler give the same bytes, which tests/executor/test_artifact.py checks.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import vyper
from vyper.compiler import compile_code

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "contracts" / "executor.vy"
ARTIFACT = REPOSITORY / "src" / "dexarb" / "ends" / "executor_contract" / "executor.json"


def build() -> dict[str, Any]:
    """The artifact. Settings are those of the pragmas in the source."""
    source = SOURCE.read_text()
    output = compile_code(source, output_formats=["abi", "bytecode", "settings_dict"])
    return {
        "contract": SOURCE.name,
        "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
        "compiler": f"vyper {vyper.__long_version__}",
        "settings": output["settings_dict"],
        "abi": output["abi"],
        "bytecode": output["bytecode"],
    }


if __name__ == "__main__":
    ARTIFACT.write_text(json.dumps(build(), indent=1) + "\n")
    print(f"{ARTIFACT.relative_to(REPOSITORY)}: {ARTIFACT.stat().st_size} bytes")
