"""The parameters of a strategy, and the hash that it is known by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from dexarb.core.token import Address, Pair
from dexarb.core.trade import Funding, Position, StrategyHash

THRESHOLD = "threshold"
"""The built-in strategy."""


@dataclass(frozen=True, slots=True)
class StrategySettings:
    """Effective parameters of a strategy, in integer units.

    Money in micro-USD, shares in parts per million, gas prices in wei per gas. None: no limit,
    or the value that the chain profile or the measured costs give. A bid is priority_fee, or
    bid_ppm of the expected profit, or the chain profile's default. deadline_blocks: how many
    blocks behind the first possible one are tried as well. kind: the registered strategy that
    decides, with its own parameters as canonical JSON; code: a fingerprint of an own strategy's
    code, so that a track record never mixes two versions of it. min_expected_micro_usd: least
    expected value, misses counted in.
    """

    name: str
    pairs: tuple[Pair, ...]
    min_profit_micro_usd: int
    max_trade_size_micro_usd: int
    max_slippage_ppm: int
    max_gas_price: int
    competition_rate_ppm: int = 0
    max_daily_trades: int | None = None
    daily_loss_limit_micro_usd: int | None = None
    max_consecutive_losses: int | None = None
    cooldown_blocks: int = 0
    max_hops: int = 4
    min_spread_ppm: int = 0
    dexes: tuple[str, ...] = ()
    capital_micro_usd: int | None = None
    priority_fee: int | None = None
    bid_ppm: int | None = None
    gas_balance_micro_usd: int | None = None
    min_profit_onchain_micro_usd: int = 0
    funding: Funding = Funding.OWN
    gas_cost_micro_usd: int | None = None
    slippage_haircut_ppm: int = 0
    latency_blocks: int = 1
    latency_ms: int | None = None
    deadline_blocks: int = 0
    position: Position = Position.CONTESTED
    kind: str = THRESHOLD
    parameters: str = "{}"
    code: str = ""
    min_expected_micro_usd: int | None = None
    _identity: tuple[str, StrategyHash] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    """canonical and hash, made when they are asked for first: with 10,000 strategies they cost
    most of a reload."""

    @property
    def hash(self) -> StrategyHash:
        """Identity: 16 hexadecimal digits over every parameter but the name.

        A renamed strategy keeps its books, one with another parameter starts new ones.
        """
        return self._identified()[1]

    @property
    def canonical(self) -> str:
        """Every parameter but the name as JSON, the same text for the same parameters."""
        return self._identified()[0]

    def _identified(self) -> tuple[str, StrategyHash]:
        if self._identity is None:
            parameters = self.as_json()
            del parameters["name"]
            if self.min_expected_micro_usd is None:
                # Strategies from before there was such a thing keep their identity.
                del parameters["min_expected_micro_usd"]
            text = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
            digest = hashlib.sha256(text.encode()).hexdigest()
            made = text, StrategyHash(digest[:16])
            object.__setattr__(self, "_identity", made)
            return made
        return self._identity

    def as_json(self) -> dict[str, Any]:
        """All parameters as JSON types; `from_json` is the inverse."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        known = dict(values)
        known["pairs"] = tuple((Address(one), Address(other)) for one, other in known["pairs"])
        known["dexes"] = tuple(known["dexes"])
        known["position"] = Position(known["position"])
        known["funding"] = Funding(known["funding"])
        return cls(**known)

    @classmethod
    def from_canonical(cls, name: str, canonical: str) -> Self:
        """The inverse of `name` and `canonical`, in which a ledger keeps a strategy."""
        return cls.from_json(json.loads(canonical) | {"name": name})


def weighs_misses(settings: Iterable[StrategySettings]) -> bool:
    """Whether any of them wants to know how likely it is to be filled."""
    return any(each.min_expected_micro_usd is not None for each in settings)
