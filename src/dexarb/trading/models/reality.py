"""The model of reality: all that a paper trade takes for true and nobody can compute.

A replay that takes the same for true comes to the same; so the ledger keeps the spec.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dexarb.core.gas_schedule import SCHEDULES
from dexarb.core.profile import ChainProfile, ScheduleChange, TokenSurcharge
from dexarb.trading.models.competition import CompetitionModel
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.latency import LatencyModel
from dexarb.trading.models.model import Spec
from dexarb.trading.models.order import OrderModel
from dexarb.trading.models.room import RoomModel
from dexarb.trading.models.value import ValueModel

ENGINE_VERSION = 2
"""Another one as soon as search, sizing or deciding answer otherwise in the same reality. Ledgers
that tell none were written before."""


_OF_CHAIN = ("gas_schedules", "surcharges")
_TOLD = ("schedules", "surcharges")
"""As the spec's parameters of the gas have them."""


@dataclass(frozen=True, slots=True)
class Reality:
    """gas: what a trade costs. latency: which block can include it, room: whether that has any for
    it. order: behind whom it stands there. competition: what others take before us. value: what a
    token is worth. gas_schedules, surcharges: the chain's, which whoever asks `gas` finds in the
    market's profile; here they are told."""

    gas: GasModel = field(default_factory=GasModel)
    latency: LatencyModel = field(default_factory=LatencyModel)
    room: RoomModel = field(default_factory=RoomModel)
    order: OrderModel = field(default_factory=OrderModel)
    competition: CompetitionModel = field(default_factory=CompetitionModel)
    value: ValueModel = field(default_factory=ValueModel)
    gas_schedules: tuple[ScheduleChange, ...] = ()
    surcharges: tuple[TokenSurcharge, ...] = ()

    def on(self, profile: ChainProfile) -> Reality:
        """As it is on that chain."""
        schedules, surcharges = profile.gas_schedules, profile.surcharges
        return replace(self, gas_schedules=schedules, surcharges=surcharges)

    @property
    def spec(self) -> Mapping[str, Spec]:
        """By model, and the engine's that asks them."""
        models = {
            each.name: getattr(self, each.name).spec
            for each in fields(self)
            if each.name not in _OF_CHAIN
        }
        if self.gas_schedules:
            # What each of them makes of the model: other figures are another reality.
            parameters = dict(models["gas"]["parameters"])
            parameters["schedules"] = [
                [from_block, self.gas.under(SCHEDULES[name]).spec["parameters"]]
                for from_block, name in self.gas_schedules
            ]
            models["gas"] = {**models["gas"], "parameters": parameters}
        if self.surcharges:
            parameters = {**models["gas"]["parameters"], "surcharges": list(self.surcharges)}
            models["gas"] = {**models["gas"], "parameters": parameters}
        engine = {"name": "dexarb", "version": ENGINE_VERSION, "parameters": {}}
        return {**models, "engine": engine}

    @property
    def canonical(self) -> str:
        """The spec as JSON, the same text for the same spec."""
        return json.dumps(self.spec, sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of SHA-256 of the canonical spec."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    def as_told(self, canonical: str) -> Reality:
        """With the parameters that such a spec names. Models that are `unlike` stay as they are
        here, and so do the chain's schedules and surcharges."""
        told: Mapping[str, Spec] = json.loads(canonical)
        others = self.unlike(canonical).keys() | {"engine"}
        found = {}
        for name in self.spec.keys() & told.keys() - others:
            parameters = dict(told[name]["parameters"])
            parameters = {key: each for key, each in parameters.items() if key not in _TOLD}
            found[name] = replace(getattr(self, name), **parameters)
        return replace(self, **found)

    def unlike(self, canonical: str) -> Mapping[str, tuple[str, str]]:
        """The models that no parameters make into those of such a spec, and the engine: name and
        version there, and here."""
        told: Mapping[str, Spec] = json.loads(canonical)
        pairs = {name: (_named(told.get(name)), _named(own)) for name, own in self.spec.items()}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def changes(self, canonical: str) -> tuple[str, ...]:
        """The models that are not as such a spec says, and the engine."""
        other: Mapping[str, Any] = json.loads(canonical)
        own: Mapping[str, Any] = json.loads(self.canonical)
        return tuple(name for name in own if own[name] != other.get(name))


def _named(spec: Spec | None) -> str:
    """`executor 1`"""
    return f"{spec['name']} {spec['version']}" if spec else "none"


REALITY = Reality()
"""As all programs take it; a test can take another."""
