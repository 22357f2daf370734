"""Headers as the chain has them: asked for by hash, number or tag, each checked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from dexarb.chain import decode
from dexarb.chain.contents import check_header
from dexarb.chain.decode import Header, JsonObject
from dexarb.chain.endpoints.trouble import NOT_THERE_YET
from dexarb.chain.feed.way import Dialogue
from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockRef
from dexarb.core.profile import ETHEREUM_HEADER
from dexarb.errors import OutsideError, Refused, RpcError

LATEST, FINALIZED = "latest", "finalized"
_TAGS = (LATEST, FINALIZED)
_TRIALS = 3
_DOUBTED = 6
_METHOD = "eth_getBlockByNumber"
_NAMES_SHOWN, _NAME_SHOWN = 5, 40

_log = structlog.get_logger("dexarb.feed")

T = TypeVar("T")


class HeaderReader:
    """Mutable: remembers whether this chain's headers hash to their block's hash.

    Once one has, one that does not is a lie and refused. Where none ever does the chain has a
    header of its own kind, and its blocks stay unproven.
    """

    def __init__(
        self, rpc: Rpc, fields: Sequence[str] = ETHEREUM_HEADER, *, is_sealed: bool = False
    ) -> None:
        """fields, is_sealed: as for `decode.header`."""
        self._rpc = rpc
        self._fields = fields
        self._is_sealed = is_sealed
        self.are_proven = False
        self._unproven = self._proven = 0
        self._is_logged = False

    def read(self, answer: Any, asked: str | int | None = None) -> Header:
        """The header in an answer. asked: the hash or number it has to have. Raises Refused."""
        if not isinstance(answer, dict):
            raise Refused(_METHOD, "no header")
        header = decode.header(answer, _METHOD, self._fields, is_sealed=self._is_sealed)
        block = header.block
        if asked is not None and asked not in (block.hash, block.number, *_TAGS):
            raise Refused(_METHOD, f"block {block.number} {block.hash}, asked for {asked}")
        check_header(header, _METHOD, proven_before=self.are_proven)
        self._doubt(header)
        self._log_proof(answer, is_proven=header.hash_matches is True)
        self.are_proven = self.are_proven or header.hash_matches is True
        return header

    def _doubt(self, header: Header) -> None:
        """Raises Refused for one that cannot be proven where all before could: a field is missing
        or strange. Many of them in a row, and the chain has another header from now on."""
        self._unproven = self._unproven + 1 if header.hash_matches is None else 0
        if self.are_proven and 0 < self._unproven <= _DOUBTED:
            raise Refused(_METHOD, "the header lacks a field, or has a strange one")

    def _log_proof(self, answer: JsonObject, *, is_proven: bool) -> None:
        """Say once that headers cannot be proven here, and once that they can again.

        One old header says nothing: around a fork both kinds are read for a while.
        """
        self._proven = self._proven + 1 if is_proven else 0
        if not is_proven and not self._is_logged:
            self._is_logged = True
            strange = [name[:_NAME_SHOWN] for name in decode.strange_fields(answer, self._fields)]
            _log.warning(
                "headers.unproven",
                unknown_fields=strange[:_NAMES_SHOWN],
                remedy="Blocks stay unproven; header_fields in the chain profile names the fields",
            )
        elif self._is_logged and self._proven > _DOUBTED:
            self._is_logged = False
            _log.info("headers.proven")

    async def ask(self, questions: Sequence[str | int]) -> list[Header | None]:
        """One header a question: hashes, numbers, tags. None where the chain has none.

        Raises RpcError, Refused and TransportError.
        """

        def check(at: int, answer: Any) -> None:
            if answer is not None:
                self.read(answer, questions[at])

        answers = await self._rpc.batch_as(Any, [_call(each) for each in questions], check=check)
        found: list[Header | None] = []
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, RpcError):
                if not found:
                    raise answer
                found.append(None)
            else:
                found.append(None if answer is None else self.read(answer, question))
        return found

    async def one(self, question: str | int) -> Header:
        """Raises RpcError where the chain has none, and what `ask` raises."""
        (found,) = await self.ask([question])
        if found is None:
            raise RpcError(_METHOD, NOT_THERE_YET, f"no block {question}")
        return found

    async def at(self, tag: str, rpc: Rpc) -> tuple[Header, str]:
        """The header at a tag by these nodes, and the name of the endpoint that answered.

        Raises RpcError, Refused and TransportError.
        """

        def check(answer: Any) -> None:
            self.read(answer)

        answer, endpoint = await rpc.answer_as(JsonObject, _METHOD, tag, False, check=check)
        return self.read(answer), endpoint

    async def drive(self, dialogue: Dialogue[T]) -> T:
        """Lead a dialogue of `dexarb.chain.feed.way` to its end."""
        try:
            questions = next(dialogue)
            while True:
                questions = dialogue.send(await self.ask(questions))
        except StopIteration as end:
            value: T = end.value
            return value

    async def heads(self) -> list[Header]:
        """The newest header of each endpoint that answers."""
        found = []
        for _, answer in await self._rpc.each(_METHOD, LATEST, False):
            with suppress(Refused):
                found.append(self.read(answer))
        return found

    async def stands(self, block: BlockRef) -> bool:
        """Whether any endpoint has the block at its number, so that it cannot be called dead."""
        answers = await self._rpc.each(_METHOD, hex(block.number), False)
        return any(self._is(answer, block) for _, answer in answers)

    async def prove(self) -> None:
        """Find out whether headers can be proven here, before any of them is believed.

        Raises RpcError and TransportError.
        """
        for _ in range(_TRIALS):
            if not self.are_proven:
                await self.one(LATEST)

    def _is(self, answer: Any, block: BlockRef) -> bool:
        if answer is None or isinstance(answer, OutsideError):
            return False
        try:
            return self.read(answer).block.hash == block.hash
        except Refused:
            return False


def _call(question: str | int) -> tuple[str, Sequence[Any]]:
    if isinstance(question, int):
        return _METHOD, [hex(question), False]
    if question in _TAGS:
        return _METHOD, [question, False]
    return "eth_getBlockByHash", [question, False]
