"""Reading a ledger: status screens beside the trader, and the trader itself at its start."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from dexarb.core.block import Block
from dexarb.core.route import Cycle
from dexarb.core.trade import Decision
from dexarb.errors import StoreError
from dexarb.store.ledger_rows import (
    BLOCK_COLUMNS,
    DECISION_COLUMNS,
    EVIDENCE_COLUMNS,
    FILL_COLUMNS,
    DecisionRow,
    DecisionState,
    Epoch,
    EvidenceRow,
    FillRow,
    IncidentRow,
    Row,
    SkipRow,
    Standing,
    StrategyRow,
    block_from,
    cycle_from,
    decision_from,
    evidence_from,
    fill_from,
    skip_from,
)
from dexarb.store.ledger_schema import ledger_errors, read_meta

_STANDINGS = """
SELECT s.hash, s.name, s.seen, coalesce(d.sent, 0), coalesce(f.filled, 0),
    coalesce(f.reverted, 0), coalesce(f.lost, 0), coalesce(f.expired, 0), coalesce(d.void, 0),
    coalesce(d.open, 0), coalesce(f.net, 0), coalesce(f.low, 0), coalesce(f.high, 0),
    coalesce(f.gas_cost, 0), coalesce(f.unplaced, 0)
FROM strategies s
LEFT JOIN (
    SELECT strategy, count(*) AS sent, sum(state = 'void') AS void, sum(state = 'open') AS open
    FROM decisions GROUP BY strategy) d ON d.strategy = s.hash
LEFT JOIN (
    SELECT strategy, sum(status = 'filled') AS filled, sum(status = 'reverted') AS reverted,
        sum(status = 'lost') AS lost, sum(status = 'expired') AS expired,
        sum(net_micro_usd) AS net, sum(band_low_micro_usd) AS low,
        sum(band_high_micro_usd) AS high, sum(gas_cost_micro_usd) AS gas_cost,
        sum(NOT place_known) AS unplaced
    FROM fills JOIN decisions ON decisions.n = fills.decision
    WHERE reorged_seq IS NULL GROUP BY strategy) f ON f.strategy = s.hash
ORDER BY s.ordinal, s.hash
"""

# Before or at the place of the mover: `place` counts the transactions before ours.
_WON_OVER_TAKERS = """
SELECT d.strategy, sum(f.net_micro_usd)
FROM fills f JOIN decisions d ON d.n = f.decision
JOIN blocks b ON b.seq = d.seq JOIN blocks fb ON fb.seq = f.seq
JOIN evidence e ON e.cycle = d.cycle AND e.block_hash = b.hash
WHERE f.reorged_seq IS NULL AND e.reorged_seq IS NULL AND f.status = 'filled' AND f.place_known
    AND e.outcome = 'taken'
    AND (fb.number < e.mover_block_number
        OR fb.number = e.mover_block_number AND f.place <= e.mover_place)
