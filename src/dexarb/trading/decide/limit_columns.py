"""Limits on trades and losses of many strategies at once; see `limits`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dexarb.core.ledger import Ledger
from dexarb.core.trade import REASON_CODE
from dexarb.trading.decide.arrays import TAKEN, Codes, Ints, Rows, as_column
from dexarb.trading.decide.limits import Counted, Limits, against
from dexarb.trading.strategy import StrategySettings


def limit_columns(settings: Sequence[StrategySettings]) -> Limits[Ints]:
    return Limits(
        trades=as_column(each.max_daily_trades for each in settings),
        loss=as_column(each.daily_loss_limit_micro_usd for each in settings),
        losses_in_a_row=as_column(each.max_consecutive_losses for each in settings),
        cooldown=as_column(each.cooldown_blocks for each in settings),
    )


def stopped(limits: Limits[Ints], ledger: Ledger, rows: Rows, block: int) -> Codes:
    """The code of the first limit that stops each strategy at the end of a block, or TAKEN.

    rows: the strategies' in the ledger.
    """
    counted = Counted(
        trades=ledger.column("day_trades")[rows],
        net=ledger.column("day_net_micro_usd")[rows],
        losses_in_a_row=ledger.column("consecutive_losses")[rows],
        last_loss_block=ledger.column("last_loss_block")[rows],
    )
    codes = np.full(len(counted.trades), TAKEN, dtype=np.int8)
    for reason, stops in reversed(against(limits, counted, block)):
        codes[stops] = REASON_CODE[reason]
    return codes
