"""The ledger on disk: SQLite, one transaction a block, together with the block's place.

After kill -9 at any moment it is what it was after some block, and `seq` says which one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, Self, TypeVar

from dexarb.core.block import Block, BlockHash
from dexarb.core.evidence import Evidence
from dexarb.core.probes import Probe
from dexarb.core.route import Cycle
from dexarb.core.trade import Decision, Fill, Incident, SkipCount, StrategyHash
from dexarb.errors import StoreError
from dexarb.store.checkpoints import Checkpoint, Checkpoints
from dexarb.store.files import disk_errors
from dexarb.store.ledger_columns import (
    BLOCK,
    DECISION,
    EVIDENCE,
    FILL,
    INCIDENT,
    PROBE,
    REALITY,
    ROUTE,
    SKIP,
    STRATEGY,
    Row,
)
from dexarb.store.ledger_notes import Note
from dexarb.store.ledger_reader import LedgerReader
from dexarb.store.ledger_rows import IncidentRow, RealityRow, StrategyRow, stretches
from dexarb.store.ledger_schema import (
    LEDGER_SCHEMA,
    bring_up_to_date,
    create,
    furnish,
    is_empty,
    ledger_errors,
    transaction,
)
from dexarb.store.locking import WriterLock, lock_holder

T = TypeVar("T")
LOCK_SUFFIX = ".lock"
BUSY_S = 1.0
"""How long another program may hold the database before it counts as locked."""

_PUT_NOTE = "INSERT OR REPLACE INTO meta VALUES (?, ?)"

_PUT_REALITY = f"{REALITY.insert('realities')} ON CONFLICT DO NOTHING"

_PUT_STRATEGY = f"""
{STRATEGY.insert("strategies")}
ON CONFLICT (hash) DO UPDATE SET
    name = excluded.name, config = excluded.config, ordinal = excluded.ordinal
"""

# The nearest miss is the one with the smallest distance between needed and best; the earlier of
# two equal ones stays.
_NEARER = """excluded.needed IS NOT NULL
    AND (needed IS NULL OR excluded.needed - excluded.best < needed - best)"""
_NEAREST = ", ".join(
    f"{name} = CASE WHEN {_NEARER} THEN excluded.{name} ELSE {name} END"
    for name in ("needed", "best", "block")
)
_ADD_SKIP = f"""
{SKIP.insert("skips")}
ON CONFLICT (strategy, hour, reason) DO UPDATE SET times = times + excluded.times, {_NEAREST}
"""


def trader_of(ledger: Path) -> int | None:
    """The process that writes a ledger now, None where nobody does. Raises StoreError."""
    return lock_holder(ledger.with_name(ledger.name + LOCK_SUFFIX))


class LedgerDb(LedgerReader):
    """Mutable; holds the ledger's lock from `open` to `close`. For one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriterLock) -> None:
        """Use `open`."""
        super().__init__(path, connection)
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, chain_id: int, history: Path) -> Self:
        """Open a ledger, or make a new one. history: the folder that the trader follows.

        Raises Locked while another process writes it, and StoreError, also for the ledger of
        another chain.
        """
        with disk_errors(path, "cannot be created"):
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(path.with_name(path.name + LOCK_SUFFIX), path)
        connection = None
        try:
            with ledger_errors(path):
                connection = sqlite3.connect(
                    path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
                )
                connection.execute("PRAGMA journal_mode = WAL")
                # In WAL mode: whole after a crash, and after a power failure at an earlier block.
                connection.execute("PRAGMA synchronous = NORMAL")
                # In KiB: the counters of ten thousand strategies lie on more pages than 2 MiB hold.
                connection.execute("PRAGMA cache_size = -32768")
                # In pages: what is written in many blocks in a row is copied once for all of them.
                connection.execute("PRAGMA wal_autocheckpoint = 4000")
                if is_empty(connection):
                    create(connection, chain_id, str(history))
                ledger = cls(path, connection, lock)
                if ledger.chain_id != chain_id:
                    raise StoreError(
                        path,
                        f"is a ledger of chain {ledger.chain_id}, not of chain {chain_id}",
                        "Use another file",
                    )
                if ledger.schema != LEDGER_SCHEMA:
                    bring_up_to_date(connection, ledger.schema)
                    ledger._know_schema()
                furnish(connection)
                if ledger.history != history:
                    connection.execute(
                        "UPDATE meta SET value = ? WHERE key = 'history'", (str(history),)
                    )
                    ledger._meta["history"] = str(history)
                return ledger
        except BaseException:
            if connection is not None:
                connection.close()
            lock.release()
            raise

    @contextmanager
    def block(self, seq: int, block: Block) -> Iterator[BlockBooks]:
        """Everything that history entry `seq` brought, as one transaction.

        At the end of the `with` all of it is in the ledger and `self.seq` is seq; if anything in it
        raises, nothing is, and the same block can be tried again. seqs ascend. Raises StoreError.
        """
        if seq <= self.seq:
            raise StoreError(
                self.path, f"already includes entry {self.seq}, so entry {seq} cannot be added"
            )
        with transaction(self._connection, self.path):
            yield BlockBooks(self.path, self._connection, seq, block)
            with ledger_errors(self.path):
                self._connection.execute(
                    "INSERT OR REPLACE INTO progress VALUES (1, ?, ?, ?)",
                    (seq, block.number, block.hash),
                )

    @contextmanager
    def again(self, block: Block) -> Iterator[BlockBooks]:
        """More of the entry that the ledger includes last, whose block this is, as one transaction.
        Raises StoreError."""
        with transaction(self._connection, self.path):
            yield BlockBooks(self.path, self._connection, self.seq, block)

    def put_note(self, note: Note[T], value: T) -> None:
        """Remember it beside the blocks; see `note`. Raises StoreError."""
        with transaction(self._connection, self.path), ledger_errors(self.path):
            self._connection.execute(_PUT_NOTE, (note.meta_key, note.encode(value)))

    def close(self) -> None:
        """Let the next writer in. A second call does nothing."""
        try:
            super().close()
        finally:
            self._lock.release()


