"""How many blocks kept the order, how full they were, and what landed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dexarb.core.block import BlockUpdate
from dexarb.core.token import Address
from dexarb.core.units import HOURS_PER_DAY, SECONDS_PER_HOUR
from dexarb.screens.blockspace_lines import blockspace_lines
from dexarb.study.blockspace import FULL_GAS, Blockspace, share_below
from dexarb.study.order_meter import OrderStudy
from dexarb.study.study import Died, run
from tests.support.worlds.blocks import GENESIS, GWEI, block, transaction

FIRST_HOUR = GENESIS // SECONDS_PER_HOUR


def of(
    number: int, tips: Sequence[int], *, hour: int = 0, gas_used: int = 0, receipts: bool = True
) -> BlockUpdate:
    """A block of transactions with these tips in gwei, each of another sender."""
    transactions = tuple(
        transaction(index, sender=Address(str(index)), effective_gas_price=(30 + tip) * GWEI)
        for index, tip in enumerate(tips)
    )
    timestamp = (FIRST_HOUR + hour) * SECONDS_PER_HOUR + number
    made = block(number, str(number), str(number - 1), timestamp=timestamp, gas_used=gas_used)
    return BlockUpdate(number, made, (), transactions, has_receipts=receipts)


def test_order_is_counted_by_hour_and_forgets_what_died() -> None:
    kept, broken = of(1, [9, 5]), replace(of(2, [1, 2, 3], hour=1), producer=Address("0xp"))
    unknown = of(3, [], receipts=False)
    dead = of(4, [1, 2], hour=1)
    study = OrderStudy(depth=3)
    feed: list[BlockUpdate | Died] = [
        kept,
        broken,
        unknown,
        dead,
        Died(unknown.block.hash),
        of(5, [], hour=1),
    ]
    found = run(study, feed).as_json()
    assert found == {
        "blocks": 3,
        "kept": 2,
        "inversions": 3,
        "without_receipts": 1,
        "by_hour": [
            {"hour": FIRST_HOUR * SECONDS_PER_HOUR, "blocks": 1, "kept": 1, "inversions": 0},
            {"hour": (FIRST_HOUR + 1) * SECONDS_PER_HOUR, "blocks": 2, "kept": 1, "inversions": 3},
        ],
        "by_producer": [{"producer": "0xp", "blocks": 1, "kept": 0, "inversions": 3}],
    }


def test_a_day_of_blocks_tells_fullness_and_what_landed() -> None:
    seen = Blockspace()
    assert [*blockspace_lines(seen.as_json())] == []
    limit = block(1, "1").gas_limit
    seen.add(of(1, [1], hour=-HOURS_PER_DAY))
    assert seen.as_json()["tips"] == [str(GWEI >> 24 << 24)] * 101
    for number, gas_used in ((2, limit - FULL_GAS), (3, limit - FULL_GAS + 1)):
        seen.add(of(number, [100, 50], gas_used=gas_used))
    seen.add(of(4, [25, 1_000], receipts=True))
    seen.add(of(5, [], receipts=False))
    found = seen.as_json()
    assert (found["blocks"], found["full"], found["lowest_tip"]) == (4, 1, str(25 * GWEI))
    assert int(found["tips"][0]) > 24 * GWEI
    assert found["order"] == {"blocks": 3, "kept": 2, "inversions": 1}
    assert [*blockspace_lines(found)] == [
        "Of the last 4 blocks 1 were full (25.0 %)",
        "The order of tips held in 2 of 3 blocks (66.6 %); inversions: 1",
    ]


def test_a_bid_stands_above_the_share_that_paid_less() -> None:
    seen = Blockspace()
    seen.add(of(1, range(1_000, 0, -1)))
    tips = [int(tip) for tip in seen.as_json()["tips"]]
    assert len(tips) == 101
    for gwei, share in ((0, 0), (100, 10), (500, 50), (900, 90), (2_000, 100)):
        found = share_below(tips, gwei * GWEI)
        assert found is not None
        assert abs(found - share) <= 2
    assert share_below([], GWEI) is None
    *_, line = blockspace_lines(seen.as_json() | {"default_bid": str(500 * GWEI)})
    assert line.startswith("A bid of 500 gwei, the chain's default, pays more than ")
    middle = float(line.removesuffix(" gwei or more").rsplit(" ", 1)[1])
    assert 0.96 * 500 <= middle <= 500
