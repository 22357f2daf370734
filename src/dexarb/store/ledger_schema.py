"""The ledger's tables, and what SQLite's complaints mean in the project's words.

Here stand the keys and what a table has of its own; the nouns' columns are in ledger_columns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dexarb.errors import StoreError
from dexarb.store.ledger_columns import (
    BLOCK,
    DECISION,
    EPOCH,
    EVIDENCE,
    FILL,
    INCIDENT,
    PROBE,
    REALITY,
    ROUTE,
    SKIP,
    STRATEGY,
)

LEDGER_SCHEMA = 4
BEFORE_REALITIES, BEFORE_SEEN = 2, 3
"""The last schemas in which epochs did not tell the model of reality, and in which `seen` was a
column of strategies: read, and brought up to date."""

# In the order of the rows: ids are hashes, and so are strategies. An index of those touches a page
# for each decision, which takes as long as writing it; who asks for one reads all rows instead.
_WAITING = "CREATE INDEX IF NOT EXISTS decisions_waiting ON decisions (n) WHERE state = 'open'"
_BY_HASH = ("decisions_open", "decisions_by_id", "decisions_by_strategy")

# A list behind IN is laid out anew for each row, which takes a third of the time of writing it.
# Older ledgers have one, and keep it: it allows the same.
_STATES = "CHECK (state = 'open' OR state = 'settled' OR state = 'void')"

_CHECKPOINTS = """CREATE TABLE IF NOT EXISTS checkpoints (
    seq INTEGER PRIMARY KEY, number INTEGER NOT NULL, hash TEXT NOT NULL,
    format INTEGER NOT NULL, state BLOB NOT NULL
) STRICT"""

_CHANCES = """CREATE TABLE IF NOT EXISTS chances (
    decision INTEGER PRIMARY KEY REFERENCES decisions (n), p_fill_ppm INTEGER NOT NULL
) STRICT"""

_BOUNDS = """CREATE TABLE IF NOT EXISTS bounds (
    fill INTEGER PRIMARY KEY REFERENCES fills (n), micro_usd INTEGER NOT NULL
) STRICT"""

_PROBES = f"""CREATE TABLE IF NOT EXISTS probes (
    n INTEGER PRIMARY KEY, seq INTEGER NOT NULL, {PROBE.sql}
) STRICT"""
_BARRED = "CREATE INDEX IF NOT EXISTS probes_barred ON probes (n) WHERE until_block IS NOT NULL"

# Beside the strategies, whose rows are large: this changes all the time.
_SEEN = """CREATE TABLE seen (
    strategy TEXT PRIMARY KEY, episodes INTEGER NOT NULL
) STRICT, WITHOUT ROWID"""
# Of an older ledger, for whoever only reads it.
_SEEN_BEFORE = """CREATE TEMP VIEW seen AS
    SELECT hash AS strategy, seen AS episodes FROM strategies WHERE seen"""

_REALITIES = f"CREATE TABLE realities ({REALITY.sql}) STRICT, WITHOUT ROWID"

TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE progress (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL, block_number INTEGER NOT NULL, block_hash TEXT NOT NULL
) STRICT;

CREATE TABLE strategies ({STRATEGY.sql}) STRICT, WITHOUT ROWID;

{_SEEN};

{_REALITIES};

CREATE TABLE epochs (
    {EPOCH.sql},
    PRIMARY KEY (strategy, from_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX epochs_now ON epochs (strategy) WHERE to_seq IS NULL;

CREATE TABLE blocks (
    seq INTEGER PRIMARY KEY,
    {BLOCK.sql}
) STRICT;

CREATE TABLE routes (
    {ROUTE.sql},
    PRIMARY KEY (cycle, start_pool)
) STRICT, WITHOUT ROWID;

CREATE TABLE decisions (
    n INTEGER PRIMARY KEY, seq INTEGER NOT NULL,
    {DECISION.sql},
    state TEXT NOT NULL {_STATES}
) STRICT;
{_WAITING};

CREATE TABLE fills (
    n INTEGER PRIMARY KEY, seq INTEGER NOT NULL,
    decision INTEGER NOT NULL REFERENCES decisions (n),
    {FILL.sql},
    reorged_seq INTEGER
) STRICT;
CREATE UNIQUE INDEX fills_standing ON fills (decision) WHERE reorged_seq IS NULL;

CREATE TABLE skips (
    {SKIP.sql},
    PRIMARY KEY (strategy, hour, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
    n INTEGER PRIMARY KEY, seq INTEGER NOT NULL,
    {EVIDENCE.sql},
    reorged_seq INTEGER
) STRICT;
CREATE INDEX evidence_by_cycle ON evidence (cycle, block_hash);

CREATE TABLE incidents (
    n INTEGER PRIMARY KEY,
    {INCIDENT.sql}
) STRICT;
"""

