"""Paper-trades DEX arbitrage on live chain data, settled to the wei on what the chain became.

What an author of a strategy, or a user of the mathematics alone, imports from here stays where it
is, whatever moves inside. It is loaded when it is first asked for (PEP 562), so that no command
waits for what it does not use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dexarb.amm.uniswap_v2 import UniswapV2Pool
    from dexarb.amm.uniswap_v3 import UniswapV3Pool
    from dexarb.core.block import Block
    from dexarb.core.pool import Pool, PoolKey, SwapResult
    from dexarb.core.route import Cycle, Hop
    from dexarb.core.token import Address, Token
    from dexarb.core.trade import Opportunity
    from dexarb.errors import DexarbError
    from dexarb.trading.decide.custom import Books, Choice, MarketView, OwnStrategy, Rival

__version__ = "0.1.0"

__all__ = [
    "Address",
    "Block",
    "Books",
    "Choice",
    "Cycle",
    "DexarbError",
    "Hop",
    "MarketView",
    "Opportunity",
    "OwnStrategy",
    "Pool",
    "PoolKey",
    "Rival",
    "SwapResult",
    "Token",
    "UniswapV2Pool",
    "UniswapV3Pool",
]

_MODULES = {
    "Address": "core.token",
    "Block": "core.block",
    "Books": "trading.decide.custom",
    "Choice": "trading.decide.custom",
    "Cycle": "core.route",
    "DexarbError": "errors",
    "Hop": "core.route",
    "MarketView": "trading.decide.custom",
    "Opportunity": "core.trade",
    "OwnStrategy": "trading.decide.custom",
    "Pool": "core.pool",
    "PoolKey": "core.pool",
    "Rival": "trading.decide.custom",
    "SwapResult": "core.pool",
    "Token": "core.token",
    "UniswapV2Pool": "amm.uniswap_v2",
    "UniswapV3Pool": "amm.uniswap_v3",
}


if not TYPE_CHECKING:  # to a type checker an unknown name stays a mistake

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
