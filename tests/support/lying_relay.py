"""A private relay that is not what it says."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from dexarb.demo.relay import Relay


class Lie(StrEnum):
    """FORGET: it says taken, and has nothing. CUT: it has taken it, and cuts the line. BABBLE: it
    has taken it, and answers something else. ECHO: it has taken it, and refuses it with all that it
    was given. NO_FUNDS: it refuses."""

    FORGET = "forget"
    CUT = "cut"
    BABBLE = "babble"
    ECHO = "echo"
    NO_FUNDS = "no funds"


KEY = "f00d-s3cr3t-of-the-relay"
"""In its URL."""
TOKEN = "b33f-s3cr3t-of-the-relay"
"""In its headers."""


class LyingRelay(Relay):
    """Mutable. lie: from now on; None: honest. told: how often each lie was."""

    def __init__(self) -> None:
        super().__init__()
        self.lie: Lie | None = None
        self.told: dict[Lie, int] = dict.fromkeys(Lie, 0)

    @property
    def url(self) -> str:
        return f"{super().url}/{KEY}"

    def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        if self.lie is None:
            return super()._answer(call)
        self.told[self.lie] += 1
        head = {"jsonrpc": "2.0", "id": call.get("id")}
        if self.lie is Lie.FORGET:
            return head | {"result": "0x" + "00" * 32}
        if self.lie is Lie.NO_FUNDS:
            return head | {"error": {"code": -32000, "message": "insufficient funds for gas"}}
        super()._answer(call)
        if self.lie is Lie.CUT:
            raise ConnectionError("cut")
        if self.lie is Lie.ECHO:
            said = f"no {TOKEN} at {self.url} may send {call['params'][0]}"
            return head | {"error": {"code": -32000, "message": said}}
        return {"what": "ever"}
