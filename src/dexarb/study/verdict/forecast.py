"""How many more days a verdict will take, if things go on as they were."""

from __future__ import annotations

import math
from statistics import NormalDist

from dexarb.study.verdict.confirmation import LAST_LOOK, LOOKS
from dexarb.study.verdict.series import LEAST_DAYS, LEAST_SETTLED, Series
from dexarb.study.verdict.sharpe import sharpe

POWER = 0.8
_NORMAL = NormalDist()


def days_to_eligible(series: Series) -> int | None:
    """Until there are enough decisions on enough days; None: never at this rate."""
    if series.is_eligible:
        return 0
    if not series.settled:
        return None
    a_day = series.settled / series.days
    active = series.active_days / series.days
    return max(
        math.ceil((LEAST_SETTLED - series.settled) / a_day),
        math.ceil((LEAST_DAYS - series.active_days) / active),
    )


def days_to_confirm(series: Series, finalists: int) -> int | None:
    """The look that an edge like this passes in four cases of five, counted from a registration;
    None: none of them, or there is no edge."""
    ratio = sharpe(series.charged)
    if ratio <= 0.0:
        return None
    for day, level in LOOKS.items():
        wanted = _NORMAL.inv_cdf(1.0 - level / max(1, finalists)) + _NORMAL.inv_cdf(POWER)
        if day >= (wanted / ratio) ** 2:
            return day
    return None


def days_still_needed(series: Series, finalists: int, days_since: int | None) -> int | None:
    """Until PROMOTE could be said as far as paper goes. days_since: whole days since it was
    registered, None where it is no finalist; then the days until it can be told from luck at all
    come first."""
    to_confirm = days_to_confirm(series, finalists)
    if to_confirm is None:
        return None
    if days_since is not None:
        return max(0, to_confirm - days_since) if days_since < LAST_LOOK else None
    to_eligible = days_to_eligible(series)
    return None if to_eligible is None else to_eligible + to_confirm
