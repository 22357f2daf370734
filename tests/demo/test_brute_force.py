"""What the screens say of the demo's chain, against plain counting over its raw receipts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dexarb.amm.swap_events import SWAP_EVENTS
from dexarb.core.evidence import Outcome
from dexarb.core.market import Market
from dexarb.demo.arbitrageur import ARBITRAGE
from dexarb.demo.mining import Mined, MinedReceipt
from dexarb.search.scan import warm_up
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.study.blockspace import FULL_GAS, Blockspace
from dexarb.trading.models.rivals import rivals
from tests.demo.story import Story
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.sessions import paper_session
from tests.truth.trials import strategies_of

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@pytest.fixture(scope="module")
def history(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a collector of the world's pools records it."""
    folder = tmp_path_factory.mktemp("story")
    return record(folder, story.first, [mined.update for mined in story.blocks])


def swapped_in(receipt: MinedReceipt) -> list[str]:
    return [event.address.lower() for event in receipt.logs if event.topics[0] in SWAP_EVENTS]


def gained(receipt: MinedReceipt) -> dict[str, int]:
    """By token, what its sender had more of, from the transfers alone."""
    net: Counter[str] = Counter()
    sender = receipt.from_.lower()
    for event in receipt.logs:
        if event.topics[0] == TRANSFER and len(event.topics) == 3:
            giver, taker = ("0x" + topic[-40:].lower() for topic in event.topics[1:])
            net[event.address.lower()] += int(event.data, 16) * (
                (taker == sender) - (giver == sender)
            )
    return {token: amount for token, amount in net.items() if amount}


def arbitrages(story: Story) -> Iterator[tuple[Mined, MinedReceipt]]:
    """By who sent them and why."""
    for mined in story.blocks:
        for request, receipt in zip(mined.requests, mined.receipts, strict=True):
            if request.purpose == ARBITRAGE and receipt.status == "0x1":
                yield mined, receipt


def usd_of(story: Story, amounts: Mapping[str, int]) -> float:
    """At the prices that the world began with: within some percent of those of its blocks."""
    prices = {plan.symbol: plan.price_usd for plan in story.world.plan.tokens}
    tokens = {token.address: token for token in story.world.tokens.values()}
    return sum(
        amount / 10 ** tokens[token].decimals * prices[tokens[token].symbol]  # type: ignore[index]
        for token, amount in amounts.items()
    )


def test_census_counts_what_receipts_hold(story: Story, history: Path, dexarb: Dexarb) -> None:
    told = dexarb("census", history, "--json").json
    ours = {pool.address for pool in story.world.pools}
    swaps = Counter(
        pool for mined in story.blocks for each in mined.receipts for pool in swapped_in(each)
    )
    assert told["swaps"] == swaps.total()
    assert told["swaps_collected"] == sum(count for pool, count in swaps.items() if pool in ours)
    passed, alone = Counter[str](), Counter[str]()
    worth: dict[str, float] = defaultdict(float)
    whole = collected = 0.0
    count = through_ours = 0
    for _, receipt in arbitrages(story):
        lacks = set(swapped_in(receipt)) - ours
        gain = usd_of(story, gained(receipt))
        count, whole = count + 1, whole + gain
        if not lacks:
            through_ours, collected = through_ours + 1, collected + gain
        passed.update(lacks)
        alone.update(lacks if len(lacks) == 1 else ())
        for pool in lacks:
            worth[pool] += gain / len(lacks)
    assert told["arbitrages"] == count
    assert told["arbitrages_collected_share"] == through_ours / count < 0.9
    assert told["gain_usd"] == pytest.approx(whole, rel=0.05)
    assert told["gain_collected_share"] == pytest.approx(collected / whole, abs=0.02)
    missing = {each["emitter"]: each for each in told["missing"]}
    assert missing.keys() == {pool.address for pool in story.world.uncollected}
    for pool, each in missing.items():
        assert (each["swaps"], each["arbitrages"]) == (swaps[pool], passed[pool])
        assert each["arbitrages_alone"] == alone[pool]
        assert each["worth_usd"] == pytest.approx(worth[pool], rel=0.05)
    worths = [each["worth_usd"] for each in told["missing"]]
    assert worths == sorted(worths, reverse=True)
    assert worths[0] > 0


