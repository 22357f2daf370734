"""Proving a busy block's receipts, against the libraries that do the same."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import rlp
from trie.hexary import HexaryTrie

from benchmarks.harness import ROUNDS, Action, Round, Row, compared, figure, timed
from dexarb.amm.uniswap_v2 import SYNC
from dexarb.chain import contents, decode, proof
from dexarb.chain.contents import Events, Watched
from dexarb.chain.decode import Header, Receipt
from dexarb.core.block import Block, BlockHash
from dexarb.core.token import Address

RECEIPTS, LOGS, POOLS = 200, 943, 300
"""As in busy blocks of Polygon."""
CALLS = 20
"""In each of the five rounds."""
TRANSFER = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
V2_SWAP = bytes.fromhex("d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822")

Json = dict[str, Any]


def rows() -> list[Row]:
    rng = Random("proof")
    pools = [Address(_hex(rng.randbytes(20))) for _ in range(POOLS)]
    answer = busy_block(rng, pools)
    receipts = msgspec.convert(answer, list[Receipt])
    header = header_of(answer)
    watched = Watched(dict.fromkeys(pools[:20], Events(frozenset({SYNC}), frozenset({V2_SWAP}))))
    assert contents.of_receipts(header, receipts, watched).is_proven

    encoded = [each for each in map(decode.encoded_receipt, receipts) if each is not None]
    decoder, text = msgspec.json.Decoder(list[Receipt]), msgspec.json.encode(answer)
    name = f"{RECEIPTS} receipts with {LOGS} logs"
    return [
        compared(
            f"{name}: receipts root against rlp and py-trie",
            [_in_turn(receipts, answer) for _ in range(ROUNDS)],
            goal=5.0,
            unit="ms",
        ),
        _figure("  encoding them", lambda: [decode.encoded_receipt(each) for each in receipts]),
        _figure("  trie and hashing", lambda: proof.list_root(encoded)),
        _figure(
            "  all of it: cheap tests, proof, logs and transactions",
            lambda: contents.of_receipts(header, receipts, watched),
        ),
        _figure("  before it, their JSON", lambda: decoder.decode(text)),
    ]


def _in_turn(receipts: Sequence[Receipt], answer: Sequence[Json]) -> Round:
    """Call by call: a busy machine interrupts long rounds all alike."""
    pairs = [
        (
            timed(
                lambda: proof.list_root([decode.encoded_receipt(each) or b"" for each in receipts])
            ),
            timed(lambda: root_by_libraries(answer)),
        )
        for _ in range(CALLS)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _figure(name: str, action: Action) -> Row:
    return figure(name, min(timed(action) for _ in range(CALLS * ROUNDS)) * 1e3, "ms")


def root_by_libraries(receipts: Sequence[Json]) -> bytes:
    """As one would write it with rlp and py-trie."""
    trie = HexaryTrie({})
    for index, receipt in enumerate(receipts):
        logs = [
            [_raw(log["address"]), [_raw(topic) for topic in log["topics"]], _raw(log["data"])]
            for log in receipt["logs"]
        ]
        status, gas = int(receipt["status"], 16), int(receipt["cumulativeGasUsed"], 16)
        body = rlp.encode([status, gas, _raw(receipt["logsBloom"]), logs])
        kind = int(receipt["type"], 16)
        trie[rlp.encode(index)] = bytes([kind]) + body if kind else body
    return bytes(trie.root_hash)


def busy_block(rng: Random, pools: Sequence[Address]) -> list[Json]:
    """Receipts of swaps: transfers of tokens, then a Sync and a Swap of a pool."""
    tokens = [_hex(rng.randbytes(20)) for _ in range(60)]
    receipts: list[Json] = []
    gas = place = 0
    for index in range(RECEIPTS):
        used = rng.randrange(21_000, 400_000)
        gas += used
        logs: list[Json] = []
        for number in range((index + 1) * LOGS // RECEIPTS - index * LOGS // RECEIPTS):
            kind = ((TRANSFER, 2, 1), (TRANSFER, 2, 1), (SYNC, 0, 2), (V2_SWAP, 2, 4))[number % 4]
            topic, indexed, words = kind
            logs.append({
                "address": rng.choice(tokens if topic == TRANSFER else pools),
                "topics": [_hex(topic)] + [_hex(rng.randbytes(32)) for _ in range(indexed)],
                "data": _hex(rng.randbytes(32 * words)), "logIndex": hex(place),
                "removed": False,
            })  # fmt: skip
            place += 1
        receipts.append({
            "transactionHash": _hex(rng.randbytes(32)), "type": "0x2" if index % 5 else "0x0",
            "from": _hex(rng.randbytes(20)), "to": _hex(rng.randbytes(20)), "gasUsed": hex(used),
            "cumulativeGasUsed": hex(gas), "effectiveGasPrice": hex(60 * 10**9), "status": "0x1",
            "logs": logs, "contractAddress": None,
        })  # fmt: skip
        items = {text for log in logs for text in (log["address"], *log["topics"])}
        receipts[-1]["logsBloom"] = _hex(proof.bloom(map(_raw, items)).to_bytes(256, "big"))
        where: Json = {
            "blockHash": "0x" + "b1" * 32, "blockNumber": "0x5f5e100",
            "transactionIndex": hex(index),
        }  # fmt: skip
        receipts[-1] |= where
        for log in logs:
            log |= where | {"transactionHash": receipts[-1]["transactionHash"]}
    return receipts


def header_of(receipts: Sequence[Json]) -> Header:
    gas = int(receipts[-1]["cumulativeGasUsed"], 16)
    block = Block(
        100_000_000,
        BlockHash("0x" + "b1" * 32),
        BlockHash("0x" + "b0" * 32),
        1,
        30 * 10**9,
        gas,
        gas,
    )
    root = _hex(root_by_libraries(receipts))
    return Header(block, None, root, transaction_count=RECEIPTS, hash_matches=True)


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
