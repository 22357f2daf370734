"""One strategy as a file states it, and its effective parameters in integer units."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, StrictBool

from dexarb.config.toml_file import Number, TomlTable, Whole
from dexarb.core.text import in_a_line
from dexarb.core.token import Pair
from dexarb.core.trade import Funding, Position
from dexarb.core.units import GWEI, MICRO_USD, PPM, PPM_PER_PERCENT
from dexarb.trading.strategy import THRESHOLD, StrategySettings

# As fine as the integers behind them, so that nothing is rounded away, and small enough for them.
Usd = Annotated[Number, Field(le=10**9, decimal_places=6)]
Percent = Annotated[Number, Field(ge=0, le=100, decimal_places=4)]
Gwei = Annotated[Number, Field(ge=0, le=10**6, decimal_places=9)]

EITHER_OR = {"priority_fee_gwei": "bid_percent", "bid_percent": "priority_fee_gwei"}
"""Of these a strategy may have one; stating it puts a default for the other out of force."""


def _visible(name: str) -> str:
    """Two names have to differ on a screen as well."""
    line = in_a_line(name, len(name))
    if line != name:
        raise ValueError(f'has characters that no screen shows. Write "{line}"')
    return name


def _writable(parameters: dict[str, Any]) -> dict[str, Any]:
    canonical(parameters)
    return parameters


class StrategyTable(TomlTable):
    """One strategy. Money in USD, shares in percent, gas prices in gwei."""

    name: Annotated[str, Field(min_length=1), AfterValidator(_visible)]
    enabled: StrictBool = True
    pairs: Annotated[list[str], Field(min_length=1)]
    min_profit_usd: Annotated[Usd, Field(ge=-(10**9))]
    max_trade_size_usd: Annotated[Usd, Field(gt=0)]
    max_slippage_percent: Percent = Decimal("0.5")
    max_gas_gwei: Annotated[Gwei, Field(gt=0)] = Decimal(100)
    simulate_competition: StrictBool = False
    competition_rate: Annotated[Number, Field(ge=0, le=1, decimal_places=6)] = Decimal(0)
    max_daily_trades: Annotated[Whole, Field(ge=0, le=10**9)] | None = None
    daily_loss_limit_usd: Annotated[Usd, Field(gt=0)] | None = None
    max_consecutive_losses: Annotated[Whole, Field(ge=1, le=10**9)] | None = None
    cooldown_blocks: Annotated[Whole, Field(ge=0, le=10**9)] = 0
    max_hops: Annotated[Whole, Field(ge=2, le=4)] = 4
    min_spread_percent: Percent = Decimal(0)
    min_expected_usd: Annotated[Usd, Field(ge=-(10**9))] | None = None
    dexes: tuple[str, ...] = ()
    capital_usd: Annotated[Usd, Field(gt=0)] | None = None
    priority_fee_gwei: Gwei | None = None
    bid_percent: Percent | None = None
    gas_balance_usd: Annotated[Usd, Field(gt=0)] | None = None
    min_profit_onchain_usd: Annotated[Usd, Field(ge=0)] = Decimal(0)
    funding: Funding = Funding.OWN
    gas_cost_usd: Annotated[Usd, Field(ge=0)] | None = None
    slippage_haircut_percent: Percent = Decimal(0)
    position: Position = Position.CONTESTED
    latency_blocks: Annotated[Whole, Field(ge=1, le=64)] = 1
    latency_ms: Annotated[Whole, Field(ge=0, le=600_000)] | None = None
    deadline_blocks: Annotated[Whole, Field(ge=0, le=64)] = 0
    kind: str = THRESHOLD
    parameters: Annotated[dict[str, Any], AfterValidator(_writable), Field(default_factory=dict)]


class Scaled(NamedTuple):
    """A key of the file and the integer that a strategy has of it: `scale` times as much."""

    key: str
    field: str
    scale: int


SCALED = (
    Scaled("min_profit_usd", "min_profit_micro_usd", MICRO_USD),
    Scaled("max_trade_size_usd", "max_trade_size_micro_usd", MICRO_USD),
    Scaled("max_slippage_percent", "max_slippage_ppm", PPM_PER_PERCENT),
    Scaled("max_gas_gwei", "max_gas_price", GWEI),
    Scaled("competition_rate", "competition_rate_ppm", PPM),
    Scaled("daily_loss_limit_usd", "daily_loss_limit_micro_usd", MICRO_USD),
    Scaled("min_spread_percent", "min_spread_ppm", PPM_PER_PERCENT),
    Scaled("min_expected_usd", "min_expected_micro_usd", MICRO_USD),
    Scaled("capital_usd", "capital_micro_usd", MICRO_USD),
    Scaled("priority_fee_gwei", "priority_fee", GWEI),
    Scaled("bid_percent", "bid_ppm", PPM_PER_PERCENT),
    Scaled("gas_balance_usd", "gas_balance_micro_usd", MICRO_USD),
    Scaled("min_profit_onchain_usd", "min_profit_onchain_micro_usd", MICRO_USD),
    Scaled("gas_cost_usd", "gas_cost_micro_usd", MICRO_USD),
    Scaled("slippage_haircut_percent", "slippage_haircut_ppm", PPM_PER_PERCENT),
)
"""Every parameter that the file states in another unit; the others have the key's name."""


