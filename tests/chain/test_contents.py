"""What a node says of a block is refused where it cannot be true, and never where it is."""

from __future__ import annotations

import copy
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest

from dexarb.chain import contents, decode, flows, proof
from dexarb.chain.contents import Contents, Watched
from dexarb.chain.decode import EventLog, Header, Receipt
from dexarb.core.block import Log
from dexarb.core.token import Address
from dexarb.core.traffic import Traffic
from dexarb.errors import Refused
from tests.support.lies import SEEN_BY_THE_ROOT, SEEN_CHEAPLY, Lie
from tests.support.true_chain import Json, TrueBlock, TrueChain, first_pools
from tests.support.worlds.blocks import TRADER
from tests.support.worlds.small_chain import CHEAP as CHEAP_KEY
from tests.support.worlds.small_chain import DEAR as DEAR_KEY

CHEAP, DEAR = Address(CHEAP_KEY), Address(DEAR_KEY)

WATCHED = Watched.of(first_pools().values())
BARE = ("receiptsRoot", "stateRoot", "transactionsRoot", "sha3Uncles", "miner", "mixHash", "nonce")
"""What headers of a minimal node lack; their hashes can be anything."""


@cache
def true_block(seed: int) -> TrueBlock:
    """Of one to six transactions; not to be changed."""
    return TrueChain(seed).mine(1 + seed % 6)


def header_of(block: TrueBlock, *, bare: bool = False, **changes: Any) -> Header:
    answer = block.header | changes
    if bare:
        answer = {name: value for name, value in answer.items() if name not in BARE}
    return decode.header(answer, "a test")


def read(header: Header, receipts: list[Json]) -> Contents:
    return contents.of_receipts(header, msgspec.convert(receipts, list[Receipt]), WATCHED)


def expected_logs(block: TrueBlock) -> tuple[Log, ...]:
    every = [log for receipt in block.receipts for log in receipt["logs"]]
    return tuple(
        Log(
            Address(log["address"]),
            tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
            bytes.fromhex(log["data"][2:]),
            int(log["transactionIndex"], 16),
            place,
        )
        for place, log in enumerate(every)
        if log["address"] in WATCHED.pools and bytes.fromhex(log["topics"][0][2:]) in WATCHED.topics
    )


# -- the truth -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bare", [False, True])
def test_the_true_receipts_are_never_refused(bare: bool) -> None:
    for seed in range(100):
        block = true_block(seed)
        found = read(header_of(block, bare=bare), block.receipts)
        assert found.is_proven is not bare
        assert found.has_receipts
        assert found.logs == expected_logs(block)
        assert [each.hash for each in found.transactions] == block.header["transactions"]
        assert not found.unknown_events
        assert not found.admitted


def test_an_empty_block_is_proven() -> None:
    block = TrueChain(1).mine(0)
    found = Contents((), (), has_receipts=True, is_proven=True, traffic=Traffic((), (), ()))
    assert read(header_of(block), []) == found


def test_whom_the_header_names_and_what_receipts_say_of_all_pools() -> None:
    block = next(block for block in map(true_block, range(20)) if expected_logs(block))
    named = header_of(block, miner=TRADER.upper().replace("X", "x"))
    found = read(named, block.receipts)
    assert named.producer() == TRADER
    assert header_of(block).producer() is None
    assert found.traffic == flows.traffic_of(msgspec.convert(block.receipts, list[Receipt]))
    assert contents.of_logs(header_of(block), [], WATCHED).traffic is None
    assert [each.type for each in found.transactions] == [
        int(receipt["type"], 16) for receipt in block.receipts
    ]


def test_receipts_in_any_order_are_put_in_order_by_their_indexes() -> None:
    block = true_block(5)
    found = read(header_of(block), block.receipts[::-1])
    assert found == read(header_of(block), block.receipts)


@pytest.mark.parametrize("bare", [False, True])
def test_log_indexes_that_start_again_in_every_transaction_are_not_believed(bare: bool) -> None:
    for seed in range(40):
        block = true_block(seed)
        receipts = copy.deepcopy(block.receipts)
        for receipt in receipts:
            for place, log in enumerate(receipt["logs"]):
                log["logIndex"] = hex(place)
        found = read(header_of(block, bare=bare), receipts)
        assert found.logs == expected_logs(block)
        assert found.is_proven is not bare


