"""Nonces and fees of an account: never two trades that could both land, never a guess."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dexarb.core.sending import Answer, Signed, TransactionHash
from dexarb.core.token import Address
from dexarb.core.trade import DecisionId
from dexarb.ends.live.lanes import Fees, Lanes
from dexarb.ends.live.records import Records
from dexarb.ends.live.sender import answer_of
from dexarb.errors import RpcError

LANE = Address("0x" + "e1" * 20)
BUMP_PPM = 100_000
MUCH = Fees(10**15, 10**15)


def signed(nonce: int, fees: Fees, name: str = "d") -> Signed:
    made = TransactionHash(f"0x{name}{nonce}{fees.tip}")
    return Signed(made, LANE, nonce, DecisionId(name), fees.max_fee, fees.tip, 400_000, 100)


def lanes(records: Records | None = None) -> Lanes:
    return Lanes([LANE], Records() if records is None else records, BUMP_PPM)


def test_nothing_is_sent_before_the_chain_has_said_its_word() -> None:
    made = lanes()
    assert made.in_doubt == (LANE,)
    assert made.slot(LANE, Fees(100, 10), MUCH) is None
    made.hear(LANE, 7)
    slot = made.slot(LANE, Fees(100, 10), MUCH)
    assert slot is not None
    assert (slot.nonce, slot.fees, slot.replaces) == (7, Fees(100, 10), None)
    made.doubt(LANE)
    assert made.slot(LANE, Fees(100, 10), MUCH) is None


def test_what_waits_is_outbid_by_the_bump_rounded_up_or_left() -> None:
    records = Records([signed(7, Fees(101, 11))])
    made = lanes(records)
    made.hear(LANE, 7)
    slot = made.slot(LANE, Fees(50, 5), MUCH)
    assert slot is not None
    assert (slot.nonce, slot.fees) == (7, Fees(112, 13))
    dear = made.slot(LANE, Fees(500, 50), MUCH)
    assert dear is not None
    assert dear.fees == Fees(500, 50)
    assert made.slot(LANE, Fees(50, 5), Fees(111, 100)) is None
    assert made.slot(LANE, Fees(50, 5), Fees(1_000, 12)) is None
    made.follow({LANE: 7})
    later = made.slot(LANE, Fees(50, 5), MUCH)
    assert later is not None
    assert (later.nonce, later.replaces) == (8, None)


def test_what_a_reorganisation_takes_back_waits_again() -> None:
    """Until the chain has been asked nothing goes out, and then this nonce goes first."""
    records = Records([signed(6, Fees(100, 10)), signed(7, Fees(101, 11))])
    made = lanes(records)
    made.hear(LANE, 6)
    made.follow({LANE: 7})
    assert made.waiting(LANE) is None
    made.follow({LANE: 6})
    assert made.in_doubt == (LANE,)
    assert made.hear(LANE, 7)
    waiting = made.waiting(LANE)
    assert waiting is not None
    assert waiting.nonce == 7
    made.follow({})  # the first of all is back as well
    assert made.in_doubt == (LANE,)
    assert made.hear(LANE, 6)


def test_an_endpoint_that_lags_or_stands_on_a_dead_branch_is_no_news() -> None:
    records = Records([signed(7, Fees(101, 11)), signed(8, Fees(101, 11))])
    made = lanes(records)
    made.hear(LANE, 7)
    made.follow({LANE: 7})
    assert not made.hear(LANE, 6)  # a block behind us
    assert not made.in_doubt
    assert not made.hear(LANE, 9)  # a block ahead of us, which dies
    assert made.waiting(LANE) is None
    assert made.hear(LANE, 8)  # history and chain agree
    waiting = made.waiting(LANE)
    assert waiting is not None
    assert waiting.nonce == 8
    made.doubt(LANE)
    assert not made.hear(LANE, 7)  # used already, as the history has proven
    assert made.in_doubt == (LANE,)


MOVES = ["send", "land", "see", "undo", "doubt", "hear", "lag", "dead"]


@given(st.lists(st.sampled_from(MOVES), max_size=60))
def test_a_nonce_is_used_twice_only_by_outbidding(course: list[str]) -> None:
    """Whatever happens: of two transactions with one nonce the later one pays at least the bump, a
    nonce that the history has shown is not used again, and once all agree the chain's word holds.
    """
    records, chain, shown, highest = Records(), 3, 3, 3
    made = lanes(records)
    sent: list[Signed] = []
    for count, what in enumerate(course):
        if what == "hear":
            made.hear(LANE, chain)
        elif what == "lag":
            made.hear(LANE, max(chain - 1, 0))
        elif what == "dead":
            made.hear(LANE, highest)
        elif what == "doubt":
            made.doubt(LANE)
        elif what == "land" and records.at_nonce(LANE, chain):
            chain += 1
            highest = max(highest, chain)
        elif what == "see":
            shown = chain
            made.follow({LANE: shown - 1} if shown > 3 else {})
        elif what == "undo" and chain > 3:
            chain -= 1
            shown = min(shown, chain)
            made.follow({LANE: shown - 1} if shown > 3 else {})
        elif what == "send":
            slot = made.slot(LANE, Fees(100, 10), MUCH)
            if slot is None:
                assert made.in_doubt
                continue
            assert shown <= slot.nonce <= highest
            for each in sent:
                if each.nonce == slot.nonce:
                    assert slot.fees.tip * 10 >= each.tip * 11
                    assert slot.fees.max_fee * 10 >= each.max_fee * 11
            sent.append(signed(slot.nonce, slot.fees, f"d{count}"))
            records.add_signed(sent[-1])
    made.follow({LANE: chain - 1} if chain > 3 else {})
    made.hear(LANE, chain)
    slot = made.slot(LANE, Fees(100, 10), MUCH)
    assert slot is not None
    assert slot.nonce == chain


def test_what_nodes_say() -> None:
    said = {
        "already known": Answer.KNOWN,
        "AlreadyKnown": Answer.KNOWN,
        "nonce too low: next nonce 7, tx nonce 3": Answer.NONCE_TOO_LOW,
        "replacement transaction underpriced": Answer.UNDERPRICED,
        "transaction underpriced": Answer.UNDERPRICED,
        "Insufficient funds for gas * price + value": Answer.NO_FUNDS,
        "sender doesn't have enough funds to send tx": Answer.NO_FUNDS,
        "exceeds block gas limit": Answer.REFUSED,
    }
    for text, answer in said.items():
        assert answer_of(RpcError("node", -32000, text)) is answer, text
