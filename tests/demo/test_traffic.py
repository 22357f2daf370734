"""What receipts say of gains, on a real node: the arbitrageurs' and nobody else's."""

from __future__ import annotations

from collections import Counter

from dexarb.demo.arbitrageur import ARBITRAGE
from tests.demo.story import Story


def test_arbitrages_by_flow_are_what_the_arbitrageurs_did(story: Story) -> None:
    told: Counter[tuple[bool, bool]] = Counter()
    for mined in story.blocks:
        traffic = mined.update.traffic
        assert traffic is not None
        gained = {each.transaction_index for each in traffic.flows if each.gains()}
        for transaction, request in zip(mined.update.transactions, mined.requests, strict=True):
            did = request.purpose == ARBITRAGE and transaction.succeeded
            told[did, transaction.index in gained] += 1
    assert told[True, True] >= 10
    assert told[True, False] == told[False, True] == 0


def test_swaps_are_counted_in_the_pools_of_the_world(story: Story) -> None:
    pools = {pool.address: pool.kind for pool in story.world.pools}
    swaps: Counter[str] = Counter()
    for mined in story.blocks:
        assert mined.update.traffic is not None
        for each in mined.update.traffic.swaps:
            assert pools[each.emitter] == each.kind
            swaps[each.kind] += each.count
    assert min(swaps[kind] for kind in pools.values()) > 100
