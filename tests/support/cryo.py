"""The real cryo, in a process of its own: one of forty calls dies after it has written all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_FREEZE = """
import json, sys
import cryo
for dataset, options in json.loads(sys.argv[1]):
    cryo.freeze(dataset, no_report=True, **options)
"""


def freeze(url: str, folder: Path, blocks: str, *datasets: str, **options: Any) -> list[Path]:
    """What cryo writes of these blocks, as `0:latest`, into the folder."""
    shared = {"blocks": [blocks], "rpc": url, "output_dir": str(folder), **options}
    calls = json.dumps([(dataset, shared) for dataset in datasets])
    ran = subprocess.run(
        [sys.executable, "-c", _FREEZE, calls], capture_output=True, text=True, check=False
    )
    found = sorted(path for path in folder.iterdir() if path.is_file())
    for dataset in datasets:
        assert any(f"__{dataset}__" in path.name for path in found), ran.stderr
    return found
