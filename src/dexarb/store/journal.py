"""The journal: what the bot did, an append-only log beside the history.

SQLite, synced to the disk before a call returns: what is not in it has not left the process, and
what may be out there is in it. Together with the history it says all that came of the trades, so
a replay of both comes to the same books. Its order is that of its rows.

It holds signed transactions, so that a program that starts again can give them out once more. They
are for `Journal.raw` alone, and the file is for nobody but its owner.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from dexarb.core.block import BlockRef
from dexarb.core.saved import NounReader, Nouns, NounWriter, SavedDecision
from dexarb.core.sending import (
    Answer,
    Control,
    ControlKind,
    Difference,
    Intent,
    Offer,
    Order,
    Outcome,
    Paper,
    Rehearsed,
    Signed,
    TransactionHash,
    Twin,
)
from dexarb.core.token import Address
from dexarb.core.trade import Decision
from dexarb.errors import StoreError
from dexarb.store.files import disk_errors
from dexarb.store.ledger_schema import ledger_errors, transaction
from dexarb.store.locking import WriterLock, lock_holder

JOURNAL_SCHEMA = 2
READABLE = ("1", "2")
"""1: orders have no subject."""
BUSY_S = 1.0
OWNER_ONLY = 0o600
LOCK_SUFFIX = ".lock"

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE intents (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, lane TEXT NOT NULL,
    decision BLOB NOT NULL
) STRICT;
CREATE TABLE signed (
    n INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, lane TEXT NOT NULL, nonce INTEGER NOT NULL,
    decision TEXT REFERENCES intents (id), max_fee TEXT NOT NULL, tip TEXT NOT NULL,
    gas_limit INTEGER NOT NULL, deadline_block INTEGER NOT NULL, decided_at REAL NOT NULL,
    at REAL NOT NULL, raw BLOB NOT NULL
) STRICT;
CREATE INDEX signed_by_nonce ON signed (lane, nonce);
CREATE TABLE offers (
    n INTEGER PRIMARY KEY, hash TEXT NOT NULL REFERENCES signed (hash), way TEXT NOT NULL,
    at REAL NOT NULL, answer TEXT NOT NULL, said TEXT NOT NULL
) STRICT;
CREATE TABLE controls (
    n INTEGER PRIMARY KEY, seq INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
    subject TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE orders (
    n INTEGER PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL,
    done INTEGER NOT NULL DEFAULT 0, subject TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE rehearsals (
    n INTEGER PRIMARY KEY, decision TEXT NOT NULL, block INTEGER NOT NULL, expected TEXT NOT NULL,
    amount_out TEXT, said TEXT NOT NULL
) STRICT;
CREATE TABLE twins (
    n INTEGER PRIMARY KEY, hash TEXT NOT NULL, block TEXT NOT NULL, twin BLOB NOT NULL,
    UNIQUE (hash, block)
) STRICT;
CREATE TABLE papers (
    n INTEGER PRIMARY KEY, decision TEXT NOT NULL REFERENCES intents (id), block TEXT NOT NULL,
    paper BLOB NOT NULL, UNIQUE (decision, block)
) STRICT
"""

_PUT_SIGNED = f"INSERT INTO signed VALUES (NULL{', ?' * 11})"
_SIGNED = "hash, lane, nonce, decision, max_fee, tip, gas_limit, deadline_block, decided_at, at"


class _SavedDecision(msgspec.Struct, array_like=True):
    """One that can be read by itself."""

    nouns: Nouns
    decision: SavedDecision


_SavedTwin = tuple[TransactionHash, BlockRef, int, Outcome, Outcome | None, Difference]
"""A Twin's fields behind its decision, which the intents have."""


class SignedRaw(NamedTuple):
    """A signed transaction and its bytes, as they go to a node."""

    signed: Signed
    raw: bytes


