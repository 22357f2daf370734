"""Figures of a ledger that some screens ask for: when strategies took part, and what came when.

All of them in one pass over the rows, in SQLite. Micro-USD, UTC seconds. Only fills that stand
count.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec

from dexarb.core.trade import StrategyHash
from dexarb.store.ledger_queries import DECIDED_IN
from dexarb.store.ledger_reader import LedgerReader
from dexarb.store.ledger_rows import ALL_BLOCKS, MAX_INTEGER, BlockRange

# The blocks in which epochs begin and end are kept; of a ledger made before they were, the next
# one in which something happened has to do.
_EPOCHS = """
SELECT e.strategy, e.from_seq, e.to_seq,
    (SELECT timestamp FROM blocks b WHERE b.seq >= e.from_seq ORDER BY b.seq LIMIT 1),
    (SELECT timestamp FROM blocks b WHERE b.seq > e.to_seq ORDER BY b.seq LIMIT 1)
FROM epochs e ORDER BY e.from_seq, e.strategy
"""

_NETS = """
SELECT decisions.strategy, f.net_micro_usd
FROM fills f JOIN decisions ON decisions.n = f.decision {decided}
WHERE f.reorged_seq IS NULL ORDER BY f.n
"""

_SUMS = """
    count(*), coalesce(sum(f.status = 'filled'), 0),
    coalesce(sum(f.status = 'filled' AND f.net_micro_usd >= 0), 0),
    coalesce(sum(f.status = 'reverted'), 0), coalesce(sum(f.status = 'lost'), 0),
    coalesce(sum(f.status = 'expired'), 0), coalesce(sum(NOT f.place_known), 0),
    coalesce(sum(f.net_micro_usd), 0), coalesce(sum(f.gas_cost_micro_usd), 0)
"""

_BY_HOUR = f"""
SELECT fb.timestamp % 86400 / 3600, {_SUMS}
FROM fills f JOIN decisions ON decisions.n = f.decision JOIN blocks fb ON fb.seq = f.seq
{DECIDED_IN}
WHERE f.reorged_seq IS NULL AND decisions.strategy IN (SELECT value FROM json_each(:strategies))
GROUP BY 1 ORDER BY 1
"""

# By tenths of the chance that was given; what a coin has lost or came too late did not come either.
_FORESEEN = """
SELECT min(c.p_fill_ppm / 100000, 9), count(*), sum(c.p_fill_ppm), sum(f.status = 'filled')
FROM chances c JOIN decisions d ON d.n = c.decision JOIN fills f ON f.decision = d.n
WHERE f.reorged_seq IS NULL AND d.strategy = :strategy
GROUP BY 1 ORDER BY 1
"""

_BOUNDED = """
SELECT count(*), coalesce(sum(b.micro_usd), 0)
FROM bounds b JOIN fills f ON f.n = b.fill JOIN decisions d ON d.n = f.decision
WHERE f.reorged_seq IS NULL AND d.strategy = :strategy
"""

_SINCE = f"SELECT {_SUMS} FROM fills f WHERE f.reorged_seq IS NULL AND f.seq >= :seq"
_SENT_SINCE = "SELECT count(*) FROM decisions WHERE seq >= :seq"
_BLOCK_FROM = "SELECT number, timestamp FROM blocks WHERE seq >= :seq ORDER BY seq LIMIT 1"


_OFFERED = """
SELECT coalesce(max(offered), 0) FROM (
    SELECT sum(times) AS offered FROM (
        SELECT strategy, times FROM skips UNION ALL SELECT strategy, 1 FROM decisions)
    GROUP BY strategy)
"""

_SECONDS = """
SELECT min(timestamp), max(timestamp) FROM blocks
WHERE number BETWEEN :first AND :last AND timestamp BETWEEN :first_second AND :last_second
"""


_PROBES = """
SELECT count(*), coalesce(sum(amount_out = expected_out), 0), coalesce(sum(amount_out IS NULL), 0)
FROM probes
"""


_REFUSED_NET = """
SELECT coalesce(sum(f.net_micro_usd), 0)
FROM fills f JOIN decisions d ON d.n = f.decision
WHERE f.reorged_seq IS NULL AND f.status = 'filled' AND d.strategy = :strategy
    AND d.cycle IN (SELECT cycle FROM probes WHERE until_block IS NOT NULL)
