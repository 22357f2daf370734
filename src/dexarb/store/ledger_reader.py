"""Reading a ledger: status screens beside the trader, and the trader itself at its start."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import msgspec

from dexarb.core.block import NO_ENTRY, BlockHash
from dexarb.core.route import Cycle, CycleId
from dexarb.core.trade import Decision, SkipCount, StrategyHash
from dexarb.errors import StoreError
from dexarb.store.checkpoints import Checkpoint, Checkpoints
from dexarb.store.ledger_columns import (
    BLOCK,
    EPOCH,
    EVIDENCE,
    FILL,
    INCIDENT,
    PROBE,
    REALITY,
    SKIP,
    STRATEGY,
    Row,
)
from dexarb.store.ledger_notes import Note
from dexarb.store.ledger_queries import (
    AGAINST_LIMITS,
    DECIDED_IN,
    DIGESTED,
    ROUTE_OF,
    STANDINGS,
    THESE,
    WON_OVER_TAKERS,
    last_before,
    only,
)
from dexarb.store.ledger_rows import (
    ALL_BLOCKS,
    AgainstLimits,
    BlockRange,
    DecisionRow,
    DecisionState,
    Epoch,
    EvidenceRow,
    FillRow,
    IncidentRow,
    ProbeRow,
    RealityRow,
    StrategyRow,
    StrategyTotals,
)
from dexarb.store.ledger_schema import BEFORE_REALITIES, ledger_errors, let_read, read_meta
from dexarb.store.row_loader import DECISION_COLUMNS, RowLoader

T = TypeVar("T")


class LedgerReader:
    """A ledger as it is on disk. Every method raises StoreError where that cannot be read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use `read_only`, or LedgerDb.open for writing."""
        self.path = path
        self._connection = connection
        self._cycles: dict[str, Cycle] = {}
        self._know_schema()

    def _know_schema(self) -> None:
        with ledger_errors(self.path):
            self._meta = read_meta(self._connection, self.path)
            let_read(self._connection, self.schema)

    @property
    def schema(self) -> int:
        return int(self._meta["schema"])

    @property
    def chain_id(self) -> int:
        return int(self._meta["chain_id"])

    @property
    def history(self) -> Path:
        """The history folder that the trader was last started on."""
        return Path(self._meta["history"])

    def note(self, note: Note[T]) -> T | None:
        """What the trader has noted last, see ledger_notes; None where it has not yet."""
        query = "SELECT value FROM meta WHERE key = :key"
        for (text,) in self._all(query, {"key": note.meta_key}):
            try:
                return note.decode(text)
            except msgspec.MsgspecError as error:
                if note.is_vital:
                    raise StoreError(self.path, f"note {note.key}: {error}") from error
        return None

    @property
    def seq(self) -> int:
        """The history entry that the ledger includes last; NO_ENTRY for a new one."""
        rows = self._all("SELECT seq FROM progress")
        return int(rows[0][0]) if rows else NO_ENTRY

    @property
    def last_block(self) -> tuple[int, BlockHash] | None:
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
        query = f"""SELECT {STRATEGY.names()}, coalesce(episodes, 0)
            FROM strategies LEFT JOIN seen ON strategy = hash ORDER BY ordinal, hash"""
        return [STRATEGY.read(row[:-1], seen=row[-1]) for row in self._all(query)]

    def epochs(self) -> list[Epoch]:
        """In order of from_seq."""
        is_old = self.schema == BEFORE_REALITIES
        names = "strategy, from_seq, to_seq, NULL" if is_old else EPOCH.names()
        query = f"SELECT {names} FROM epochs ORDER BY from_seq, strategy"
        return [EPOCH.read(row) for row in self._all(query)]

    def realities(self) -> list[RealityRow]:
        """The models of reality that epochs name, by hash."""
        if self.schema == BEFORE_REALITIES:
            return []
        rows = self._all(f"SELECT {REALITY.names()} FROM realities ORDER BY hash")
        return [REALITY.read(row) for row in rows]

    def active(self) -> dict[StrategyHash, Epoch]:
        """The strategies that take part now, by hash, in the order in which they began."""
        return {each.strategy: each for each in self.epochs() if each.to_seq is None}

    def checkpoint(self, format_: int, deepest: int | None = None) -> Checkpoint | None:
        """The newest of a format, at the block of number `deepest` or before it where that is
        told."""
        with ledger_errors(self.path):
            known = Checkpoints(self._connection)
            for each in reversed(known.places()):
                if each.format == format_ and (deepest is None or each.number <= deepest):
                    return known.at(each.seq)
        return None

    def oldest_checkpoint(self, format_: int) -> Checkpoint | None:
        with ledger_errors(self.path):
            known = Checkpoints(self._connection)
            seqs = (each.seq for each in known.places() if each.format == format_)
            return next(map(known.at, seqs), None)

    def totals(self, blocks: BlockRange = ALL_BLOCKS) -> list[StrategyTotals]:
        """Counts and sums of every strategy, in the order of their ordinals. blocks: only of what
        was decided at the end of these; `seen` is that of all."""
        query = STANDINGS.format(decided="" if blocks == ALL_BLOCKS else DECIDED_IN)
        return [StrategyTotals(*row) for row in self._all(query, blocks._asdict())]

    def against_limits(self, day: int) -> dict[StrategyHash, AgainstLimits]:
        """By strategy. day: number of the UTC day that it is now."""
        rows = (AgainstLimits(*row) for row in self._all(AGAINST_LIMITS, {"day": day}))
        return {row.strategy: row for row in rows}

    @property
    def last_timestamp(self) -> int | None:
        """Of the newest block in which something happened."""
        rows = self._all("SELECT timestamp FROM blocks ORDER BY seq DESC LIMIT 1")
        return int(rows[0][0]) if rows else None

    def won_over_takers(self, blocks: BlockRange = ALL_BLOCKS) -> dict[StrategyHash, int]:
        """By strategy: net micro-USD of the standing fills that come before, or at the very place
        of, a taker who was really there. Part of the profit that a live rival might contest."""
        decided = "" if blocks == ALL_BLOCKS else f"AND {THESE}"
        return dict(self._all(WON_OVER_TAKERS.format(decided=decided), blocks._asdict()))

    def decisions(
        self,
        strategy: StrategyHash | None = None,
        *,
        state: DecisionState | None = None,
        after: int = NO_ENTRY,
    ) -> list[DecisionRow]:
        """In the order in which they were made; `after`: only those of later entries."""
        rows = self._all(
            f"""SELECT {DECISION_COLUMNS}, {self._p_fill()}, d.state
            FROM decisions d JOIN blocks b ON b.seq = d.seq {ROUTE_OF.format("d")}
            WHERE {only("d.strategy", strategy)} AND {only("d.state", state)}
                AND d.n > {last_before("decisions")}
            ORDER BY d.n""",
            {"strategy": strategy, "state": state, "after": after},
        )
        load = RowLoader(self._cycles)
        return [load.decision_row(row) for row in rows]

    def has(self, table: str) -> bool:
        """Of one that came later: not where only a program from before it has written."""
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :table"
        return bool(self._all(query, {"table": table}))

    def _p_fill(self) -> str:
        """Of decision d, as a column."""
        return self._beside("chances", "p_fill_ppm", "decision = d.n")

    def _bound(self) -> str:
        """Of fill f, as a column."""
        return self._beside("bounds", "micro_usd", "fill = f.n")

    def _beside(self, table: str, value: str, row: str) -> str:
        return f"(SELECT {value} FROM {table} WHERE {row})" if self.has(table) else "NULL"

    def open_decisions(self) -> list[Decision]:
        """Sent and not settled yet, in the order in which they were made."""
        return [row.decision for row in self.decisions(state=DecisionState.OPEN)]

    def fills(
        self,
        strategy: StrategyHash | None = None,
        *,
        last: int | None = None,
        after: int = NO_ENTRY,
        blocks: BlockRange = ALL_BLOCKS,
    ) -> list[FillRow]:
        """In the order in which they were booked, reorged ones included. after: only those of later
        entries; blocks: only those in these. last: of these only so many, the newest."""
        rows = self._all(
            f"""SELECT * FROM (
                SELECT {DECISION_COLUMNS}, {self._p_fill()}, {FILL.names("f")},
                    {self._bound()}, f.seq, {BLOCK.names("fb")}, f.reorged_seq, f.n
                FROM fills f JOIN decisions d ON d.n = f.decision
                JOIN blocks b ON b.seq = d.seq JOIN blocks fb ON fb.seq = f.seq
                {ROUTE_OF.format("d")}
                WHERE {only("d.strategy", strategy)} AND f.n > {last_before("fills")}
                    AND fb.number BETWEEN :first AND :last
                    AND fb.timestamp BETWEEN :first_second AND :last_second
                ORDER BY f.n DESC LIMIT :most)
            ORDER BY n""",
            {
                "strategy": strategy,
                "most": -1 if last is None else last,
                "after": after,
                **blocks._asdict(),
            },
        )
        load = RowLoader(self._cycles)
        return [load.fill_row(row) for row in rows]

    def skips(self, strategy: StrategyHash | None = None) -> list[SkipCount]:
        """The sums of the counters by strategy, hour and reason, in that order, each with its
        nearest miss."""
        query = f"""SELECT {SKIP.names()} FROM skips
            WHERE {only("strategy", strategy)} ORDER BY strategy, hour, reason"""
        return [SKIP.read(row) for row in self._all(query, {"strategy": strategy})]

    def evidence(self, cycle: CycleId | None = None) -> list[EvidenceRow]:
        """In the order in which it was found, reorged rows included. cycle: its id."""
        rows = self._all(
            f"""SELECT e.seq, {EVIDENCE.names("e")}, r.hops, e.reorged_seq
            FROM evidence e {ROUTE_OF.format("e")}
            WHERE {only("e.cycle", cycle)} ORDER BY e.n""",
            {"cycle": cycle},
        )
        load = RowLoader(self._cycles)
        return [load.evidence_row(row) for row in rows]

    def incidents(self) -> list[IncidentRow]:
        """In the order in which they happened; no part of the digest."""
        rows = self._all(f"SELECT {INCIDENT.names()} FROM incidents ORDER BY n")
        return [INCIDENT.read(row) for row in rows]

    def probes(self, *, barring: bool = False, last: int | None = None) -> list[ProbeRow]:
        """In the order in which they came; no part of the digest, whose inputs they are. barring:
        only those of routes that are not traded for it. last: only so many, the newest."""
        if not self.has("probes"):
            return []
        which = "p.until_block IS NOT NULL" if barring else "TRUE"
        rows = self._all(
            f"""SELECT p.seq, {PROBE.names("p")}, r.hops
            FROM probes p {ROUTE_OF.format("p")} WHERE {which} ORDER BY p.n DESC LIMIT :most""",
            {"most": -1 if last is None else last},
        )
        load = RowLoader(self._cycles)
        return [load.probe_row(row) for row in reversed(rows)]

    def digest(self) -> str:
        """SHA-256 over the rows of strategies, decisions, fills, skips and evidence: two runs on
        the same chain data with the same strategies agree in it, bit for bit."""
        hasher = hashlib.sha256()
        for table, query in DIGESTED:
            for row in self.stream(query)[1]:
                hasher.update(msgspec.json.encode((table, *row)) + b"\n")
        return hasher.hexdigest()

    def close(self) -> None:
        with ledger_errors(self.path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def rows(self, query: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        """Of a query over the ledger's tables, for what only some ask; see ledger_figures."""
        return self._all(query, parameters)

    def stream(self, query: str) -> tuple[list[str], Iterator[Row]]:
        """Names of the columns, and the rows one after the other: for more than fit into memory."""
        cursor = self._asked(query, {})
        return [each[0] for each in cursor.description], self._fetched(cursor)

    def _fetched(self, cursor: sqlite3.Cursor) -> Iterator[Row]:
        with ledger_errors(self.path):
            yield from cursor

    def _all(self, query: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        with ledger_errors(self.path):
            return self._asked(query, parameters or {}).fetchall()

    def _asked(self, query: str, parameters: dict[str, Any]) -> sqlite3.Cursor:
        """Once more where a trader has brought the ledger up to date meanwhile."""
        with ledger_errors(self.path):
            try:
                return self._connection.execute(query, parameters)
            except sqlite3.OperationalError:
                self._know_schema()
                return self._connection.execute(query, parameters)


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
    connection = open_to_read(path)
    try:
        return LedgerReader(path, connection)
    except StoreError:
        connection.close()
        raise


def open_to_read(path: Path) -> sqlite3.Connection:
    """Raises StoreError."""
    with ledger_errors(path):
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