def test_log_indexes_that_run_backwards_make_no_difference() -> None:
    block = true_block(5)
    receipts = copy.deepcopy(block.receipts)
    for receipt in receipts:
        for place, log in enumerate(reversed(receipt["logs"])):
            log["logIndex"] = hex(place)
    assert read(header_of(block), receipts).logs == expected_logs(block)


def test_with_a_header_that_hides_its_field_the_truth_is_unproven_and_not_refused() -> None:
    block = true_block(4)
    for changes in ({"newField": "0x1", "stateRoot": "0x" + "00" * 32}, {"miner": None}):
        header = header_of(block, **changes)
        assert header.hash_matches is None
        found = read(header, block.receipts)
        assert found.logs == expected_logs(block)
        assert not found.is_proven


def test_capital_letters_make_no_difference() -> None:
    block = true_block(5)
    receipts = copy.deepcopy(block.receipts)
    for receipt in receipts:
        for log in receipt["logs"]:
            for name in ("blockHash", "transactionHash", "address", "data", "blockNumber"):
                log[name] = "0x" + log[name][2:].upper()
    found = read(header_of(block), receipts)
    assert found == read(header_of(block), block.receipts)


def test_fields_that_a_minimal_node_leaves_out_are_not_needed() -> None:
    block = true_block(5)
    receipts = copy.deepcopy(block.receipts)
    for receipt in receipts:
        for name in ("type", "status", "logsBloom", "cumulativeGasUsed", "blockNumber"):
            del receipt[name]
        del receipt["effectiveGasPrice"]
        for log in receipt["logs"]:
            del log["blockNumber"], log["transactionHash"]
    for bare in (False, True):
        found = read(header_of(block, bare=bare), receipts)
        assert found.logs == expected_logs(block)
        assert not found.is_proven


# -- the chain's own transactions ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["under the root", "beside it"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("count", [0, 3])
def test_the_chains_own_last_receipt_may_lie_under_the_root_or_beside_it(
    where: str, listed: bool, count: int
) -> None:
    block = TrueChain(7).mine(count, state_sync=where)  # type: ignore[arg-type]
    names = block.header["transactions"]
    header = header_of(block, transactions=names if listed else names[:-1])
    found = read(header, block.receipts)
    assert found.is_proven
    assert len(found.transactions) == count + 1
    assert (found.transactions[-1].gas_used, found.transactions[-1].effective_gas_price) == (0, 0)
    bare = header_of(block, bare=True, transactions=names if listed else names[:-1])
    assert read(bare, block.receipts).logs == found.logs


def test_the_chains_own_receipt_may_be_left_out_where_no_root_knows_it() -> None:
    block = TrueChain(7).mine(3, state_sync="beside it")
    for bare in (False, True):
        assert len(read(header_of(block, bare=bare), block.receipts[:-1]).transactions) == 3


def test_the_chains_own_receipt_is_missed_where_the_root_knows_it() -> None:
    block = TrueChain(7).mine(3, state_sync="under the root")
    with pytest.raises(Refused, match="receiptsRoot"):
        read(header_of(block), block.receipts[:-1])


def test_events_of_pools_beside_the_root_leave_a_block_unproven() -> None:
    block = TrueChain(7).mine(3, state_sync="beside it")
    receipts = copy.deepcopy(block.receipts)
    sync = next(iter(WATCHED.pools[CHEAP].changing))
    receipts[-1]["logs"][0] |= {"address": CHEAP, "topics": ["0x" + sync.hex()]}
    found = read(header_of(block), receipts)
    assert not found.is_proven
    assert found.logs[-1].address == CHEAP


def test_a_strange_type_of_transaction_is_unproven_and_not_refused() -> None:
    block = true_block(5)
    receipts = copy.deepcopy(block.receipts)
    receipts[1]["type"] = "0x7e"  # its chain may encode more than the standard's fields
    found = read(header_of(block), receipts)
    assert not found.is_proven
    assert found.logs == expected_logs(block)


