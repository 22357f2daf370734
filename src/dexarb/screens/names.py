"""Names for people: symbols and DEXes for addresses, strategies by name or hash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from dexarb.core.market import Market
from dexarb.core.pool import PIPS, PoolKey
from dexarb.core.profile import own_names
from dexarb.core.route import Cycle
from dexarb.core.text import as_name, in_a_line
from dexarb.core.token import Address, Token, short
from dexarb.errors import InputError, StoreError
from dexarb.store.snapshot import State, key_in, read_state

if TYPE_CHECKING:
    from dexarb.store.ledger_rows import StrategyRow

MANY = 10
MOST_CHARACTERS = 32
"""Of a token's or a DEX's name on a screen; what a symbol may have at most when it is read."""
DOLLARS = ("USD", "DAI")
"""What symbols of dollars contain."""


@dataclass(frozen=True, slots=True)
class Names:
    """What addresses are called; those that nothing names are shortened.

    called: tokens, each by a name of its own. numeraire: the one that counts as a dollar, where
    that is known.
    """

    tokens: Mapping[Address, Token]
    pools: Mapping[PoolKey, str]
    called: Mapping[Address, str]
    numeraire: Address | None = None

    def symbol(self, token: Address) -> str:
        return self.called.get(token) or short(token)

    def amount(self, token: Address, amount: int) -> str:
        """`1,000.00 USDC`; four significant digits below one."""
        known = self.tokens.get(token)
        if known is None:
            return f"{amount} of {short(token)}"
        value = amount / 10**known.decimals
        text = f"{value:,.2f}" if abs(value) >= 1 or not value else f"{value:.4g}"
        return f"{text} {self.symbol(token)}"

    def pair(self, pair: tuple[Address, Address]) -> str:
        """`WETH/USDC`: as people say it, what counts as a dollar last."""
        return "/".join(map(self.symbol, sorted(pair, key=self._is_quote)))

    def traded(self, tokens: tuple[Address, ...]) -> str:
        """As a pair where there are two of them, else in their order."""
        if len(tokens) == 2:
            return self.pair((tokens[0], tokens[1]))
        return "/".join(map(self.symbol, tokens))

    def _is_quote(self, token: Address) -> tuple[bool, bool, Address]:
        is_dollar = any(name in self.symbol(token) for name in DOLLARS)
        return token == self.numeraire, is_dollar, token

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
        return Names({}, {}, {})
    pools = {key_in(each): _pool(each["dex"], each["fee_pips"]) for each in state.pools}
    return Names(state.tokens, pools, _called(state.tokens, state.names), state.numeraire)


def names_at(market: Market) -> Names:
    """From the market itself."""
    pools = {key: _pool(pool.dex, pool.fee_pips) for key, pool in market.pools.items()}
    profile = market.profile
    called = _called(market.tokens, profile.tokens)
    return Names(market.tokens, pools, called, profile.numeraire)


def _called(tokens: Mapping[Address, Token], given: Mapping[str, Address]) -> dict[Address, str]:
    """As [tokens] names them, else as they call themselves; with its address where another one is
    called so too, since anyone can call a token USDC."""
    called = {
        address: in_a_line(name, MOST_CHARACTERS) for address, name in own_names(given).items()
    }
    own = {
        each.address: in_a_line(each.symbol, MOST_CHARACTERS)
        for each in tokens.values()
        if each.address not in called
    }
    often = Counter([*called.values(), *own.values()])
    for address, symbol in own.items():
        is_unique = symbol and often[symbol] == 1
        called[address] = symbol if is_unique else f"{symbol} {short(address)}".strip()
    return called


def _pool(dex: str, fee_pips: int) -> str:
    """`QuickSwap 0.30%`"""
    return f"{in_a_line(dex, MOST_CHARACTERS)} {fee_pips / PIPS:.2%}"


def find_strategy(
    name: str, strategies: Collection[StrategyRow], active: Collection[str]
) -> StrategyRow:
    """The strategy of a name or of a hash's beginning; of several, the one that takes part now,
    else the newest. Raises InputError, with what was probably meant."""
    named = [row for row in strategies if name in (row.name, as_name(row.name))]
    found = named or [row for row in strategies if len(name) >= 4 and row.hash.startswith(name)]
    if not found:
        known = list(dict.fromkeys(row.name for row in strategies))
        folded = {each.casefold(): each for each in known}
        close = get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
        raise InputError(f'no strategy is called "{name}". {_remedy(close, folded, known)}')
    return max(found, key=lambda row: (row.hash in active, row.ordinal))


def _remedy(close: list[str], folded: Mapping[str, str], known: list[str]) -> str:
    if close:
        return "Did you mean " + " or ".join(f'"{as_name(folded[each])}"' for each in close) + "?"
    if not known:
        return "The ledger has no strategies yet: start paper-trading"
    some = ", ".join(f'"{as_name(each)}"' for each in known[:MANY])
    more = f" and {len(known) - MANY} more" if len(known) > MANY else ""
    return f"There are {some}{more}"
