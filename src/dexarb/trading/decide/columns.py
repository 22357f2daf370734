"""Settings of many strategies as columns, and what they have in common worked out once.

Configs come from grids: thousands of them share a few scopes (pairs, hops, DEXes) and a few terms
(size, funding, bid, costs). Whatever depends on these alone is computed once for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from dexarb.core.ledger import Ledger
from dexarb.core.token import Pair
from dexarb.core.trade import Funding
from dexarb.core.units import PPM
from dexarb.trading.decide.arrays import LARGEST, Codes, Ints, Rows, as_column, rows_of
from dexarb.trading.decide.limit_columns import limit_columns, stopped
from dexarb.trading.settle.chances import Footing
from dexarb.trading.strategy import StrategySettings

Key = TypeVar("Key", bound=Hashable)


class Scope(NamedTuple):
    """Which cycles a strategy looks at. dexes: empty for all of them."""

    pairs: frozenset[Pair]
    max_hops: int
    dexes: frozenset[str]


class Terms(NamedTuple):
    """All that the expected net of an opportunity depends on. Units as in StrategySettings.

    footing: where the chances count; None where they do not.
    """

    size: int
    funding: Funding
    priority_fee: int | None
    bid_ppm: int | None
    gas_cost: int | None
    haircut_ppm: int
    max_gas_price: int
    footing: Footing | None


class TermsColumns(NamedTuple):
    """Distinct terms as arrays for the kernels.

    fee: wei per gas, -1 for the chain's default. keep: the share of the profit that bid and haircut
    leave. fixed_cost: -1 where gas is measured.
    """

    size: Ints
    flash: npt.NDArray[np.bool_]
    fee: Ints
    keep: npt.NDArray[np.float64]
    fixed_cost: Ints


class ExactTerms(NamedTuple):
    """Distinct terms as arrays for exact prices.

    size: the place among the distinct sizes. flash: 0 or 1. fee: wei per gas, -1 for the chain's
    default. bid_ppm, fixed_cost: -1 for none. weighs: misses are counted in, which takes more.
    """

    size: Ints
    flash: Ints
    fee: Ints
    bid_ppm: Ints
    fixed_cost: Ints
    haircut_ppm: Ints
    max_gas_price: Ints
    weighs: npt.NDArray[np.bool_]


class Classes(NamedTuple):
    """The distinct (scope, terms, least spread), and the least profit that any of each asks for.

    threshold: the place of the least spread among the distinct ones.
    """

    scope: Ints
    terms: Ints
    min_spread: Ints
    threshold: Ints
    least: Ints


class Thresholds(NamedTuple):
    """By strategy: its scope, its terms, and the thresholds that are its own."""

    scope: Ints
    terms: Ints
    min_spread: Ints
    min_profit: Ints
    min_expected: Ints
    capital: Ints
    gas_balance: Ints


class StrategyColumns:
    """The table of strategies. spreads: the distinct least ones in ppm, ascending. alike: a number
    for each; those with the same one send the same decision where they take the same."""

    def __init__(self, settings: Sequence[StrategySettings]) -> None:
        self.settings = tuple(settings)
        self.hashes = tuple(each.hash for each in self.settings)
        self.scopes, scope_of = distinct(map(scope_of_settings, self.settings))
        self.terms, terms_of = distinct(map(terms_of_settings, self.settings))
        own = map(_of_decisions, self.settings)
        _, alike = distinct(zip(terms_of.tolist(), own, strict=True))
        self.alike = alike.tolist()
        min_profit = self._column(lambda s: s.min_profit_micro_usd)
        self.thresholds = Thresholds(
            scope=scope_of,
            terms=terms_of,
            min_spread=self._column(lambda s: s.min_spread_ppm),
            min_profit=min_profit,
            min_expected=self._column(expected_at_least),
            capital=self._column(capital_limit),
            gas_balance=self._column(lambda s: s.gas_balance_micro_usd),
        )
        self.terms_columns = _terms_columns(self.terms)
        self.sizes, size_of = distinct(each.size for each in self.terms)
        self.exact_terms = _exact_terms(self.terms, size_of)
        min_spread = self.thresholds.min_spread
        classes, self.class_of = distinct(
            zip(scope_of.tolist(), terms_of.tolist(), min_spread.tolist(), strict=True)
        )
        least = np.full(len(classes), LARGEST, dtype=np.int64)
        np.minimum.at(least, self.class_of, min_profit)
        scope, terms, spread = np.array(classes, dtype=np.int64).reshape(-1, 3).T.copy()
        self.spreads: Ints = np.unique(spread)
        self.classes = Classes(scope, terms, spread, np.searchsorted(self.spreads, spread), least)
        self.least = np.full(len(self.terms), LARGEST, dtype=np.int64)
        np.minimum.at(self.least, terms, least)
        self.limits = limit_columns(self.settings)
        self._ledger: Ledger | None = None
        self._rows = rows_of(())

    def __len__(self) -> int:
        return len(self.settings)

    def _column(self, value: Callable[[StrategySettings], int | None]) -> Ints:
        return as_column(value(each) for each in self.settings)

    def rows(self, ledger: Ledger) -> Rows:
        """The strategies' rows in the ledger, which keep their numbers."""
        if ledger is not self._ledger:
            self._ledger = ledger
            self._rows = rows_of([ledger.rows[name] for name in self.hashes])
        return self._rows

    def stopped_by(self, ledger: Ledger, block: int) -> Codes:
        """The limit that stops each strategy at the end of a block; see `limit_columns`."""
        return stopped(self.limits, ledger, self.rows(ledger), block)


