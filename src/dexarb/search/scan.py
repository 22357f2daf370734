"""From touched pools to opportunities: the search as the engine uses it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dexarb.compiled import require_writable_cache
from dexarb.core.block import Block
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from dexarb.core.trade import NearMiss, Opportunity
from dexarb.search.cycles import CycleIndex, Route
from dexarb.search.packed import Floats, Ints
from dexarb.search.polish import Sized, polish, polish_inexact
from dexarb.search.rates import RateMirror
from dexarb.search.result import GasModel, MinGross, OpenCycle, Scan, any_gain, hop_work
from dexarb.search.sizing import Sizes, curve_of, room_for, size_cycles

FLOAT_MARGIN = 1.0 + 1e-6
"""The triage drops by the float profit only what misses the minimum by more than this."""


@dataclass(slots=True)
class _Open:
    """An open cycle with its best real size. The exact one is found when it is first wanted.

    pieces: those of its curve, as `Sizes` has them.
    """

    entry: OpenCycle
    amount_in: float
    profit: float
    pieces: Floats
    sized: Sized | None = None
    gas_units: int = 0
    polished: bool = False
    near_miss: NearMiss | None = None


class Scanner:
    """Keeps the open cycles of a market. What it returns does not depend on the way it got there:
    after any updates and rewinds it equals a new scanner's.

    start_tokens: amounts are in the first of them that a cycle passes; others are not searched.
    max_hops: 2 to 4. gas_units: the gas of a trade by what its hops do. Excluded pools and tokens
    are never looked at: fee-on-transfer and rebasing tokens break every formula. min_gross is asked
    anew in every update, so it can follow prices and configurations.
    """

    def __init__(
        self,
        market: Market,
        *,
        start_tokens: Sequence[Address],
        gas_units: GasModel,
        max_hops: int = 3,
        exclude_pools: Iterable[PoolKey] = (),
        exclude_tokens: Iterable[Address] = (),
        min_gross: MinGross = any_gain,
    ) -> None:
        self._gas_units = gas_units
        self._min_gross = min_gross
        self._excluded = frozenset(exclude_pools)
        self._excluded_tokens = frozenset(exclude_tokens)
        self._index = CycleIndex(start_tokens, max_hops)
        self._mirror = RateMirror(self._index.edges)
        self._open: dict[Route, _Open] = {}
        self._through: dict[int, set[Route]] = {}
        self._in_order: tuple[_Open, ...] = ()
        self._passed_over: list[_Open] = []
        self._sizes = room_for(64, 256)
        self.scan = Scan(market.block, (), MappingProxyType({}))
        self.update(market, market.pools)

    def update(self, market: Market, touched: Collection[PoolKey]) -> Scan:
        """The scan of the market as it is now.

        touched: what `Market.apply` or `Market.rewind` returned, and pools that came to the market
        or went. Pools whose fees move with time are read anew in any case.
        """
        slots, gone = self._read(market, touched)
        if slots:
            self._reopen(slots)
        for key in gone:
            self._through.pop(self._index.remove(key), None)
        offers = tuple(self._offers(market))
        self.scan = Scan(market.block, offers, self.scan.open_cycles)
        return self.scan

    def _read(
        self, market: Market, touched: Collection[PoolKey]
    ) -> tuple[list[int], list[PoolKey]]:
        """Mirror what changed; returns the slots to be searched and the pools that are gone."""
        changed: dict[int, Pool | None] = {}
        gone: list[PoolKey] = []
        ahead = market.ahead
        for key in {**dict.fromkeys(touched), **dict.fromkeys(market.timed)}:
            pool = ahead.get(key)
            slot = self._index.edges.slots.get(key)
            if slot is None:
                if pool is None or not self._admits(pool):
                    continue
                slot = self._index.add(pool)
                self._mirror.add(slot)
            elif pool is None:
                gone.append(key)
            elif self._mirror.pools[slot] is pool:
                continue
            changed[slot] = pool
        if changed:
            self._index.reprice(*self._mirror.read(changed))
        return list(changed), gone

    def _admits(self, pool: Pool) -> bool:
        return pool.key not in self._excluded and self._excluded_tokens.isdisjoint(pool.tokens)

    def _reopen(self, slots: list[int]) -> None:
        """Replace all open cycles through these pools by those that are open now."""
        edges, rates = self._index.find_open(slots)
        sizes = self._size(edges)
        before: dict[Route, _Open] = {}
        for slot in slots:
            for key in self._through.get(slot, ()):
                if key in self._open:
                    before[key] = self._open.pop(key)
        pieces = sizes.pieces[: sizes.used[0]].copy()
        columns = (sizes.amount_in, sizes.profit, sizes.first, sizes.number)
        size_rows = zip(*(column[: len(edges)].tolist() for column in columns), strict=True)
        for row, rate, (amount_in, profit, first, number) in zip(
            edges.tolist(), rates.tolist(), size_rows, strict=True
        ):
            key = tuple([edge for edge in row if edge >= 0])
            entry = OpenCycle(self._index.cycle(key), rate)
            self._open[key] = _Open(entry, amount_in, profit, pieces[first : first + number])
            if not before.pop(key, None):
                for slot in self._index.edges.slots_of(key):
                    self._through.setdefault(slot, set()).add(key)
        for key in before:
            for slot in self._index.edges.slots_of(key):
                self._through[slot].discard(key)
        self._in_order = tuple(sorted(self._open.values(), key=lambda each: each.entry.cycle.id))
        table = {each.entry.cycle.id: each.entry for each in self._in_order}
        self.scan = Scan(self.scan.block, (), MappingProxyType(table))

    def _size(self, cycles: Ints) -> Sizes:
        """Best real sizes, reading on in pools wherever the known segments do not reach."""
        while True:
            if len(cycles) > len(self._sizes.profit):
                self._sizes = room_for(2 * len(cycles), len(self._sizes.pieces))
            size_cycles(self._mirror.segments, cycles, self._sizes)
            missing = {edge for edge in self._sizes.missing[: len(cycles)].tolist() if edge >= 0}
            for edge in missing:
                self._mirror.read_on(edge)
            used = int(self._sizes.used[0])
            if used > len(self._sizes.pieces):
                self._sizes = room_for(len(self._sizes.profit), 2 * used)
            elif not missing:
                return self._sizes

    def near_misses(self) -> tuple[NearMiss, ...]:
        """The open cycles that the last update did not offer, by ascending cycle id."""
        found = []
        for each in self._passed_over:
            if each.near_miss is None:
                each.near_miss = NearMiss(each.entry.cycle, each.entry.rate, curve_of(each.pieces))
            found.append(each.near_miss)
        return tuple(found)

    def _offers(self, market: Market) -> Iterable[Opportunity]:
        self._passed_over = []
        minima: dict[Address, int] = {}
        ahead = market.ahead
        for each in self._in_order:
            cycle = each.entry.cycle
            start = cycle.start_token
            if start not in minima:
                minima[start] = max(1, self._min_gross(start))
            could = each.profit * FLOAT_MARGIN >= minima[start]
            if could and not each.polished:
                self._polish(each, ahead, market.inexact)
            if could and each.sized and each.sized.profit >= minima[start]:
                yield self._opportunity(each, each.sized, market.block)
            else:
                self._passed_over.append(each)

    def _polish(
        self, each: _Open, ahead: Mapping[PoolKey, Pool], inexact: frozenset[PoolKey]
    ) -> None:
        cycle = each.entry.cycle
        each.polished = True
        if inexact and not inexact.isdisjoint(cycle.pools):
            each.sized = polish_inexact(cycle, each.amount_in, ahead)
        else:
            each.sized = polish(cycle, each.amount_in, each.profit, ahead)
        if each.sized:
            pools = [ahead[key] for key in cycle.pools]
            each.gas_units = self._gas_units(hop_work(pools, each.sized.results))

    @staticmethod
    def _opportunity(each: _Open, sized: Sized, block: Block) -> Opportunity:
        return Opportunity(
            block=block,
            cycle=each.entry.cycle,
            amount_in=sized.amount_in,
            amount_out=sized.results[-1].amount_out,
            rate=each.entry.rate,
            gas_units=each.gas_units,
            curve=curve_of(each.pieces),
        )


def warm_up() -> None:
    """Compile all kernels, or load them from the cache: 0.3 s if they are there.

    Call it before the first block is wanted. Raises StoreError where NUMBA_CACHE_DIR is set but
    cannot be written.
    """
    require_writable_cache()
    index = CycleIndex((), 4)
    mirror = RateMirror(index.edges)
    index.reprice(*mirror.read({}))
    edges, _ = index.find_open(())
    size_cycles(mirror.segments, edges, room_for(1, 1))
