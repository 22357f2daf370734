"""Strategies, decisions and fills for ledgers, and a trader that depends on nothing but a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from dexarb.core.block import Block, BlockHash
from dexarb.core.evidence import Evidence, Mover, Outcome
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.core.trade import (
    Decision,
    DecisionId,
    Fill,
    FillStatus,
    Position,
    SkipCount,
    SkipReason,
    StrategyHash,
)
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_rows import StrategyRow
from tests.support.worlds import arrivals
from tests.support.worlds.blocks import TRADER

CYCLE = Cycle(
    (
        Hop(arrivals.V2_ONE, arrivals.USDC, arrivals.WETH),
        Hop(arrivals.V3, arrivals.WETH, arrivals.USDC),
    )
)
TRIANGLE = Cycle(
    (
        Hop(arrivals.V2_TWO, arrivals.WBTC, arrivals.USDC),
        Hop(arrivals.V2_ONE, arrivals.USDC, arrivals.WETH),
        Hop(arrivals.V3, arrivals.WETH, arrivals.WBTC),
    )
)
HISTORY = Path("data/history/137")
STRATEGIES = tuple(
    StrategyRow(StrategyHash(f"{number:016x}"), f"Strategy {number}", config="{}", ordinal=number)
    for number in range(3)
)


def block(number: int, branch: str = "") -> Block:
    own, parent = (BlockHash(f"0x{branch}{each:064d}"[:66]) for each in (number, number - 1))
    return Block(number, own, parent, 1_700_000_000 + 2 * number, 2**70, 1, 2, 0.5 + number)


def decision(
    name: str, at: Block, *, strategy: StrategyHash = STRATEGIES[0].hash, cycle: Cycle = CYCLE
) -> Decision:
    return Decision(
        id=DecisionId(name),
        strategy=strategy,
        block=at,
        cycle=cycle,
        amount_in=2**200,
        amount_out=2**200 + 1,
        min_amount_out=2**200,
        gas_units=300_000,
        expected_net_micro_usd=5_000_000,
        capital_micro_usd=1_000_000_000,
        priority_fee=2**65,
        max_base_fee=2**71,
        first_block=at.number + 1,
        deadline_block=at.number + 1,
        position=Position.FEE,
        fixed_gas_cost_micro_usd=None,
        competition_lost=False,
    )


def fill(of: Decision, at: Block, *, net: int = 7, status: str = "filled") -> Fill:
    return Fill(
        decision=of,
        block=at,
        place=3,
        status=FillStatus(status),
        amount_in=of.amount_in,
        amount_out=of.amount_out,
        gas_used=250_000,
        gas_price=2**66,
        gas_cost_micro_usd=11,
        net_micro_usd=net,
        band_micro_usd=(net - 5, net + 5),
    )


def open_ledger(path: Path) -> LedgerDb:
    return LedgerDb.open(path, chain_id=arrivals.CHAIN_ID, history=HISTORY)


def trade(ledger: LedgerDb, seq: int) -> None:
    """One block of a busy trader: what it does depends on seq and on the ledger alone."""
    random_ = random.Random(seq)
    at = block(seq)
    strategies: Sequence[StrategyRow] = STRATEGIES[: 2 + seq // 10 % 2]
    open_decisions = ledger.open_decisions()
    standing = [row.fill for row in ledger.fills(last=6) if row.reorged_seq is None]
    undone = [each for each in standing if random_.random() < 0.2]
    with ledger.block(seq, at) as books:
        books.set_strategies(strategies)
        books.mark_reorged(undone)
        books.void(open_decisions[:1] if random_.random() < 0.1 else [])
        still_open = [each for each in ledger.open_decisions() if each.block != at]
        books.add_fills(
            fill(
                each,
                at,
                net=random_.randint(-9, 9),
                status=random_.choice(["filled", "reverted", "lost", "expired"]),
            )
            for each in still_open
            if random_.random() < 0.7
        )
        books.add_decisions(
            decision(
                f"{seq}-{number}",
                at,
                strategy=random_.choice(strategies).hash,
                cycle=random_.choice([CYCLE, TRIANGLE, TRIANGLE.starting_at(arrivals.WETH)]),
            )
            for number in range(random_.randint(0, 4))
        )
        books.add_skips(
            SkipCount(
                random_.choice(strategies).hash,
                seq // 20,
                SkipReason.PROFIT,
                random_.randint(1, 3),
                random_.randint(5, 9),
                random_.randint(0, 4),
                seq,
            )
            for _ in range(3)
        )
        books.set_seen({strategies[0].hash: 2 * seq})
        books.add_evidence([evidence(at)] if random_.random() < 0.3 else [])


def evidence(at: Block, outcome: Outcome = Outcome.TAKEN) -> Evidence:
    mover = Mover(at.number, at.hash, 4, "0xaa", TRADER, Address(arrivals.V3), 2**80)
    return Evidence(
        TRIANGLE, at.number - 1, at.parent_hash, outcome, 1, mover, arrivals.WBTC, 2**99
    )
