"""Nothing that is decided or settled may depend on what comes later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.evidence import Evidence
from dexarb.core.trade import Decision, Fill, Position
from dexarb.trading.engine import Engine
from tests.support.scripted import Change, Scripted
from tests.support.worlds.engines import engine
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_chain import RandomChain
from tests.trading.test_settlement import varied

BLOCKS = 24
Brought = tuple[Sequence[Decision], Sequence[Fill], Sequence[Evidence]]


def rows(seed: int) -> dict[str, Change]:
    """Of all kinds, some included later."""

    def later(row: int, change: Change) -> Change:
        def both(decision: Decision) -> Decision:
            made = change(decision)
            first = made.first_block + row % 3
            return made._replace(first_block=first, deadline_block=first + row % 2)

        return both

    return {f"s{row}": later(row, varied((seed, row))) for row in range(6)}


def played(seed: int, chain: RandomChain, updates: Sequence[BlockUpdate]) -> list[Brought]:
    """What each block brought, without what later blocks brought."""
    made: Engine = engine(chain.first, [Scripted(rows(seed))])
    return [
        (step.decisions, step.fills, step.evidence)
        for step in (made.step(update) for update in updates)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_history_that_is_cut_or_poisoned_tells_the_same_up_to_there(seed: int) -> None:
    chain = RandomChain("lookahead", seed)
    updates = [chain.mine() for _ in range(BLOCKS)]
    whole = played(seed, chain, updates)
    assert sum(bool(decisions or fills) for decisions, fills, _ in whole) > 5
    rng = rng_of("cut", seed)
    for cut in rng.choice(BLOCKS - 1, 3, replace=False).tolist():
        until = updates[: cut + 1]
        assert played(seed, chain, until) == whole[: cut + 1]
        # Another future from the same block on: other trades, other fees, a base fee gone wild.
        chain.tip = until[-1].block
        poison = [chain.mine(base_fee=10**12, busy=12) for _ in range(4)]
        assert played(seed, chain, until + poison)[: cut + 1] == whole[: cut + 1]


def test_what_follows_us_in_our_block_changes_the_band_alone() -> None:
    """The same block with other transactions behind our place: same amounts, gas and money."""
    compared = 0
    for seed in range(4):
        chain = RandomChain("behind", seed)
        places = {"top": {"position": Position.TOP}, "fee": {"position": Position.FEE}}
        updates = [chain.mine() for _ in range(12)]
        for number in range(1, len(updates)):
            made = engine(chain.first, [Scripted(places)])
            for update in updates[:number]:
                made.step(update)
            found = made.step(updates[number]).fills
            for fill in found:
                kept = cut_behind(updates[number], fill)
                again = engine(chain.first, [Scripted(places)])
                for update in updates[:number]:
                    again.step(update)
                (same,) = (
                    each for each in again.step(kept).fills if each.decision == fill.decision
                )
                assert same._replace(band_micro_usd=fill.band_micro_usd) == fill
                compared += 1
    assert compared > 10


def cut_behind(update: BlockUpdate, fill: Fill) -> BlockUpdate:
    """The block without what comes behind our place."""
    return replace(
        update,
        logs=tuple(log for log in update.logs if log.transaction_index < fill.place),
        transactions=update.transactions[: fill.place],
    )
