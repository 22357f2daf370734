"""What is open at the end of a block, without any strategy, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dexarb.core.block import BlockHash
from dexarb.core.following import Move, MoveKind
from dexarb.core.market import Keyframe, Market, PoolsChanged
from dexarb.core.pool import Pool
from dexarb.core.route import run as run_cycle
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity
from dexarb.errors import InputError, MarketError, StoreError
from dexarb.store.follow import follow, start
from dexarb.store.history_reader import HistoryReader
from dexarb.study.searching import scanner_of
from dexarb.study.study import Died
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation

ANY_NET = -(2**256)
"""Micro-USD that nobody can lose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An opportunity with its worth. Money in micro-USD, None without a price.

    binding: the pool whose price the trade moves most, which is what limits its size.
    """

    opportunity: Opportunity
    gross_micro_usd: int | None
    net_micro_usd: int | None
    binding: Pool
    impact: float


@dataclass(frozen=True, slots=True)
class Open:
    """findings: the best net first. open_cycles: how many there are, those that cannot be sized
    included."""

    market: Market
    findings: tuple[Finding, ...]
    open_cycles: int


class Priced(NamedTuple):
    """A market and its prices; both move on with the next entry."""

    market: Market
    valuation: Valuation


class OpenNow:
    """A study of priced markets: only the last one counts, and it is searched when asked.

    least_net: micro-USD; what earns less is counted, and neither sized exactly nor found. What has
    no price counts as 0.
    """

    def __init__(self, least_net: int = ANY_NET) -> None:
        self._least_net = least_net
        self._now: Priced | None = None

    def add(self, seen: Priced) -> None:
        self._now = seen

    def rewind(self, block_hash: BlockHash) -> None:
        """Nothing: market and prices have been taken back already, by whoever follows."""

    def answer(self) -> Open:
        """Raises MarketError before the first block."""
        if self._now is None:
            raise MarketError("no block has been looked at yet")
        market, valuation = self._now
        least_gas = LeastGas(REALITY.gas)
        gas = min(least_gas.of(market))
        scan = scanner_of(
            market,
            REALITY.gas,
            min_gross=lambda token: _least_gross(token, self._least_net, market, valuation, gas),
            dust=lambda token: least_gas.dust(token, market, valuation),
        ).scan
        found = findings(market, valuation, scan.opportunities, self._least_net)
        return Open(market, tuple(found), len(scan.table))


# -- the way to a block ---------------------------------------------------------------------------


class Way(NamedTuple):
    """From a keyframe to the entry of a block, with room to warm prices up."""

    first: Keyframe
    seq: int
    number: int


def way_to(reader: HistoryReader, block: int | None) -> Way:
    """To a block of the branch, the newest if None.

    Raises StoreError, InputError for a block that the history does not have.
    """
    tip = reader.branch(1).tip
    if tip is None:
        raise StoreError(reader.folder, "has no blocks yet")
    number = tip.number if block is None else block
    branch = reader.branch(max(1, tip.number - number + 1))
    seq = next((header.seq for header in branch if header.number == number), None)
    if seq is None:
        raise InputError(f"block {number} is not in {reader.folder}, which ends at {tip.number}")
    return Way(start(reader, block=number, before=REALITY.value.window_blocks), seq, number)


def priced(reader: HistoryReader, way: Way) -> Iterator[Priced | Died]:
    """The market after every entry on the way, with its prices.

    Raises StoreError, also where the way does not lead to the block.
    """
    market: Market | None = None
    valuation: Valuation | None = None
    for move, market in follow(reader, way.first.seq, way.seq):
        if move.rewound_to is not None:
            yield Died(move.rewound_to)
        if market is None:
            valuation = None
        else:
            valuation = _priced_on(valuation, market, move)
            yield Priced(market, valuation)
    if market is None or market.block.number != way.number:
        raise StoreError(reader.folder, f"does not lead to a market at block {way.number}")


def _priced_on(valuation: Valuation | None, market: Market, move: Move) -> Valuation:
    if valuation is None or move.kind is MoveKind.ANEW:
        return REALITY.value.valuation(market)
    if move.kind is MoveKind.RESTATED:
        return REALITY.value.valuation(market, valuation, move.touched)
    if move.rewound_to is not None:
        valuation.rewind(move.rewound_to)
    if isinstance(move.entry, PoolsChanged):
        valuation.amend(market, move.touched, move.entry.corrected)
    if move.kind is MoveKind.APPLIED:
        valuation.observe(market, move.touched)
    return valuation


# -- what it is worth -----------------------------------------------------------------------------


def findings(
    market: Market,
    valuation: Valuation,
    opportunities: Iterable[Opportunity],
    least_net: int = ANY_NET,
) -> list[Finding]:
    """The opportunities that earn enough with what they are worth, the best net first."""
    gas_price = _gas_price(market)
    found = []
    for opportunity in opportunities:
        gross = valuation.micro_usd(opportunity.cycle.start_token, opportunity.profit)
        gas = valuation.native_cost_micro_usd(opportunity.gas_units * gas_price)
        net = gross - gas if gross is not None and gas is not None else None
        if (net or 0) >= least_net:
            found.append(Finding(opportunity, gross, net, *_binding(market, opportunity)))
    return sorted(found, key=lambda each: (-(each.net_micro_usd or 0), each.opportunity.cycle.id))


def _least_gross(
    token: Address, least_net: int, market: Market, valuation: Valuation, gas_units: int
) -> int:
    """In the token's smallest unit, at least 1: what earns less cannot be among the findings."""
    gas = valuation.native_cost_micro_usd(gas_units * _gas_price(market))
    least = None if gas is None else valuation.amount(token, least_net + gas)
    return max(1, least or 0)


def _gas_price(market: Market) -> int:
    """What the chain is used to, in wei a unit."""
    return market.block.base_fee_per_gas + market.profile.default_priority_fee


def _binding(market: Market, opportunity: Opportunity) -> tuple[Pool, float]:
    """The pool that the trade moves most, and by which share its marginal rate falls."""
    pools = market.ahead
    results = run_cycle(opportunity.cycle, opportunity.amount_in, pools.__getitem__)
    moved = []
    for hop, result in zip(opportunity.cycle.hops, results, strict=True):
        before, after = (
            next(iter(each.segments(hop.token_in, hop.token_out)), None)
            for each in (pools[hop.pool], result.pool)
        )
        impact = 1.0 - after.rate / before.rate if before and after else 1.0
        moved.append((impact, hop.pool, result.pool))
    impact, _, pool_after = max(moved, key=lambda each: each[:2])
    return pool_after, impact
