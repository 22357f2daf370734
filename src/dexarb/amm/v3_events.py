"""The events of a Uniswap V3 pool.

Source: Uniswap v3-core, IUniswapV3PoolEvents.sol.
"""

from __future__ import annotations

from dexarb.amm.abi import signed, unsigned
from dexarb.core.block import Log

# keccak256 of Initialize(uint160,int24), Mint(address,address,int24,int24,uint128,uint256,uint256),
# Burn(address,int24,int24,uint128,uint256,uint256) and
# Swap(address,address,int256,int256,uint160,uint128,int24)
INITIALIZE = bytes.fromhex("98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95")
MINT = bytes.fromhex("7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde")
BURN = bytes.fromhex("0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c")
SWAP = bytes.fromhex("c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67")

# keccak256 of Collect(address,address,int24,int24,uint128,uint128),
# CollectProtocol(address,address,uint128,uint128),
# Flash(address,address,uint256,uint256,uint256,uint256),
# IncreaseObservationCardinalityNext(uint16,uint16) and SetFeeProtocol(uint8,uint8,uint8,uint8).
# The protocol's fee is a part of the fee that liquidity providers would get: what a swap takes and
# gives does not depend on it, only its gas does, since one more slot is written.
QUIET = frozenset(
    map(
        bytes.fromhex,
        (
            "70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0",
            "596b573906218d3411850b26a6b437d6c4522fdb43d2d2386263f86d50b8b151",
            "bdbdb71d7860376ba52b25a5028beea23581364a40522f6bcfb86bb1f2dca633",
            "ac49e518f90a358f652e4400164f05a5d8f7e35e7747279bc3a93dbf584e125a",
            "973d8d92bb299f4af6ce49b52a8adb85ae46b9f214c4c4fc06ac77401237b133",
        ),
    )
)

# keccak256("PoolCreated(address,address,uint24,int24,address)"), an event of the factory
POOL_CREATED = bytes.fromhex("783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118")

TICK_SPACINGS = {100: 1, 500: 10, 3000: 60, 10_000: 200}
"""What Uniswap's factory gives pools, by their fee in pips."""

EVENT_SHAPES = {INITIALIZE: (1, 64), MINT: (4, 128), BURN: (4, 96), SWAP: (3, 160)}
"""Topics and bytes of data of each event."""


def placed_at(log: Log) -> tuple[int, int]:
    """sqrtPriceX96 and tick that an Initialize or a Swap has left the pool at."""
    first = 2 if log.topics[0] == SWAP else 0
    return unsigned(log.data, first), signed(log.data, 4 if first else 1)
