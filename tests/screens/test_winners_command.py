"""dexarb winners and dexarb census: who gains through whichever pools, and which of them lack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockUpdate, Transaction
from dexarb.core.token import Address
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.worlds.blocks import GWEI, transaction
from tests.support.worlds.small_chain import CHEAP, DEAR, USDC, WETH, SmallChain, keyframe

RUN = "0x12345678"
BOT, BOT_TWO, ROUTER, CURVE, VAULT, SPAM, ONE, OTHER = (
    Address("0x" + byte * 20) for byte in ("b0", "b2", "50", "c0", "4a", "66", "51", "52")
)
POOLS = {CHEAP: "v2", DEAR: "v2", CURVE: "curve", VAULT: "v4"}
NATIVE_USD = 0.5
GAS = 100_000

Made = tuple[Transaction, tuple[str, ...], dict[Address, int]]
"""A transaction, the pools that it passed, and what that brought its target."""


def made(
    sender: Address, to: Address, pools: Iterable[str] = (), *, gwei: int = 40, **gained: int
) -> Made:
    tokens = {"usdc": USDC, "weth": WETH, "spam": SPAM}
    net = {tokens[name]: amount for name, amount in gained.items()}
    paid = transaction(0, sender=sender, to=to, effective_gas_price=gwei * GWEI, gas_used=GAS)
    return paid, tuple(pools), net


def with_traffic(update: BlockUpdate, *sent: Made, failed: Iterable[int] = ()) -> BlockUpdate:
    passed = [pool for _, pools, _ in sent for pool in pools]
    places = {pool: place for place, pool in enumerate(dict.fromkeys(passed))}
    swaps = tuple(SwapCount(Address(pool), POOLS[pool], passed.count(pool)) for pool in places)
    flows = tuple(
        Flow(
            index,
            tuple(places[pool] for pool in pools),
            True,
            (),
            tuple(Change(token, str(amount)) for token, amount in net.items()),
        )
        for index, (_, pools, net) in enumerate(sent)
        if len(pools) > 1
    )
    transactions = tuple(
        transaction(
            index,
            sender=each.sender,
            to=each.to,
            effective_gas_price=each.effective_gas_price,
            gas_used=each.gas_used,
            succeeded=index not in failed,
            selector=None if each.to == ROUTER else RUN,
        )
        for index, (each, _, _) in enumerate(sent)
    )
    return replace(update, transactions=transactions, traffic=Traffic(swaps, flows))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five blocks, the last without traffic; the base fee is 30 gwei. One contract is ours."""
    first = keyframe()
    first = replace(first, profile=replace(first.profile, own=(BOT_TWO,)))
    chain = SmallChain(first)
    updates = [
        with_traffic(
            chain.mine(),
            made(OTHER, ROUTER, [CHEAP]),
            made(ONE, BOT, [CHEAP, CURVE], usdc=3_000_000),
        ),
        with_traffic(
            chain.mine(),
            made(ONE, BOT, gwei=50),
            made(OTHER, ROUTER, [CHEAP, DEAR], weth=4 * 10**14, gwei=230),
            made(OTHER, ROUTER, [CHEAP, DEAR], weth=-(10**15), usdc=2_490_000),
            failed=[0],
        ),
        with_traffic(chain.mine(), made(ONE, BOT_TWO, [CURVE, VAULT], spam=10**30)),
        with_traffic(chain.mine(), made(ONE, BOT, [CHEAP, CURVE, VAULT], usdc=1_000_000)),
        chain.mine(),
    ]
    return record(tmp_path_factory.mktemp("winners"), first, updates)


def usd(gwei: int) -> float:
    """What a transaction of GAS costs at so much a gas."""
    return gwei * GWEI * GAS / 10**18 * NATIVE_USD


def test_gain_cost_places_and_hit_rate(history: Path, dexarb: Dexarb) -> None:
    told = dexarb("winners", history, "--json").json
    bot, router, two = told["winners"]
    assert (bot["target"], router["target"], two["target"]) == (BOT, ROUTER, BOT_TWO)
    assert (bot["arbitrages"], bot["transactions"], bot["failed"]) == (2, 3, 1)
    assert bot["hit_rate"] == pytest.approx(2 / 3)
    assert bot["gain_usd"] == pytest.approx(4.0)
    assert bot["gas_usd"] == pytest.approx(2 * usd(30))
    assert bot["tip_usd"] == pytest.approx(2 * usd(10))
    assert bot["net_usd"] == pytest.approx(4.0 - 2 * usd(40))
    assert bot["failed_cost_usd"] == pytest.approx(usd(50))
    # From the first block with traffic to the last there are three seconds.
    assert told["seconds"] == 3
    assert bot["net_usd_per_day"] == pytest.approx(bot["net_usd"] * 86_400 / 3, rel=1e-6)
    assert (bot["median_place"], bot["median_place_share"]) == (0.5, 0.25)
    assert bot["kinds"] == {"curve": 2, "v2": 2, "v4": 1}
    assert bot["pools"] == {CHEAP: 2, CURVE: 2, VAULT: 1}
    assert (bot["arbitrages_collected"], bot["senders"], bot["last_block"]) == (0, [ONE], 104)
    assert (router["arbitrages"], router["arbitrages_collected"]) == (1, 1)
    assert router["gain_usd"] == pytest.approx(1.0, abs=2e-6)
    assert router["tip_usd"] == pytest.approx(usd(200))
    assert [each["us"] for each in told["winners"]] == [False, False, True]
    assert (two["unvalued"], two["gain_usd"], two["net_usd"]) == (1, 0.0, 0.0)
    assert (told["blocks"], told["blocks_without_traffic"], told["arbitrages"]) == (4, 1, 4)


