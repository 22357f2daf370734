"""The open cycles that earn nobody's minimum: counted for each class of strategies."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from dexarb.core.token import Pair
from dexarb.search.cycles import CycleIndex
from dexarb.search.merge import NONE, Small
from dexarb.search.open_cycles import OpenCycles
from dexarb.search.packed import grown, longer
from dexarb.trading.decide.arrays import TAKEN, Codes, Ints
from dexarb.trading.decide.columns import StrategyColumns
from dexarb.trading.decide.counting import (
    NOT_COUNTED,
    Counted,
    ScopeColumns,
    Sums,
    add_all,
    count_sums,
    nearest,
    no_sums,
    recount,
    worth_a_look,
)
from dexarb.trading.decide.rules import (
    Floats,
    GasPrices,
    PriceList,
    costs_of,
)
from dexarb.trading.decide.skips import Counters, no_counts

NEVER = -1
IN_ORDER = 256


class NearMisses:
    """Of a table of strategies. Mutable: `follow` a scan, then ask about it.

    A cycle that does not earn the gas of the cheapest trade is dust: it is counted, and nobody's
    nearest miss.
    """

    def __init__(self, columns: StrategyColumns) -> None:
        self._columns = columns
        self._table: OpenCycles | None = None
        self._mark = 0
        self._begin(0)

    def _begin(self, starts: int) -> None:
        """Without any cycle."""
        scopes, columns = self._columns.scopes, self._columns
        number = len(scopes)
        self._pairs_known = self._dexes_known = 0
        self._interested: dict[Pair, list[int]] = defaultdict(list)
        for place, scope in enumerate(scopes):
            for pair in scope.pairs:
                self._interested[pair].append(place)
        self._scopes = ScopeColumns(
            pairs=np.zeros((number, 0), dtype=np.bool_),
            dexes=np.zeros((number, 0), dtype=np.bool_),
            max_hops=np.array([scope.max_hops for scope in scopes], dtype=np.int64),
            spreads=columns.spreads,
        )
        self._counted = Counted(
            codes=np.zeros((0, number), dtype=np.int8),
            reached=np.zeros(0, dtype=np.int32),
            start=np.zeros(0, dtype=np.int32),
            entered=np.zeros(0, dtype=np.int64),
        )
        self._sums = no_sums(number, starts, len(columns.spreads))
        self._below = np.zeros_like(self._sums.allowed)
        self._best_spread = np.zeros((number, len(columns.spreads) + 1), dtype=np.int64)

    def follow(self, table: OpenCycles) -> None:
        """Take in what has changed there; it comes before everything else."""
        if table is not self._table:
            self._table, self._mark = table, NEVER
            self._begin(len(table.index.start_tokens))
        self._know(table.index)
        room, counted = len(table.rows.rate), self._counted
        self._counted = Counted(
            longer(counted.codes, room),
            longer(counted.reached, room, NOT_COUNTED),
            longer(counted.start, room),
            longer(counted.entered, room, NONE),
        )
        changed, self._mark = table.set_since(self._mark)
        if changed is None:
            self._counted.reached[:] = NOT_COUNTED
            self._sums.refused[:] = 0
            self._sums.allowed[:] = 0
        recount(
            table.all_rows() if changed is None else changed.astype(np.int64),
            table.rows,
            table.index.graph,
            table.index.edges.dex_of,
            self._scopes,
            self._counted,
            self._sums,
        )

    def _know(self, index: CycleIndex) -> None:
        """Pairs and DEXes that are new."""
        pairs, dexes, scopes = index.pairs, index.edges.dexes, self._scopes
        if len(pairs) > self._pairs_known:
            allowed = grown(scopes.pairs, len(pairs))
            for number in range(self._pairs_known, len(pairs)):
                allowed[self._interested.get(pairs[number], []), number] = True
            self._pairs_known = len(pairs)
            scopes = scopes._replace(pairs=allowed)
        if len(dexes) > self._dexes_known:
            allowed = grown(scopes.dexes, len(dexes))
            for number in range(self._dexes_known, len(dexes)):
                for place, scope in enumerate(self._columns.scopes):
                    allowed[place, number] = not scope.dexes or dexes[number] in scope.dexes
            self._dexes_known = len(dexes)
            scopes = scopes._replace(dexes=allowed)
        self._scopes = scopes

    def refusals(self, rows: Ints) -> Codes:
        """By row and scope: the code of the reason against an open cycle, or TAKEN."""
        codes: Codes = self._counted.codes[rows]
        return codes

    def allowed(self, rows: Ints) -> Ints:
        """By scope: how many of these it looks at; a row that is ABSENT is none."""
        numbers: Ints = np.count_nonzero(self._counted.codes[rows[rows >= 0]] == TAKEN, axis=0)
        return numbers

    def count(self, offered: Ints, block: int, prices: PriceList, dust: Floats) -> Counters:
        """All but the rows that were offered, for each class of strategies.

        dust: in the smallest unit of each start token, by its rank.
        """
        assert self._table is not None
        others = np.ones(len(self._table.awake), dtype=bool)
        others[self._table.rows.place[offered]] = False
        awake = self._table.awake[others]
        add_all(offered, self._counted, self._sums, -1)
        counters = self._count(self._sums, awake, block, prices, dust)
        add_all(offered, self._counted, self._sums, 1)
        return counters

    def count_one(self, row: int, block: int, prices: PriceList, dust: Floats) -> Counters:
        """The same of this row alone."""
        assert self._table is not None
        scopes, starts, reaches = self._sums.allowed.shape
        sums, rows = no_sums(scopes, starts, reaches - 1), np.array([row], dtype=np.int64)
        add_all(rows, self._counted, sums, 1)
        awake = rows[self._table.rows.place[rows] >= 0].astype(np.int32)
        return self._count(sums, awake, block, prices, dust)

    def _count(
        self, sums: Sums, awake: Small, block: int, prices: PriceList, dust: Floats
    ) -> Counters:
        assert self._table is not None
        columns, table = self._columns, self._table
        terms, classes = columns.terms_columns, columns.classes
        counters = no_counts(len(classes.scope))
        count_sums(sums, prices, terms.size, classes, self._below, counters)
        rows, values = _worth_a_look(table, awake, prices, dust)
        if len(rows):
            least_costs = costs_of(terms, prices.gas.min(), prices.flash_gas.min(), prices.per_gas)
            nearest(
                rows,
                values,
                IN_ORDER,
                table.rows,
                table.pieces,
                self._counted,
                prices,
                terms,
                least_costs,
                classes,
                self._best_spread,
                block,
                counters,
            )
        return counters


def _worth_a_look(
    table: OpenCycles, awake: Small, prices: PriceList, dust: Floats
) -> tuple[Ints, Floats]:
    """See `worth_a_look`; the first IN_ORDER are the best, in descending order."""
    rows, values = np.empty(len(awake), dtype=np.int64), np.empty(len(awake))
    number = worth_a_look(awake, table.rows, prices.unit, dust, rows, values)
    rows, values = rows[:number], values[:number]
    # Only the first few are read as a rule, so the others need no order.
    order = np.argpartition(-values, IN_ORDER) if len(rows) > IN_ORDER else np.arange(len(rows))
    first = order[:IN_ORDER]
    order[:IN_ORDER] = first[np.argsort(-values[first])]
    return rows[order], values[order]


def warm_up(table: OpenCycles) -> None:
    """Compile the kernels. table: an empty one."""
    columns = StrategyColumns(())
    near_misses = NearMisses(columns)
    near_misses.follow(table)
    none, reals = np.zeros(0, dtype=np.int64), np.zeros(0)
    prices = PriceList(reals, none, reals, reals, GasPrices(0.0, 0.0, 0.0))
    near_misses.count(none, 0, prices, reals)
    nearest(
        none,
        reals,
        IN_ORDER,
        table.rows,
        table.pieces,
        near_misses._counted,
        prices,
        columns.terms_columns,
        reals,
        columns.classes,
        near_misses._best_spread,
        0,
        no_counts(0),
    )
