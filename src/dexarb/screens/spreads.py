"""dexarb spreads: what the market offered, against what each strategy needs."""

from __future__ import annotations

from pathlib import Path

from dexarb.config.paper import load_paper
from dexarb.core.units import MICRO_USD
from dexarb.screens.progress import shown
from dexarb.screens.spreads_screen import Spreads
from dexarb.study.spreads_survey import Surveyor, chosen_sizes
from dexarb.study.walk import history_reader, span, walk
from dexarb.study.warm_up import warm_up
from dexarb.trading.strategy import THRESHOLD


def answer(
    history: Path | None,
    *,
    config: Path,
    first: int | None,
    last: int | None,
    count: int | None,
    size_usd: float | None,
) -> Spreads:
    """Raises ConfigError, InputError for blocks that are not there, StoreError."""
    alone = history is not None and size_usd is not None
    reader = history_reader(history, config)
    asked = span(reader, first=first, last=last, count=count)
    warm_up()
    loaded = None if alone else load_paper(config)
    moments = shown(walk(asked), "reading history", asked.blocks)
    moment = next(moments)
    settings = loaded.settings(moment.market.profile.tokens) if loaded else ()
    settings = tuple(each for each in settings if each.kind == THRESHOLD)
    sizes, size = chosen_sizes(settings, None if size_usd is None else int(size_usd * MICRO_USD))
    surveyor = Surveyor(sizes, size)
    surveyor.take(moment)
    for moment in moments:
        surveyor.take(moment)
    return Spreads(surveyor.survey(asked, moment, settings))
