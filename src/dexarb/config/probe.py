"""The table [probe] of the paper trader's file: nodes that run its decisions with nothing sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from dexarb.config.toml_file import Number, TomlFile, TomlTable, Whole, expand_environment
from dexarb.errors import ConfigError, ConfigErrors

PROBE = "probe"
"""Its name."""


class ProbeTable(TomlTable):
    """endpoints in order of preference; ${NAME} is taken from the environment.

    daily_requests: a budget for each of them, 0 for none. bar_blocks: for so many blocks a route is
    not traded that did not come out as computed.
    """

    endpoints: Annotated[list[str], Field(min_length=1, repr=False)]
    timeout_s: Annotated[Number, Field(gt=0)] = Decimal(10)
    daily_requests: Annotated[Whole, Field(ge=0)] = 10_000
    bar_blocks: Annotated[Whole, Field(ge=1)] = 43_200


@dataclass(frozen=True)
class ProbeConfig:
    """A checked table. Two are equal where they say the same."""

    file: TomlFile = field(compare=False)
    table: ProbeTable

    def __repr__(self) -> str:
        return f"ProbeConfig({len(self.table.endpoints)} endpoints)"

    def urls(self) -> list[str]:
        """With what the environment has in it: never print them. Raises ConfigErrors.

        Asked for by who probes alone: who only reads the file need not have the environment.
        """
        found, problems = [], []
        for i, url in enumerate(self.table.endpoints):
            try:
                found.append(expand_environment(self.file, (PROBE, "endpoints", i), url))
            except ConfigError as error:
                problems.append(error)
        if problems:
            raise ConfigErrors(problems)
        return found
