"""A chain in the process whose blocks have true hashes, roots and blooms, with branches.

Three V2 pools and a V3 pool are traded at random. Blocks are made by simple code of the tests, so
that what proves them in dexarb meets another's work.
`support.true_node` answers JSON-RPC for such a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from eth_hash.auto import keccak

from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.block import Block, BlockHash
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from dexarb.errors import PoolError
from tests.support.plain_rlp import Item, list_root, rlp
from tests.support.worlds.blocks import GENESIS, GWEI, TRADER
from tests.support.worlds.events import swap_log
from tests.support.worlds.pools import v3
from tests.support.worlds.small_chain import (
    CHAIN_ID,
    CHEAP,
    DEAR,
    GAS,
    USDC,
    WETH,
    WMATIC,
    v2,
    weth_pool,
)

Json = dict[str, Any]

BASE_FEE = 30 * GWEI
ZERO = "0x" + "00" * 20
STRANGER = Address("0x" + "b2" * 20)
"""A contract that nobody watches; it logs in most transactions."""
TRANSFER = keccak(b"Transfer(address,address,uint256)")
V2_SWAP = keccak(b"Swap(address,uint256,uint256,uint256,uint256,address)")
NUMBERS = (
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed",
    "excessBlobGas",
)  # fmt: skip
OMMERS = keccak(b"\xc0")


def first_pools() -> dict[PoolKey, Pool]:
    """Two WETH/USDC pairs, a WMATIC/USDC pair and a V3 pool of WETH and USDC."""
    deep = v3(4, (WETH, USDC), 2_500 * 10**6 / 10**18, [(-500, 500, 10**18)])
    deep = replace(deep, dex="UniswapV3")
    gas = v2(GAS, WMATIC, 4_000_000 * 10**18, 2_000_000 * 10**6)
    pools: list[Pool] = [weth_pool(CHEAP, 2_500), weth_pool(DEAR, 2_500), gas, deep]
    return {pool.key: pool for pool in pools}


@dataclass(frozen=True, eq=False)
class TrueBlock:
    """header and receipts as JSON-RPC has them; pools: every pool after the block."""

    header: Json
    receipts: list[Json]
    pools: dict[PoolKey, Pool]
    parent: TrueBlock | None

    @property
    def hash(self) -> BlockHash:
        return BlockHash(self.header["hash"])

    @property
    def number(self) -> int:
        return int(self.header["number"], 16)

    @property
    def block(self) -> Block:
        header = self.header
        return Block(
            self.number, self.hash, header["parentHash"], int(header["timestamp"], 16),
            int(header["baseFeePerGas"], 16), int(header["gasUsed"], 16),
            int(header["gasLimit"], 16),
        )  # fmt: skip

    def branch(self) -> Iterable[TrueBlock]:
        """The block and its ancestors, newest first."""
        block: TrueBlock | None = self
        while block is not None:
            yield block
            block = block.parent

    def ancestor(self, depth: int) -> TrueBlock:
        """So many blocks below, or the first block."""
        block = self
        for block in self.branch():
            if block.number == self.number - depth:
                break
        return block


class TrueChain:
    """head: the newest block of the branch that counts. blocks: all of them by hash, dead ones too.
    heard: called with every block that becomes the head. dated: the timestamp of a block by its
    number.
    """

    def __init__(self, seed: int = 0, *, start: int = 1_000) -> None:
        self.rng = Random(seed)
        self.dated: Callable[[int], int] = GENESIS.__add__
        self.heard: list[Callable[[TrueBlock], None]] = []
        self.blocks: dict[str, TrueBlock] = {}
        self.head = self._sealed(None, start, first_pools(), [], None)

    def mine(
        self,
        transactions: int | None = None,
        *,
        parent: TrueBlock | None = None,
        state_sync: Literal["under the root", "beside it"] | None = None,
    ) -> TrueBlock:
        """A block of so many transactions (default: up to six) on the head or on any other block.

        It becomes the head. state_sync: Polygon's own transaction comes last, as since Madhugiri
        or as before it, when no root knew it.
        """
        above = parent or self.head
        pools = dict(above.pools)
        count = self.rng.randrange(7) if transactions is None else transactions
        made = [self._transaction(pools, index) for index in range(count)]
        self.head = self._sealed(above, above.number + 1, pools, made, state_sync)
        for tell in self.heard:
            tell(self.head)
        return self.head

    def reorg(self, depth: int, blocks: int | None = None) -> TrueBlock:
        """Replaces the newest blocks by as many others, or by `blocks`."""
        parent = self.head.ancestor(depth)
        for _ in range(depth if blocks is None else blocks):
            parent = self.mine(parent=parent)
        return parent

    def _transaction(self, pools: dict[PoolKey, Pool], index: int) -> Json:
        """What becomes a receipt once the block is known; moves the pools."""
        rng = self.rng
        logs: list[Json] = []
        succeeded = rng.random() < 0.85
        for _ in range(rng.randrange(4) if succeeded else 0):
            if rng.random() < 0.3:
                logs.append(_log(STRANGER, [TRANSFER, rng.randbytes(32)], rng.randbytes(40)))
            else:
                logs += self._trade(pools)
        kind = rng.choice([0, 1, 2, 2, 2, 3, 4])
        raw = rlp([CHAIN_ID, index, rng.randbytes(20), rng.randbytes(rng.randrange(80))])
        return {
            "type": hex(kind), "from": TRADER, "to": rng.choice([STRANGER, None]),
            "gasUsed": hex(rng.randrange(21_000, 400_000)), "status": hex(succeeded), "logs": logs,
            "effectiveGasPrice": hex(BASE_FEE + rng.randrange(9) * 10 * GWEI),
            "contractAddress": None, "raw": bytes([kind] if kind else []) + raw,
        }  # fmt: skip

    def _trade(self, pools: dict[PoolKey, Pool]) -> list[Json]:
        pool = self.rng.choice(list(pools.values()))
        token_in = self.rng.choice(pool.tokens)
        amount = int(10 ** self.rng.uniform(2, 4) * {USDC: 1e6, WETH: 4e14}.get(token_in, 2e18))
        try:
            result = pool.swap(token_in, amount)
        except PoolError:
            return []
        pools[pool.key] = result.pool
        log = swap_log(token_in, amount, result.amount_out, result.pool)
        own = _log(log.address, log.topics, log.data)
        if isinstance(pool, UniswapV3Pool):
            return [own]
        paid = _log(pool.tokens[0], [TRANSFER, bytes(32), bytes(32)], amount.to_bytes(32, "big"))
        return [paid, own, _log(pool.address, [V2_SWAP, bytes(32), bytes(32)], bytes(128))]

    def _sealed(
        self,
        parent: TrueBlock | None,
        number: int,
        pools: dict[PoolKey, Pool],
        made: list[Json],
        state_sync: str | None,
    ) -> TrueBlock:
        under_roots = len(made) + (state_sync == "under the root")
        if state_sync is not None:
            made = [*made, _state_sync(number, "0x7f" if under_roots > len(made) else "0x0")]
        raws = [each.pop("raw") for each in made]
        gas = places = 0
        for index, (receipt, raw) in enumerate(zip(made, raws, strict=True)):
            gas += int(receipt["gasUsed"], 16)
            name = "0x" + keccak(raw).hex()
            where = {"transactionHash": name, "transactionIndex": hex(index)}
            receipt |= where | {"cumulativeGasUsed": hex(gas), "blockNumber": hex(number)}
            receipt["logsBloom"] = _bloom(receipt["logs"])
            for log in receipt["logs"]:
                log |= where | {"blockNumber": hex(number), "logIndex": hex(places)}
                places += 1
        logs = [log for receipt in made[:under_roots] for log in receipt["logs"]]
        header = {
            "parentHash": parent.hash if parent else "0x" + "00" * 32,
            "sha3Uncles": "0x" + OMMERS.hex(), "miner": ZERO,
            "stateRoot": "0x" + self.rng.randbytes(32).hex(),
            "transactionsRoot": "0x" + list_root(raws[:under_roots]).hex(),
            "receiptsRoot": "0x" + list_root(list(map(receipt_bytes, made[:under_roots]))).hex(),
            "logsBloom": _bloom(logs), "difficulty": "0x15", "number": hex(number),
            "gasLimit": hex(30_000_000), "gasUsed": hex(gas), "timestamp": hex(self.dated(number)),
            "extraData": "0x" + self.rng.randbytes(8).hex(), "mixHash": "0x" + "00" * 32,
            "nonce": "0x" + "00" * 8, "baseFeePerGas": hex(BASE_FEE),
        }  # fmt: skip
        own_hash = header_hash(header)
        for receipt in made:
            for entry in (receipt, *receipt["logs"]):
                entry["blockHash"] = own_hash
        rest = {"hash": own_hash, "size": "0x400", "uncles": []}
        names = [receipt["transactionHash"] for receipt in made]
        block = TrueBlock({**header, **rest, "transactions": names}, made, pools, parent)
        self.blocks[own_hash] = block
        return block


def _state_sync(number: int, kind: str) -> Json:
    return {
        "type": kind, "from": ZERO, "to": ZERO, "gasUsed": "0x0", "status": "0x1",
        "logs": [_log(STRANGER, [TRANSFER], b"")], "contractAddress": None,
        "raw": b"state-sync of block %d" % number,
    }  # fmt: skip


def _log(address: Address, topics: Iterable[bytes], data: bytes) -> Json:
    names = ["0x" + topic.hex() for topic in topics]
    return {"address": address, "topics": names, "data": "0x" + data.hex(), "removed": False}


def header_hash(fields: Json) -> str:
    """Of a header with these fields in their order."""
    return "0x" + keccak(rlp([_field(*field) for field in fields.items()])).hex()


def _field(name: str, text: str) -> Item:
    """As it goes into the block hash."""
    return int(text, 16) if name in NUMBERS else _raw(text)


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _bloom(logs: Iterable[Json]) -> str:
    bits = 0
    for log in logs:
        for item in {log["address"], *log["topics"]}:
            digest = keccak(_raw(item))
            for place in range(0, 6, 2):
                bits |= 1 << (digest[place] << 8 | digest[place + 1]) % 2048
    return f"0x{bits:0512x}"


def receipt_bytes(receipt: Json) -> bytes:
    logs: list[Item] = [
        [_raw(log["address"]), list(map(_raw, log["topics"])), _raw(log["data"])]
        for log in receipt["logs"]
    ]
    gas, kind = int(receipt["cumulativeGasUsed"], 16), int(receipt["type"], 16)
    body = rlp([int(receipt["status"], 16), gas, _raw(receipt["logsBloom"]), logs])
    return bytes([kind]) + body if kind else body
