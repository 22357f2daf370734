"""Golden vectors of the V3 libraries, and values to try them with.

tests/vectors/uniswap_v3.json comes from the published bytecode (make_amm_vectors.py beside it).
"""

from __future__ import annotations

import json
from math import isqrt
from pathlib import Path

from hypothesis import strategies as st

from dexarb.amm.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO

VECTORS: dict[str, list[list[int]]] = {
    name: [[int(value) for value in row] for row in rows]
    for name, rows in json.loads(
        (Path(__file__).parents[1] / "vectors" / "uniswap_v3.json").read_text()
    ).items()
}

sqrt_prices = st.integers(MIN_SQRT_RATIO, MAX_SQRT_RATIO - 1)


def encode_sqrt_price(reserve1: int, reserve0: int) -> int:
    return isqrt((reserve1 << 192) // reserve0)


ONE_TO_ONE = encode_sqrt_price(1, 1)
