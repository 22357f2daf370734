"""The order of tips in a block: what excuses it, what breaks it, and what is known then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.token import Address
from dexarb.core.trade import Position
from dexarb.trading.models.tips import bids, inversions, keeps_order
from tests.support.worlds.blocks import GWEI, block, transaction
from tests.support.worlds.small_chain import (
    CHEAP,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    weth_pool,
)


def of(*sent: tuple[str, int]) -> BlockUpdate:
    """A block of transactions by (sender, effective gas price in gwei), base fee 30 gwei."""
    transactions = tuple(
        transaction(index, sender=Address(sender), effective_gas_price=price * GWEI)
        for index, (sender, price) in enumerate(sent)
    )
    return BlockUpdate(1, block(1, "0x1"), (), transactions)


@pytest.mark.parametrize(
    ("sent", "tips", "inverted"),
    [
        ([], [], 0),
        ([("a", 90), ("b", 60), ("c", 60), ("d", 30)], [60, 30, 30, 0], 0),
        ([("a", 60), ("b", 90), ("c", 100)], [30, 60, 70], 3),
        ([("a", 100), ("b", 30), ("c", 90), ("d", 60)], [70, 0, 60, 30], 2),
        # The chain's own: no price, or one below the base fee.
        ([("a", 0), ("b", 60), ("c", 29), ("d", 50), ("e", 0)], [30, 20], 0),
        # A sender's next one waits for the one before, and for nobody else's.
        ([("b", 80), ("a", 31), ("a", 130), ("c", 31)], [50, 1, 1, 1], 0),
        ([("a", 35), ("c", 33), ("a", 130)], [5, 3, 5], 1),
    ],
)
def test_inversions_are_counted_but_for_what_the_chain_and_nonces_excuse(
    sent: list[tuple[str, int]], tips: list[int], inverted: int
) -> None:
    found = bids(of(*sent))
    assert [bid.tip for bid in found] == [tip * GWEI for tip in tips]
    assert inversions(found) == inverted
    assert keeps_order(found) == (not inverted)


@pytest.mark.parametrize(
    ("prices", "position", "place", "known"),
    [
        ([90, 60], Position.FEE, 1, True),
        ([60, 90], Position.FEE, 2, False),
        ([60, 90], Position.CONTESTED, 2, False),
        ([60, 90], Position.TOP, 0, True),
        ([0, 90, 60, 0], Position.FEE, 2, True),
    ],
)
def test_no_place_is_known_in_a_block_that_broke_the_order(
    prices: list[int], position: Position, place: int, known: bool
) -> None:
    first = keyframe()
    strategy = settings(priority_fee=40 * GWEI, max_gas_price=1_000 * GWEI, position=position)
    made, chain = threshold_engine(first, strategy), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    sent = of(*((str(index), price) for index, price in enumerate(prices)))
    fill = made.step(replace(chain.mine(), transactions=sent.transactions)).fills[0]
    assert (fill.place, fill.place_known) == (place, known)