def test_winners_have_what_transfers_brought_them(
    story: Story, history: Path, dexarb: Dexarb
) -> None:
    told = dexarb("winners", history, "--by", "sender", "--json").json
    ours = {pool.address for pool in story.world.pools}
    gains, tips, gas = defaultdict[str, float](float), Counter[str](), Counter[str]()
    made, collected = Counter[str](), Counter[str]()
    for mined, receipt in arbitrages(story):
        who, base_fee = receipt.from_.lower(), mined.block.base_fee_per_gas
        used, price = int(receipt.gas_used, 16), int(receipt.effective_gas_price or "0x0", 16)
        gains[who] += usd_of(story, gained(receipt))
        gas[who] += used * base_fee
        tips[who] += used * (price - base_fee)
        made[who] += 1
        collected[who] += not set(swapped_in(receipt)) - ours
    found = {each["sender"]: each for each in told["winners"]}
    assert found.keys() == made.keys() == set(story.world.accounts.arbitrageurs)
    native = story.world.tokens["WMATIC"].address
    for who, each in found.items():
        assert (each["arbitrages"], each["arbitrages_collected"]) == (made[who], collected[who])
        assert each["gain_usd"] == pytest.approx(gains[who], rel=0.05)
        assert each["gas_usd"] == pytest.approx(usd_of(story, {native: gas[who]}), rel=0.05)
        assert each["tip_usd"] == pytest.approx(usd_of(story, {native: tips[who]}), rel=0.05)
        assert each["unvalued"] == 0
    assert sum(collected.values()) < sum(made.values())


def test_the_order_meter_counts_every_pair(story: Story, history: Path, dexarb: Dexarb) -> None:
    """All pairs of all blocks; a later one of a sender waits for his earlier ones."""
    kept = pairs = full = 0
    meter = Blockspace()
    for mined in story.blocks:
        meter.add(mined.update)
        stands: list[int] = []
        for place, receipt in enumerate(mined.receipts):
            before = [
                int(each.effective_gas_price or "0x0", 16)
                for each in mined.receipts[: place + 1]
                if each.from_ == receipt.from_
            ]
            stands.append(min(before))
        inverted = sum(
            stands[one] < stands[other] for other in range(len(stands)) for one in range(other)
        )
        kept, pairs = kept + (not inverted), pairs + inverted
        full += mined.block.gas_limit - mined.block.gas_used < FULL_GAS
    blocks = len(story.blocks)
    assert kept < blocks
    assert 0 < full < blocks
    order = dexarb("calibrate", history, "--json").json["order"]
    assert (order["blocks"], order["kept"], order["inversions"]) == (blocks, kept, pairs)
    told = meter.as_json()
    assert told["order"] == {"blocks": blocks, "kept": kept, "inversions": pairs}
    assert (told["blocks"], told["full"]) == (blocks, full)


def test_who_closes_through_pools_that_nobody_collects_is_a_rival(story: Story) -> None:
    """And nobody else is: which is what places and evidence go by."""
    hidden = {pool.address for pool in story.world.uncollected}
    market, through = Market(story.first), 0
    for mined in story.blocks:
        market.apply(mined.update)
        moved = {log.transaction_index for log in mined.update.logs}
        made = {
            int(receipt.transaction_index, 16): set(swapped_in(receipt))
            for each, receipt in arbitrages(story)
            if each is mined
        }
        found = {each.transaction_index for each in rivals(market, mined.update)}
        assert found == made.keys() & moved
        through += sum(bool(made[index] & hidden) for index in found)
    assert through >= 4


def test_what_an_arbitrage_moved_first_was_taken(
    story: Story, history: Path, tmp_path: Path
) -> None:
    sent = {
        transaction.hash: request.purpose
        for mined in story.blocks
        for request, transaction in zip(mined.requests, mined.update.transactions, strict=True)
    }
    outcomes: Counter[Outcome] = Counter()
    reader = HistoryReader(history)
    warm_up()
    with LedgerDb.open(
        tmp_path / "ledger.sqlite", chain_id=story.world.chain_id, history=history
    ) as ledger:
        session = paper_session(reader, ledger, max_state_age_s=1e12)
        for entry in reader.entries():
            session.take(entry)
            session.write()
            if not session.has_begun:
                session.use(strategies_of(session.engine.market))
        for row in ledger.evidence():
            found = row.evidence
            outcomes[found.outcome] += 1
            if found.outcome is not Outcome.PERSISTED and found.mover is not None:
                by = sent[found.mover.transaction or ""]
                assert (found.outcome is Outcome.TAKEN) == (by == ARBITRAGE)
    assert min(outcomes[Outcome.TAKEN], outcomes[Outcome.VANISHED]) >= 10