"""


class Foreseen(NamedTuple):
    """Of settled decisions whose chance of a fill lay in the same tenth: how many, the sum of the
    chances in ppm, and how many were filled."""

    tenth: int
    settled: int
    sum_ppm: int
    filled: int


class Bounded(NamedTuple):
    """Trades that reverted by their own minimum although they would have gained, and how much."""

    reverted: int
    micro_usd: int


NONE_BOUNDED = Bounded(0, 0)


class EpochTimes(NamedTuple):
    """began, ended: of the blocks of its first entry and of the one behind its last; None: none has
    been recorded since, or it goes on."""

    strategy: StrategyHash
    from_seq: int
    to_seq: int | None
    began: int | None
    ended: int | None


class FillSums(NamedTuple):
    """gained: filled, and not at a loss. unplaced: with any of them, net is not known."""

    settled: int
    filled: int
    gained: int
    reverted: int
    lost: int
    expired: int
    unplaced: int
    net_micro_usd: int
    gas_cost_micro_usd: int


def epoch_times(reader: LedgerReader) -> list[EpochTimes]:
    """In order of from_seq. Raises StoreError, as all of these do."""
    return [EpochTimes(*row) for row in reader.rows(_EPOCHS)]


def nets(reader: LedgerReader, blocks: BlockRange = ALL_BLOCKS) -> list[tuple[Any, ...]]:
    """Strategy and net of every fill, in the order in which they were booked."""
    query = _NETS.format(decided="" if blocks == ALL_BLOCKS else DECIDED_IN)
    return reader.rows(query, blocks._asdict())


def sums_by_hour(
    reader: LedgerReader,
    strategies: Collection[StrategyHash],
    blocks: BlockRange = ALL_BLOCKS,
) -> dict[int, FillSums]:
    """By hour of the day (UTC, 0 to 23) of the block that included them; only hours with fills."""
    asked = msgspec.json.encode(list(strategies)).decode()
    parameters = {"strategies": asked, **blocks._asdict()}
    return {row[0]: FillSums(*row[1:]) for row in reader.rows(_BY_HOUR, parameters)}


def sums_since(reader: LedgerReader, seq: int) -> tuple[int, FillSums]:
    """Decisions and fills from that entry on."""
    ((sent,),) = reader.rows(_SENT_SINCE, {"seq": seq})
    (row,) = reader.rows(_SINCE, {"seq": seq})
    return sent, FillSums(*row)


def seconds_of(reader: LedgerReader, blocks: BlockRange) -> tuple[int, int]:
    """First and last UNIX second of these blocks: as they are given, or what is recorded of their
    numbers."""
    ((first, last),) = reader.rows(_SECONDS, blocks._asdict())
    began = first if blocks.first else blocks.first_second
    ended = blocks.last_second if blocks.last == MAX_INTEGER else last
    return began or 0, MAX_INTEGER if ended is None else ended


def offered(reader: LedgerReader) -> int:
    """Opportunities times the blocks at whose end they were open, of the strategy that was offered
    most: of all that took part from the beginning it is the same."""
    ((most,),) = reader.rows(_OFFERED)
    return int(most)


def block_from(reader: LedgerReader, seq: int) -> tuple[int, int] | None:
    """Number and timestamp of the first recorded block from that entry on."""
    found = reader.rows(_BLOCK_FROM, {"seq": seq})
    return (found[0][0], found[0][1]) if found else None


def foreseen(reader: LedgerReader, strategy: StrategyHash) -> list[Foreseen]:
    """Of a strategy that weighs misses, what was expected against what came, ascending; empty for
    any other, and for a ledger from before there was such a thing."""
    if not reader.has("chances"):
        return []
    return [Foreseen(*row) for row in reader.rows(_FORESEEN, {"strategy": strategy})]


def bounded(reader: LedgerReader, strategy: StrategyHash) -> Bounded:
    """None of a ledger from before anybody counted them."""
    if not reader.has("bounds"):
        return NONE_BOUNDED
    ((reverted, micro_usd),) = reader.rows(_BOUNDED, {"strategy": strategy})
    return Bounded(reverted, micro_usd)


def refused_net(reader: LedgerReader, strategy: StrategyHash) -> int:
    """Micro-USD net of its standing fills on routes that a node has refused to run, at any time, or
    ran to another amount: the books have it, and the chain would hardly have paid it."""
    if not reader.has("probes"):
        return 0
    ((net,),) = reader.rows(_REFUSED_NET, {"strategy": strategy})
    return int(net)


def probe_counts(reader: LedgerReader) -> tuple[int, int, int]:
    """How many decisions a node has run, and of these equal to the wei, and refused."""
    if not reader.has("probes"):
        return 0, 0, 0
    ((ran, equal, refused),) = reader.rows(_PROBES)
    return ran, equal, refused