def test_by_sender(history: Path, dexarb: Dexarb) -> None:
    one, other = dexarb("winners", history, "--by", "sender", "--json").json["winners"]
    assert (one["sender"], one["targets"], one["arbitrages"]) == (ONE, [BOT, BOT_TWO], 3)
    assert (other["sender"], other["transactions"]) == (OTHER, 3)
    wrong = dexarb("winners", history, "--by", "luck")
    assert wrong.code == 2
    assert "none of target, sender, selector" in wrong.err


def test_by_selector_where_calls_were_kept(history: Path, dexarb: Dexarb) -> None:
    kept, unknown = dexarb("winners", history, "--by", "selector", "--json").json["winners"]
    assert (kept["selector"], kept["arbitrages"], kept["transactions"]) == (RUN, 3, 4)
    assert (unknown["selector"], unknown["targets"]) == (None, [ROUTER])
    said = dexarb("winners", history, "--by", "selector")
    assert f"{RUN} " in said.words
    assert "unknown" in said.words


def test_people_read_who_earns(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("winners", history)
    assert "4 arbitrages by 3 targets earned 4.98 USD net of gas and tips" in said.words
    assert "1 of them through collected pools alone. 1 gained what has no price here." in said.words
    assert f"{BOT[:10]}.." in said.out
    assert said.out.count(f"us: {BOT_TWO[:10]}..") == 2
    assert "curve 2, v2 2, v4 1" in said.out
    assert "1 block came without receipts, or before history format 4" in said.words
    assert max(map(len, said.out.splitlines())) <= 80


def test_census_says_what_passes_ours_and_what_lacks(history: Path, dexarb: Dexarb) -> None:
    told = dexarb("census", history, "--json").json
    # CHEAP five times and DEAR twice, of twelve.
    assert (told["blocks"], told["swaps"], told["swaps_collected"]) == (4, 12, 7)
    assert told["collected_share"] == pytest.approx(7 / 12)
    assert (told["arbitrages"], told["arbitrages_unvalued"]) == (4, 1)
    assert told["arbitrages_collected_share"] == 0.25
    assert told["gain_usd"] == pytest.approx(5.0, rel=1e-6)
    assert told["gain_collected_share"] == pytest.approx(0.2, rel=1e-6)
    curve, vault = told["missing"]
    assert curve == {
        "emitter": CURVE,
        "kind": "curve",
        "swaps": 3,
        "arbitrages": 3,
        "arbitrages_alone": 1,
        "worth_usd": 3.5,
    }
    assert (vault["emitter"], vault["arbitrages"], vault["worth_usd"]) == (VAULT, 2, 0.5)
    kinds = {each["kind"]: each for each in told["kinds"]}
    assert (kinds["v2"]["swaps"], kinds["v2"]["collected_share"]) == (7, 1.0)
    assert (kinds["curve"]["collected_share"], kinds["curve"]["missing_worth_usd"]) == (0.0, 3.5)


def test_people_read_what_lacks(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("census", history)
    assert "58% of 12 swaps passed collected pools. 1 of 4 arbitrages passed them" in said.words
    assert "with 20% of the 5.00 USD gained." in said.words
    assert f"{CURVE[:10]}.." in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_of_a_span_the_first_block_knows_what_is_collected(history: Path, dexarb: Dexarb) -> None:
    told = dexarb("census", history, "--from", 102, "--to", 102, "--json").json
    assert (told["swaps"], told["collected_share"]) == (4, 1.0)


@pytest.mark.parametrize("command", ["winners", "census"])
def test_an_older_history_does_not_say(history: Path, dexarb: Dexarb, command: str) -> None:
    said = dexarb(command, history, "--from", 105)
    assert "The history does not say what was swapped in these blocks." in said.words
    assert dexarb(command, history, "--from", 105, "--json").json["blocks"] == 0


def test_nobody_gained(tmp_path: Path, dexarb: Dexarb) -> None:
    first = keyframe()
    chain = SmallChain(first)
    quiet = record(tmp_path, first, [with_traffic(chain.mine(), made(OTHER, ROUTER, [CHEAP]))])
    assert "Nobody gained by an arbitrage" in dexarb("winners", quiet).words
    assert "100% of 1 swap passed collected pools; nobody" in dexarb("census", quiet).words