class JournalReader:
    """Reads a journal, also while its bot writes on, which never waits for it. Every method raises
    StoreError."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use `open_to_read`, or Journal.open."""
        self.path = path
        self._connection = connection

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """As it is now: what is written later is seen by who opens it later."""
        if not path.is_file():
            raise StoreError(path, "does not exist", "Start dexarb-bot first; it begins a journal")
        with ledger_errors(path, "journal"):
            uri = f"{path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
            connection.execute("BEGIN")
        journal = cls(path, connection)
        journal._check()
        return journal

    @property
    def chain_id(self) -> int:
        ((value,),) = self._rows("SELECT value FROM meta WHERE key = 'chain_id'")
        return int(value)

    def intents(self, since: int = 0) -> list[Intent]:
        """Those of entries from `since` on, in the order in which they were made."""
        rows = self._rows(
            "SELECT seq, lane, decision FROM intents WHERE seq >= ? ORDER BY n", (since,)
        )
        return [Intent(_decision(data), seq, Address(lane)) for seq, lane, data in rows]

    def signed(self) -> list[Signed]:
        """All, in the order in which they were signed."""
        return [_signed(row) for row in self._rows(f"SELECT {_SIGNED} FROM signed ORDER BY n")]

    def raw(self, hashes: Iterable[TransactionHash]) -> list[SignedRaw]:
        """To be given to nodes, and shown to nobody."""
        found = []
        for each in hashes:
            rows = self._rows(f"SELECT {_SIGNED}, raw FROM signed WHERE hash = ?", (each,))
            found += [SignedRaw(_signed(row[:-1]), row[-1]) for row in rows]
        return found

    def offers(self) -> list[Offer]:
        rows = self._rows("SELECT hash, way, at, answer, said FROM offers ORDER BY n")
        return [
            Offer(TransactionHash(hash_), way, at, Answer(answer), said)
            for hash_, way, at, answer, said in rows
        ]

    def controls(self) -> list[Control]:
        rows = self._rows("SELECT seq, kind, reason, subject, at FROM controls ORDER BY n")
        return [
            Control(seq, ControlKind(kind), reason, subject, at)
            for seq, kind, reason, subject, at in rows
        ]

    def orders(self) -> list[Order]:
        """Those that have not been carried out yet."""
        rows = self._rows("SELECT * FROM orders WHERE NOT done ORDER BY n")
        return [
            Order(n, ControlKind(kind), reason, at, *subject)
            for n, kind, reason, at, _, *subject in rows
        ]

    def rehearsals(self) -> list[Rehearsed]:
        rows = self._rows(
            "SELECT decision, block, expected, amount_out, said FROM rehearsals ORDER BY n"
        )
        return [
            Rehearsed(name, block, int(expected), None if out is None else int(out), said)
            for name, block, expected, out, said in rows
        ]

    def twins(self) -> list[Twin]:
        """In the order in which they came out; those of dead blocks among them."""
        rows = self._rows("""SELECT t.twin, i.decision FROM twins t
            JOIN signed s ON s.hash = t.hash JOIN intents i ON i.id = s.decision ORDER BY t.n""")
        return [
            Twin(_decision(decision), *msgspec.json.decode(twin, type=_SavedTwin))
            for twin, decision in rows
        ]

    def papers(self) -> list[Paper]:
        """As `twins`."""
        rows = self._rows("SELECT paper FROM papers ORDER BY n")
        return [msgspec.json.decode(row, type=Paper) for (row,) in rows]

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _check(self) -> None:
        with ledger_errors(self.path, "journal"):
            names = self._connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'signed'"
            ).fetchall()
        if not names:
            raise StoreError(self.path, "is no journal", "Use another file")
        ((schema,),) = self._rows("SELECT value FROM meta WHERE key = 'schema'")
        if schema not in READABLE:
            raise StoreError(
                self.path,
                f"has journal schema {schema}, this program knows {JOURNAL_SCHEMA}",
                "Use the dexarb that wrote it",
            )

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with (
            ledger_errors(self.path, "journal"),
            closing(self._connection.execute(query, values)) as cursor,
        ):
            return cursor.fetchall()


