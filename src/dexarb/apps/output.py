"""How results reach standard output."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_json(value: Any) -> None:
    """JSON goes to standard output alone, everything else to standard error."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()
