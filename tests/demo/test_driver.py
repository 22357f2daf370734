"""The traffic: repeatable, exact, in fee order, and with the spreads that the demo is about."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.amm.v3_events import BURN, MINT
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.demo.driver import DEFAULT_SEED, Driver
from dexarb.demo.mining import Mined, MinedReceipt, TransactionRequest
from tests.demo.story import Story, fresh_chain, run, v2_pools, v3_pools

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
ARBITRAGE = "arbitrage"


async def blocks_of(seed: int, count: int, *, seconds: int = 1) -> list[Mined]:
    async with fresh_chain() as rpc:
        driver = await Driver.start(rpc, seed=seed)
        start = driver.market.block.timestamp
        return [await driver.step(start + seconds * (n + 1)) for n in range(count)]


def test_same_seed_same_blocks(story: Story) -> None:
    """To the block hash, which covers transactions, logs, receipts and state."""
    again = run(blocks_of(seed=DEFAULT_SEED, count=40))
    assert [mined.block for mined in again] == [mined.block for mined in story.blocks[:40]]
    assert [mined.receipts for mined in again] == [mined.receipts for mined in story.blocks[:40]]


def test_time_changes_nothing_but_hashes(story: Story) -> None:
    again = run(blocks_of(seed=DEFAULT_SEED, count=15, seconds=7))
    for one, other in zip(again, story.blocks, strict=False):
        assert one.update.transactions == other.update.transactions
        assert one.update.logs == other.update.logs
        assert one.block.hash != other.block.hash


def test_another_seed_another_story(story: Story) -> None:
    other = run(blocks_of(seed=2, count=3))
    assert [mined.requests for mined in other] != [mined.requests for mined in story.blocks[:3]]


def test_v2_reserves_equal_the_chain(story: Story) -> None:
    assert len(story.reserves) == len(v2_pools(story.world)) == 11
    for address, reserves in story.reserves.items():
        pool = story.driver.everywhere.pools[PoolKey(address)]
        assert isinstance(pool, UniswapV2Pool)
        assert (pool.reserve0, pool.reserve1) == reserves


def test_v3_prices_and_ticks_equal_the_chain(story: Story) -> None:
    assert len(story.v3_prices) == len(v3_pools(story.world)) == 7
    for address, price in story.v3_prices.items():
        pool = story.driver.everywhere.pools[PoolKey(address)]
        assert isinstance(pool, UniswapV3Pool)
        assert (pool.sqrt_price_x96, pool.tick, pool.liquidity) == price
        assert pool.ticks == story.v3_ticks[address]


def test_quotes_equal_the_quoters(story: Story) -> None:
    assert len(story.quotes) == 14
    for (address, token), (amount_in, amount_out) in story.quotes.items():
        assert (
            story.driver.everywhere.pools[PoolKey(address)].swap(token, amount_in).amount_out
            == amount_out
        )


def test_pools_read_anew_are_the_same(story: Story) -> None:
    everywhere, market = story.driver.everywhere, story.driver.market
    assert story.reread.block == everywhere.block == market.block
    assert {pool.key: pool for pool in story.reread.pools} == everywhere.pools
    ours = [pool.key for pool in story.world.pools]
    assert market.pools == {key: everywhere.pools[key] for key in ours}


def test_everyone_takes_part(story: Story) -> None:
    sent: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for mined in story.blocks:
        for request, transaction in zip(mined.requests, mined.update.transactions, strict=True):
            assert transaction.sender == request.sender
            sent[request.purpose] += 1
            failed[request.purpose] += not transaction.succeeded
    assert sent["retail"] > 200
    assert sent["informed"] > 50
    assert sent["whale"] >= 10
    assert sent["liquidity"] > 20
    assert sent[ARBITRAGE] >= 10
    assert sent["claim"] > 300
    assert not failed["claim"]
    total = sum(sent.values()) - sent["claim"]
    assert 0.01 < sum(failed.values()) / total < 0.15, "some trades fail, most do not"
    assert failed["retail"]
    assert failed["informed"]
    assert failed[ARBITRAGE]


def test_liquidity_comes_and_goes_on_both_kinds(story: Story) -> None:
    topics = Counter(log.topics[0] for mined in story.blocks for log in mined.update.logs)
    assert topics[MINT] >= 5
    assert topics[BURN] >= 5
    router = story.world.routers["QuickSwap"]
    senders = {
        request.to == router
        for mined in story.blocks
        for request in mined.requests
        if request.purpose == "liquidity"
    }
    assert senders == {True, False}


def test_blocks_are_in_fee_order(story: Story) -> None:
    kinds = set()
    for mined in story.blocks:
        fees = [one.effective_gas_price for one in mined.update.transactions]
        private = sum(request.private for request in mined.requests)
        assert all(request.private for request in mined.requests[:private])
        assert fees[private:] == sorted(fees[private:], reverse=True)
        assert all(fee >= mined.block.base_fee_per_gas for fee in fees)
        kinds |= {request.legacy for request in mined.requests}
    assert kinds == {True, False}, "legacy transactions and EIP-1559 ones, in one order"


def test_some_blocks_begin_with_what_nobody_saw_coming(story: Story) -> None:
    purposes: Counter[str] = Counter()
    inverted = 0
    for mined in story.blocks:
        base_fee = mined.block.base_fee_per_gas
        tips = [one.effective_gas_price - base_fee for one in mined.update.transactions]
        purposes.update(request.purpose for request in mined.requests if request.private)
        inverted += tips != sorted(tips, reverse=True)
    assert purposes.keys() == {"retail", "whale", ARBITRAGE}
    assert len(story.blocks) / 40 < inverted < len(story.blocks) / 5


def test_what_a_full_block_has_no_room_for_waits_or_is_given_up(story: Story) -> None:
    full = 0
    waiting: list[TransactionRequest] = []
    waited: Counter[str] = Counter()
    for mined in story.blocks:
        block = mined.block
        assert block.gas_used == sum(int(each.gas_used, 16) for each in mined.receipts)
        gas_left = block.gas_limit - block.gas_used
        assert bool(mined.left_out) == (gas_left < 400_000)
        full += bool(mined.left_out)
        for request in mined.left_out:
            ahead = sum(
                int(receipt.gas_used, 16)
                for each, receipt in zip(mined.requests, mined.receipts, strict=True)
                if each.private or each.priority_fee > request.priority_fee
            )
            assert ahead + request.gas > block.gas_limit
        for request in waiting:
            assert request in (*mined.requests, *mined.left_out)
            waited[request.purpose] += 1
        waiting = [each for each in mined.left_out if each.purpose not in ("claim", ARBITRAGE)]
    assert len(story.blocks) / 20 < full < len(story.blocks) / 5
    assert waited["retail"] > 20
    assert waited["informed"] > 5


def test_base_fee_stays_usual(story: Story) -> None:
    fees = [mined.block.base_fee_per_gas / 1e9 for mined in story.blocks]
    assert 15 < min(fees) < max(fees) < 60
    for before, after in pairwise(fees):
        assert abs(after / before - 1) <= 0.125


def test_spreads_are_of_realistic_size(story: Story) -> None:
    """Mostly below what the fees need, now and then well above it, and soon closed again."""
    after_fees = [max(spread.after_fees_bps for spread in pairs) for pairs in story.spreads]
    raw = [spread.raw_bps for pairs in story.spreads for spread in pairs]
    assert 1 < median(raw) < 35
    assert sum(bps <= 0 for bps in after_fees) > len(after_fees) / 3
    wide = [bps > 40 for bps in after_fees]
    openings = sum(now and not before for before, now in pairwise(wide))
    assert openings >= 6, "about one in every ten to twenty blocks, or a few more"
    assert sum(wide) < len(wide) / 3
    assert sum(wide) / openings < 6, "blocks that one stays open on average"
    assert any(wide[:30]), "a short run finds something too"


def flows(receipt: MinedReceipt, holder: Address) -> dict[Address, int]:
    """What the holder's token balances changed by."""
    change: Counter[Address] = Counter()
    for event in receipt.logs:
        if event.topics[0] == TRANSFER and len(event.topics) == 3:
            amount = int(event.data, 16)
            token = Address(event.address.lower())
            source, target = ("0x" + topic[-40:].lower() for topic in event.topics[1:])
            change[token] += amount * ((target == holder) - (source == holder))
    return {token: amount for token, amount in change.items() if amount}