def distinct(keys: Iterable[Key]) -> tuple[tuple[Key, ...], Ints]:
    """The different ones in order of their first appearance, and for each the place of its own."""
    places: dict[Key, int] = {}
    place_of = [places.setdefault(key, len(places)) for key in keys]
    return tuple(places), np.array(place_of, dtype=np.int64)


def scope_of_settings(settings: StrategySettings) -> Scope:
    return Scope(frozenset(settings.pairs), settings.max_hops, frozenset(settings.dexes))


def terms_of_settings(settings: StrategySettings) -> Terms:
    return Terms(
        size=settings.max_trade_size_micro_usd,
        funding=settings.funding,
        priority_fee=settings.priority_fee,
        bid_ppm=settings.bid_ppm,
        gas_cost=settings.gas_cost_micro_usd,
        haircut_ppm=settings.slippage_haircut_ppm,
        max_gas_price=settings.max_gas_price,
        footing=footing_of_settings(settings),
    )


def _of_decisions(settings: StrategySettings) -> tuple[Hashable, ...]:
    """What a decision depends on beside the terms."""
    return (
        settings.max_slippage_ppm,
        settings.min_profit_onchain_micro_usd,
        settings.latency_blocks,
        settings.deadline_blocks,
        settings.position,
        settings.latency_ms,
        settings.competition_rate_ppm,
    )


def footing_of_settings(settings: StrategySettings) -> Footing | None:
    if settings.min_expected_micro_usd is None:
        return None
    return Footing(settings.position, settings.latency_blocks, settings.competition_rate_ppm)


def expected_at_least(settings: StrategySettings) -> int:
    """Less than anything can be where nothing is asked for."""
    asked = settings.min_expected_micro_usd
    return -LARGEST if asked is None else asked


def capital_limit(settings: StrategySettings) -> int:
    """What open decisions may bind together: without a limit one trade of the largest size."""
    if settings.capital_micro_usd is None:
        return settings.max_trade_size_micro_usd
    return settings.capital_micro_usd


def _terms_columns(terms: Sequence[Terms]) -> TermsColumns:
    def keep(each: Terms) -> float:
        # A fixed gas cost stands for the whole of it, whatever is bid.
        bid = 0 if each.gas_cost is not None else each.bid_ppm or 0
        return max(0.0, 1.0 - (bid + each.haircut_ppm) / PPM)

    def fee(each: Terms) -> int | None:
        # A share of the profit is in `keep`.
        return 0 if each.bid_ppm is not None else each.priority_fee

    return TermsColumns(
        size=as_column(each.size for each in terms),
        flash=np.array([each.funding is Funding.FLASH for each in terms], dtype=bool),
        fee=as_column(-1 if fee(each) is None else fee(each) for each in terms),
        keep=np.array([keep(each) for each in terms], dtype=np.float64),
        fixed_cost=as_column(-1 if each.gas_cost is None else each.gas_cost for each in terms),
    )


def _exact_terms(terms: Sequence[Terms], size_of: Ints) -> ExactTerms:
    def column(value: Callable[[Terms], int | None]) -> Ints:
        return as_column(-1 if (found := value(each)) is None else found for each in terms)

    return ExactTerms(
        size=size_of,
        flash=column(lambda each: each.funding is Funding.FLASH),
        fee=column(lambda each: each.priority_fee),
        bid_ppm=column(lambda each: each.bid_ppm),
        fixed_cost=column(lambda each: each.gas_cost),
        haircut_ppm=column(lambda each: each.haircut_ppm),
        max_gas_price=column(lambda each: each.max_gas_price),
        weighs=np.array([each.footing is not None for each in terms], dtype=bool),
    )
