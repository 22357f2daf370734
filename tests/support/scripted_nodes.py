"""Transports without sockets whose nodes answer as a test says, and an Rpc over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dexarb.chain.rpc import Rpc
from dexarb.chain.transport.node_url import NodeUrl
from dexarb.errors import RpcError, TransportError

Answer = Callable[[str, list[Any]], Any]
"""From method and params to the result; may raise RpcError and TransportError."""


@dataclass
class ScriptedNode:
    """seen: the methods asked for, in order. takes_s: on the scene's clock."""

    endpoint: str
    answer: Answer
    clock: Clock
    seen: list[str] = field(default_factory=list)
    takes_s: float = 0.0
    down: TransportError | None = None

    async def send(self, payload: bytes) -> bytes:
        sent = msgspec.json.decode(payload)
        calls = sent if isinstance(sent, list) else [sent]
        self.seen += [call["method"] for call in calls]
        self.clock.now += self.takes_s
        if self.down is not None:
            raise self.down
        answers = [self._answer(call) for call in calls]
        return msgspec.json.encode(answers if isinstance(sent, list) else answers[0])

    def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        try:
            found = {"result": self.answer(call["method"], call["params"])}
        except RpcError as error:
            found = {"error": {"code": error.code, "message": error.message}}
        return {"jsonrpc": "2.0", "id": call["id"], **found}

    def scrub(self, text: str) -> str:
        return NodeUrl("http://scripted").scrub(text)

    async def aclose(self) -> None:
        pass


@dataclass
class Clock:
    """Time passes only when somebody waits. slept: how long they did."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def scripted(*answers: Answer, attempts: int = 3, **options: Any) -> tuple[Rpc, list[ScriptedNode]]:
    """An Rpc over http://node1, http://node2, ...; the clock is that of each node."""
    clock = Clock()
    nodes = [
        ScriptedNode(f"http://node{number}", answer, clock)
        for number, answer in enumerate(answers, start=1)
    ]
    rpc = Rpc(
        nodes,
        attempts=attempts,
        backoff_s=0.0,
        clock=lambda: clock.now,
        utc=lambda: 1.8e9 + clock.now,
        sleep=clock.sleep,
        **options,
    )
    return rpc, nodes


def failing(code: int, message: str) -> Answer:
    def answer(method: str, _: list[Any]) -> Any:
        raise RpcError(method, code, message)

    return answer


def fixed(value: object) -> Answer:
    return lambda _method, _params: value
