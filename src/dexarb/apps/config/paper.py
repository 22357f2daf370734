"""The paper trader's configuration (config/paper_trading.toml): general settings, strategies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field, StrictBool

from dexarb.apps.config.chain_profile import GWEI
from dexarb.apps.config.collector import LogLevel, split_pair
from dexarb.apps.config.toml_file import Model, Number, TomlFile, Whole, read_toml, validate
from dexarb.core.token import Address
from dexarb.core.trade import Funding, Position
from dexarb.errors import ConfigError, ConfigErrors
from dexarb.trading.strategy import Pair, StrategySettings, pair_of

MICRO = 1_000_000
PPM_PER_PERCENT = 10_000


class GeneralTable(Model):
    state_file: Path = Path("data/pool_state.json")
    ledger_file: Path = Path("data/ledger.sqlite")
    log_dir: Path = Path("logs")
    log_level: LogLevel = "info"
    poll_interval_ms: Annotated[Whole, Field(ge=1)] = 5
    metrics_interval_secs: Annotated[Whole, Field(ge=1)] = 60
    max_state_age_secs: Annotated[Number, Field(gt=0)] = Decimal(10)


class StrategyTable(Model):
    """One strategy. Money in USD, shares in percent, gas prices in gwei."""

    name: Annotated[str, Field(min_length=1)]
    enabled: StrictBool = True
    pairs: Annotated[list[str], Field(min_length=1)]
    min_profit_usd: Number
    max_trade_size_usd: Annotated[Number, Field(gt=0, le=10**9)]
    max_slippage_percent: Annotated[Number, Field(ge=0, le=100)] = Decimal("0.5")
    max_gas_gwei: Annotated[Number, Field(gt=0, le=10**6)] = Decimal(100)
    simulate_competition: StrictBool = False
    competition_rate: Annotated[Number, Field(ge=0, le=1)] = Decimal(0)
    max_daily_trades: Annotated[Whole, Field(ge=0)] | None = None
    daily_loss_limit_usd: Annotated[Number, Field(gt=0)] | None = None
    max_consecutive_losses: Annotated[Whole, Field(ge=1)] | None = None
    cooldown_blocks: Annotated[Whole, Field(ge=0)] = 0
    max_hops: Annotated[Whole, Field(ge=2, le=4)] = 4
    min_spread_percent: Annotated[Number, Field(ge=0, le=100)] = Decimal(0)
    dexes: tuple[str, ...] = ()
    capital_usd: Annotated[Number, Field(gt=0)] | None = None
    priority_fee_gwei: Annotated[Number, Field(ge=0)] | None = None
    bid_percent: Annotated[Number, Field(ge=0, le=100)] | None = None
    gas_balance_usd: Annotated[Number, Field(gt=0)] | None = None
    min_profit_onchain_usd: Annotated[Number, Field(ge=0)] = Decimal(0)
    funding: Funding = Funding.OWN
    gas_cost_usd: Annotated[Number, Field(ge=0)] | None = None
    slippage_haircut_percent: Annotated[Number, Field(ge=0, le=100)] = Decimal(0)
    position: Position = Position.CONTESTED
    latency_blocks: Annotated[Whole, Field(ge=1, le=64)] = 1
    latency_ms: Annotated[Whole, Field(ge=0, le=600_000)] | None = None
    deadline_blocks: Annotated[Whole, Field(ge=0, le=64)] = 0


class PaperFile(Model):
    general: GeneralTable = GeneralTable()
    strategy: Annotated[list[StrategyTable], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class PaperConfig:
    """A checked file; `settings` needs the chain that the history describes."""

    file: TomlFile
    general: GeneralTable
    strategies: tuple[StrategyTable, ...]

    def settings(self, tokens: Mapping[str, Address]) -> tuple[StrategySettings, ...]:
        """Effective settings of the enabled strategies, in the order of the file.

        tokens: names to addresses on the history's chain. Raises ConfigErrors.
        """
        problems: list[ConfigError] = []
        found: dict[str, StrategySettings] = {}
        for index, table in enumerate(self.strategies):
            loc = ("strategy", index)
            try:
                pairs = sorted({self._pair((*loc, "pairs"), p, tokens) for p in table.pairs})
            except ConfigError as error:
                problems.append(error)
                continue
            settings = effective(table, tuple(pairs))
            twin = found.get(settings.hash)
            if not table.enabled:
                continue
            if twin is not None:
                problems.append(
                    self.file.error(
                        loc,
                        f'has the same parameters as "{twin.name}"',
                        "A strategy is known by its parameters: change or remove one of the two",
                    )
                )
            found[settings.hash] = settings
        if problems:
            raise ConfigErrors(problems)
        if not found:
            raise self.file.error((), "no strategy is enabled", "Set enabled = true in one of them")
        return tuple(found.values())

    def _pair(self, loc: tuple[str | int, ...], pair: str, tokens: Mapping[str, Address]) -> Pair:
        token_a, token_b = split_pair(self.file, loc, pair, tokens)
        return pair_of(tokens[token_a], tokens[token_b])


def effective(table: StrategyTable, pairs: tuple[Pair, ...]) -> StrategySettings:
    """A table in integer units. A coin that is not simulated is a coin with rate zero."""
    rate = table.competition_rate if table.simulate_competition else Decimal(0)
    return StrategySettings(
        name=table.name,
        pairs=pairs,
        min_profit_micro_usd=int(table.min_profit_usd * MICRO),
        max_trade_size_micro_usd=int(table.max_trade_size_usd * MICRO),
        max_slippage_ppm=int(table.max_slippage_percent * PPM_PER_PERCENT),
        max_gas_price=int(table.max_gas_gwei * GWEI),
        competition_rate_ppm=int(rate * MICRO),
        max_daily_trades=table.max_daily_trades,
        daily_loss_limit_micro_usd=_optional(table.daily_loss_limit_usd, MICRO),
        max_consecutive_losses=table.max_consecutive_losses,
        cooldown_blocks=table.cooldown_blocks,
        max_hops=table.max_hops,
        min_spread_ppm=int(table.min_spread_percent * PPM_PER_PERCENT),
        dexes=tuple(sorted(set(table.dexes))),
        capital_micro_usd=_optional(table.capital_usd, MICRO),
        priority_fee=_optional(table.priority_fee_gwei, GWEI),
        bid_ppm=_optional(table.bid_percent, PPM_PER_PERCENT),
        gas_balance_micro_usd=_optional(table.gas_balance_usd, MICRO),
        min_profit_onchain_micro_usd=int(table.min_profit_onchain_usd * MICRO),
        funding=table.funding,
        gas_cost_micro_usd=_optional(table.gas_cost_usd, MICRO),
        slippage_haircut_ppm=int(table.slippage_haircut_percent * PPM_PER_PERCENT),
        latency_blocks=table.latency_blocks,
        latency_ms=table.latency_ms,
        deadline_blocks=table.deadline_blocks,
        position=table.position,
    )


def _optional(value: Decimal | None, scale: int) -> int | None:
    return None if value is None else int(value * scale)


def load_paper(path: Path) -> PaperConfig:
    """Raises ConfigError or ConfigErrors."""
    file = read_toml(path)
    tables = validate(file, PaperFile)
    names: dict[str, int] = {}
    for index, table in enumerate(tables.strategy):
        first = names.setdefault(table.name, index)
        if first != index:
            line = file.lines.get(("strategy", first))
            raise file.error(
                ("strategy", index),
                f'the name "{table.name}" is taken by the strategy on line {line}',
                "Give every strategy a name of its own",
            )
    return PaperConfig(file, tables.general, tuple(tables.strategy))
