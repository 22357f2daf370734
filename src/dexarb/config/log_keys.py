"""What the files of all programs say of their logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dexarb.config.toml_file import Whole

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
LOG_MAX_MB = 200
LogMegabytes = Annotated[Whole, Field(ge=1, le=1_000_000)]
