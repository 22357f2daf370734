"""Names for people: symbols and DEXes for addresses, strategies by name or hash."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dexarb.core.market import Market
from dexarb.core.pool import PIPS, PoolKey
from dexarb.core.route import Cycle
from dexarb.core.token import Address, Token, short
from dexarb.errors import InputError, StoreError
from dexarb.store.ledger_rows import StrategyRow
from dexarb.store.snapshot import State, key_in, read_state

MANY = 10
DOLLARS = ("USD", "DAI")
"""What symbols of dollars contain."""


@dataclass(frozen=True, slots=True)
class Names:
    """What addresses are called; those that nothing names are shortened.

    numeraire: the token that counts as a dollar, where that is known.
    """

    tokens: Mapping[Address, Token]
    pools: Mapping[PoolKey, str]
    numeraire: Address | None = None

    def symbol(self, token: Address) -> str:
        known = self.tokens.get(token)
        return known.symbol if known else short(token)

    def amount(self, token: Address, amount: int) -> str:
        """`1,000.00 USDC`; four significant digits below one."""
        known = self.tokens.get(token)
        if known is None:
            return f"{amount} of {short(token)}"
        value = amount / 10**known.decimals
        text = f"{value:,.2f}" if abs(value) >= 1 or not value else f"{value:.4g}"
        return f"{text} {known.symbol}"

    def pair(self, pair: tuple[Address, Address]) -> str:
        """`WETH/USDC`: as people say it, what counts as a dollar last."""
        return "/".join(map(self.symbol, sorted(pair, key=self._is_quote)))

    def _is_quote(self, token: Address) -> tuple[bool, bool]:
        return token == self.numeraire, any(name in self.symbol(token) for name in DOLLARS)

    def pool(self, pool: PoolKey) -> str:
        return self.pools.get(pool, short(pool))

    def tokens_of(self, cycle: Cycle) -> str:
        """`USDC > WETH > USDC`"""
        return " > ".join(map(self.symbol, (*cycle.tokens, cycle.start_token)))

    def pools_of(self, cycle: Cycle) -> str:
        """`QuickSwap 0.30%, UniswapV3 0.05%`"""
        return ", ".join(map(self.pool, cycle.pools))


def state_beside(state_file: Path) -> State | None:
    """The collector's, if there is one beside the ledger."""
    try:
        return read_state(state_file)
    except StoreError:
        return None


def names_of(state: State | None) -> Names:
    """As the collector knows them; without its state, addresses have no names."""
    if state is None:
        return Names({}, {})
    pools = {key_in(each): _pool(each["dex"], each["fee_pips"]) for each in state.pools}
    return Names(state.tokens, pools)


def names_at(market: Market) -> Names:
    """From the market itself, which knows its numeraire."""
    pools = {key: _pool(pool.dex, pool.fee_pips) for key, pool in market.pools.items()}
    return Names(market.tokens, pools, market.profile.numeraire)


def _pool(dex: str, fee_pips: int) -> str:
    """`QuickSwap 0.30%`"""
    return f"{dex} {fee_pips / PIPS:.2%}"


def find_strategy(
    name: str, strategies: Collection[StrategyRow], active: Collection[str]
) -> StrategyRow:
    """The strategy of a name or of a hash's beginning; of several, the one that takes part now,
    else the newest. Raises InputError, with what was probably meant."""
    named = [row for row in strategies if row.name == name]
    found = named or [row for row in strategies if len(name) >= 4 and row.hash.startswith(name)]
    if not found:
        known = list(dict.fromkeys(row.name for row in strategies))
        folded = {each.casefold(): each for each in known}
        close = get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
        raise InputError(f'no strategy is called "{name}". {_remedy(close, folded, known)}')
    return max(found, key=lambda row: (row.hash in active, row.ordinal))


def _remedy(close: list[str], folded: Mapping[str, str], known: list[str]) -> str:
    if close:
        return "Did you mean " + " or ".join(f'"{folded[each]}"' for each in close) + "?"
    if not known:
        return "The ledger has no strategies yet: start paper-trading"
    some = ", ".join(f'"{each}"' for each in known[:MANY])
    more = f" and {len(known) - MANY} more" if len(known) > MANY else ""
    return f"There are {some}{more}"