class BlockBooks:
    """What can be written within `LedgerDb.block`. Every method raises StoreError."""

    def __init__(self, path: Path, connection: sqlite3.Connection, seq: int, block: Block) -> None:
        self._path, self._connection, self._seq, self._block = path, connection, seq, block
        self._has_block = False
        self._open: dict[str, int] | None = None

    def set_strategies(
        self, strategies: Iterable[StrategyRow], reality: RealityRow | None = None
    ) -> None:
        """From this entry on exactly these take part, in this reality. The epochs of those that did
        already, and in the same one, go on; the books of those that do not any more stay. `seen` is
        not looked at. reality: None where nobody tells it."""
        rows = list(strategies)
        self._many(_PUT_STRATEGY, STRATEGY.rows(rows))
        if reality is not None:
            self._one(_PUT_REALITY, REALITY.values(reality))
        name = reality.hash if reality else None
        wanted = {(row.hash, name) for row in rows}
        now = set(self._one("SELECT strategy, reality FROM epochs WHERE to_seq IS NULL"))
        if now != wanted:
            self._put_block()  # it tells when the epochs began and ended
        self._many(
            "UPDATE epochs SET to_seq = ? WHERE strategy = ? AND to_seq IS NULL",
            [(self._seq - 1, strategy) for strategy in sorted(each for each, _ in now - wanted)],
        )
        self._many(
            "INSERT OR REPLACE INTO epochs VALUES (?, ?, NULL, ?)",
            [(strategy, self._seq, name) for strategy in sorted(each for each, _ in wanted - now)],
        )

    def add_checkpoint(self, format_: int, state: bytes) -> None:
        """The trader's state after this entry; of those before only such as are still of use."""
        block = self._block
        saved = Checkpoint(self._seq, block.number, block.hash, format_, state)
        with ledger_errors(self._path):
            Checkpoints(self._connection).add(saved)

    def drop_checkpoints(self, dead_blocks: Iterable[BlockHash]) -> None:
        """Nobody can go on from these blocks any more."""
        with ledger_errors(self._path):
            Checkpoints(self._connection).drop(dead_blocks)

    def set_note(self, note: Note[T], value: T) -> None:
        """Remember it with this block; see `LedgerReader.note`."""
        self._one(_PUT_NOTE, (note.meta_key, note.encode(value)))

    def set_seen(self, totals: Mapping[StrategyHash, int]) -> None:
        """How many episodes these strategies, by hash, have seen in all."""
        self._many(
            "INSERT OR REPLACE INTO seen VALUES (?, ?)",
            sorted(totals.items()),  # neighbours are on the same page
        )

    def add_decisions(self, decisions: Iterable[Decision]) -> None:
        """Decisions made at the end of this block: they are open."""
        rows = list(decisions)
        waiting = self._waiting() if rows else {}
        for decision in rows:
            self._expect_this_block(decision.block, "decision", decision)
            if decision.id in waiting:
                raise StoreError(self._path, f"has an open decision {decision.id} already")
        self._put_routes(decision.cycle for decision in rows)
        values = DECISION.rows(rows, repeat(self._seq), repeat("open"))
        self._many(DECISION.insert("decisions", "seq", "state"), values)
        self._open = None
        self._put_beside("chances", "decisions", [each.p_fill_ppm for each in rows])

    def add_fills(self, fills: Iterable[Fill]) -> None:
        """Outcomes in this block: their decisions are settled."""
        rows = list(fills)
        for fill in rows:
            self._expect_this_block(fill.block, "fill of decision", fill.decision)
        numbers = self._move([fill.decision for fill in rows], "settled")
        values = FILL.rows(rows, repeat(self._seq), numbers)
        self._many(FILL.insert("fills", "seq", "decision"), values)
        self._put_beside("bounds", "fills", [each.bound_micro_usd for each in rows])

    def mark_reorged(self, fills: Iterable[Fill]) -> None:
        """Fills of a branch that died: they stay, marked, and their decisions are open again."""
        rows = list(fills)
        if not rows:
            return
        standing = self._standing({fill.block.hash for fill in rows})
        places = []
        for fill in rows:
            place = standing.pop((fill.block.hash, fill.decision.id), None)
            if place is None:
                raise StoreError(
                    self._path, f"has no standing fill of decision {fill.decision.id} to undo"
                )
            places.append(place)
        self._many(
            "UPDATE fills SET reorged_seq = ? WHERE n = ?", [(self._seq, n) for n, _ in places]
        )
        self._many("UPDATE decisions SET state = 'open' WHERE n = ?", [(d,) for _, d in places])
        self._open = None

    def _standing(self, blocks: Collection[BlockHash]) -> dict[tuple[str, str], tuple[int, int]]:
        """Row and decision's row of the standing fills of these blocks, by block and decision."""
        marks = ", ".join("?" * len(blocks))
        seqs = dict(self._one(f"SELECT seq, hash FROM blocks WHERE hash IN ({marks})", (*blocks,)))
        # Rows ascend with seqs, so what is younger than all of these blocks is at the end.
        before = self._one(
            "SELECT n FROM fills WHERE seq < ? ORDER BY n DESC LIMIT 1", (min(seqs, default=0),)
        )
        found = self._one(
            """SELECT f.seq, d.id, f.n, d.n FROM fills f JOIN decisions d ON d.n = f.decision
            WHERE f.n > ? AND f.reorged_seq IS NULL""",
            before[0] if before else (0,),
        )
        return {(seqs[seq], name): (n, d) for seq, name, n, d in found if seq in seqs}

    def void(self, decisions: Iterable[Decision]) -> None:
        """Open decisions whose outcome the history cannot tell any more: counted as reorged."""
        self._move(list(decisions), "void")

    def add_skips(self, counters: Iterable[SkipCount]) -> None:
        """Add to the counters, and keep the nearest miss of each."""
        # By key, which comes first: neighbours are on the same page.
        self._many(_ADD_SKIP, sorted(SKIP.rows(list(counters))))

    def add_evidence(self, evidence: Iterable[Evidence]) -> None:
        """What has been found out at the end of this block."""
        rows = list(evidence)
        self._put_routes(each.cycle for each in rows)
        if rows:
            self._put_block()
        values = EVIDENCE.rows(rows, repeat(self._seq))
        self._many(EVIDENCE.insert("evidence", "seq"), values)

    def add_incidents(self, incidents: Iterable[Incident]) -> None:
        """Strategies that failed in this block and take no further part."""
        rows = [IncidentRow(self._seq, each.strategy, each.problem) for each in incidents]
        self._many(INCIDENT.insert("incidents"), INCIDENT.rows(rows))

    def add_probes(self, probes: Iterable[Probe]) -> None:
        """Known from this entry on."""
        rows = list(probes)
        self._put_routes(each.cycle for each in rows)
        self._many(PROBE.insert("probes", "seq"), PROBE.rows(rows, repeat(self._seq)))

    def mark_evidence_reorged(self, dead_blocks: Iterable[BlockHash]) -> None:
        """Evidence found at the end of these blocks, given by hash, does not stand any more."""
        self._many(
            """UPDATE evidence SET reorged_seq = ? WHERE reorged_seq IS NULL
                AND seq IN (SELECT seq FROM blocks WHERE hash = ?)""",
            [(self._seq, block_hash) for block_hash in dead_blocks],
        )

    def _move(self, decisions: Sequence[Decision], state: str) -> list[int]:
        """Take open decisions into another state; returns their rows."""
        if not decisions:
            return []
        waiting, rows = self._waiting(), []
        for decision in decisions:
            row = waiting.pop(decision.id, None)
            if row is None:
                raise StoreError(self._path, f"has no open decision {decision.id}")
            rows.append(row)
        query = "UPDATE decisions SET state = ? WHERE n BETWEEN ? AND ?"
        self._many(query, [(state, *each) for each in stretches(rows)])
        return rows

    def _waiting(self) -> dict[str, int]:
        """Rows of the open decisions, by id, without those that are made at the end of the block.
        Whoever moves one takes it out."""
        if self._open is None:
            self._open = dict(self._one("SELECT id, n FROM decisions WHERE state = 'open'"))
        return self._open

    def _expect_this_block(self, block: Block, what: str, decision: Decision) -> None:
        # Most are the very same object, and there can be thousands.
        if block is not self._block and block != self._block:
            raise StoreError(
                self._path,
                f"{what} {decision.id} is of block {block.number}, entry {self._seq} of block "
                f"{self._block.number}",
            )
        self._put_block()

    def _put_block(self) -> None:
        """Blocks are kept where something happened in them."""
        if not self._has_block:
            values = (self._seq, *BLOCK.values(self._block))
            self._one(BLOCK.insert("blocks", "seq"), values)
            self._has_block = True

    def _put_routes(self, cycles: Iterable[Cycle]) -> None:
        distinct = {(cycle.id, cycle.start_pool): cycle for cycle in cycles}
        query = f"{ROUTE.insert('routes')} ON CONFLICT DO NOTHING"
        self._many(query, ROUTE.rows(distinct.values()))

    def _put_beside(self, table: str, of: str, values: Sequence[int | None]) -> None:
        """Of the rows that were put into table `of` last: what only some of them have, by row."""
        told = [(place, value) for place, value in enumerate(values) if value is not None]
        if told:
            ((last,),) = self._one(f"SELECT max(n) FROM {of}")
            first = last - len(values) + 1
            self._many(
                f"INSERT INTO {table} VALUES (?, ?)",
                [(first + place, value) for place, value in told],
            )

    def _one(self, query: str, values: Row = ()) -> list[Any]:
        with ledger_errors(self._path):
            return self._connection.execute(query, values).fetchall()

    def _many(self, query: str, rows: Iterable[Row]) -> None:
        with ledger_errors(self._path):
            self._connection.executemany(query, rows)
