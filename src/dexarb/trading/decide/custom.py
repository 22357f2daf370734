"""Own strategies: what a user's Python class is given, and what it may answer.

A class like this one, registered under the entry point group `dexarb.strategies`, decides for every
`[[strategy]]` whose `kind` is its name::

    class OnlyWideSpreads:
        def __init__(self, *, min_rate: float = 1.002) -> None:
            self.min_rate = min_rate

        def decide(self, market, opportunities, ledger):
            return [Choice(each) for each in opportunities if each.rate >= self.min_rate]

It chooses and the desk trades: the limits of its `[[strategy]]` table hold for it as for the
built-in strategy, amounts are computed here with exact integers, and nothing it returns can change
that. docs/strategies.md has a worked example.

What the loader of entry points has to bring: a mapping of kind to `StrategyFactory`, the table
`[strategy.parameters]` as canonical JSON in `StrategySettings.parameters` (keyword arguments of the
factory), and in `StrategySettings.code` a fingerprint of the code as it was imported, so that
changed code is another strategy with books of its own. A factory that raises is an error of the
configuration: call it once when checking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from dexarb.core.block import Block
from dexarb.core.ledger import COLUMNS, Ledger
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address, Token
from dexarb.core.trade import Opportunity, StrategyHash
from dexarb.trading.models.rivals import rivals
from dexarb.trading.seams import View

ENTRY_POINTS = "dexarb.strategies"
"""The entry point group; a name in it is the `kind` of a strategy."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an own strategy would like to trade: one of the opportunities it was given.

    amount_in: at most so much, in the smallest unit of the cycle's start token; None: as much as
    pays best. It never trades more than max_trade_size_usd. priority_fee: its bid in wei per gas;
    None: the bid that the strategy's table sets.
    """

    opportunity: Opportunity
    amount_in: int | None = None
    priority_fee: int | None = None


class Rival(NamedTuple):
    """An arbitrage of somebody else in the block that has just ended. pools: those of ours that it
    moved, in its order. tip: wei per gas above the base fee. contract: what was called."""

    pools: tuple[PoolKey, ...]
    tip: int
    contract: Address


class MarketView:
    """The market at the end of the block, to look at. Pools are immutable, exact, and as the
    next block is expected to find them."""

    __slots__ = ("_view",)

    def __init__(self, view: View) -> None:
        self._view = view

    @property
    def block(self) -> Block:
        return self._view.market.block

    @property
    def chain_id(self) -> int:
        return self._view.market.chain_id

    @property
    def stale(self) -> bool:
        """The block came too late to act on: no opportunities are offered."""
        return self._view.stale

    def pool(self, key: PoolKey | Address) -> Pool:
        """By its key, which for most pools is their address. Raises KeyError."""
        return self._view.market.ahead[PoolKey(key)]

    def pools(self) -> tuple[Pool, ...]:
        return tuple(self._view.market.ahead.values())

    def token(self, address: Address) -> Token:
        """Raises KeyError."""
        return self._view.market.tokens[address]

    def micro_usd(self, token: Address, amount: int) -> int | None:
        """The value of an amount in smallest units, rounded down; None without a price."""
        return self._view.valuation.micro_usd(token, amount)

    @property
    def native(self) -> Address:
        """The token that the chain's own coin is worth as much as."""
        return self._view.market.profile.wrapped_native

    @property
    def tip_floor(self) -> int:
        """Wei per gas that a bid for the next block has to have at least, as far as is known."""
        return self._view.market.profile.tip_floor(self.block.number + 1)

    def rivals(self) -> tuple[Rival, ...]:
        """Who took what in this block, in its order. None are known where the node gave no
        receipts."""
        update = self._view.update
        if update is None or not update.has_receipts:
            return ()
        by_index = {each.index: each for each in update.transactions}
        found = []
        for each in rivals(self._view.market, update):
            paid = by_index.get(each.transaction_index)
            if paid is not None and each.swaps:
                pools = tuple(dict.fromkeys(swap.pool.key for swap in each.swaps))
                tip = paid.effective_gas_price - self.block.base_fee_per_gas
                found.append(Rival(pools, tip, paid.to or paid.sender))
        return tuple(found)

    def open_since(self, opportunity: Opportunity) -> int:
        """The block at whose end the cycle was first seen open."""
        return self._view.episodes.opened(opportunity.cycle)


class Books:
    """The strategy's own row of the ledger, as of this block; see `core.ledger.COLUMNS`."""

    __slots__ = ("_figures",)

    def __init__(self, ledger: Ledger, strategy: StrategyHash) -> None:
        self._figures = {name: ledger.value(strategy, name) for name in COLUMNS}

    def __getitem__(self, column: str) -> int:
        """A count, or micro-USD: `ledger["profit_micro_usd"]`. Raises KeyError."""
        return self._figures[column]


class OwnStrategy(Protocol):
    """The face of a user's strategy. One object lives as long as its parameters stay."""

    def decide(
        self, market: MarketView, opportunities: Sequence[Opportunity], ledger: Books
    ) -> Iterable[Choice]:
        """Called once after every block from the first one it takes part in, in their order.

        opportunities: the open cycles within its pairs, hops and DEXes that can earn its minimum
        and use none of its busy pools, by ascending cycle id. Return the ones to take, each at most
        once, in any order: they are traded by expected net profit descending.

        It may keep state, and has to be a function of what it is given: no clock, no chance, no
        files, or a replay will not repeat it. The block waits for it. Anything that it raises, and
        any answer that is not as described, ends its trading, and its alone: docs/strategies.md.

        One that has the two methods of `Resumable` as well goes on where it was after a restart.
        Any other sees again, then, every block since it began.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """What an own strategy may have besides, so that a restart takes seconds."""

    def state(self) -> object:
        """All that it remembers after a block, as JSON can hold it: None, bool, int, float, str,
        lists and dicts of these with text keys."""
        ...

    def resume(self, state: object, /) -> None:
        """Of a new object with the same parameters: remember what `state` gave."""
        ...


StrategyFactory = Callable[..., OwnStrategy]
"""Called with the table `[strategy.parameters]` as keyword arguments; mostly a class."""

Factories = Mapping[str, StrategyFactory]
"""By kind."""
