"""Lanes, fees and answers on a node that orders by tip, as anvil does not: real transactions of
real keys, each landed, outbid, stuck or used up."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import pytest
from eth_account import Account as Key

from dexarb.core.sending import Answer, Signed
from dexarb.core.trade import DecisionId
from dexarb.ends.live.keys import Call, Signer
from dexarb.ends.live.lanes import Fees, Lanes
from dexarb.ends.live.records import Records
from dexarb.ends.live.sender import Sender
from tests.support.hardhat import hardhat
from tests.support.worlds.blocks import GWEI

pytestmark = pytest.mark.e2e

BUMP_PPM = 100_000
MUCH = Fees(10**6 * GWEI, 10**6 * GWEI)
PLAIN_GAS = 21_000
TIMEOUT_S = 20.0


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
        found: list[dict[str, Any]] = self.rpc("eth_getBlockByNumber", "latest", True)[
            "transactions"
        ]
        return found

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

    def send(
        self, wanted: Fees, most: Fees = MUCH, *, plain: bool = False
    ) -> tuple[Signed, Answer]:
        slot = self.lanes.slot(self.address, wanted, most)
        assert slot is not None
        return self.send_at(slot.nonce, slot.fees, plain=plain)

    def send_at(self, nonce: int, fees: Fees, *, plain: bool = False) -> tuple[Signed, Answer]:
        self._decisions += 1
        signed, raw = self.signer.sign(
            Call(self.address, b"", PLAIN_GAS),
            chain_id=137,
            nonce=nonce,
            max_fee=fees.max_fee,
            tip=fees.tip,
            decision=None if plain else DecisionId(f"d{self._decisions}"),
            deadline_block=100,
        )
        self.house.sender.send(signed, raw)
        offer = self.house.sender.offers.get(timeout=TIMEOUT_S)
        assert offer.hash == signed.hash
        if offer.answer in (Answer.TAKEN, Answer.KNOWN):
            self.records.add_signed(signed)
        return signed, offer.answer


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


def test_a_nonce_is_used_up_by_a_plain_transaction(house: House, lane: Lane) -> None:
    base_fee = house.base_fee()
    lane.send(Fees(base_fee // 2, 1))
    plain, answer = lane.send(fees(house, 30), plain=True)
    assert (plain.nonce, answer) == (0, Answer.TAKEN)
    (found,) = house.mine()
    assert (found["hash"], found["to"], found["value"]) == (plain.hash, lane.address, "0x0")
    assert lane.ask() == 1


def test_what_it_says_is_understood(house: House, lane: Lane) -> None:
    first, _ = lane.send(fees(house, 30))
    assert lane.send_at(0, Fees(first.max_fee, first.tip))[1] is Answer.KNOWN
    _, answer = lane.send_at(2, fees(house, 30))  # a gap: it waits there for what comes before
    assert answer is Answer.TAKEN
    assert hashes(house.mine()) == [first.hash]
    assert lane.send_at(0, fees(house, 90))[1] is Answer.NONCE_TOO_LOW
    house.rpc("hardhat_setBalance", lane.address, "0x1")
    assert lane.send_at(1, fees(house, 30))[1] is Answer.NO_FUNDS