_REMEDIES = {
    sqlite3.SQLITE_FULL: "Free space; the trader goes on at the block where it stopped",
    sqlite3.SQLITE_IOERR: "Free space or check the disk; the trader goes on where it stopped",
    sqlite3.SQLITE_BUSY: "Another program holds a lock on it: close that program",
    sqlite3.SQLITE_LOCKED: "Another program holds a lock on it: close that program",
    sqlite3.SQLITE_READONLY: "Give this user the right to write there",
    sqlite3.SQLITE_CANTOPEN: "Check that the folder exists and can be written to",
    sqlite3.SQLITE_CORRUPT: "Move it away: paper-trading then starts a new one",
    sqlite3.SQLITE_NOTADB: "Move it away: paper-trading then starts a new one",
}


@contextmanager
def ledger_errors(path: Path, what: str = "ledger") -> Iterator[None]:
    """SQLite's errors become StoreErrors."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise StoreError(path, f"{what}: {error}", _REMEDIES.get(code)) from error
    except OverflowError as error:
        raise StoreError(path, f"{what}: a number does not fit into 64 bits: {error}") from error


@contextmanager
def transaction(
    connection: sqlite3.Connection, path: Path, what: str = "ledger"
) -> Iterator[sqlite3.Connection]:
    """All of it or nothing. Raises StoreError, and whatever is raised within."""
    try:
        with ledger_errors(path, what):
            connection.execute("BEGIN IMMEDIATE")
        yield connection
        with ledger_errors(path, what):
            connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def create(connection: sqlite3.Connection, chain_id: int, history: str) -> None:
    """Make the tables in an empty database, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES.split(";"):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [("schema", str(LEDGER_SCHEMA)), ("chain_id", str(chain_id)), ("history", history)],
    )
    connection.execute("COMMIT")


def bring_up_to_date(connection: sqlite3.Connection, schema: int) -> None:
    """From an older schema, all or nothing: what its epochs were traded in is not known."""
    connection.execute("BEGIN IMMEDIATE")
    if schema <= BEFORE_REALITIES:
        connection.execute(_REALITIES)
        connection.execute("ALTER TABLE epochs ADD COLUMN reality TEXT")
    connection.execute("DROP VIEW IF EXISTS temp.seen")
    connection.execute(_SEEN)
    connection.execute("INSERT INTO seen SELECT hash, seen FROM strategies WHERE seen")
    connection.execute("ALTER TABLE strategies DROP COLUMN seen")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(LEDGER_SCHEMA),))
    connection.execute("COMMIT")


def furnish(connection: sqlite3.Connection) -> None:
    """What a ledger has beside its books, and one of a program before this one had otherwise; all
    or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    for name in _BY_HASH:
        connection.execute(f"DROP INDEX IF EXISTS {name}")
    connection.execute(_WAITING)
    connection.execute(_CHECKPOINTS)
    connection.execute(_CHANCES)
    connection.execute(_BOUNDS)
    connection.execute(_PROBES)
    connection.execute(_BARRED)
    connection.execute("COMMIT")


def is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


def read_meta(connection: sqlite3.Connection, path: Path) -> dict[str, str]:
    """The meta table of a ledger that this program knows. Raises StoreError."""
    has_meta = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchall()
    if not has_meta:
        raise StoreError(path, "is a database, but not a ledger", "Use another file")
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    known = [str(each) for each in range(BEFORE_REALITIES, LEDGER_SCHEMA + 1)]
    if meta.get("schema") not in known:
        raise StoreError(
            path,
            f"has ledger schema {meta.get('schema')}, this program knows {BEFORE_REALITIES} to"
            f" {LEDGER_SCHEMA}",
            "Use the dexarb that wrote it, or move it away: paper-trading then starts a new one",
        )
    return meta


def let_read(connection: sqlite3.Connection, schema: int) -> None:
    """Let a reader of a ledger of this schema find what it has as that of now has it."""
    connection.execute("DROP VIEW IF EXISTS temp.seen")
    if schema <= BEFORE_SEEN:
        connection.execute(_SEEN_BEFORE)