GROUP BY d.strategy
"""

# What the digest is taken over: facts about the chain and the trades. Neither seqs (they depend on
# how the collector cut its segments) nor row ids, wall-clock times or ordinals are in it.
_DIGESTED = (
    ("strategies", "SELECT hash, name, config, seen FROM strategies ORDER BY hash"),
    (
        "decisions",
        """SELECT b.number, b.hash, d.id, d.strategy, r.hops, d.amount_in, d.amount_out,
            d.min_amount_out, d.gas_units, d.expected_net_micro_usd, d.capital_micro_usd,
            d.priority_fee, d.max_base_fee, d.first_block, d.deadline_block, d.position,
            d.funding, d.latency_ms, d.gas_reserve_micro_usd,
            d.fixed_gas_cost_micro_usd, d.competition_lost, d.state
        FROM decisions d JOIN blocks b ON b.seq = d.seq
        JOIN routes r ON r.cycle = d.cycle AND r.start_pool = d.start_pool
        ORDER BY b.number, b.hash, d.id, d.seq""",
    ),
    (
        "fills",
        """SELECT b.number, b.hash, d.id, f.place, f.status, f.amount_in, f.amount_out, f.gas_used,
            f.gas_price, f.gas_cost_micro_usd, f.net_micro_usd, f.band_low_micro_usd,
            f.band_high_micro_usd, f.place_known, f.reorged_seq IS NOT NULL
        FROM fills f JOIN decisions d ON d.n = f.decision JOIN blocks b ON b.seq = f.seq
        ORDER BY b.number, b.hash, d.id, f.seq""",
    ),
    (
        "skips",
        """SELECT strategy, hour, reason, times, needed, best, block
        FROM skips ORDER BY strategy, hour, reason""",
    ),
    (
        "evidence",
        """SELECT e.block_number, e.block_hash, r.hops, e.outcome, e.closed_after,
            e.mover_block_number, e.mover_block_hash, e.mover_place, e.mover_transaction,
            e.mover_sender, e.mover_to, e.mover_paid, e.gain_token, e.gain,
            e.reorged_seq IS NOT NULL
        FROM evidence e JOIN routes r ON r.cycle = e.cycle AND r.start_pool = e.start_pool
        ORDER BY e.block_number, e.block_hash, r.hops, e.seq""",
    ),
)


class LedgerReader:
    """A ledger as it is on disk. Every method raises StoreError where that cannot be read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use `read_only`, or LedgerDb.open for writing."""
        self.path = path
        self._connection = connection
        self._cycles: dict[str, Cycle] = {}
        with ledger_errors(path):
            self._meta = read_meta(connection, path)

    @property
    def chain_id(self) -> int:
        return int(self._meta["chain_id"])

    @property
    def history(self) -> Path:
        """The history folder that the trader was last started on."""
        return Path(self._meta["history"])

    def note(self, key: str) -> str | None:
        """What the trader has noted last under this key, no part of the digest."""
        query = "SELECT value FROM meta WHERE key = :key"
        rows = self._all(query, {"key": f"note:{key}"})
        return str(rows[0][0]) if rows else None

    @property
    def seq(self) -> int:
        """The history entry that the ledger includes last; 0 for a new one."""
        rows = self._all("SELECT seq FROM progress")
        return int(rows[0][0]) if rows else 0

    @property
    def last_block(self) -> tuple[int, str] | None:
        """Number and hash of the block of entry `seq`."""
        rows = self._all("SELECT block_number, block_hash FROM progress")
        return (rows[0][0], rows[0][1]) if rows else None

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """All reading inside sees the ledger after the same block."""
        with ledger_errors(self.path):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with ledger_errors(self.path):
                self._connection.execute("ROLLBACK")

    def strategies(self) -> list[StrategyRow]:
        """All that ever took part, in the order of their ordinals."""
        query = "SELECT hash, name, config, ordinal, seen FROM strategies ORDER BY ordinal, hash"
        return [StrategyRow(*row) for row in self._all(query)]

    def epochs(self) -> list[Epoch]:
        """In order of from_seq."""
        query = "SELECT strategy, from_seq, to_seq FROM epochs ORDER BY from_seq, strategy"
        return [Epoch(*row) for row in self._all(query)]

    def standings(self) -> list[Standing]:
        """Counts and sums of every strategy, in the order of their ordinals."""
        return [Standing(*row) for row in self._all(_STANDINGS)]

    def won_over_takers(self) -> dict[str, int]:
        """By strategy: net micro-USD of the standing fills that come before, or at the very place
        of, a taker who was really there. Part of the profit that a live rival might contest."""
        return dict(self._all(_WON_OVER_TAKERS))

    def decisions(
        self, strategy: str | None = None, *, state: DecisionState | None = None
    ) -> list[DecisionRow]:
        """In the order in which they were made."""
        rows = self._all(
            f"""SELECT {_of("d", DECISION_COLUMNS)}, {_of("b", BLOCK_COLUMNS)}, r.hops, d.state
            FROM decisions d JOIN blocks b ON b.seq = d.seq
            JOIN routes r ON r.cycle = d.cycle AND r.start_pool = d.start_pool
            WHERE (:strategy IS NULL OR d.strategy = :strategy)
                AND (:state IS NULL OR d.state = :state)
            ORDER BY d.n""",
            {"strategy": strategy, "state": state},
        )
        load = _Loader(self._cycles)
        return [
            DecisionRow(row[0], load.decision(row[:-1]), DecisionState(row[-1])) for row in rows
        ]

    def open_decisions(self) -> list[Decision]:
        """Sent and not settled yet, in the order in which they were made."""
        return [row.decision for row in self.decisions(state=DecisionState.OPEN)]

    def fills(self, strategy: str | None = None, *, last: int | None = None) -> list[FillRow]:
        """In the order in which they were booked, reorged ones included; `last`: only so many."""
        rows = self._all(
            f"""SELECT * FROM (
                SELECT {_of("d", DECISION_COLUMNS)}, {_of("b", BLOCK_COLUMNS)}, r.hops,
                    {_of("f", FILL_COLUMNS)}, {_of("fb", BLOCK_COLUMNS)}, f.reorged_seq, f.n
                FROM fills f JOIN decisions d ON d.n = f.decision
                JOIN blocks b ON b.seq = d.seq JOIN blocks fb ON fb.seq = f.seq
                JOIN routes r ON r.cycle = d.cycle AND r.start_pool = d.start_pool
                WHERE :strategy IS NULL OR d.strategy = :strategy
                ORDER BY f.n DESC LIMIT :last)
            ORDER BY n""",
            {"strategy": strategy, "last": -1 if last is None else last},
        )
        load = _Loader(self._cycles)
        return [load.fill(row) for row in rows]

    def skips(self, strategy: str | None = None) -> list[SkipRow]:
        """Counters by strategy, hour and reason, in that order."""
        query = """SELECT strategy, hour, reason, times, needed, best, block
            FROM skips WHERE :strategy IS NULL OR strategy = :strategy
            ORDER BY strategy, hour, reason"""
        return [skip_from(row) for row in self._all(query, {"strategy": strategy})]

    def evidence(self, cycle: str | None = None) -> list[EvidenceRow]:
        """In the order in which it was found, reorged rows included. cycle: its id."""
        rows = self._all(
            f"""SELECT {_of("e", EVIDENCE_COLUMNS)}, r.hops, e.reorged_seq
            FROM evidence e JOIN routes r ON r.cycle = e.cycle AND r.start_pool = e.start_pool
            WHERE :cycle IS NULL OR e.cycle = :cycle ORDER BY e.n""",
            {"cycle": cycle},
        )
        load = _Loader(self._cycles)
        return [
            EvidenceRow(row[0], evidence_from(row[:-2], load.cycle(row[-2])), row[-1])
            for row in rows
        ]

    def incidents(self) -> list[IncidentRow]:
        """In the order in which they happened; no part of the digest."""
        query = "SELECT seq, strategy, problem FROM incidents ORDER BY n"
        return [IncidentRow(*row) for row in self._all(query)]

    def digest(self) -> str:
        """SHA-256 over the rows of strategies, decisions, fills, skips and evidence: two runs on
        the same chain data with the same strategies agree in it, bit for bit."""
        hasher = hashlib.sha256()
        with ledger_errors(self.path):
            for table, query in _DIGESTED:
                for row in self._connection.execute(query):
                    hasher.update(msgspec.json.encode((table, *row)) + b"\n")
        return hasher.hexdigest()

    def close(self) -> None:
        with ledger_errors(self.path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _all(self, query: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        with ledger_errors(self.path):
            return self._connection.execute(query, parameters or {}).fetchall()


def read_only(path: Path) -> LedgerReader:
    """A view beside the trader that writes it: takes no lock, waits for nobody.

    Raises StoreError where there is no ledger or none that this program knows.
    """
    if not path.exists():
        raise StoreError(
            path,
            "does not exist",
            "Start paper-trading, which writes it, or name its file with --config",
        )
    with ledger_errors(path):
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
    try:
        return LedgerReader(path, connection)
    except StoreError:
        connection.close()
        raise


class _Loader:
    """Rows to nouns; equal blocks and cycles become the same object."""

    def __init__(self, cycles: dict[str, Cycle]) -> None:
        self._cycles = cycles
        self._blocks: dict[int, Block] = {}

    def cycle(self, hops: str) -> Cycle:
        known = self._cycles.get(hops)
        if known is None:
            known = self._cycles[hops] = cycle_from(hops)
        return known

    def block(self, row: Row) -> Block:
        known = self._blocks.get(row[0])
        if known is None:
            known = self._blocks[row[0]] = block_from(row)
        return known

    def decision(self, row: Row) -> Decision:
        """From DECISION_COLUMNS, BLOCK_COLUMNS and hops."""
        return decision_from(row, self.block(row[_DECISION:-1]), self.cycle(row[-1]))

    def fill(self, row: Row) -> FillRow:
        """From those, FILL_COLUMNS, BLOCK_COLUMNS, reorged_seq and n."""
        decided, row = row[: _DECISION + _BLOCK + 1], row[_DECISION + _BLOCK + 1 :]
        block_row = row[_FILL : _FILL + _BLOCK]
        fill = fill_from(row[:_FILL], self.decision(decided), self.block(block_row))
        return FillRow(block_row[0], fill, row[-2])


def _of(alias: str, columns: str) -> str:
    return ", ".join(f"{alias}.{column}" for column in columns.split(", "))


_DECISION, _BLOCK, _FILL = (
    columns.count(",") + 1 for columns in (DECISION_COLUMNS, BLOCK_COLUMNS, FILL_COLUMNS)
)
