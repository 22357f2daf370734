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

    def wanted(self) -> Wanted:
        places = np.flatnonzero(self.offers.asked.any(axis=1)).tolist()
        return Wanted(
            [self.opportunities[place] for place in places],
            self.rows[places],
            self.verdicts.reasons[places],
            Offers._make(column[places] for column in self.offers),
        )


class Wanted(NamedTuple):
    """Of batches only what could be enough for somebody; see Judged."""

    opportunities: Sequence[Opportunity]
    rows: Ints
    reasons: Codes
    offers: Offers


def joined(some: Sequence[Wanted]) -> Wanted:
    """One of all, which are not empty."""
    if len(some) == 1:
        return some[0]
    opportunities, rows, reasons, offers = zip(*some, strict=True)
    return Wanted(
        [each for found in opportunities for each in found],
        np.concatenate(rows),
        np.concatenate(reasons),
        Offers._make(map(np.concatenate, zip(*offers, strict=True))),
    )