class Journal(JournalReader):
    """Mutable; holds the journal's lock from `open` to `close`. Nothing is changed or taken out."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriterLock) -> None:
        """Use `open`."""
        super().__init__(path, connection)
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, chain_id: int) -> Self:
        """Open a journal, or begin one. Raises Locked while another bot writes it, and StoreError,
        also for that of another chain."""
        with disk_errors(path, "cannot be created"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=OWNER_ONLY)
            path.chmod(OWNER_ONLY)
        lock = WriterLock(path.with_name(path.name + LOCK_SUFFIX), path)
        connection = None
        try:
            with ledger_errors(path, "journal"):
                connection = sqlite3.connect(
                    path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
                )
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                journal = cls(path, connection, lock)
                if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
                    journal._create(chain_id)
            journal._check()
            if journal.chain_id != chain_id:
                raise StoreError(
                    path,
                    f"is a journal of chain {journal.chain_id}, not of chain {chain_id}",
                    "Use another file",
                )
            with ledger_errors(path, "journal"):
                _go_on(connection)
            return journal
        except BaseException:
            if connection is not None:
                connection.close()
            lock.release()
            raise

    def _create(self, chain_id: int) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)
        self._connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [("schema", str(JOURNAL_SCHEMA)), ("chain_id", str(chain_id))],
        )
        self._connection.execute("COMMIT")

    @property
    def changes(self) -> int:
        """Rows written since it was opened, also by what was taken back then."""
        return self._connection.total_changes

    def add(self, intents: Iterable[Intent], signed: Iterable[SignedRaw]) -> None:
        """What is about to be sent, as one synced transaction: all of it, or nothing. Raises
        StoreError, and then nothing may be sent."""
        with self._transaction() as connection, ledger_errors(self.path, "journal"):
            connection.executemany(
                "INSERT INTO intents VALUES (NULL, ?, ?, ?, ?)",
                [
                    (each.decision.id, each.seq, each.lane, _saved(each.decision))
                    for each in intents
                ],
            )
            connection.executemany(
                _PUT_SIGNED,
                [
                    (
                        *(one.hash, one.lane, one.nonce, one.decision),
                        *(str(one.max_fee), str(one.tip), one.gas_limit, one.deadline_block),
                        *(one.decided_at, one.at, raw),
                    )
                    for one, raw in signed
                ],
            )

    def add_offers(self, offers: Iterable[Offer]) -> None:
        with self._transaction() as connection, ledger_errors(self.path, "journal"):
            connection.executemany("INSERT INTO offers VALUES (NULL, ?, ?, ?, ?, ?)", list(offers))

    def add_controls(self, controls: Iterable[Control], done: Iterable[Order] = ()) -> None:
        """done: the orders that are carried out so."""
        with self._transaction() as connection, ledger_errors(self.path, "journal"):
            connection.executemany(
                "INSERT INTO controls VALUES (NULL, ?, ?, ?, ?, ?)", list(controls)
            )
            connection.executemany(
                "UPDATE orders SET done = 1 WHERE n = ?", [(each.number,) for each in done]
            )

    def add_rehearsals(self, rehearsed: Iterable[Rehearsed]) -> None:
        with self._transaction() as connection, ledger_errors(self.path, "journal"):
            connection.executemany(
                "INSERT INTO rehearsals VALUES (NULL, ?, ?, ?, ?, ?)",
                [
                    (
                        *(each.decision, each.block, str(each.expected)),
                        *(None if each.amount_out is None else str(each.amount_out), each.said),
                    )
                    for each in rehearsed
                ],
            )

    def add_results(self, twins: Iterable[Twin], papers: Iterable[Paper]) -> None:
        """Those that are there already are left as they are: they follow from the rest."""
        with self._transaction() as connection, ledger_errors(self.path, "journal"):
            connection.executemany(
                "INSERT OR IGNORE INTO twins VALUES (NULL, ?, ?, ?)",
                [(each.hash, each.block.hash, msgspec.json.encode(each[1:])) for each in twins],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO papers VALUES (NULL, ?, ?, ?)",
                [(each.decision, each.block.hash, msgspec.json.encode(each)) for each in papers],
            )

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._connection, self.path, "journal")

    def close(self) -> None:
        """Let the next bot in. A second call does nothing."""
        try:
            super().close()
        finally:
            self._lock.release()


def bot_of(path: Path) -> int | None:
    """The process that writes a journal now, None where nobody does. Raises StoreError."""
    return lock_holder(path.with_name(path.name + LOCK_SUFFIX))


def give_order(path: Path, kind: ControlKind, reason: str, at: float, subject: str = "") -> None:
    """To the bot that writes the journal: it carries the order out at once, or when it starts.
    at: UNIX seconds. subject: the pool or token that it is about. Raises StoreError."""
    JournalReader.open_to_read(path).close()
    with (
        ledger_errors(path, "journal"),
        closing(sqlite3.connect(path, timeout=BUSY_S)) as connection,
        connection,
    ):
        _go_on(connection)
        connection.execute(
            "INSERT INTO orders (kind, reason, at, subject) VALUES (?, ?, ?, ?)",
            (kind, reason, at, subject),
        )


def _go_on(connection: sqlite3.Connection) -> None:
    """A journal of schema 1 gets what it lacks, of whichever process comes first."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("SELECT 1 FROM meta WHERE (key, value) = ('schema', '1')").fetchall():
        connection.execute("ALTER TABLE orders ADD COLUMN subject TEXT NOT NULL DEFAULT ''")
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    connection.execute("COMMIT")


def _signed(row: Sequence[Any]) -> Signed:
    hash_, lane, nonce, decision, max_fee, tip, *rest = row
    return Signed(hash_, Address(lane), nonce, decision, int(max_fee), int(tip), *rest)


def _saved(decision: Decision) -> bytes:
    writer = NounWriter()
    saved = writer.decision(decision)
    return msgspec.json.encode(_SavedDecision(writer.nouns, saved))


def _decision(data: bytes) -> Decision:
    saved = msgspec.json.decode(data, type=_SavedDecision)
    return NounReader(saved.nouns).decision(saved.decision)
