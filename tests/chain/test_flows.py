"""What a transaction gained and lost is what its transfers say, and an arbitrage by them is one."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak

from dexarb.amm.swap_events import SWAP_EVENTS
from dexarb.chain.decode import EventLog, Receipt
from dexarb.chain.flows import traffic_of
from dexarb.core.token import Address
from dexarb.core.traffic import Flow, SwapCount

SENDER, BOT, POOL_A, POOL_B, POOL_C, VAULT, LENDER, FARM = (
    Address("0x" + byte * 20) for byte in ("51", "b0", "a1", "a2", "a3", "a4", "f1", "fa")
)
WETH, USDC, DAI = (Address("0x" + byte * 20) for byte in ("01", "02", "03"))
NOBODY = Address("0x" + "00" * 20)
HASH = "0x" + "11" * 32
TOPICS = {kind: topic for topic, kind in SWAP_EVENTS.items()}


def event(emitter: Address, signature: str, *holders: Address, amount: int = 0) -> EventLog:
    topics = [
        "0x" + keccak(signature.encode()).hex(),
        *("0x" + bytes(12).hex() + each[2:] for each in holders),
    ]
    return EventLog(emitter, topics, f"0x{amount:064x}", HASH, "0x0", "0x0")


def paid(token: Address, giver: Address, taker: Address, amount: int) -> EventLog:
    return event(token, "Transfer(address,address,uint256)", giver, taker, amount=amount)


def swap(emitter: Address, kind: str = "uniswap_v2", pool: str = "0x" + "00" * 32) -> EventLog:
    return EventLog(emitter, [TOPICS[kind], pool], "0x", HASH, "0x0", "0x0")


def receipt(*events: EventLog, index: int = 0, to: Address | None = BOT) -> Receipt:
    return Receipt(HASH, HASH, hex(index), SENDER, "0x0", list(events), to)


def flow_of(*events: EventLog, to: Address | None = BOT) -> Flow:
    (flow,) = traffic_of([receipt(*events, to=to)]).flows
    return flow


ROUND = (
    paid(USDC, BOT, POOL_A, 1_000),
    paid(WETH, POOL_A, POOL_B, 5),
    paid(USDC, POOL_B, BOT, 1_030),
    swap(POOL_A),
    swap(POOL_B, "curve"),
)


def told(changes: object) -> dict[Address, int]:
    return {each.token: each.amount for each in changes}  # type: ignore[attr-defined]


def test_swaps_are_counted_by_emitter_and_event_in_order() -> None:
    found = traffic_of(
        [
            receipt(swap(POOL_B, "curve"), swap(POOL_B, "curve")),
            receipt(*ROUND, index=1),
            receipt(swap(POOL_A, "uniswap_v3"), event(POOL_A, "Weather(bool)"), index=2),
        ]
    )
    assert found.swaps == (
        SwapCount(POOL_B, "curve", 3),
        SwapCount(POOL_A, "uniswap_v2", 1),
        SwapCount(POOL_A, "uniswap_v3", 1),
    )
    (flow,) = found.flows
    assert flow.transaction_index == 1
    assert [each.emitter for each in found.emitters(flow)] == [POOL_A, POOL_B]


def test_an_arbitrage_gains_one_token_and_loses_none() -> None:
    flow = flow_of(*ROUND)
    assert (told(flow.sender), told(flow.target)) == ({}, {USDC: 30})
    assert flow.gains() == {USDC: 30}


def test_a_gain_that_is_sent_on_to_the_sender_is_still_one() -> None:
    flow = flow_of(*ROUND, paid(USDC, BOT, SENDER, 30))
    assert (told(flow.sender), told(flow.target)) == ({USDC: 30}, {})
    assert flow.gains() == {USDC: 30}


def test_with_a_loan_that_costs_a_fee() -> None:
    loan = paid(USDC, LENDER, BOT, 1_000), paid(USDC, BOT, LENDER, 1_001)
    assert flow_of(*ROUND, *loan).gains() == {USDC: 29}


def test_a_loss_in_another_token_is_none() -> None:
    assert flow_of(*ROUND, paid(DAI, BOT, POOL_C, 1)).gains() == {}


def test_a_routed_order_is_none() -> None:
    traded = (
        paid(USDC, SENDER, POOL_A, 1_000),
        paid(WETH, POOL_A, POOL_B, 5),
        paid(DAI, POOL_B, SENDER, 990),
        swap(POOL_A),
        swap(POOL_B),
    )
    flow = flow_of(*traded)
    assert told(flow.sender) == {USDC: -1_000, DAI: 990}
    assert flow.is_closed
    assert flow.gains() == {}


@pytest.mark.parametrize("wrapped_tells", [False, True])
def test_who_buys_with_wrapped_coins_lost_them(*, wrapped_tells: bool) -> None:
    mint = [paid(WETH, NOBODY, BOT, 5)] if wrapped_tells else []
    flow = flow_of(
        event(WETH, "Deposit(address,uint256)", BOT, amount=5),
        *mint,
        paid(WETH, BOT, POOL_A, 5),
        paid(USDC, POOL_A, POOL_B, 1_000),
        paid(DAI, POOL_B, SENDER, 999),
        swap(POOL_A),
        swap(POOL_B),
    )
    assert (told(flow.sender), told(flow.target)) == ({DAI: 999}, {WETH: -5})
    assert flow.gains() == {}


def test_a_gain_that_is_unwrapped_stays_one() -> None:
    flow = flow_of(
        paid(WETH, BOT, POOL_A, 5),
        paid(USDC, POOL_A, POOL_B, 1_000),
        paid(WETH, POOL_B, BOT, 6),
        event(WETH, "Withdrawal(address,uint256)", BOT, amount=6),
        paid(WETH, BOT, NOBODY, 6),
        swap(POOL_A),
        swap(POOL_B),
    )
    assert flow.gains() == {WETH: 1}


def test_what_is_bought_with_coins_that_no_transfer_shows_is_no_gain() -> None:
    """A vault that takes the chain's own coin gives a token for nothing that can be seen."""
    bought = (
        paid(USDC, VAULT, POOL_A, 1_000),
        paid(DAI, POOL_A, SENDER, 999),
        swap(VAULT, "uniswap_v4"),
        swap(POOL_A),
    )
    flow = flow_of(*bought)
    assert told(flow.sender) == {DAI: 999}
    assert (flow.is_closed, flow.gains()) == (False, {})