# -- lies ----------------------------------------------------------------------------------------


def refusals(lie: Lie, *, bare: bool, blocks: range) -> int:
    """How often the lie was told; fails where it was not refused."""
    told = 0
    for seed in blocks:
        block = true_block(seed)
        answer = lie(copy.deepcopy(block.receipts), block, Random(seed))
        if answer is None:
            continue
        told += 1
        with pytest.raises(Refused) as refused:
            read(header_of(block, bare=bare), answer)
        assert refused.value.method == "eth_getBlockReceipts"
    return told


@pytest.mark.parametrize("lie", SEEN_CHEAPLY + SEEN_BY_THE_ROOT, ids=lambda lie: lie.__name__)
def test_every_lie_is_refused_where_the_block_is_proven(lie: Lie) -> None:
    assert refusals(lie, bare=False, blocks=range(12)) > 5


@pytest.mark.parametrize("lie", SEEN_CHEAPLY, ids=lambda lie: lie.__name__)
def test_a_lie_about_an_unproven_block_is_refused_where_it_contradicts_the_header(lie: Lie) -> None:
    assert refusals(lie, bare=True, blocks=range(12)) > 5


@pytest.mark.fuzz
@pytest.mark.parametrize("lie", SEEN_CHEAPLY + SEEN_BY_THE_ROOT, ids=lambda lie: lie.__name__)
def test_every_lie_is_refused_over_many_blocks(lie: Lie) -> None:
    assert refusals(lie, bare=False, blocks=range(1_000)) > 500
    if lie in SEEN_CHEAPLY:
        assert refusals(lie, bare=True, blocks=range(1_000)) > 500


# -- headers -------------------------------------------------------------------------------------


def test_a_header_that_is_not_its_hashs_is_refused_on_chains_whose_headers_were_proven() -> None:
    block = true_block(3)
    false = header_of(block, gasUsed=hex(12345))
    with pytest.raises(Refused, match="does not belong to its hash"):
        contents.check_header(false, "eth_getBlockByHash", proven_before=True)
    contents.check_header(false, "eth_getBlockByHash", proven_before=False)
    for header in (header_of(block), header_of(block, bare=True)):
        contents.check_header(header, "eth_getBlockByHash", proven_before=True)


# -- logs alone ----------------------------------------------------------------------------------


def events_of(block: TrueBlock) -> list[Json]:
    """What eth_getLogs gives for the watched pools and topics."""
    topics = {"0x" + topic.hex() for topic in WATCHED.topics}
    logs = [log for receipt in block.receipts for log in receipt["logs"]]
    return [log for log in logs if log["address"] in WATCHED.pools and log["topics"][0] in topics]


def read_logs(header: Header, events: list[Json], watched: Watched = WATCHED) -> Contents:
    return contents.of_logs(header, msgspec.convert(events, list[EventLog]), watched)


@pytest.mark.parametrize("bare", [False, True])
def test_the_true_logs_are_never_refused(bare: bool) -> None:
    for seed in range(60):
        block = true_block(seed)
        found = read_logs(header_of(block, bare=bare), events_of(block))
        assert found.logs == expected_logs(block)
        assert (found.has_receipts, found.transactions) == (False, ())
        assert found.is_proven is (not bare and not found.logs)


def test_logs_come_in_the_order_of_their_places() -> None:
    block = true_block(5)
    assert read_logs(header_of(block), events_of(block)[::-1]).logs == expected_logs(block)
    restarted = copy.deepcopy(events_of(block))
    for place, event in enumerate(restarted):
        first = [each["transactionIndex"] for each in restarted].index(event["transactionIndex"])
        event["logIndex"] = hex(place - first)
    found = read_logs(header_of(block), restarted).logs
    assert [log.data for log in found] == [log.data for log in expected_logs(block)]
    assert [log.log_index for log in found] == sorted({log.log_index for log in found})


def test_absence_is_proven_by_the_bloom_and_presence_is_not() -> None:
    quiet = next(block for block in map(true_block, range(99)) if not events_of(block))
    assert read_logs(header_of(quiet), []).is_proven
    assert not read_logs(header_of(quiet, bare=True), []).is_proven
    busy = next(block for block in map(true_block, range(99)) if events_of(block))
    assert not read_logs(header_of(busy), events_of(busy)).is_proven


