"""Commands around the alerts of both programs. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import PAPER_TOML, Json
from dexarb.screens.answer import show


def test(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The TOML file of either program.")
    ] = PAPER_TOML,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.0, help="Seconds to wait for all targets together.")
    ] = 30.0,
    as_json: Json = False,
) -> int:
    """Send one message to each target, and say of each whether it went out or what was wrong."""
    from dexarb.screens.alerts_test import answer

    return show(answer(config, timeout_s=timeout), as_json=as_json)
