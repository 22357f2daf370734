"""dexarb spreads: what the market offered, against what each strategy needs."""

from __future__ import annotations

from dexarb.config.live import load_traded
from dexarb.core.units import MICRO_USD
from dexarb.screens.over_blocks import span_of, studied
from dexarb.screens.spreads_screen import Spreads
from dexarb.screens.when import BlocksAsked
from dexarb.study.span import first_market
from dexarb.study.spreads_survey import SpreadsStudy, chosen_sizes
from dexarb.trading.strategy import THRESHOLD


def answer(asked: BlocksAsked, *, size_usd: float | None, with_strategies: bool = True) -> Spreads:
    """with_strategies: those of the configuration, against what was there.

    Raises ConfigError, InputError for blocks that are not there, StoreError.
    """
    span = span_of(asked)
    loaded = load_traded(asked.config) if with_strategies else None
    settings = loaded.settings(first_market(span).profile.tokens) if loaded else ()
    settings = tuple(each for each in settings if each.kind == THRESHOLD)
    sizes, size = chosen_sizes(settings, None if size_usd is None else int(size_usd * MICRO_USD))
    return Spreads(span, studied(span, SpreadsStudy(sizes, size, settings)))
