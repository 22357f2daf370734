"""dexarb spreads: what the market offered, against what each strategy needs."""

from __future__ import annotations

from pathlib import Path

from dexarb.config.paper import load_paper
from dexarb.core.units import MICRO_USD
from dexarb.screens.progress import shown
from dexarb.screens.spreads_screen import Spreads
from dexarb.screens.when import When, blocks_of
from dexarb.study.spreads_survey import SpreadsStudy, chosen_sizes
from dexarb.study.study import run
from dexarb.study.walk import first_market, history_reader, span, walk
from dexarb.trading.strategy import THRESHOLD


def answer(
    history: Path | None,
    *,
    config: Path,
    first: When | None,
    last: When | None,
    count: int | None,
    size_usd: float | None,
    with_strategies: bool = True,
) -> Spreads:
    """with_strategies: those of the configuration, against what was there.

    Raises ConfigError, InputError for blocks that are not there, StoreError.
    """
    reader = history_reader(history, config)
    begin, end = blocks_of(reader, first, last)
    asked = span(reader, first=begin, last=end, count=count)
    loaded = load_paper(config) if with_strategies else None
    settings = loaded.settings(first_market(asked).profile.tokens) if loaded else ()
    settings = tuple(each for each in settings if each.kind == THRESHOLD)
    sizes, size = chosen_sizes(settings, None if size_usd is None else int(size_usd * MICRO_USD))
    study = SpreadsStudy(sizes, size, settings)
    return Spreads(asked, run(study, shown(walk(asked), "reading history", asked.blocks)))