def test_arbitrage_closes_cycles_with_a_gain(story: Story) -> None:
    executors = set()
    for mined in story.blocks:
        for place, request in enumerate(mined.requests):
            transaction = mined.update.transactions[place]
            if request.purpose != ARBITRAGE or not transaction.succeeded:
                continue
            gained = flows(mined.receipts[place], request.sender)
            assert len(gained) == 1, "one token, all others pass through"
            assert min(gained.values()) > 0
            touched = {log.address for log in mined.whole.logs if log.transaction_index == place}
            assert 2 <= len(touched) <= 3
            # The pools have lost what he has gained; a rest can stay with the executor.
            total: Counter[Address] = Counter()
            for holder in (*touched, request.sender, story.world.multicall):
                total.update(flows(mined.receipts[place], holder))
            assert not any(total.values()), "nobody else has gained or lost"
            executors.add(request.to)
    assert story.world.multicall in executors


def test_arbitrageurs_pay_for_their_place_and_for_failures(story: Story) -> None:
    bids, failures = [], 0
    for mined in story.blocks:
        for request, transaction in zip(mined.requests, mined.update.transactions, strict=True):
            if request.purpose == ARBITRAGE:
                tip = transaction.effective_gas_price - mined.block.base_fee_per_gas
                assert tip == request.priority_fee > 0
                bids.append(tip)
                if not transaction.succeeded:
                    failures += 1
                    assert transaction.gas_used > 21_000
    assert failures
    assert max(bids) > 100 * min(bids), "what a spread is worth decides the bid"


