"""dexarb config schema: for editors and other programs."""

from __future__ import annotations

from typing import cast

from dexarb.config.kinds import Kind
from dexarb.config.schema import schema_of
from dexarb.screens.output import print_json


def show_schema(kind: str) -> int:
    """Of the files of a kind."""
    print_json(schema_of(cast(Kind, kind)))
    return 0
