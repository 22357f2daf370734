"""Every noun comes back from the ledger as it went in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.core.block import Block
from dexarb.core.evidence import Outcome
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, FillStatus, Funding, Position
from dexarb.store.ledger_db import LedgerDb
from tests.store import books
from tests.store.books import CYCLE, TRIANGLE, block, decision, open_ledger
from tests.support.worlds import arrivals


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerDb]:
    with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


amounts = st.integers(0, 2**256 - 1)
counts = st.integers(0, 2**63 - 1)
micro_usd = st.integers(-(2**63), 2**63 - 1)
names = st.text("0123456789abcdefx", max_size=8)
BLOCK_FIELDS = {
    "number": counts,
    "hash": names,
    "parent_hash": names,
    "timestamp": counts,
    "base_fee_per_gas": amounts,
    "gas_used": counts,
    "gas_limit": counts,
    "seen_at": st.none() | st.floats(allow_nan=False, allow_infinity=False),
}
DECISION_FIELDS = {
    "id": names,
    "strategy": names,
    "block": st.builds(Block, **BLOCK_FIELDS),
    "cycle": st.sampled_from([CYCLE, TRIANGLE, TRIANGLE.starting_at(arrivals.WETH)]),
    "amount_in": amounts,
    "amount_out": amounts,
    "min_amount_out": amounts,
    "gas_units": counts,
    "expected_net_micro_usd": micro_usd,
    "capital_micro_usd": micro_usd,
    "priority_fee": amounts,
    "max_base_fee": amounts,
    "first_block": counts,
    "deadline_block": counts,
    "position": st.sampled_from(Position),
    "funding": st.sampled_from(Funding),
    "latency_ms": st.none() | counts,
    "gas_reserve_micro_usd": micro_usd,
    "fixed_gas_cost_micro_usd": st.none() | micro_usd,
    "competition_lost": st.booleans(),
    "p_fill_ppm": st.none() | st.integers(0, 10**6),
}
FILL_FIELDS = {
    "decision": st.builds(Decision, **DECISION_FIELDS),
    "block": st.builds(Block, **BLOCK_FIELDS),
    "place": counts,
    "status": st.sampled_from(FillStatus),
    "amount_in": amounts,
    "amount_out": amounts,
    "gas_used": counts,
    "gas_price": amounts,
    "gas_cost_micro_usd": micro_usd,
    "net_micro_usd": micro_usd,
    "band_micro_usd": st.tuples(micro_usd, micro_usd),
    "place_known": st.booleans(),
    "bound_micro_usd": st.none() | micro_usd,
}


@pytest.mark.parametrize(
    ("noun", "drawn"), [(Block, BLOCK_FIELDS), (Decision, DECISION_FIELDS), (Fill, FILL_FIELDS)]
)
def test_the_round_trip_draws_every_field(noun: type, drawn: dict[str, object]) -> None:
    """Or a field that the nouns gain later could be forgotten by the ledger unseen."""
    assert list(noun.__match_args__) == list(drawn)  # type: ignore[attr-defined]


@settings(max_examples=50)
@given(st.builds(Fill, **FILL_FIELDS))
def test_decisions_and_fills_survive_the_round_trip(outcome: Fill) -> None:
    with TemporaryDirectory() as folder, open_ledger(Path(folder) / "ledger.db") as ledger:
        with ledger.block(1, outcome.decision.block) as entry:
            entry.add_decisions([outcome.decision])
        assert ledger.open_decisions() == [outcome.decision]
        with ledger.block(2, outcome.block) as entry:
            entry.add_fills([outcome])
        assert [row.fill for row in ledger.fills()] == [outcome]
        assert [row.decision for row in ledger.decisions()] == [outcome.decision]
        assert ledger.open_decisions() == []


def test_a_cycle_keeps_its_start_where_a_token_comes_twice(ledger: LedgerDb) -> None:
    pools = [Address(f"0x{number:040x}") for number in range(4)]
    usdc, weth, wbtc = arrivals.USDC, arrivals.WETH, arrivals.WBTC
    hops = (
        Hop(PoolKey(pools[0]), usdc, weth),
        Hop(PoolKey(pools[1]), weth, usdc),
        Hop(PoolKey(pools[2]), usdc, wbtc),
        Hop(PoolKey(pools[3]), wbtc, usdc),
    )
    one, other = Cycle(hops), Cycle(hops[2:] + hops[:2])
    assert one.id == other.id
    with ledger.block(1, block(1)) as entry:
        entry.add_decisions(
            [decision("a", block(1), cycle=one), decision("b", block(1), cycle=other)]
        )
    assert [each.cycle for each in ledger.open_decisions()] == [one, other]


def test_evidence_survives_the_round_trip(ledger: LedgerDb) -> None:
    full = books.evidence(block(3))
    assert full.mover is not None
    logs_only = replace(
        full, mover=replace(full.mover, transaction=None, sender=None, to=None, paid=None)
    )
    nobody = replace(
        full, outcome=Outcome.PERSISTED, mover=None, gain=None, gain_token=None, closed_after=None
    )
    with ledger.block(3, block(3)) as entry:
        entry.add_evidence([full, logs_only])
    with ledger.block(4, block(4)) as entry:
        entry.add_evidence([nobody])
        entry.mark_evidence_reorged([block(3).hash])
    assert [row.evidence for row in ledger.evidence(TRIANGLE.id)] == [full, logs_only, nobody]
    assert [row.reorged_seq for row in ledger.evidence()] == [4, 4, None]
    assert ledger.evidence(CYCLE.id) == []
