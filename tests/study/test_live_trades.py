"""What a bot's trades teach: neighbours, copies, steps, and how far paper was off, and why."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from dexarb.core.block import BlockRef, BlockUpdate, Log, Transaction
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle, Hop
from dexarb.core.sending import (
    Answer,
    Control,
    ControlKind,
    Difference,
    Offer,
    Outcome,
    Paper,
    Signed,
    Terms,
    TransactionHash,
    Twin,
)
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, Fill, FillStatus, StrategyHash
from dexarb.screens.bot_status import BotStatus, said_of
from dexarb.screens.console import plain_console
from dexarb.screens.live_trade_row import decimal
from dexarb.study.bot_report import quantiles, report
from dexarb.study.live_results import LaneResults, OpenState, OpenTrade, Optimism, results
from dexarb.study.live_trades import (
    LiveTrade,
    LiveTrades,
    Place,
    Steps,
    accepted,
    place_in,
)
from tests.support.worlds.blocks import GWEI, block, transaction
from tests.support.worlds.small_chain import CHEAP, DEAR, USDC, WETH

US, OTHER = Address("0x" + "05" * 20), Address("0x" + "07" * 20)
ELSEWHERE = Address("0x" + "e1" * 20)
BASE = 30
CYCLE = Cycle((Hop(CHEAP, USDC, WETH), Hop(DEAR, WETH, USDC)))
BLOCK = block(101, "0x101", seen_at=1_000.0)


def decision(name: str = "d", priority_fee: int = 60 * GWEI) -> Decision:
    return Decision(
        DecisionId(name), StrategyHash("s"), BLOCK, CYCLE, 1_000, 1_010, 1_001, 100_000, 10, 0,
        priority_fee, 10**12, 102, 104,
    )  # fmt: skip


def paid(index: int, tip: float, sender: Address = OTHER) -> Transaction:
    return transaction(index, sender=sender, effective_gas_price=int((BASE + tip) * GWEI))


def touching(index: int, *pools: str) -> tuple[Log, ...]:
    return tuple(Log(Address(pool), (), b"", index, n) for n, pool in enumerate(pools))


def placed(*transactions: Transaction, logs: tuple[Log, ...] = ()) -> Place:
    """Of ours, the only transaction of our account."""
    update = BlockUpdate(1, block(102, "0x102"), logs, transactions)
    (own,) = (each.index for each in transactions if each.sender == US)
    found = place_in(update, decision(), own, [US])
    assert found is not None
    return found


def test_neighbours_and_who_moved_our_pools_before() -> None:
    found = placed(
        paid(0, 300), paid(1, 90), paid(2, 60, US), paid(3, 41), logs=touching(0, CHEAP, ELSEWHERE)
    )
    assert (found.tip, found.before, found.after) == (60 * GWEI, 90 * GWEI, 41 * GWEI)
    assert (found.ahead, found.places, found.is_copied) == (300 * GWEI, 4, False)
    alone = placed(paid(0, 60, US), logs=touching(0, CHEAP, DEAR))
    assert (alone.before, alone.after, alone.ahead, alone.is_copied) == (None, None, None, False)
    # The chain's own pays nothing, and whoever comes behind us did not come before us.
    own = transaction(1, sender=OTHER, effective_gas_price=0)
    last = placed(paid(0, 60, US), own, paid(2, 9), logs=touching(2, CHEAP, DEAR))
    assert (last.after, last.ahead, last.is_copied) == (None, None, False)
    nowhere = BlockUpdate(1, block(102, "0x102"), (), (paid(0, 60, US),))
    assert place_in(nowhere, decision(), 3, [US]) is None


@pytest.mark.parametrize(
    ("tip", "pools", "sender", "is_copied"),
    [
        (60.1, (CHEAP, DEAR), OTHER, True),
        (66, (CHEAP, DEAR, ELSEWHERE), OTHER, True),
        (66.1, (CHEAP, DEAR), OTHER, False),
        (60, (CHEAP, DEAR), OTHER, False),
        (61, (CHEAP,), OTHER, False),
    ],
)
def test_a_copy_is_the_same_cycle_before_us_at_a_tip_just_above(
    *, tip: float, pools: tuple[PoolKey, ...], sender: Address, is_copied: bool
) -> None:
    found = placed(paid(0, tip, sender), paid(1, 60, US), logs=touching(0, *pools))
    assert found.is_copied is is_copied


def test_accepted_is_when_the_first_way_took_it() -> None:
    hash_ = TransactionHash("0x1")
    offers = [
        Offer(hash_, "slow", 5.0, Answer.TAKEN),
        Offer(hash_, "deaf", 1.0, Answer.UNKNOWN),
        Offer(hash_, "quick", 3.0, Answer.KNOWN),
    ]
    assert accepted(offers) == {hash_: 3.0}


# -- how far paper was off ---------------------------------------------------------------------


def filled(name: str, net: int, *, tip: int = 60, number: int = 102) -> Fill:
    price = (BASE + tip) * GWEI
    of = block(number, f"0x{number}")
    return Fill(
        decision(name), of, 3, FillStatus.FILLED, 1_000, 1_010, 100_000, price, 900, net, (net, net)
    )


def outcome(net: int) -> Outcome:
    return Outcome(FillStatus.FILLED, 1_010, 100_000, net)


def twin(fill: Fill, net: int) -> Twin:
    here = BlockRef(fill.block.number, fill.block.hash)
    live = outcome(fill.net_micro_usd)
    return Twin(fill.decision, TransactionHash("0x"), here, 3, live, outcome(net), Difference.NONE)


def paper(name: str, net: int, *, number: int = 102, own_effect: bool = False) -> Paper:
    return Paper(
        DecisionId(name), BlockRef(number, block(number, f"0x{number}").hash), 1, outcome(net),
        own_effect,
    )  # fmt: skip


def test_the_difference_has_a_name() -> None:
    """Place in the same block, delay in another one, gas beside the model, a raised tip, and what
    was never included; what stood behind our own effect says nothing."""
    place, delay, raised, gas = (
        filled("place", 1_000_000),
        filled("delay", 2_000_000, number=103),
        filled("raised", 500_000, tip=90),
        filled("gas", 500_000),
    )
    lost = filled("lost", 0)._replace(status=FillStatus.EXPIRED, gas_used=0, gas_price=0)
    own = filled("own", 7)
    fills = [place, delay, raised, gas, lost, own]
    twins = [twin(place, 1_000_000), twin(delay, 2_000_000), twin(raised, 500_000)]
    twins += [twin(gas, 500_300), twin(own, 7)]
    papers = [
        paper("place", 1_022_000),
        paper("delay", 2_009_000),
        paper("raised", 500_225),
        paper("gas", 500_300),
        paper("lost", 40_000),
        paper("own", 9_000_000, own_effect=True),
        paper("open", 9_000_000),
    ]
    found = results([], [], twins, papers, fills, set()).optimism
    # Of 900 for gas at 120 gwei, 30 were paid above the bid.
    assert found == Optimism(5, 4_000_000, 22_000, 9_000, 300, 225, 40_000)
    assert found.percent == pytest.approx(100 * 71_525 / 4_000_000)
    assert said_of(found) == (
        "Paper was 1.8 % (0.07 USD) too good over 5 trades:"
        " 0.6 place, 0.2 delay, 0.0 gas, 0.0 tip, 1.0 not included."
    )
    worse = Optimism(2, 1_000_000, -31_000, 9_000, 0, 0, 0)
    assert said_of(worse) == (
        "Paper was 2.2 % (0.02 USD) too bad over 2 trades: 3.1 place, -0.9 delay."
    )
    nothing = Optimism(1, 0, 2_000_000, 0, 0, 0, 0)
    assert said_of(nothing) == "Paper was 2.00 USD too good over 1 trade: 2.00 place."


def trade(out: float | None, place: Place | None, blocks: int = 1) -> LiveTrade:
    signed = Signed(TransactionHash("0x1"), US, 0, DecisionId("d"), 1, 1, 1, 104)
    steps = Steps(1.0, None, None, None, out)
    fill = filled("d", 5, number=101 + blocks)
    told = paper("d", 5, number=101 + blocks)
    return LiveTrade(decision(), signed, fill, steps, told, place)


def test_what_a_paper_strategy_should_use() -> None:
    """As late as all but a tenth, the middle of blocks and of tips as they were paid."""
    place = placed(paid(0, 300), paid(1, 60, US), logs=touching(0, CHEAP))
    trades = [trade(float(ms), place, 2 if ms > 4 else 1) for ms in range(1, 11)]
    trades.append(trade(None, replace_tip(place, 99 * GWEI), 2))
    still = replace(trade(None, None), fill=None)
    found = report(LiveTrades([*trades, still], [], {}, None), Optimism(0, 0, 0, 0, 0, 0, 0))
    assert found.proposed == (9, 2, 60 * GWEI)
    assert (found.ended, found.included, found.copied) == (11, 11, 0)
    assert (found.tips.ahead, found.tips.overtaken) == (300 * GWEI, 11)
    # Paper said place 1, and there were 3.
    assert found.places == (11, 0, 0, 11, 2.0)
    assert found.steps["out"] == (10, 5.0, 9.0, 10.0)
    assert found.steps.keys() == {"decided", "out"}
    nothing = report(LiveTrades([], [], {}, None), Optimism(0, 0, 0, 0, 0, 0, 0))
    assert nothing.proposed == (None, None, None)


def replace_tip(place: Place, tip: int) -> Place:
    return place._replace(tip=tip)


def test_quantiles_are_values_that_were_there() -> None:
    assert quantiles([None]) is None
    assert quantiles([3.0, None, 1.0, 2.0]) == (3, 2.0, 3.0, 3.0)


def test_amounts_keep_all_of_their_digits() -> None:
    assert decimal(1_500_000, 6) == "1.5"
    assert decimal(10**24 + 1, 18) == "1000000.000000000000000001"
    assert decimal(0, 18) == "0"
    assert decimal(7, 0) == "7"


def test_ways_charge_for_what_landed_and_for_what_did_not() -> None:
    """By the newest terms, and only once a trade has come to its end."""
    there, lost = filled("there", 1_000), filled("lost", 0)
    lost = lost._replace(status=FillStatus.EXPIRED, gas_used=0, gas_price=0)
    signed = [
        Signed(TransactionHash(f"0x{name}"), Address("0xlane"), at, DecisionId(name), 1, 1, 1, 1)
        for at, name in enumerate(("there", "lost", "open"))
    ]
    controls = [
        Control(at, ControlKind.EXPECT, "", terms.subject)
        for at, terms in enumerate((Terms(0, 9, 9), Terms(0, 50, 3)))
    ]
    twins = [twin(there, 1_000)._replace(hash=TransactionHash("0xthere"))]
    found = results(signed, controls, twins, [], [there, lost], set())
    assert found.ways_micro_usd == 53
    assert found.profit_micro_usd == 1_000
    status = BotStatus(found, None, finalized=there.block.number)
    assert (status.final, BotStatus(found, None).final) == (1, None)
    assert BotStatus(found, None, finalized=there.block.number - 1).final == 0
    assert status.as_json()["ways_usd"] == 0.000053


def test_a_lane_tells_what_became_of_its_transactions() -> None:
    """Landed, missed, how far from the place that paper told, and what it still waits for."""
    near, far, other_block, own, lost = (
        filled(name, 1_000) for name in ("near", "far", "other_block", "own", "lost")
    )
    lost = lost._replace(status=FillStatus.EXPIRED, gas_used=0, gas_price=0)
    names = ("near", "far", "other_block", "own", "lost", "open")
    signed = [
        Signed(TransactionHash(f"0x{name}"), US, at, DecisionId(name), 1, 1, 1, 1)
        for at, name in enumerate(names)
    ]
    signed.append(Signed(TransactionHash("0xused_up"), OTHER, 0, None, 1, 1, 1, 0))
    fills = [near, far, other_block, own]
    twins = [
        twin(each, 1_000)._replace(hash=TransactionHash(f"0x{each.decision.id}")) for each in fills
    ]
    papers = [
        paper("near", 1_000)._replace(place=3),
        paper("far", 1_000)._replace(place=8),
        paper("other_block", 1_000, number=103),
        paper("own", 1_000, own_effect=True),
    ]
    offers: list[Offer] = []

    def lanes() -> tuple[LaneResults, ...]:
        return tuple(results(signed, [], twins, papers, [*fills, lost], set(), (), offers).lanes)

    lane, idle = lanes()
    assert (lane.signed, lane.landed, lane.filled, lane.missed, lane.blocks) == (6, 4, 4, 1, 4)
    # Paper says place 3 and 8, both stood at 3; another block and our own effect tell nothing.
    assert (lane.compared, lane.off) == (2, -2.5)
    assert lane.open == ("0xopen", 5, OpenState.SIGNED)
    assert idle[1:] == (1, 0, 0, 0, 0, 0, None, None)
    for answer, state in (
        (Answer.REFUSED, OpenState.REFUSED),
        (Answer.UNKNOWN, OpenState.UNKNOWN),
        (Answer.KNOWN, OpenState.OFFERED),
        (Answer.REFUSED, OpenState.OFFERED),
    ):
        offers.append(Offer(TransactionHash("0xopen"), "way", 0.0, answer))
        (waiting, _) = lanes()
        assert waiting.open is not None
        assert waiting.open.state is state


def test_what_every_way_refused_was_not_sent() -> None:
    """Not what one of two took, nor what stands in a block all the same; and no plain one."""
    there = filled("there", 1_000)
    names = ("there", "taken", "unknown", "refused", "unanswered")
    signed = [
        Signed(TransactionHash(f"0x{name}"), US, at, DecisionId(name), 1, 1, 1, 1)
        for at, name in enumerate(names)
    ]
    signed.append(Signed(TransactionHash("0xplain"), US, 5, None, 1, 1, 1, 0))
    twins = [twin(there, 1_000)._replace(hash=TransactionHash("0xthere"))]
    offers = [
        Offer(TransactionHash(f"0x{name}"), way, 0.0, answer)
        for name, *answers in (
            ("there", Answer.REFUSED, Answer.REFUSED),
            ("taken", Answer.NONCE_TOO_LOW, Answer.KNOWN),
            ("unknown", Answer.UNKNOWN, Answer.REFUSED),
            ("refused", Answer.UNDERPRICED, Answer.NO_FUNDS),
            ("plain", Answer.REFUSED, Answer.REFUSED),
        )
        for way, answer in zip("ab", answers, strict=True)
    ]
    found = results(signed, [], twins, [], [there], set(), (), offers)
    assert found.dropped == {"every way refused it": 1}


@pytest.mark.parametrize("width", [80, 120])
def test_lanes_fit_a_line(width: int) -> None:
    longest = LaneResults(
        US, 12_345, 12_345, 12_345, 12_345, 99_999, 100, -199.5,
        OpenTrade(TransactionHash("0x"), 123_456, OpenState.OFFERED),
    )  # fmt: skip
    found = replace(results([], [], [], [], [], set()), lanes=[longest])
    buffer = io.StringIO()
    status = BotStatus(found, None, copied={US: (200, 200)})
    plain_console(file=buffer, width=width).print(status.render())
    lines = buffer.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (line,) = (each for each in lines if US[:10] in each)
    assert line.split()[1:] == [
        *["12345"] * 4,
        "8.1",
        "-199.5",
        "200/200",
        "offered",
    ]
