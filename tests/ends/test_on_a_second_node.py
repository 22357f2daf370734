"""Lanes, fees and answers on a node that orders by tip, as anvil does not: real transactions of
real keys, each landed, outbid, stuck or used up."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import pytest
from eth_account import Account as Key

from dexarb.apps.live.lane_keeper import LaneKeeper
from dexarb.apps.live.orders import Orders
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.sending import Answer, Signed
from dexarb.core.token import to_address
from dexarb.core.trade import DecisionId, Position
from dexarb.ends.live.keys import Call, Signer
from dexarb.ends.live.lanes import Fees, Lanes
from dexarb.ends.live.records import Records
from dexarb.ends.live.sender import Sender
from dexarb.store.journal import Journal
from dexarb.trading.models.order import BlockPlaces
from dexarb.trading.models.value import Valuation
from tests.support.hardhat import hardhat
from tests.support.worlds.blocks import GWEI, block, transaction
from tests.support.worlds.small_chain import keyframe

pytestmark = pytest.mark.e2e

BUMP_PPM = 100_000
MUCH = Fees(10**6 * GWEI, 10**6 * GWEI)
PLAIN_GAS = 21_000
TIMEOUT_S = 20.0
PATIENCE = 2
"""Blocks."""


class Way(NamedTuple):
    name: str
    url: str
    method: str
    headers: dict[str, str]


class House:
    """Mutable: the node, an account with its lane, and rivals with theirs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sender = Sender([Way("node", url, "eth_sendRawTransaction", {})], [url])
        self.sender.start()
        self._keys = 0

    def rpc(self, method: str, *params: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        call = Request(self.url, body, {"Content-Type": "application/json"})
        with urlopen(call, timeout=TIMEOUT_S) as answer:
            return json.load(answer)["result"]

    def signer(self) -> Signer:
        """A new account with coins."""
        self._keys += 1
        signer = Signer(Key.from_key(self._keys.to_bytes(32)))
        self.rpc("hardhat_setBalance", signer.address, hex(10**22))
        return signer

    def mine(self) -> list[dict[str, Any]]:
        """The next block's transactions, in its order."""
        self.rpc("evm_mine")
        found: list[dict[str, Any]] = self._newest()["transactions"]
        return found

    def _newest(self) -> dict[str, Any]:
        found: dict[str, Any] = self.rpc("eth_getBlockByNumber", "latest", True)
        return found

    def update(self) -> BlockUpdate:
        """The newest block as the history has it."""
        found = self._newest()
        made = block(int(found["number"], 16), found["hash"], found["parentHash"])
        here = replace(made, base_fee_per_gas=int(found["baseFeePerGas"], 16))
        transactions = [
            transaction(
                index, hash=each["hash"], sender=to_address(each["from"]),
                effective_gas_price=int(each["gasPrice"], 16),
            )
            for index, each in enumerate(found["transactions"])
        ]  # fmt: skip
        return BlockUpdate(here.number, here, (), tuple(transactions))

    def base_fee(self) -> int:
        return int(self.rpc("eth_getBlockByNumber", "pending", False)["baseFeePerGas"], 16)


class Lane:
    """Mutable: an account of ours as the bot has it."""

    def __init__(self, house: House) -> None:
        self.house, self.signer = house, house.signer()
        self.address = self.signer.address
        self.records = Records()
        self.lanes = Lanes([self.address], self.records, BUMP_PPM)
        self.ask()
        self._decisions = 0

    def ask(self) -> int:
        """The chain's word."""
        self.house.sender.ask(self.address, 1)
        found = self.house.sender.accounts.get(timeout=TIMEOUT_S)
        assert not isinstance(found, Exception)
        self.lanes.hear(self.address, found.nonce)
        return found.nonce

    def send(self, wanted: Fees, most: Fees = MUCH) -> tuple[Signed, Answer]:
        slot = self.lanes.slot(self.address, wanted, most)
        assert slot is not None
        return self.send_at(slot.nonce, slot.fees)

    def send_at(self, nonce: int, fees: Fees) -> tuple[Signed, Answer]:
        self._decisions += 1
        signed, raw = self.signer.sign(
            Call(self.address, b"", PLAIN_GAS),
            chain_id=137,
            nonce=nonce,
            max_fee=fees.max_fee,
            tip=fees.tip,
            decision=DecisionId(f"d{self._decisions}"),
            deadline_block=self.house.update().block.number + 1,
        )
        self.house.sender.send(signed, raw)
        answer = self.answer(signed)
        if answer in (Answer.TAKEN, Answer.KNOWN):
            self.records.add_signed(signed)
        return signed, answer

    def answer(self, signed: Signed) -> Answer:
        offer = self.house.sender.offers.get(timeout=TIMEOUT_S)
        assert offer.hash == signed.hash
        return offer.answer


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with hardhat() as url:
        made = House(url)
        yield made
        made.sender.stop()


@pytest.fixture
def lane(house: House) -> Lane:
    with pytest.raises(queue.Empty):
        house.sender.offers.get_nowait()
    return Lane(house)


def fees(house: House, tip_gwei: int) -> Fees:
    return Fees(2 * house.base_fee() + tip_gwei * GWEI, tip_gwei * GWEI)


def hashes(block: list[dict[str, Any]]) -> list[str]:
    return [each["hash"] for each in block]


def test_a_tip_buys_the_place_that_its_height_says(house: House, lane: Lane) -> None:
    rivals = [Lane(house) for _ in range(4)]
    sent = [
        (tip, each.send(fees(house, tip))[0].hash)
        for each, tip in zip((*rivals, lane), (50, 10, 40, 20, 30), strict=True)
    ]
    assert hashes(house.mine()) == [name for _, name in sorted(sent, reverse=True)]
    assert lane.ask() == 1


@pytest.mark.parametrize("tip", [60, 40, 5])
def test_it_stands_where_paper_says_that_it_would(house: House, lane: Lane, tip: int) -> None:
    """Among the others of the block; behind those who pay the same and came before."""
    for each in (50, 10, 40, 20):
        Lane(house).send(fees(house, each))
    signed, _ = lane.send(fees(house, tip))
    house.mine()
    update, market = house.update(), Market(keyframe())
    (ours,) = (each for each in update.transactions if each.hash == signed.hash)
    rest = tuple(each for each in update.transactions if each is not ours)
    others = replace(update, transactions=rest)
    places = BlockPlaces(market, others, Valuation(market, 1))
    assert places.of(Position.FEE, signed.tip, lambda _: None) == ours.index


def test_a_replacement_pays_the_bump_and_not_a_wei_less(house: House, lane: Lane) -> None:
    """And what it has replaced is never included."""
    first, answer = lane.send(Fees(100 * GWEI + 1, 3 * GWEI + 1))
    assert answer is Answer.TAKEN
    slot = lane.lanes.slot(lane.address, Fees(1, 1), MUCH)
    assert slot is not None
    assert slot.replaces == first
    for less in (
        Fees(slot.fees.max_fee - 1, slot.fees.tip),
        Fees(slot.fees.max_fee, slot.fees.tip - 1),
    ):
        assert lane.send_at(slot.nonce, less)[1] is Answer.UNDERPRICED
    second, answer = lane.send(Fees(1, 1))
    assert answer is Answer.TAKEN
    assert hashes(house.mine()) == [second.hash]
    assert lane.ask() == 1
    assert lane.lanes.waiting(lane.address) is None
    third, _ = lane.send(fees(house, 5))
    assert third.nonce == 1
    assert hashes(house.mine()) == [third.hash]


def test_what_is_stuck_below_the_base_fee_is_outbid_by_the_next(house: House, lane: Lane) -> None:
    base_fee = house.base_fee()
    stuck, answer = lane.send(Fees(base_fee // 2, base_fee // 4))
    assert answer is Answer.TAKEN
    assert house.mine() == []
    assert house.mine() == []
    assert lane.ask() == 0
    too_dear = Fees(base_fee // 2, base_fee // 2)
    assert lane.lanes.slot(lane.address, Fees(1, 1), too_dear) is None
    following, answer = lane.send(fees(house, 30))
    assert (following.nonce, answer) == (stuck.nonce, Answer.TAKEN)
    assert hashes(house.mine()) == [following.hash]


def test_a_nonce_that_waits_for_long_is_used_up(house: House, lane: Lane, tmp_path: Path) -> None:
    base_fee = house.base_fee()
    stuck, answer = lane.send(Fees(base_fee // 2, 1))
    assert answer is Answer.TAKEN
    with Journal.open(tmp_path / "journal.sqlite", chain_id=137) as journal:
        keeper = LaneKeeper(
            journal,
            lane.records,
            lane.lanes,
            {lane.address: lane.signer},
            house.sender,
            Orders(journal, lane.records),
            time.time,
            min_native=0,
            cancel_after_blocks=PATIENCE,
            timer=time.monotonic,
        )
        while (here := house.update().block).number < stuck.deadline_block + PATIENCE:
            keeper.mined(here)
            assert journal.signed() == []
            house.rpc("hardhat_setNextBlockBaseFeePerGas", hex(base_fee))
            assert house.mine() == []
        keeper.mined(here)
        (plain,) = journal.signed()
    assert lane.answer(plain) is Answer.TAKEN
    (found,) = house.mine()
    assert (found["hash"], found["to"], found["value"]) == (plain.hash, lane.address, "0x0")
    assert (plain.nonce, lane.ask()) == (0, 1)
    assert lane.lanes.waiting(lane.address) is None


def test_what_it_says_is_understood(house: House, lane: Lane) -> None:
    first, _ = lane.send(fees(house, 30))
    assert lane.send_at(0, Fees(first.max_fee, first.tip))[1] is Answer.KNOWN
    _, answer = lane.send_at(2, fees(house, 30))  # a gap: it waits there for what comes before
    assert answer is Answer.TAKEN
    assert hashes(house.mine()) == [first.hash]
    assert lane.send_at(0, fees(house, 90))[1] is Answer.NONCE_TOO_LOW
    house.rpc("hardhat_setBalance", lane.address, "0x1")
    assert lane.send_at(1, fees(house, 30))[1] is Answer.NO_FUNDS
