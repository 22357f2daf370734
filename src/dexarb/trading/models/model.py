"""What every model of reality is: a frozen value that says which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

Spec = Mapping[str, Any]
"""`name`, `version` and `parameters` of a model, as JSON types: equal ones answer alike."""


@dataclass(frozen=True, slots=True)
class Model:
    """Its fields are the parameters. A subclass has a name, and another version as soon as it
    answers otherwise with the same parameters."""

    NAME: ClassVar[str]
    VERSION: ClassVar[int]

    @property
    def spec(self) -> Spec:
        return {"name": self.NAME, "version": self.VERSION, "parameters": self._parameters()}

    def _parameters(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}
