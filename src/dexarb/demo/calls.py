"""What the traders say to routers, pairs and the position manager."""

from __future__ import annotations

from collections.abc import Sequence

from dexarb.core.token import Address
from dexarb.demo.artifacts import AGGREGATE3, contract
from dexarb.demo.world import NO_DEADLINE, UNISWAP_V3, V3, DeployedPool, World

Target = tuple[Address, bytes]
"""A contract and the call data for it."""


def sell(
    world: World,
    pool: DeployedPool,
    token_in: Address,
    *,
    amount_in: int,
    least_out: int,
    recipient: Address,
    deadline: int = NO_DEADLINE,
) -> Target:
    """Through the DEX's router: exactly amount_in, or a revert below least_out."""
    router, token_out = world.routers[pool.dex], other_token(pool, token_in)
    if pool.kind == V3:
        return router, contract("SwapRouter")["exactInputSingle"].call(
            (token_in, token_out, pool.fee_pips, recipient, deadline, amount_in, least_out, 0)
        )
    return router, contract("UniswapV2Router02")["swapExactTokensForTokens"].call(
        amount_in, least_out, [token_in, token_out], recipient, deadline
    )


def buy(
    world: World,
    pool: DeployedPool,
    token_out: Address,
    *,
    amount_out: int,
    most_in: int,
    recipient: Address,
) -> Target:
    """Through the DEX's router: exactly amount_out, or a revert above most_in."""
    router, token_in = world.routers[pool.dex], other_token(pool, token_out)
    if pool.kind == V3:
        return router, contract("SwapRouter")["exactOutputSingle"].call(
            (token_in, token_out, pool.fee_pips, recipient, NO_DEADLINE, amount_out, most_in, 0)
        )
    return router, contract("UniswapV2Router02")["swapTokensForExactTokens"].call(
        amount_out, most_in, [token_in, token_out], recipient, NO_DEADLINE
    )


def v3_cycle(
    world: World,
    hops: Sequence[tuple[DeployedPool, Address]],
    amount_in: int,
    least_out: int,
    recipient: Address,
) -> Target:
    """Several V3 pools in one call of the router. hops: each pool and the token sold to it."""
    path = b"".join(
        bytes.fromhex(token_in[2:]) + pool.fee_pips.to_bytes(3, "big") for pool, token_in in hops
    )
    path += bytes.fromhex(other_token(*hops[-1])[2:])
    return world.routers[UNISWAP_V3], contract("SwapRouter")["exactInput"].call(
        (path, recipient, NO_DEADLINE, amount_in, least_out)
    )


def executed(
    world: World,
    hops: Sequence[tuple[DeployedPool, Address]],
    amounts: Sequence[int],
    owner: Address,
) -> Target:
    """Pools of any kind in one transaction, with Multicall3 as the executor.

    amounts: what each hop sells, and last what the owner gets. Each hop pays the next one: a V2
    pair is paid before its swap, a V3 pool through the router from Multicall3's own balance. If
    a pool gives less than its amount, some call fails and everything reverts; what it gives
    beyond that stays with the one it pays.
    """
    payees = [pool.address if pool.kind != V3 else world.multicall for pool, _ in hops]
    payees.append(owner)
    transfer = contract("ERC20PresetFixedSupply")["transferFrom"]
    calls = [(hops[0][1], False, transfer.call(owner, payees[0], amounts[0]))]
    for place, (pool, token_in) in enumerate(hops):
        amount_in, amount_out, payee = amounts[place], amounts[place + 1], payees[place + 1]
        if pool.kind == V3:
            target, data = sell(
                world,
                pool,
                token_in,
                amount_in=amount_in,
                least_out=amount_out,
                recipient=payee,
            )
        else:
            sells_token0 = token_in == pool.token0.address
            outputs = (0, amount_out) if sells_token0 else (amount_out, 0)
            target = pool.address
            data = contract("UniswapV2Pair")["swap"].call(*outputs, payee, b"")
        calls.append((target, False, data))
    return world.multicall, AGGREGATE3.call(calls)


def other_token(pool: DeployedPool, token: Address) -> Address:
    return pool.token1.address if token == pool.token0.address else pool.token0.address
