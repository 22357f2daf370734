"""Entries of the history survive the way to a line and back, and damaged lines say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.core.block import Block, BlockHash, BlockRef, BlockUpdate, Log, Transaction
from dexarb.core.market import Break, Keyframe, PoolsChanged
from dexarb.core.pool import PoolKey
from dexarb.core.profile import ScheduleChange
from dexarb.core.token import Address
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.errors import StoreError
from dexarb.store import codec
from tests.support.worlds import arrivals
from tests.support.worlds.blocks import TRADER, ref_of


def hex_text(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(lambda data: "0x" + data.hex())


counts = st.integers(0, 2**32 - 1)
wei = st.integers(0, 2**64 - 1)
addresses = hex_text(20).map(Address)
blocks = st.builds(
    Block,
    number=counts,
    hash=hex_text(32),
    parent_hash=hex_text(32),
    timestamp=counts,
    base_fee_per_gas=wei,
    gas_used=counts,
    gas_limit=counts,
    seen_at=st.none() | st.floats(0, 2**32 - 1),
)
logs = st.builds(
    Log,
    address=addresses,
    topics=st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    data=st.binary(max_size=200),
    transaction_index=counts,
    log_index=counts,
)
transactions = st.builds(
    Transaction,
    index=counts,
    hash=hex_text(32),
    sender=addresses,
    to=st.none() | addresses,
    effective_gas_price=wei,
    gas_used=counts,
    succeeded=st.booleans(),
    type=st.none() | st.integers(0, 255),
)
changes = st.builds(
    Change, token=addresses, digits=st.integers(-(2**256), 2**256).filter(bool).map(str)
)
flows = st.builds(
    Flow,
    transaction_index=counts,
    pools=st.lists(st.integers(0, 1), max_size=3).map(tuple),
    is_closed=st.booleans(),
    sender=st.lists(changes, max_size=2).map(tuple),
    target=st.lists(changes, max_size=2).map(tuple),
)
swaps = st.builds(SwapCount, emitter=addresses, kind=st.text(max_size=9), count=counts)
traffic = st.builds(
    Traffic,
    swaps=st.lists(swaps, min_size=2, max_size=3).map(tuple),
    flows=st.lists(flows, max_size=2).map(tuple),
)
block_updates = st.builds(
    BlockUpdate,
    seq=counts,
    block=blocks,
    logs=st.lists(logs, max_size=4).map(tuple),
    transactions=st.lists(transactions, max_size=4).map(tuple),
    has_receipts=st.booleans(),
    witnesses=st.none() | counts,
    backfilled=st.booleans(),
    producer=st.none() | addresses,
    traffic=st.none() | traffic,
)


@given(block_updates)
def test_a_block_survives_the_round_trip(update: BlockUpdate) -> None:
    line = codec.encode_block(update)
    assert b"\n" not in line
    assert codec.decode(line, "here") == update
    header = codec.decode_header(line, "here")
    assert isinstance(header, codec.LinkHeader)
    assert (header.seq, header.number) == (update.seq, update.block.number)
    assert (header.hash, header.parent_hash) == (update.block.hash, update.block.parent_hash)
    assert not header.is_keyframe


@given(st.integers(0, 40), st.booleans())
def test_a_keyframe_survives_the_round_trip_with_its_pools(blocks: int, continues: bool) -> None:
    market = arrivals.market_after(arrivals.first_updates(blocks))
    keyframe = replace(market.keyframe(), seq=7)
    line = codec.encode_keyframe(keyframe, continues=continues)
    assert b"\n" not in line
    assert codec.decode(line, "here") == keyframe
    header = codec.decode_header(line, "here")
    assert isinstance(header, codec.LinkHeader)
    assert header.is_keyframe
    assert header.continues is continues
    assert (header.seq, header.hash) == (7, market.block.hash)


def test_the_line_of_a_block_is_the_documented_one() -> None:
    block = Block(9, BlockHash("0x0a"), BlockHash("0x0b"), 1_700_000_000, 2**60, 1, 2, None)
    log = Log(Address(arrivals.V2_ONE), (b"\x01" * 32,), b"\xff", 3, 4)
    transaction = Transaction(3, "0x0c", TRADER, None, 5, 6, False, 2)
    flow = Flow(3, (0,), True, (), (Change(Address("0x02"), "-7"),))
    traffic = Traffic((SwapCount(Address("0x03"), "curve", 1),), (flow,), (3,))
    update = BlockUpdate(8, block, (log,), (transaction,), True, 2, True, TRADER, traffic)
    line = codec.encode_block(update)
    assert json.loads(line) == {
        "kind": "block",
        "seq": 8,
        "block": {
            "number": 9,
            "hash": "0x0a",
            "parent_hash": "0x0b",
            "timestamp": 1_700_000_000,
            "base_fee_per_gas": 2**60,
            "gas_used": 1,
            "gas_limit": 2,
            "seen_at": None,
        },
        "logs": [
            {
                "address": arrivals.V2_ONE,
                "topics": ["0x" + "01" * 32],
                "data": "0xff",
                "transaction_index": 3,
                "log_index": 4,
            }
        ],
        "transactions": [
            {
                "index": 3,
                "hash": "0x0c",
                "sender": TRADER,
                "to": None,
                "effective_gas_price": 5,
                "gas_used": 6,
                "succeeded": False,
                "type": 2,
            }
        ],
        "has_receipts": True,
        "witnesses": 2,
        "backfilled": True,
        "producer": TRADER,
        "traffic": {
            "swaps": [["0x03", "curve", 1]],
            "flows": [[3, [0], True, [], [["0x02", "-7"]]]],
            "transfers": [3],
        },
    }


def test_transfers_that_nobody_kept_are_unknown_and_not_none() -> None:
    before = replace(arrivals.first_updates(3)[2], traffic=Traffic((), ()))
    line = codec.encode_block(before)
    assert b"transfers" not in line
    assert codec.decode(line, "here") == before
    none = replace(before, traffic=Traffic((), (), ()))
    assert codec.decode(codec.encode_block(none), "here") == none
    with pytest.raises(StoreError, match="transfer with an index"):
        codec.decode(line.replace(b'"flows":[]', b'"flows":[],"transfers":[-1]'), "here")


def test_the_line_of_a_keyframe_has_the_documented_keys() -> None:
    line = json.loads(codec.encode_keyframe(arrivals.first_keyframe(), continues=False))
    assert list(line) == ["kind", "seq", "continues", "block", "profile", "tokens", "pools"]
    assert [pool["kind"] for pool in line["pools"]] == ["uniswap_v2", "uniswap_v2", "uniswap_v3"]
    assert line["pools"][0]["state"]["reserve0"] == str(10**21)


def test_gas_schedules_are_told_where_there_are_any_and_only_known_ones() -> None:
    """A chain without any has the line that it always had."""
    before = arrivals.first_keyframe()
    line = codec.encode_keyframe(before, continues=False)
    assert b"gas_schedules" not in line
    assert codec.decode(line, "here") == before
    changes = (ScheduleChange(87_218_600, "polygon-chicago"),)
    frame = replace(before, profile=replace(before.profile, gas_schedules=changes))
    line = codec.encode_keyframe(frame, continues=False)
    told = b'"gas_schedules":[[87218600,"polygon-chicago"]]'
    assert told in line
    assert codec.decode(line, "here") == frame
    with pytest.raises(StoreError, match="polygon-chicaco"):
        codec.decode(line.replace(b"polygon-chicago", b"polygon-chicaco"), "here")


def edited(change: Callable[[dict[str, object]], object]) -> bytes:
    line = json.loads(codec.encode_block(arrivals.first_updates(3)[2]))
    change(line)
    return json.dumps(line).encode()


def block_with(**changes: object) -> bytes:
    return edited(lambda line: line["block"].update(changes))  # type: ignore[attr-defined]


def traffic_with(*flow: object) -> bytes:
    traffic = {"swaps": [[TRADER, "curve", 1]], "flows": [flow]}
    return edited(lambda line: line.update(traffic=traffic))


def transaction_with(**changes: object) -> bytes:
    def edit(line: dict[str, object]) -> None:
        line["has_receipts"] = True
        transaction = Transaction(0, "0x", TRADER, None, 0, 0, True)
        line["transactions"] = [msgspec.structs.asdict(transaction) | changes]

    return edited(edit)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "truncated"),
        (b"\0" * 40, "malformed"),
        (b'{"kind":"block"', "truncated"),
        (b'{"kind":"weather"}', "weather"),
        (edited(lambda line: line.pop("logs")), "logs"),
        (edited(lambda line: line.update(seq="one")), "seq"),
        (edited(lambda line: line.update(seq=2**63)), "seq"),
        (block_with(number=2**32), "block with a number"),
        (block_with(number=-1), "block with a number"),
        (block_with(timestamp=2**160), "timestamp"),
        (block_with(seen_at=1e300), "seen_at"),
        (block_with(base_fee_per_gas=2**64), "base_fee_per_gas"),
        (block_with(gas_used=2**64), "gas_used"),
        (block_with(gas_limit=10**4_000), "gas_limit"),
        (transaction_with(effective_gas_price=2**64), "transaction"),
        (transaction_with(gas_used=-1), "transaction"),
        (transaction_with(index=2**32), "transaction"),
        (edited(lambda line: line.update(witnesses=-1)), "witnesses"),
        (traffic_with(3, [0, 1], True, [], []), "does not name"),
        (traffic_with(3, [-1], True, [], []), "does not name"),
        (traffic_with(3, [0], True, [[TRADER, "9" * 91]], []), "amount"),
        (traffic_with(3, [0], True, [], [[TRADER, "1e9"]]), "amount"),
        (traffic_with(3, [0], True, []), "length"),
    ],
)
def test_a_damaged_line_names_its_place_and_its_problem(line: bytes, problem: str) -> None:
    with pytest.raises(StoreError, match=problem) as caught:
        codec.decode(line, "file:12")
    assert caught.value.path == "file:12"


@pytest.mark.parametrize("data", ["ff", "0xf", "0xzz"])
def test_data_that_is_not_hexadecimal_is_refused(data: str) -> None:
    update = replace(arrivals.first_updates(1)[0], logs=(Log(Address(arrivals.V3), (), b"", 0, 0),))
    line = codec.encode_block(update).replace(b'"data":"0x"', f'"data":"{data}"'.encode())
    with pytest.raises(StoreError, match="not a history entry"):
        codec.decode(line, "here")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"uniswap_v3", b"balancer", "unknown pool kind 'balancer'"),
        (b'"fee_pips":500', b'"fee_pips":-1', "-1"),
        (b'"reserve0":"1', b'"reserve0":"x1', "bad state"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(old: bytes, new: bytes, problem: str) -> None:
    line = codec.encode_keyframe(arrivals.first_keyframe(), continues=False)
    assert old in line
    with pytest.raises(StoreError, match=problem):
        codec.decode(line.replace(old, new), "here")


def test_a_keyframe_is_a_keyframe() -> None:
    line = codec.encode_keyframe(arrivals.first_keyframe(), continues=False)
    assert isinstance(codec.decode(line, "here"), Keyframe)


@pytest.mark.parametrize("fork_point", [None, BlockRef(9, BlockHash("0x0a"))])
def test_a_break_survives_the_round_trip(fork_point: BlockRef | None) -> None:
    entry = Break(7, fork_point, 'why "so"')
    line = codec.encode_break(entry)
    assert b"\n" not in line
    assert codec.decode(line, "here") == entry
    assert codec.decode_header(line, "here") == entry
    point = None if fork_point is None else {"number": 9, "hash": "0x0a"}
    assert json.loads(line) == {
        "kind": "break",
        "seq": 7,
        "fork_point": point,
        "reason": 'why "so"',
    }


@given(st.integers(0, 40), st.integers(0, 3), st.lists(addresses, max_size=3))
def test_pools_that_change_survive_the_round_trip(
    blocks: int, joined: int, left: list[PoolKey]
) -> None:
    market = arrivals.market_after(arrivals.first_updates(blocks))
    pools = tuple(market.pools.values())[:joined]
    entry = PoolsChanged(9, ref_of(market), arrivals.TOKENS[:joined], pools, tuple(left))
    line = codec.encode_pools_changed(entry)
    assert b"\n" not in line
    assert codec.decode(line, "here") == entry
    assert codec.decode_header(line, "here") == codec.ChangeHeader(9, entry.block)
    assert list(json.loads(line)) == ["kind", "seq", "block", "tokens", "joined", "left"]


def test_the_line_of_pools_that_change_is_the_documented_one() -> None:
    entry = PoolsChanged(
        9, BlockRef(8, BlockHash("0x0a")), arrivals.TOKENS[:1], arrivals.pools()[:1], (arrivals.V3,)
    )
    state = dict(arrivals.pools()[0].state())
    assert json.loads(codec.encode_pools_changed(entry)) == {
        "kind": "pools",
        "seq": 9,
        "block": {"number": 8, "hash": "0x0a"},
        "tokens": [
            {"chain_id": 137, "address": arrivals.WETH, "symbol": "WETH", "decimals": 18},
        ],
        "joined": [{"kind": "uniswap_v2", "state": state}],
        "left": [arrivals.V3],
    }


def test_a_token_with_absurd_decimals_is_refused() -> None:
    line = codec.encode_keyframe(arrivals.first_keyframe(), continues=False)
    with pytest.raises(StoreError, match="decimals"):
        codec.decode(line.replace(b'"decimals":18', b'"decimals":1000000'), "here")
    line = codec.encode_pools_changed(
        PoolsChanged(9, BlockRef(8, BlockHash("0x0a")), arrivals.TOKENS)
    )
    with pytest.raises(StoreError, match="decimals"):
        codec.decode(line.replace(b'"decimals":18', b'"decimals":1000000'), "here")
