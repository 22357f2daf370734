"""Unsigned 256-bit integers as four 64-bit limbs, least first, for compiled code.

Every operation on Python's integers makes an object; here a whole swap, or a price, stays in
registers. Only what these need. Importing this module imports numba: import it late.

Division is Knuth's algorithm D on limbs (The Art of Computer Programming, 4.3.1), the digits of
its quotient those of Möller and Granlund, "Improved division by invariant integers" (2011).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from dexarb.compiled import kernel, kernel_part

Limb = np.uint64
Limbs = tuple[Limb, Limb, Limb, Limb]
Limbs512 = tuple[Limb, Limb, Limb, Limb, Limb, Limb, Limb, Limb]

# To numba a plain 1 is signed, and a signed with an unsigned operand makes a float.
N0, N1, N63 = Limb(0), Limb(1), Limb(63)
ALL_ONES = ~N0
LIMB = float(1 << 64)
ZERO: Limbs = (N0, N0, N0, N0)
ONE: Limbs = (N1, N0, N0, N0)


def limbs_of(number: int) -> Limbs:
    """For constants."""
    limbs = [Limb(number >> shift & (1 << 64) - 1) for shift in (0, 64, 128, 192)]
    return limbs[0], limbs[1], limbs[2], limbs[3]


def _high_product(_typing: Any, _x: Any, _y: Any) -> Any:
    """The upper limb of the product of two limbs: one instruction that Python cannot spell."""

    def generate(_context: Any, builder: Any, _signature: Any, limbs: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(limb, wide) for limb in limbs))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return numba.uint64(numba.uint64, numba.uint64), generate


def _leading_zeros(_typing: Any, _x: Any) -> Any:
    """Of a limb that is not zero."""

    def generate(_context: Any, builder: Any, _signature: Any, limbs: Any) -> Any:
        return builder.ctlz(limbs[0], ir.Constant(ir.IntType(1), 1))

    return numba.uint64(numba.uint64), generate


high_product = cast(Callable[[Limb, Limb], Limb], intrinsic(_high_product))
leading_zeros = cast(Callable[[Limb], Limb], intrinsic(_leading_zeros))


@kernel_part
def add_carry(x: Limb, y: Limb, carry: Limb) -> tuple[Limb, Limb]:
    partial = x + y
    result = partial + carry
    return result, Limb(partial < x) + Limb(result < partial)


@kernel_part
def sub_borrow(x: Limb, y: Limb, borrow: Limb) -> tuple[Limb, Limb]:
    partial = x - y
    return partial - borrow, Limb(x < y) + Limb(partial < borrow)


@kernel_part
def mul_add(x: Limb, y: Limb, addend: Limb, carry: Limb) -> tuple[Limb, Limb]:
    """x·y + addend + carry as lower and upper limb; the sum always fits."""
    low, high = x * y, high_product(x, y)
    low += addend
    high += Limb(low < addend)
    low += carry
    high += Limb(low < carry)
    return low, high


@kernel_part
def add(a: Limbs, b: Limbs) -> tuple[Limbs, bool]:
    """a + b modulo 2**256, and whether it fits."""
    r0, c = add_carry(a[0], b[0], N0)
    r1, c = add_carry(a[1], b[1], c)
    r2, c = add_carry(a[2], b[2], c)
    r3, c = add_carry(a[3], b[3], c)
    return (r0, r1, r2, r3), bool(c == N0)


@kernel_part
def sub(a: Limbs, b: Limbs) -> Limbs:
    """a − b modulo 2**256."""
    r0, c = sub_borrow(a[0], b[0], N0)
    r1, c = sub_borrow(a[1], b[1], c)
    r2, c = sub_borrow(a[2], b[2], c)
    r3, c = sub_borrow(a[3], b[3], c)
    return r0, r1, r2, r3


@kernel_part
def less(a: Limbs, b: Limbs) -> bool:
    _, c = sub_borrow(a[0], b[0], N0)
    _, c = sub_borrow(a[1], b[1], c)
    _, c = sub_borrow(a[2], b[2], c)
    _, c = sub_borrow(a[3], b[3], c)
    return bool(c != N0)


@kernel_part
def equal(a: Limbs, b: Limbs) -> bool:
    return bool(((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == N0)


@kernel_part
def is_zero(a: Limbs) -> bool:
    return bool((a[0] | a[1] | a[2] | a[3]) == N0)


@kernel_part
def shifted(high: Limb, low: Limb, bits: Limb) -> Limb:
    """The upper limb of <high, low> · 2**bits, for 0 <= bits < 64."""
    return (high << bits) | ((low >> N1) >> (N63 - bits))


@kernel_part
def mul(a: Limbs, b: Limbs) -> Limbs512:
    """All of the product."""
    r0, c = mul_add(a[0], b[0], N0, N0)
    r1, c = mul_add(a[0], b[1], N0, c)
    r2, c = mul_add(a[0], b[2], N0, c)
    r3, r4 = mul_add(a[0], b[3], N0, c)
    r1, c = mul_add(a[1], b[0], r1, N0)
    r2, c = mul_add(a[1], b[1], r2, c)
    r3, c = mul_add(a[1], b[2], r3, c)
    r4, r5 = mul_add(a[1], b[3], r4, c)
    r2, c = mul_add(a[2], b[0], r2, N0)
    r3, c = mul_add(a[2], b[1], r3, c)
    r4, c = mul_add(a[2], b[2], r4, c)
    r5, r6 = mul_add(a[2], b[3], r5, c)
    r3, c = mul_add(a[3], b[0], r3, N0)
    r4, c = mul_add(a[3], b[1], r4, c)
    r5, c = mul_add(a[3], b[2], r5, c)
    r6, r7 = mul_add(a[3], b[3], r6, c)
    return r0, r1, r2, r3, r4, r5, r6, r7


@kernel
def divide(u: Limbs512, d: Limbs) -> tuple[Limbs, bool]:
    """floor(u / d), and whether that is exact. For d > 0 and a quotient below 2**256."""
    u0, u1, u2, u3, u4, u5, u6, u7 = u
    d0, d1, d2, d3 = d
    # Both are shifted until the divisor's uppermost bit is set: then all divisors have four limbs,
    # and the dividend still has eight, as the quotient has four.
    for _ in range(3):
        if d3 == N0:
            d3, d2, d1, d0 = d2, d1, d0, N0
            u7, u6, u5, u4, u3, u2, u1, u0 = u6, u5, u4, u3, u2, u1, u0, N0
    bits = leading_zeros(d3)
    d = d0 << bits, shifted(d1, d0, bits), shifted(d2, d1, bits), shifted(d3, d2, bits)
    rest = (
        shifted(u4, u3, bits),
        shifted(u5, u4, bits),
        shifted(u6, u5, bits),
        shifted(u7, u6, bits),
    )
    reciprocal = reciprocal_of_two(d[3], d[2])
    q3, rest = divide_digit(rest, shifted(u3, u2, bits), d, reciprocal)
    q2, rest = divide_digit(rest, shifted(u2, u1, bits), d, reciprocal)
    q1, rest = divide_digit(rest, shifted(u1, u0, bits), d, reciprocal)
    q0, rest = divide_digit(rest, u0 << bits, d, reciprocal)
    return (q0, q1, q2, q3), is_zero(rest)


@kernel_part
def divide_digit(rest: Limbs, limb: Limb, d: Limbs, reciprocal: Limb) -> tuple[Limb, Limbs]:
    """One digit of the quotient: <rest, limb> / d and what remains, for rest < d >= 2**255."""
    r0, r1, r2, r3 = rest
    d0, d1, d2, d3 = d
    if r3 == N0 and less((limb, r0, r1, r2), d):
        return N0, (limb, r0, r1, r2)
    if r3 == d3 and r2 == d2:
        # The estimate would not fit a limb. The largest that does is hardly too large.
        q = ALL_ONES
        p0, c = mul_add(q, d0, N0, N0)
        p1, c = mul_add(q, d1, N0, c)
        p2, c = mul_add(q, d2, N0, c)
        p3, p4 = mul_add(q, d3, N0, c)
        s0, c = sub_borrow(limb, p0, N0)
        s1, c = sub_borrow(r0, p1, c)
        s2, c = sub_borrow(r1, p2, c)
        s3, c = sub_borrow(r2, p3, c)
        too_large = bool(r3 < p4 + c)
    else:
        q, t1, t0 = divide_three_by_two(r3, r2, r1, d3, d2, reciprocal)
        # The two lower limbs of the divisor.
        p0, c = mul_add(q, d0, N0, N0)
        p1, p2 = mul_add(q, d1, N0, c)
        s0, c = sub_borrow(limb, p0, N0)
        s1, c = sub_borrow(r0, p1, c)
        s2, c = sub_borrow(t0, p2, c)
        s3, c = sub_borrow(t1, N0, c)
        too_large = bool(c != N0)
    remainder = s0, s1, s2, s3
    while too_large:
        q -= N1
        remainder, too_large = add(remainder, d)
    return q, remainder


@kernel_part
def divide_three_by_two(
    u2: Limb, u1: Limb, u0: Limb, d1: Limb, d0: Limb, reciprocal: Limb
) -> tuple[Limb, Limb, Limb]:
    """<u2, u1, u0> / <d1, d0> and the remainder in two limbs. Möller and Granlund, algorithm 5."""
    q0, c = add_carry(reciprocal * u2, u1, N0)
    q = high_product(reciprocal, u2) + u2 + c
    r0, c = sub_borrow(u0, q * d0, N0)
    r1 = u1 - q * d1 - high_product(q, d0) - c
    r0, c = sub_borrow(r0, d0, N0)
    r1 = r1 - d1 - c
    q += N1
    if r1 >= q0:
        q -= N1
        r0, c = add_carry(r0, d0, N0)
        r1 = r1 + d1 + c
    if r1 > d1 or (r1 == d1 and r0 >= d0):
        q += N1
        r0, c = sub_borrow(r0, d0, N0)
        r1 = r1 - d1 - c
    return q, r1, r0


@kernel_part
def reciprocal_of_two(d1: Limb, d0: Limb) -> Limb:
    """floor((2**192 − 1) / <d1, d0>) − 2**64 for d1 >= 2**63; their algorithm 6."""
    v = reciprocal_of(d1)
    p = d1 * v + d0
    if p < d0:
        v -= N1
        if p >= d1:
            v -= N1
            p -= d1
        p -= d1
    low, high = v * d0, high_product(v, d0)
    p += high
    if p < high:
        v -= N1
        if p > d1 or (p == d1 and low >= d0):
            v -= N1
    return v


@kernel_part
def reciprocal_of(d: Limb) -> Limb:
    """floor((2**128 − 1) / d) − 2**64 for d >= 2**63; their algorithm 2, without its table."""
    v0 = Limb((1 << 19) - 3 * (1 << 8)) // (d >> Limb(55))
    d40 = (d >> Limb(24)) + N1
    v1 = (v0 << Limb(11)) - ((v0 * v0 * d40) >> Limb(40)) - N1
    v2 = (v1 << Limb(13)) + ((v1 * (Limb(1 << 60) - v1 * d40)) >> Limb(47))
    odd = d & N1
    e = ((v2 >> N1) & (N0 - odd)) - v2 * ((d >> N1) + odd)
    v3 = (v2 << Limb(31)) + (high_product(v2, e) >> N1)
    _, high = mul_add(v3, d, d, N0)
    return v3 - high - d


@kernel_part
def quotient_as_float(a: Limbs, b: Limbs) -> float:
    """a / b as Python divides integers, for 0 < a, b < 2**128."""
    if less(a, b):
        quotient, exact = divide((N0, N0, N0, a[0], a[1], N0, N0, N0), b)
        return rounded(quotient, exact) / LIMB / LIMB / LIMB
    quotient, exact = divide((N0, N0, a[0], a[1], N0, N0, N0, N0), b)
    return rounded(quotient, exact) / LIMB / LIMB


@kernel_part
def rounded(a: Limbs, exact: bool) -> float:
    """To the nearest float, of two to the even one. exact: False where a little more is meant than
    these limbs, of which there are two at least."""
    a0, a1, a2, a3 = a
    unit = LIMB * LIMB * LIMB
    for _ in range(3):
        if a3 == N0:
            a3, a2, a1, a0, unit = a2, a1, a0, N0, unit / LIMB
    if a3 == N0:
        return 0.0
    bits = leading_zeros(a3)
    head = shifted(a3, a2, bits)
    # What is cut off decides only whether more than a half is left: one bit can stand for it.
    if ((a2 << bits) | a1 | a0) != N0 or not exact:
        head |= N1
    return float(head) * (unit / float(N1 << bits))


@kernel_part
def limbs_of_float(number: float) -> Limbs:
    """Of one that is whole, at least 0 and below 2**128."""
    high = np.floor(number / LIMB)
    return Limb(number - high * LIMB), Limb(high), N0, N0
