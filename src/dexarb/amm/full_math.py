"""FullMath of Uniswap V3: products of 512 bits, divided down to 256.

Python's integers do not overflow, so only the contract's refusals are left to mirror: a result
beyond uint256 raises OverflowError, a zero denominator ZeroDivisionError.
Source: Uniswap v3-core, FullMath.sol and UnsafeMath.sol.
"""

from __future__ import annotations

UINT256_MAX = (1 << 256) - 1


def mul_div(a: int, b: int, denominator: int) -> int:
    """floor(a·b / denominator)."""
    result = a * b // denominator
    if result > UINT256_MAX:
        raise OverflowError("mulDiv exceeds uint256")
    return result


def mul_div_rounding_up(a: int, b: int, denominator: int) -> int:
    """ceil(a·b / denominator)."""
    result = -(-a * b // denominator)
    if result > UINT256_MAX:
        raise OverflowError("mulDivRoundingUp exceeds uint256")
    return result


def div_rounding_up(a: int, denominator: int) -> int:
    """ceil(a / denominator)."""
    return -(-a // denominator)