def test_a_pool_that_the_bloom_admits_without_a_log_is_named() -> None:
    for seed in range(40):
        block = true_block(seed)
        events = events_of(block)
        pools = {Address(event["address"]) for event in events}
        assert read_logs(header_of(block), events).admitted == frozenset()
        assert read_logs(header_of(block), []).admitted == pools
        for pool in pools:
            others = [event for event in events if event["address"] != pool]
            assert read_logs(header_of(block), others).admitted == {pool}


def test_a_bloom_too_full_for_so_many_pools_names_none() -> None:
    block = true_block(5)
    few, by_chance = WATCHED.admitted(int(block.header["logsBloom"], 16))
    assert few
    assert by_chance < 0.01
    kind = WATCHED.pools[CHEAP]
    many = {Address(f"0x{number:040x}"): kind for number in range(3_000)}
    header = header_of(
        block, logsBloom=f"0x{2**1024 - 1 | int(block.header['logsBloom'], 16):0512x}"
    )
    found = read_logs(header, [], Watched({**many, **WATCHED.pools}))
    assert found.admitted == frozenset()
    assert not found.is_proven


def test_what_is_expected_by_chance_is_what_happens() -> None:
    rng = Random("chance")
    kind = WATCHED.pools[CHEAP]
    pools = {Address("0x" + rng.randbytes(20).hex()): kind for _ in range(5_000)}
    watched = Watched(pools)
    for items in (20, 200, 600):
        strangers = [rng.randbytes(20) for _ in range(items)]
        bloom = proof.bloom([*kind.changing, *strangers])
        admitted, by_chance = watched.admitted(bloom)
        assert abs(len(admitted) - by_chance) < 5 * by_chance**0.5 + 1
        assert watched.admitted(proof.bloom(strangers[:5])) == (frozenset(), 0.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blockHash": "0x" + "77" * 32}, "another block"),
        ({"blockNumber": "0x1"}, "another block's number"),
        ({"transactionIndex": "0x20"}, "does not have"),
        ({"transactionIndex": hex(2**32)}, "malformed"),
        ({"logIndex": hex(2**32)}, "malformed"),
        ({"logIndex": "1"}, "malformed"),
        ({"address": "0x" + "77" * 20}, "rules out"),
        ({"topics": ["0x" + "77" * 32]}, "rules out"),
        ({"topics": ["0x12"]}, "malformed|rules out"),
        ({"data": "0x1"}, "malformed"),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_a_false_log_is_refused(changes: Json, reason: str, bare: bool) -> None:
    block = true_block(5)
    events = copy.deepcopy(events_of(block))
    events[-1] |= changes
    with pytest.raises(Refused, match=reason) as refused:
        read_logs(header_of(block, bare=bare), events)
    assert refused.value.method == "eth_getLogs"


def test_a_log_that_stands_twice_is_refused() -> None:
    block = true_block(5)
    with pytest.raises(Refused, match="twice"):
        read_logs(header_of(block), [*events_of(block), events_of(block)[0]])


# -- events that nobody knows --------------------------------------------------------------------


def test_events_that_are_none_of_a_pools_kind_are_named() -> None:
    block = true_block(5)
    pool = expected_logs(block)[0].address
    watched = Watched(WATCHED.pools | {pool: contents.Events(frozenset({b"\x01" * 32}))})
    receipts = msgspec.convert(block.receipts, list[Receipt])
    found = contents.of_receipts(header_of(block), receipts, watched)
    theirs = [log for log in expected_logs(block) if log.address == pool]
    assert {(log.address, log.topics[0]) for log in theirs} <= found.unknown_events
    assert {address for address, _ in found.unknown_events} == {pool}
    assert found.is_proven


def test_an_event_without_topics_is_none_of_a_pools() -> None:
    block = TrueChain(7).mine(1, state_sync="beside it")
    receipts = copy.deepcopy(block.receipts)
    receipts[-1]["logs"][0] |= {"address": DEAR, "topics": []}
    assert read(header_of(block), receipts).unknown_events == {(DEAR, b"")}
