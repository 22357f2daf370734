"""Writes uniswap_v2.json and uniswap_v3.json: what the published bytecode answers.

Run from the repository: python -m tests.vectors.make_amm_vectors
Numbers are decimal strings, so that any JSON reader keeps them whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from dexarb.amm.abi import encode, signed, unsigned
from tests.amm.evm_world import OWNER, Reverted, World, bytecode

HERE = Path(__file__).parent
ROUTER = "@uniswap/v2-periphery/build/UniswapV2Router02.json"
MIN_TICK, MAX_TICK = -887272, 887272
# The ends, every bit of |tick| alone, neighbours of zero and of the ends, and some in between.
TICKS = sorted(
    {MIN_TICK, MIN_TICK + 1, MAX_TICK - 1, *(s * (1 << b) for b in range(20) for s in (1, -1))}
    | {0, 50, -50, 250, -250, 3000, -3000, 150_000, -150_000, 250_000, -250_000, 738_203, -738_203}
)


class PriceOracle:
    """A pool that is initialised again and again, to learn the tick of any price."""

    def __init__(self, world: World) -> None:
        self.world, self.pool = world, world.new_pool(3000)

    def tick_at(self, sqrt_price_x96: int) -> int:
        checkpoint = self.world.evm.snapshot()
        self.world.send(self.pool, "initialize(uint160)", sqrt_price_x96)
        tick = signed(self.world.logs()[0].data, 1)
        self.world.evm.revert(checkpoint)
        return tick

    def sqrt_ratio_at(self, tick: int) -> int:
        """The least price of a tick is its ratio: found by bisection."""
        low, high = 4295128739, 1461446703485210103287273052203988822378723970341
        while low < high:
            middle = (low + high) // 2
            if self.tick_at(middle) >= tick:
                high = middle
            else:
                low = middle + 1
        return low


def v3_positions(rng: Random) -> Iterator[list[int]]:
    """sqrt price, lower, upper, liquidity; token amounts minted (up) and burnt (down)."""
    for _ in range(40):
        world = World()
        pool = world.new_pool(3000)
        tick = rng.randint(-400_000, 400_000)
        price = int(1.0001 ** (tick / 2) * 2**96) + rng.getrandbits(20)
        lower, upper = sorted(60 * (tick // 60 + rng.randint(-3000, 3000)) for _ in range(2))
        liquidity = rng.getrandbits(rng.randint(1, 100)) + 1
        if lower == upper:
            continue
        world.send(pool, "initialize(uint160)", price)
        world.send_paying(
            pool, "mint(address,int24,int24,uint128,bytes)", world.teller, lower, upper, liquidity
        )
        minted = world.logs()[-1].data
        world.send(pool, "burn(int24,int24,uint128)", lower, upper, liquidity)
        burnt = world.logs()[-1].data
        amounts = unsigned(minted, 2), unsigned(minted, 3), unsigned(burnt, 1), unsigned(burnt, 2)
        yield [price, lower, upper, liquidity, *amounts]


def v3_steps(rng: Random) -> Iterator[list[int]]:
    """Swaps inside one word of the bitmap: price, limit, liquidity, amount (negative: output),
    fee; price reached, amount in with fee, amount out."""
    while True:
        world, fee = World(), rng.choice([500, 3000, 10000])
        spacing = {500: 10, 3000: 60, 10000: 200}[fee]
        pool = world.new_pool(fee)
        word = rng.randint(-300_000, 300_000) // (256 * spacing) * 256 * spacing
        ticks = [rng.randint(word + spacing, word + 255 * spacing) for _ in range(2)]
        price, limit = (int(1.0001 ** (tick / 2) * 2**96) + rng.getrandbits(20) for tick in ticks)
        liquidity = rng.getrandbits(rng.randint(20, 100)) + 1
        world.send(pool, "initialize(uint160)", price)
        world.send_paying(
            pool,
            "mint(address,int24,int24,uint128,bytes)",
            world.teller,
            word - 256 * spacing,
            word + 512 * spacing,
            liquidity,
        )
        amount = rng.getrandbits(rng.randint(1, 100)) + 1
        signed_amount = rng.choice([1, -1]) * amount
        try:
            world.send_paying(
                pool,
                "swap(address,bool,int256,uint160,bytes)",
                world.teller,
                limit < price,
                signed_amount,
                limit,
            )
        except Reverted:
            continue
        data = world.logs()[-1].data
        amounts = sorted((signed(data, 0), signed(data, 1)), reverse=True)
        if signed_amount < 0 and amounts[1] == 0:
            continue
        reached = unsigned(data, 2)
        yield [price, limit, liquidity, signed_amount, fee, reached, amounts[0], -amounts[1]]


def v2_amounts(rng: Random, call: Callable[[str, int, int, int], int]) -> Iterator[list[object]]:
    """Function, amount, reserve in, reserve out; the router's answer."""
    for index in range(120):
        reserve_in, reserve_out = (rng.getrandbits(rng.randint(4, 112)) + 1 for _ in range(2))
        if index % 2:
            name, amount = "getAmountOut", rng.getrandbits(rng.randint(1, 112)) + 1
        else:
            name, amount = "getAmountIn", rng.randrange(reserve_out)
        if amount:
            yield [
                name,
                amount,
                reserve_in,
                reserve_out,
                call(name, amount, reserve_in, reserve_out),
            ]


def text(value: object) -> object:
    if isinstance(value, list):
        return [text(item) for item in value]
    return str(value)


def write(name: str, vectors: dict[str, list[list[object]]]) -> None:
    lines = []
    for key, rows in vectors.items():
        body = ",\n".join("    " + json.dumps(text(row)) for row in rows)
        lines.append(f"  {json.dumps(key)}: [\n{body}\n  ]")
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> None:
    rng = Random(2021)
    world = World()
    oracle = PriceOracle(world)
    prices = [rng.getrandbits(rng.randint(33, 159)) + 4295128739 for _ in range(100)]
    steps = v3_steps(rng)
    write(
        "uniswap_v3.json",
        {
            "sqrt_ratio_at_tick": [[tick, oracle.sqrt_ratio_at(tick)] for tick in TICKS],
            "tick_at_sqrt_ratio": [[price, oracle.tick_at(price)] for price in prices],
            "position_amounts": [list(row) for row in v3_positions(rng)],
            "swap_steps": [list(next(steps)) for _ in range(100)],
        },
    )
    router = world.deploy(bytecode(ROUTER) + encode(b"", world.v2_factory, OWNER))

    def call(name: str, *arguments: int) -> int:
        return unsigned(
            world.send(router, f"{name}(uint256,uint256,uint256)", *arguments, sender=OWNER), 0
        )

    write("uniswap_v2.json", {"router": list(v2_amounts(rng, call))})


if __name__ == "__main__":
    main()
