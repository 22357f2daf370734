"""What a node may answer instead of the truth, by method, and how often.

`support.lies` has the lies about receipts; here are those about everything else, the errors that a
node gives, and the bytes that are no answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from dexarb.errors import TransportError
from tests.support import lies
from tests.support.true_chain import Json, TrueChain
from tests.support.true_node import InProcess, NodeError, PushingInProcess, TrueNode

Told = Callable[[Any, TrueChain, Random], Any]
"""From the true result, a copy, to what is said. It may raise NodeError."""


def nothing(*_: object) -> None:
    """null where something is."""


def error(code: int, message: str) -> Told:
    def told(*_: object) -> Any:
        raise NodeError(code, message)

    told.__name__ = message
    return told


ERRORS: list[Told] = [
    error(-32005, "rate limit exceeded"),
    error(429, "too many requests, try again"),
    error(-32005, "monthly quota exceeded"),
    error(-32603, "internal error"),
    error(-32000, "header not found"),
    error(-32001, "resource not found"),
    error(4444, "pruned history unavailable"),
    error(-32000, "missing trie node"),
    error(-32601, "the method does not exist/is not available"),
    error(-32602, "invalid params"),
    error(-32008, "response is too big"),
    error(-32000, "<b>execution</b> aborted\n" * 100),
]


# -- headers -------------------------------------------------------------------------------------


def changed(name: str, value: object) -> Told:
    def told(header: Json, *_: object) -> Json:
        return header | {name: value}

    told.__name__ = f"{name} = {value}"[:40]
    return told


def without(name: str) -> Told:
    def told(header: Json, *_: object) -> Json:
        return {key: value for key, value in header.items() if key != name}

    told.__name__ = f"without {name}"
    return told


def another_block(_: Json, chain: TrueChain, rng: Random) -> Json:
    return rng.choice(list(chain.blocks.values())).header


def of_another_chain(header: Json, _: TrueChain, rng: Random) -> Json:
    other = TrueChain(rng.randrange(1000), start=int(header["number"], 16))
    return other.head.header


def head_gone_back(_: Json, chain: TrueChain, rng: Random) -> Json:
    return chain.head.ancestor(rng.randrange(1, 6)).header


HEADERS: list[Told] = [
    nothing,
    another_block,
    of_another_chain,
    changed("parentHash", "0x" + "77" * 32),
    changed("hash", "0x" + "77" * 32),
    changed("number", "0x7"),
    changed("number", "0x" + "f" * 40),
    changed("gasUsed", "0x7"),
    changed("baseFeePerGas", "0x7"),
    changed("timestamp", hex(2**160)),
    changed("timestamp", "0x7"),
    changed("timestamp", "yesterday"),
    changed("receiptsRoot", "0x" + "77" * 32),
    changed("logsBloom", "0x" + "00" * 256),
    changed("logsBloom", "0x" + "ff" * 256),
    changed("transactions", []),
    changed("strange", "0x1"),
    without("hash"),
    without("parentHash"),
    without("receiptsRoot"),
    without("logsBloom"),
    without("timestamp"),
]


# -- contents ------------------------------------------------------------------------------------


def no_logs(*_: object) -> list[Json]:
    return []


def one_log_missing(logs: list[Json], _: TrueChain, rng: Random) -> list[Json]:
    del logs[rng.randrange(len(logs))]
    return logs


def doubled_log(logs: list[Json], _: TrueChain, rng: Random) -> list[Json]:
    return [*logs, rng.choice(logs)]


def logs_of_another_block(logs: list[Json], chain: TrueChain, rng: Random) -> list[Json]:
    receipts = rng.choice(list(chain.blocks.values())).receipts
    return [log for each in receipts for log in each["logs"]] or [
        log | {"blockHash": "0x" + "77" * 32} for log in logs
    ]


def log_outside_of_the_bloom(logs: list[Json], _: TrueChain, rng: Random) -> list[Json]:
    rng.choice(logs)["topics"].append("0x" + rng.randbytes(32).hex())
    return logs


LOGS: list[Told] = [
    nothing,
    no_logs,
    one_log_missing,
    doubled_log,
    logs_of_another_block,
    log_outside_of_the_bloom,
]


def _of_receipts(lie: lies.Lie) -> Told:
    def told(receipts: list[Json], chain: TrueChain, rng: Random) -> Any:
        block = chain.blocks[receipts[0]["blockHash"]]
        return lie(receipts, block, rng)

    told.__name__ = getattr(lie, "__name__", "a lie")
    return told


RECEIPTS: list[Told] = [
    nothing,
    no_logs,
    *map(_of_receipts, lies.SEEN_CHEAPLY + lies.SEEN_BY_THE_ROOT),
]


# -- the rest ------------------------------------------------------------------------------------


def wrong_word(said: str, _: TrueChain, rng: Random) -> str:
    at = rng.randrange(2, max(3, len(said)))
    return said[:at] + rng.choice("0123456789abcdef") + said[at + 1 :]


def empty(*_: object) -> str:
    return "0x"


def other_number(said: str, _: TrueChain, rng: Random) -> str:
    return hex(max(0, int(said, 16) + rng.randrange(-5, 6)))


def no_number(*_: object) -> str:
    return "many"


CALLS: list[Told] = [nothing, wrong_word, empty]
NUMBERS: list[Told] = [nothing, other_number, no_number]
BY_METHOD: dict[str, list[Told]] = {
    "eth_getBlockByHash": HEADERS,
    "eth_getBlockByNumber": [*HEADERS, *[head_gone_back] * 5],
    "newHeads": [*HEADERS, *[head_gone_back] * 5],
    "eth_getBlockReceipts": RECEIPTS,
    "eth_getLogs": LOGS,
    "eth_call": CALLS,
    "eth_getCode": CALLS,
    "eth_blockNumber": NUMBERS,
    "eth_chainId": NUMBERS,
}


class Liar:
    """A node's `lie`: false with a probability, in a way chosen at random.

    told: how often each way was taken. errors: of every method.
    """

    def __init__(
        self,
        chain: TrueChain,
        seed: int,
        *,
        rate: float = 0.1,
        errors: Sequence[Told] = ERRORS,
        by_method: dict[str, list[Told]] = BY_METHOD,
    ) -> None:
        self.chain, self.rate, self.errors, self.by_method = chain, rate, errors, by_method
        self.told: Counter[str] = Counter()
        self.rng = Random(seed)

    def __call__(self, method: str, _: Sequence[Any], result: Any) -> Any:
        ways = self.by_method.get(method, [])
        if self.rng.random() >= self.rate:
            return result
        if method != "newHeads":
            ways = [*ways, *self.errors]
        if not ways:
            return result
        way = self.rng.choice(ways)
        if not result and way not in self.errors:
            return result
        self.told[f"{method}: {way.__name__}"] += 1
        return way(result, self.chain, self.rng)


# -- bytes ---------------------------------------------------------------------------------------

GARBAGE = (
    b"<html><body>502 Bad Gateway</body></html>",
    b'{"jsonrpc": "2.0", "id": 1, "resu',
    b"[" * 100_000,
    b"",
    b"null",
    b"[]",
    b'{"jsonrpc": "2.0", "id": 424242, "result": "0x1"}',
    b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "invalid request"}}',
    b"\xff\xfe\x00",
)
BATCH_REFUSALS = (
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"batch limit exceeded"}}',
    b'[{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"too many requests in batch"}}]',
)


class _Faulty(InProcess):
    """A line that breaks with a probability, or brings what is no answer."""

    def __init__(self, node: TrueNode, endpoint: str, liar: Liar) -> None:
        super().__init__(node, endpoint)
        self.liar = liar

    async def send(self, payload: bytes) -> bytes:
        answer = await super().send(payload)
        rng = self.liar.rng
        if rng.random() >= self.liar.rate:
            return answer
        way = rng.choice(["cut", "late", "busy", "garbage", "batch"])
        self.liar.told[way] += 1
        if way == "cut":
            raise TransportError(self.endpoint, "connection reset", smaller_may_do=True)
        if way == "late":
            raise TransportError(self.endpoint, "no answer", timed_out=True)
        if way == "busy":
            raise TransportError(self.endpoint, "HTTP 429", status=429, retry_after_s=2.0)
        if way == "batch" and payload.startswith(b"["):
            calls = len(msgspec.json.decode(payload))
            return rng.choice(BATCH_REFUSALS) if calls > 1 else answer
        return rng.choice(GARBAGE)


class _FaultyPushing(_Faulty, PushingInProcess):
    pass


def faulty(node: TrueNode, liar: Liar, name: str, *, pushing: bool = False) -> InProcess:
    """A transport to a node that lies, over a line as bad as it."""
    return (_FaultyPushing if pushing else _Faulty)(node, name, liar)
