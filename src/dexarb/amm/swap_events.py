"""The swap events of DEXs: by these a swap is known, whether its pool is collected or not.

The list is that of docs/history-format.md, Traffic. A contract can emit what it likes: one of these
events says that somebody claims to have swapped, and transfers of tokens say what came of it.
"""

from __future__ import annotations

from eth_hash.auto import keccak

_SIGNATURES = {
    "uniswap_v2": "Swap(address,uint256,uint256,uint256,uint256,address)",
    "solidly": "Swap(address,address,uint256,uint256,uint256,uint256)",
    "uniswap_v3": "Swap(address,address,int256,int256,uint160,uint128,int24)",
    "pancake_v3": "Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)",
    "algebra_integral": "Swap(address,address,int256,int256,uint160,uint128,int24,uint24,uint24)",
    "uniswap_v4": "Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)",
    "curve": "TokenExchange(address,int128,uint256,int128,uint256)",
    "curve_underlying": "TokenExchangeUnderlying(address,int128,uint256,int128,uint256)",
    "curve_crypto": "TokenExchange(address,uint256,uint256,uint256,uint256)",
    "curve_crypto_ng": "TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)",
    "balancer_v2": "Swap(bytes32,address,address,uint256,uint256)",
    "balancer_v3": "Swap(address,address,address,uint256,uint256,uint256,uint256)",
    "fluid": "Swap(bool,uint256,uint256,address)",
    "dodo": "DODOSwap(address,address,uint256,uint256,address,address)",
    "woofi": "WooSwap(address,address,uint256,uint256,address,address,address,uint256,uint256)",
    "liquidity_book": "Swap(address,address,uint24,bytes32,bytes32,uint24,bytes32,bytes32)",
}

SWAP_EVENTS = {
    "0x" + keccak(signature.encode()).hex(): kind for kind, signature in _SIGNATURES.items()
}
"""Their kinds by first topic, as nodes write it."""
VAULTS = frozenset({"uniswap_v4", "balancer_v2", "balancer_v3"})
"""Kinds of which one contract holds many pools: the second topic says which."""
