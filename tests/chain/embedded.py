"""The embedded world's node and what a configuration would ask of it."""

from __future__ import annotations

from dataclasses import dataclass

from dexarb.chain.bootstrap.sync import PoolRequest
from dexarb.core.token import Address
from dexarb.demo.world import World

STRANGER = Address("0x" + "57" * 20)


@dataclass(frozen=True)
class Embedded:
    http_url: str
    ws_url: str
    world: World


def requests_of(world: World) -> list[PoolRequest]:
    """One for each DEX and pair, with all fee tiers."""
    fees: dict[tuple[str, str, Address, Address], list[int]] = {}
    for pool in world.pools:
        key = (pool.dex, pool.kind, pool.token1.address, pool.token0.address)
        fees.setdefault(key, []).append(pool.fee_pips)
    return [
        PoolRequest(dex, kind, world.factories[dex], token_a, token_b, tuple(tiers))
        for (dex, kind, token_a, token_b), tiers in fees.items()
    ]