def test_some_spreads_are_left_for_others(story: Story) -> None:
    """A trader who is one block late would find some wide spreads still open, and some gone."""
    outcomes: Counter[bool] = Counter()
    wide_before: set[tuple[Address, Address]] = set()
    for pairs in story.spreads:
        wide = {spread.tokens for spread in pairs if spread.after_fees_bps > 40}
        for tokens in wide_before:
            outcomes[tokens in wide] += 1
        wide_before = wide
    assert outcomes[True] >= 3
    assert outcomes[False] >= 3


def test_updates_follow_each_other(story: Story) -> None:
    """Each is the next of the chain and of the history, and holds the logs of pools alone."""
    pools = {pool.address for pool in story.world.pools}
    for before, after in pairwise(mined.update for mined in story.blocks):
        assert after.block.parent_hash == before.block.hash
        assert after.seq == after.block.number == before.seq + 1
        assert after.block.timestamp == before.block.timestamp + 1
        assert {log.address for log in after.logs} <= pools


def test_uncollected_pools_are_traded_as_others_are(story: Story) -> None:
    """Also in cycles that pass both kinds, and none of it is among what a collector gets."""
    hidden = {pool.address for pool in story.world.uncollected}
    swapped, closed = Counter[Address](), 0
    for mined in story.blocks:
        assert not hidden & {log.address for log in mined.update.logs}
        for place, request in enumerate(mined.requests):
            touched = {log.address for log in mined.whole.logs if log.transaction_index == place}
            swapped.update(touched & hidden)
            closed += request.purpose == ARBITRAGE and 0 < len(touched & hidden) < len(touched)
    assert swapped.keys() == hidden
    assert min(swapped.values()) > 20
    assert closed >= 4
