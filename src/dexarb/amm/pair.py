"""What pools of two tokens have in common, whatever their curve."""

from __future__ import annotations

from typing import ClassVar, Self

from dexarb.core.block import Log
from dexarb.core.pool import PIPS, PoolKey, Segment
from dexarb.core.token import Address
from dexarb.errors import UnknownToken

MEMO = "_known_first_segments"
"""Beside a pool's fields. Whoever copies these to change them sets it to None."""


class PairPool:
    """Of a contract of its own, with a fee that only an event changes and exact segments."""

    __slots__ = ()

    mirror_error: ClassVar[float] = 0.0
    moves_with_time: ClassVar[bool] = False

    address: Address
    token0: Address
    token1: Address
    fee_pips: int

    @property
    def key(self) -> PoolKey:
        return PoolKey(self.address)

    @property
    def tokens(self) -> tuple[Address, Address]:
        return self.token0, self.token1

    def at(self, timestamp: int) -> Self:  # noqa: ARG002
        return self

    def first_segments(self) -> tuple[Segment, Segment]:
        """Computed once: search, prices and studies all ask for them."""
        known: tuple[Segment, Segment] | None = self.__dict__.get(MEMO)
        if known is None:
            known = self.__dict__[MEMO] = self._first_segments()
        return known

    def _first_segments(self) -> tuple[Segment, Segment]:
        raise NotImplementedError

    @classmethod
    def key_of(cls, log: Log) -> PoolKey | None:
        return PoolKey(log.address)

    def _sells_token0(self, token_in: Address, token_out: Address | None = None) -> bool:
        """Raises UnknownToken."""
        if token_in == self.token0:
            sells_token0, other = True, self.token1
        elif token_in == self.token1:
            sells_token0, other = False, self.token0
        else:
            raise UnknownToken(self.key, token_in)
        if token_out is not None and token_out != other:
            raise UnknownToken(self.key, token_out)
        return sells_token0

    def _problem_of_pair(self) -> str | None:
        """What no contract could be in, or None."""
        if self.token0 == self.token1:
            return "both tokens are the same"
        if not 0 <= self.fee_pips < PIPS:
            return f"fee of {self.fee_pips} pips"
        return None
