"""What is open at each place inside a block, and what it is worth there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import floor
from typing import NamedTuple

from dexarb.core.block import BlockHash
from dexarb.core.inside import InsideBlock
from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.core.route import CycleId
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity
from dexarb.search.scan import FLOAT_MARGIN, Scanner
from dexarb.study.searching import scanner_of
from dexarb.study.walk import Moment
from dexarb.trading.decide.triage import NOBODY
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation


class Worth(NamedTuple):
    """An open cycle at its best size. gross and net in micro-USD; net: after its gas at the block's
    base fee, without any bid."""

    opportunity: Opportunity
    gross_micro_usd: int
    net_micro_usd: int


Worths = Mapping[CycleId, Worth]
"""All whose net is more than nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Behind transaction `index` of the block, -1: at its top. moved: the pools it changed."""

    index: int
    moved: frozenset[PoolKey]
    worths: Worths


class BlockSearch:
    """Mutable: one search that goes from transaction to transaction, and so from block to block.

    What it says of a block does not depend on the blocks before it.
    """

    def __init__(self) -> None:
        self._least_gas = LeastGas(REALITY.gas)
        self._market: Market | None = None
        self._valuation: Valuation | None = None
        self._scanner: Scanner | None = None
        self._inside: InsideBlock | None = None
        self._known: Collection[PoolKey] = ()
        self._latest: BlockHash | None = None

    def places(self, seen: Moment) -> Iterator[Place]:
        """The top of the block, then behind each transaction that changed pools. All of them have
        to be taken before the next block."""
        inside = self._inside = InsideBlock(seen.market)
        self._valuation = seen.valuation
        scanner = self._at_top(seen, inside)
        yield Place(-1, frozenset(), worths(scanner.scan.opportunities, seen))
        for index, moved in inside.transactions():
            found = scanner.update(inside, moved).opportunities
            yield Place(index, moved, worths(found, seen))

    def _at_top(self, seen: Moment, inside: InsideBlock) -> Scanner:
        block = seen.update.block
        goes_on, self._latest = self._latest == block.parent_hash, block.hash
        if self._scanner is None or self._market is not seen.market:
            self._market = seen.market
            self._scanner = scanner_of(
                seen.market,
                REALITY.gas,
                at=self._here,
                min_gross=self._min_gross,
                dust=self._dust,
            )
        elif goes_on and not seen.has_other_pools:
            self._scanner.update(inside, ())
        else:
            self._scanner.update(inside, {*self._known, *inside.ahead})
        self._known = inside.ahead.keys()
        return self._scanner

    def _here(self) -> InsideBlock:
        assert self._inside is not None
        return self._inside

    def _min_gross(self, token: Address) -> int:
        """What earns less is worth nothing, see `worths`."""
        return floor(min(self._dust(token) / FLOAT_MARGIN, float(NOBODY)))

    def _dust(self, token: Address) -> float:
        market, valuation = self._market, self._valuation
        assert market is not None
        assert valuation is not None
        return self._least_gas.dust(token, market, valuation)


def worths(opportunities: Collection[Opportunity], seen: Moment) -> dict[CycleId, Worth]:
    """Nothing of what has no price."""
    valuation, base_fee = seen.valuation, seen.update.block.base_fee_per_gas
    found = {}
    for each in opportunities:
        gross = valuation.micro_usd(each.cycle.start_token, each.profit)
        gas = valuation.native_cost_micro_usd(each.gas_units * base_fee)
        if gross is not None and gas is not None and gross > gas:
            found[each.cycle.id] = Worth(each, gross, gross - gas)
    return found
