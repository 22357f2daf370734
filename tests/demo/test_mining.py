"""A block holds what was sent for it in the order given, whatever a busy node makes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dexarb.core.token import to_address
from dexarb.demo.mining import Miner, TransactionRequest, head_of
from tests.demo.story import fresh_chain, run


class Jumbled(Miner):
    """Its node takes the calls of batches in the wrong order."""

    async def _all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        settings, sends = calls[:2], calls[2:]
        answers = await super()._all([*settings, *reversed(sends)])
        return [*answers[:2], *reversed(answers[2:])]


def test_a_batch_that_was_jumbled_is_sent_again_one_by_one() -> None:
    async def play() -> None:
        async with fresh_chain() as rpc:
            miners = [to_address(each) for each in await rpc.call("eth_accounts")]
            requests = [
                TransactionRequest(
                    "transfer", sender, miners[0], b"", 30_000, priority_fee=10**9, value=1
                )
                for sender in miners[1:5]
            ]
            jumbled = Jumbled(rpc, await head_of(rpc))
            for number in (1, 2):
                mined = await jumbled.mine_in_order(requests)
                assert mined.block.number == number
                assert [each.from_.lower() for each in mined.receipts] == miners[1:5]

    run(play())
