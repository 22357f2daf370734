"""Which limit on trades or losses stops a strategy, for whole columns of them.

Imports nothing that is compiled: the screens ask as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dexarb.core.ledger import Ledger
from dexarb.core.trade import REASON_CODE, SkipReason
from dexarb.trading.decide.arrays import TAKEN, Codes, Ints, Rows, as_column
from dexarb.trading.strategy import StrategySettings


class Limits(NamedTuple):
    """By strategy; LARGEST where there is none. loss: micro-USD of a UTC day. cooldown: blocks
    after which losses in a row are forgotten, 0 for never."""

    trades: Ints
    loss: Ints
    losses_in_a_row: Ints
    cooldown: Ints


class Counted(NamedTuple):
    """What counts against them, by strategy: trades of the UTC day and their net in micro-USD,
    losses since the last gain, and the block of the last one."""

    trades: Ints
    net: Ints
    losses_in_a_row: Ints
    last_loss_block: Ints


def counted(ledger: Ledger, rows: Rows) -> Counted:
    """At the end of the ledger's block, of strategies by their rows in it."""
    return Counted(
        trades=ledger.column("day_trades")[rows],
        net=ledger.column("day_net_micro_usd")[rows],
        losses_in_a_row=ledger.column("consecutive_losses")[rows],
        last_loss_block=ledger.column("last_loss_block")[rows],
    )


def limits_of(settings: Sequence[StrategySettings]) -> Limits:
    return Limits(
        trades=as_column(each.max_daily_trades for each in settings),
        loss=as_column(each.daily_loss_limit_micro_usd for each in settings),
        losses_in_a_row=as_column(each.max_consecutive_losses for each in settings),
        cooldown=as_column(each.cooldown_blocks for each in settings),
    )


def stopped_by(limits: Limits, counted: Counted, block: int) -> Codes:
    """By strategy the code of the limit that stops it at the end of a block, or TAKEN.

    Of several the first in the order of SkipReason.
    """
    codes = np.full(len(limits.trades), TAKEN, dtype=np.int8)
    rested = (limits.cooldown > 0) & (block >= counted.last_loss_block + limits.cooldown)
    resting = (counted.losses_in_a_row >= limits.losses_in_a_row) & ~rested
    codes[resting] = REASON_CODE[SkipReason.CONSECUTIVE_LOSSES]
    codes[-counted.net >= limits.loss] = REASON_CODE[SkipReason.DAILY_LOSS]
    codes[counted.trades >= limits.trades] = REASON_CODE[SkipReason.DAILY_TRADES]
    return codes
