"""A private relay: takes signed transactions from bots and hands them to the builder of blocks.

The embedded chain's blocks are made in one piece, so whoever sends there gives the transaction to
the builder instead of the node's public pool. JSON-RPC over HTTP, eth_sendRawTransaction alone.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eth_hash.auto import keccak

from dexarb.core.token import Address, to_address
from dexarb.demo.mining import TransactionRequest

PURPOSE = "bot"


class Relay:
    """Mutable; runs from `start` to `stop`. What was given to it waits until it is taken."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Address, int], TransactionRequest] = {}
        self._lock = threading.Lock()
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = json.dumps(relay._answer(json.loads(body))).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self) -> list[TransactionRequest]:
        """All that waits."""
        with self._lock:
            taken, self._waiting = list(self._waiting.values()), {}
            return taken

    def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call.get("id")}
        try:
            raw = bytes.fromhex(call["params"][0][2:])
            nonce, request = request_of(raw)
        except (KeyError, IndexError, TypeError, ValueError):
            return answer | {"error": {"code": -32602, "message": "no signed transaction"}}
        with self._lock:
            known = self._waiting.get((request.sender, nonce))
            if known is not None and known.raw == raw:
                return answer | {"error": {"code": -32000, "message": "already known"}}
            if known is not None and request.priority_fee <= known.priority_fee:
                message = "replacement transaction underpriced"
                return answer | {"error": {"code": -32000, "message": message}}
            self._waiting[request.sender, nonce] = request
        return answer | {"result": "0x" + keccak(raw).hex()}


def request_of(raw: bytes) -> tuple[int, TransactionRequest]:
    """Of a transaction of type 2 (EIP-1559), with its nonce. Raises ValueError."""
    import rlp
    from eth_account import Account

    if raw[:1] != b"\x02":
        raise ValueError("of another type")
    try:
        _, nonce, tip, _, gas, to, value, data, *_ = rlp.decode(raw[1:])
        sender = to_address(Account.recover_transaction(raw))
    except rlp.exceptions.RLPException as error:
        raise ValueError("no transaction") from error
    return int.from_bytes(nonce), TransactionRequest(
        purpose=PURPOSE,
        sender=sender,
        to=Address("0x" + to.hex()) if to else None,
        data=data,
        gas=int.from_bytes(gas),
        priority_fee=int.from_bytes(tip),
        value=int.from_bytes(value),
        raw=raw,
    )