def effective(table: StrategyTable, pairs: tuple[Pair, ...], code: str = "") -> StrategySettings:
    """A table in integer units. A coin that is not simulated is a coin with rate zero.

    code: which code an own strategy runs; see StrategySettings.
    """
    scaled: dict[str, Any] = {
        field: None if (value := getattr(table, key)) is None else int(value * scale)
        for key, field, scale in SCALED
    }
    if not table.simulate_competition:
        scaled["competition_rate_ppm"] = 0
    return StrategySettings(
        name=table.name,
        pairs=pairs,
        max_daily_trades=table.max_daily_trades,
        max_consecutive_losses=table.max_consecutive_losses,
        cooldown_blocks=table.cooldown_blocks,
        max_hops=table.max_hops,
        dexes=tuple(sorted(set(table.dexes))),
        funding=table.funding,
        latency_blocks=table.latency_blocks,
        latency_ms=table.latency_ms,
        deadline_blocks=table.deadline_blocks,
        position=table.position,
        kind=table.kind,
        parameters=canonical(table.parameters),
        code=code,
        **scaled,
    )


def contradictions(table: StrategyTable) -> Iterator[tuple[str, str, str]]:
    """Keys that cannot stand together: (key, problem, remedy)."""
    if table.priority_fee_gwei is not None and table.bid_percent is not None:
        yield (
            "bid_percent",
            "stands beside priority_fee_gwei",
            "Keep one of the two: a bid is either",
        )
    if table.parameters and table.kind == THRESHOLD:
        yield (
            "parameters",
            "are of no use to the built-in strategy",
            'Name your own as kind = "..."',
        )


def cautions(table: StrategyTable) -> Iterator[tuple[str, str, str]]:
    """What is allowed and hardly meant: (key, what follows from it, remedy)."""
    size, capital = table.max_trade_size_usd, table.capital_usd
    if capital is not None and table.funding is Funding.FLASH:
        yield "capital_usd", "has no effect: a flash swap binds no capital", 'Or funding = "own"'
    elif capital is not None and capital < size:
        yield (
            "capital_usd",
            f"{plain(capital)} is less than max_trade_size_usd = {plain(size)}: a larger trade is "
            "refused, not made smaller",
            "Raise it, or lower max_trade_size_usd",
        )
    if table.competition_rate and not table.simulate_competition:
        yield "competition_rate", "has no effect", "Set simulate_competition = true"
    if table.cooldown_blocks and table.max_consecutive_losses is None:
        yield "cooldown_blocks", "has no effect", "Set max_consecutive_losses"
    if table.max_daily_trades == 0:
        yield "max_daily_trades", "0 means that it never trades", "Leave it out for no limit"
    fee, highest = table.priority_fee_gwei, table.max_gas_gwei
    if fee is not None and fee >= highest:
        yield (
            "priority_fee_gwei",
            f"{plain(fee)} leaves nothing of max_gas_gwei = {plain(highest)} for the base fee: "
            "it never trades",
            "Raise max_gas_gwei, which bounds both together",
        )
    gas, balance = table.gas_cost_usd, table.gas_balance_usd
    if gas is not None and balance is not None and balance < gas:
        yield (
            "gas_balance_usd",
            f"{plain(balance)} does not pay gas_cost_usd = {plain(gas)} once: it never trades",
            "Raise it",
        )


def plain(value: object) -> str:
    """A value as a file would state it: without a trailing zero, lists joined by a plus."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "+".join(map(plain, value))
    if isinstance(value, Mapping):
        return canonical(value)
    return str(value)


def canonical(value: Any) -> str:
    """TOML values as JSON, the same text for the same values.

    Keys are sorted. A number with a point stays exact: 0.10 becomes 0.1, and 2.0 stays apart from
    2 (read it back with `parse_float=Decimal`). Dates and times become ISO 8601 strings. Raises
    ValueError for inf and nan, which JSON does not have.
    """
    if isinstance(value, Mapping):
        items = sorted(value.items())
        return "{" + ",".join(f"{json.dumps(key)}:{canonical(each)}" for key, each in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("expected a finite number")
        text = plain(value)
        return text if "." in text else f"{text}.0"
    if isinstance(value, datetime | date | time):
        return json.dumps(value.isoformat())
    return json.dumps(value)