def test_rewards_that_are_sold_are_no_arbitrage() -> None:
    harvest = (
        paid(DAI, FARM, BOT, 100),
        paid(DAI, BOT, POOL_A, 100),
        paid(WETH, POOL_A, POOL_B, 5),
        paid(USDC, POOL_B, BOT, 990),
        swap(POOL_A),
        swap(POOL_B),
    )
    assert flow_of(*harvest).gains() == {}


def test_pools_of_one_vault_are_pools_and_the_vault_that_is_called_is_no_trader() -> None:
    first, second = ("0x" + byte * 32 for byte in ("0a", "0b"))
    traded = paid(USDC, SENDER, VAULT, 1_000), paid(DAI, VAULT, SENDER, 990)
    swaps = swap(VAULT, "balancer_v2", first), swap(VAULT, "balancer_v2", second)
    flow = flow_of(*traded, *swaps, to=VAULT)
    assert told(flow.sender) == {USDC: -1_000, DAI: 990}
    assert flow.target == ()
    assert traffic_of([receipt(*traded, swaps[0], swaps[0])]).flows == ()


def test_other_events_called_transfer_do_not_count() -> None:
    """Of a token by its number (four topics), and one without its amount."""
    numbered = paid(DAI, BOT, SENDER, 1)
    numbered.topics.append(HASH)
    empty = EventLog(DAI, paid(DAI, BOT, SENDER, 1).topics, "0x", HASH, "0x0", "0x0")
    assert flow_of(*ROUND, numbered, empty).gains() == {USDC: 30}


def test_a_contract_that_is_created_is_no_target() -> None:
    assert flow_of(*ROUND, to=None).target == ()


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("uniswap_v2", "d78ad95f"), ("uniswap_v3", "c42079f9"), ("uniswap_v4", "40e9cecb"),
        ("curve", "8b3e96f2"), ("balancer_v2", "2170c741"), ("balancer_v3", "0874b2d5"),
        ("pancake_v3", "19b47279"), ("dodo", "c2c0245e"), ("curve_underlying", "d013ca23"),
        ("curve_crypto", "b2e76ae9"), ("solidly", "b3e27736"), ("curve_crypto_ng", "143f1f8e"),
        ("liquidity_book", "ad7d6f97"), ("woofi", "0e8e403c"),
    ],
)  # fmt: skip
def test_first_topics_are_those_seen_on_chains(kind: str, begins: str) -> None:
    assert TOPICS[kind][2:10] == begins


def test_a_plain_transfer_is_one_event_of_the_token_that_was_called() -> None:
    given = paid(USDC, SENDER, BOT, 7)
    approved = event(USDC, "Approval(address,address,uint256)", SENDER, BOT, amount=7)
    found = traffic_of(
        [
            receipt(given, to=USDC),
            receipt(given, to=BOT, index=1),
            receipt(given, given, to=USDC, index=2),
            receipt(approved, to=USDC, index=3),
            receipt(to=USDC, index=4),
            receipt(
                paid(WETH, SENDER, BOT, 1), to=Address(WETH.upper().replace("X", "x")), index=5
            ),
            receipt(given, to=None, index=6),
        ]
    )
    assert found.transfers == (0, 5)
