"""Which limit on trades or losses stops a strategy: one rule, for numbers and for columns of them.

It needs no numpy: the screens ask for a few strategies, and are to start at once.
"""

from __future__ import annotations

from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

from dexarb.core.trade import SkipReason
from dexarb.trading.strategy import StrategySettings

T = TypeVar("T")
"""A number, or a column of integers with one for each strategy."""


class Limits(NamedTuple, Generic[T]):
    """More than can be reached where there is none. loss: micro-USD of a UTC day. cooldown: blocks
    after which losses in a row are forgotten, 0 for never."""

    trades: T
    loss: T
    losses_in_a_row: T
    cooldown: T


class Counted(NamedTuple, Generic[T]):
    """What counts against them: trades of the UTC day and their net in micro-USD, losses since the
    last gain, and the block of the last one."""

    trades: T
    net: T
    losses_in_a_row: T
    last_loss_block: T


def against(limits: Limits[Any], counted: Counted[Any], block: int) -> list[tuple[SkipReason, Any]]:
    """Whether each of them stops the strategy at the end of a block, in the order of SkipReason."""
    in_a_row = counted.losses_in_a_row >= limits.losses_in_a_row
    warm = (limits.cooldown <= 0) | (block < counted.last_loss_block + limits.cooldown)
    return [
        (SkipReason.DAILY_TRADES, counted.trades >= limits.trades),
        (SkipReason.DAILY_LOSS, -counted.net >= limits.loss),
        (SkipReason.CONSECUTIVE_LOSSES, in_a_row & warm),
    ]


def limits_of(settings: StrategySettings) -> Limits[float]:
    """Of a single strategy."""
    return Limits(
        trades=_or_never(settings.max_daily_trades),
        loss=_or_never(settings.daily_loss_limit_micro_usd),
        losses_in_a_row=_or_never(settings.max_consecutive_losses),
        cooldown=settings.cooldown_blocks,
    )


def _or_never(limit: int | None) -> float:
    return inf if limit is None else limit


def stopped_by(settings: StrategySettings, counted: Counted[int], block: int) -> SkipReason | None:
    """The first limit that stops a single strategy at the end of a block."""
    every = against(limits_of(settings), counted, block)
    return next((reason for reason, stops in every if stops), None)
