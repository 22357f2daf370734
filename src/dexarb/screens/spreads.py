"""dexarb spreads: what the market offered, against what each strategy needs."""

from __future__ import annotations

from pathlib import Path

from dexarb.config.paper import load_paper
from dexarb.core.units import MICRO_USD
from dexarb.screens.console import plain_console
from dexarb.screens.output import print_json
from dexarb.screens.progress import walk_shown
from dexarb.screens.spreads_screen import as_dict, screen
from dexarb.study.spreads_survey import Surveyor, chosen_sizes
from dexarb.study.walk import history_reader, span
from dexarb.study.warm_up import warm_up
from dexarb.trading.strategy import THRESHOLD


def run(
    history: Path | None,
    *,
    config: Path,
    first: int | None,
    last: int | None,
    count: int | None,
    size_usd: float | None,
    as_json: bool,
) -> int:
    """Returns 0. Raises ConfigError, InputError for blocks that are not there, StoreError."""
    alone = history is not None and size_usd is not None
    reader = history_reader(history, config)
    asked = span(reader, first=first, last=last, count=count)
    warm_up()
    loaded = None if alone else load_paper(config)
    moments = walk_shown(asked)
    moment = next(moments)
    settings = loaded.settings(moment.market.profile.tokens) if loaded else ()
    settings = tuple(each for each in settings if each.kind == THRESHOLD)
    sizes, size = chosen_sizes(settings, None if size_usd is None else int(size_usd * MICRO_USD))
    surveyor = Surveyor(sizes, size)
    surveyor.take(moment)
    for moment in moments:
        surveyor.take(moment)
    found = surveyor.survey(asked, moment, settings)
    if as_json:
        print_json(as_dict(found))
    else:
        plain_console().print(screen(found))
    return 0
