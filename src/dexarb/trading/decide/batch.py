"""Opportunities as all strategies see them, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dexarb.core.trade import Opportunity
from dexarb.trading.decide.arrays import Codes, Ints
from dexarb.trading.decide.rules import Offers, Verdicts


class Judged(NamedTuple):
    """An opportunity as all strategies see it.

    refusals: by scope. reasons: by strategy a code, or TAKEN. best: where the reason is a
    threshold, the best there was, NOTHING of dust.
    """

    opportunity: Opportunity
    refusals: Codes
    reasons: Codes
    best: Ints


class Batch(NamedTuple):
    """As many opportunities as are judged at once, by ascending cycle id, a row of each array for
    each; see Judged. rows: of the table of open cycles."""

    opportunities: Sequence[Opportunity]
    rows: Ints
    refusals: Codes
    verdicts: Verdicts
    offers: Offers

    def each(self) -> Iterator[Judged]:
        columns = self.refusals, self.verdicts.reasons, self.verdicts.best
        return map(Judged, self.opportunities, *columns)

    def wanted(self) -> Batch:
        """Only what could be enough for somebody."""
        places = np.flatnonzero(self.offers.asked.any(axis=1)).tolist()
        reasons, best, takers = self.verdicts
        return Batch(
            [self.opportunities[place] for place in places],
            self.rows[places],
            self.refusals[places],
            Verdicts(reasons[places], best[places], takers[places]),
            Offers._make(column[places] for column in self.offers),
        )


def joined(batches: Sequence[Batch]) -> Batch:
    """One of all, which are not empty."""
    if len(batches) == 1:
        return batches[0]
    opportunities, rows, refusals, verdicts, offers = zip(*batches, strict=True)
    return Batch(
        [each for some in opportunities for each in some],
        np.concatenate(rows),
        np.concatenate(refusals),
        Verdicts._make(map(np.concatenate, zip(*verdicts, strict=True))),
        Offers._make(map(np.concatenate, zip(*offers, strict=True))),
    )
