"""What receipts say of gains, on a real node: the arbitrageurs' and nobody else's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from dexarb.amm.swap_events import SWAP_EVENTS
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe, Market
from dexarb.demo.arbitrageur import ARBITRAGE
from dexarb.trading.models.rivals import arbitrages, rivals
from tests.demo.story import Story
from tests.support.command import Dexarb
from tests.support.recorded import record


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
    pools = {pool.address: pool.kind for pool in story.world.all_pools}
    swaps: Counter[str] = Counter()
    for mined in story.blocks:
        assert mined.update.traffic is not None
        for each in mined.update.traffic.swaps:
            assert pools[each.emitter] == each.kind
            swaps[each.kind] += each.count
    assert min(swaps[kind] for kind in pools.values()) > 100


def collected_half(story: Story) -> tuple[Keyframe, list[BlockUpdate]]:
    """As somebody sees the chain who collects every other pool, those that price tokens among
    them."""
    priced = {each.pool for pools in story.first.profile.reference_pools.values() for each in pools}
    ours = [
        pool for place, pool in enumerate(story.first.pools) if place % 2 == 0 or pool.key in priced
    ]
    assert len(ours) < len(story.first.pools)
    addresses = {pool.address for pool in ours}
    updates = [
        replace(
            mined.update, logs=tuple(log for log in mined.update.logs if log.address in addresses)
        )
        for mined in story.blocks
    ]
    return replace(story.first, pools=tuple(ours)), updates


def test_who_collects_half_of_the_pools_still_sees_all_that_is_won(
    story: Story, tmp_path: Path, dexarb: Dexarb
) -> None:
    first, updates = collected_half(story)
    ours = {pool.address for pool in first.pools}
    history = record(tmp_path, first, updates)
    sent: Counter[str] = Counter()
    won: Counter[str] = Counter()
    for mined in story.blocks:
        for transaction, request in zip(mined.update.transactions, mined.requests, strict=True):
            sent[transaction.sender] += 1
            won[transaction.sender] += request.purpose == ARBITRAGE and transaction.succeeded
    told = dexarb("winners", history, "--by", "sender", "--json").json
    found = {each["sender"]: each for each in told["winners"]}
    assert {who: each["arbitrages"] for who, each in found.items()} == +won
    assert all(each["hit_rate"] == won[who] / sent[who] for who, each in found.items())
    assert told["net_usd"] > 0
    census = dexarb("census", history, "--json").json
    topics = {bytes.fromhex(topic[2:]) for topic in SWAP_EVENTS}
    emitters = [
        event.address.lower()
        for mined in story.blocks
        for receipt in mined.receipts
        for event in receipt.logs
        if bytes.fromhex(event.topics[0][2:]) in topics
    ]
    assert census["swaps"] == len(emitters)
    assert census["swaps_collected"] == sum(each in ours for each in emitters)
    assert census["arbitrages"] == won.total()
    assert 0 < census["arbitrages_collected_share"] < 1
    assert {each["emitter"] for each in census["missing"]} == set(emitters) - ours


def test_rivals_are_those_who_move_our_half_whatever_else_they_pass(story: Story) -> None:
    """Told by the pools of all, and by flows to who collects half of them."""
    first, updates = collected_half(story)
    everything, half = Market(story.first_everywhere), Market(first)
    by_flow = 0
    for mined, update in zip(story.blocks, updates, strict=True):
        everything.apply(mined.whole)
        half.apply(update)
        moved = {log.transaction_index for log in update.logs}
        true = {each.transaction_index for each in arbitrages(everything)} & moved
        assert {each.transaction_index for each in rivals(half, update)} == true
        by_flow += len(true - {each.transaction_index for each in arbitrages(half)})
    assert by_flow > 5
