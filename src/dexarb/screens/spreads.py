"""dexarb spreads: what the market offered, against what each strategy needs."""

from __future__ import annotations

from pathlib import Path

from dexarb.core.units import MICRO_USD
from dexarb.screens.over_blocks import span_of, studied
from dexarb.screens.spreads_screen import Spreads
from dexarb.screens.when import BlocksAsked
from dexarb.study.span import Span, first_market
from dexarb.study.spreads_survey import SpreadsStudy, chosen_sizes
from dexarb.trading.strategy import THRESHOLD, StrategySettings


def answer(asked: BlocksAsked, *, size_usd: float | None, with_strategies: bool = True) -> Spreads:
    """with_strategies: those of the configuration, against what was there.

    Raises ConfigError, InputError for blocks that are not there, StoreError.
    """
    span = span_of(asked)
    settings = _thresholds(asked.config, span) if with_strategies else ()
    sizes, size = chosen_sizes(settings, None if size_usd is None else int(size_usd * MICRO_USD))
    return Spreads(span, studied(span, SpreadsStudy(sizes, size, settings)))


def _thresholds(config: Path, span: Span) -> tuple[StrategySettings, ...]:
    from dexarb.config.live import load_traded  # who asks a history alone waits for no settings

    settings = load_traded(config).settings(first_market(span).profile.tokens)
    return tuple(each for each in settings if each.kind == THRESHOLD)
