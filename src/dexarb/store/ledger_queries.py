"""What a ledger is asked, in SQL."""

from __future__ import annotations

from typing import Any

from dexarb.store.ledger_columns import DECISION, EVIDENCE, FILL, SKIP, Columns

THESE = """b.number BETWEEN :first AND :last
    AND b.timestamp BETWEEN :first_second AND :last_second"""
DECIDED_IN = f"JOIN blocks b ON b.seq = decisions.seq AND {THESE}"
"""To a query over decisions, with the fields of a BlockRange. What was decided in some blocks is
counted whole, wherever it was settled."""

STANDINGS = """
SELECT s.hash, s.name, coalesce(e.episodes, 0), coalesce(d.sent, 0), coalesce(f.filled, 0),
    coalesce(f.reverted, 0), coalesce(f.lost, 0), coalesce(f.expired, 0), coalesce(d.void, 0),
    coalesce(d.open, 0), coalesce(f.net, 0), coalesce(f.low, 0), coalesce(f.high, 0),
    coalesce(f.gas_cost, 0), coalesce(f.unplaced, 0), coalesce(f.placed, 0),
    coalesce(f.gained, 0),
    coalesce(f.gas_filled, 0), coalesce(f.gas_reverted, 0), coalesce(f.gas_lost, 0)
FROM strategies s LEFT JOIN seen e ON e.strategy = s.hash
LEFT JOIN (
    SELECT strategy, count(*) AS sent, sum(state = 'void') AS void, sum(state = 'open') AS open
    FROM decisions {decided} GROUP BY strategy) d ON d.strategy = s.hash
LEFT JOIN (
    SELECT strategy, sum(status = 'filled') AS filled, sum(status = 'reverted') AS reverted,
        sum(status = 'lost') AS lost, sum(status = 'expired') AS expired,
        sum(net_micro_usd) AS net, sum(band_low_micro_usd) AS low,
        sum(band_high_micro_usd) AS high, sum(gas_cost_micro_usd) AS gas_cost,
        sum(NOT place_known) AS unplaced, sum(place_known * net_micro_usd) AS placed,
        sum(status = 'filled' AND net_micro_usd >= 0) AS gained,
        sum((status = 'filled') * gas_cost_micro_usd) AS gas_filled,
        sum((status = 'reverted') * gas_cost_micro_usd) AS gas_reverted,
        sum((status = 'lost') * gas_cost_micro_usd) AS gas_lost
    FROM fills JOIN decisions ON decisions.n = fills.decision {decided}
    WHERE reorged_seq IS NULL GROUP BY strategy) f ON f.strategy = s.hash
ORDER BY s.ordinal, s.hash
"""

# A trade belongs to the day of the block it was decided on. Only a gain ends a row of losses.
AGAINST_LIMITS = """
WITH standing AS (
    SELECT d.strategy, f.n, fb.number AS block, f.net_micro_usd AS net,
        b.timestamp / 86400 = :day AS today,
        f.status IN ('reverted', 'lost') OR f.status = 'filled' AND f.net_micro_usd < 0 AS is_loss,
        f.status = 'filled' AND f.net_micro_usd >= 0 AS is_gain
    FROM fills f JOIN decisions d ON d.n = f.decision
    JOIN blocks b ON b.seq = d.seq JOIN blocks fb ON fb.seq = f.seq
    WHERE f.reorged_seq IS NULL),
gains AS (SELECT strategy, max(n) AS last FROM standing WHERE is_gain GROUP BY strategy),
settled AS (
    SELECT s.strategy, sum(today * net) AS net,
        sum(is_loss AND s.n > coalesce(g.last, 0)) AS losses,
        max(is_loss * block) AS last_loss
    FROM standing s LEFT JOIN gains g ON g.strategy = s.strategy GROUP BY s.strategy),
traded AS (
    SELECT d.strategy, count(*) AS trades, max(b.number) AS last
    FROM decisions d JOIN blocks b ON b.seq = d.seq
    WHERE b.timestamp / 86400 = :day GROUP BY d.strategy)
SELECT s.hash, coalesce(t.trades, 0), coalesce(f.net, 0), coalesce(t.last, 0),
    coalesce(f.losses, 0), coalesce(f.last_loss, 0)
FROM strategies s LEFT JOIN traded t ON t.strategy = s.hash
LEFT JOIN settled f ON f.strategy = s.hash
"""

# Before or at the place of the mover: `place` counts the transactions before ours.
WON_OVER_TAKERS = """
SELECT d.strategy, sum(f.net_micro_usd)
FROM fills f JOIN decisions d ON d.n = f.decision
JOIN blocks b ON b.seq = d.seq JOIN blocks fb ON fb.seq = f.seq
JOIN evidence e ON e.cycle = d.cycle AND e.block_hash = b.hash
WHERE f.reorged_seq IS NULL AND e.reorged_seq IS NULL AND f.status = 'filled' AND f.place_known
    AND e.outcome = 'taken' {decided}
    AND (fb.number < e.mover_block_number
        OR fb.number = e.mover_block_number AND f.place <= e.mover_place)
GROUP BY d.strategy
"""

ROUTE_OF = "JOIN routes r ON r.cycle = {0}.cycle AND r.start_pool = {0}.start_pool"


def only(column: str, value: str | None) -> str:
    """Said outright: an index is of no use behind an OR. The parameter is called as the column."""
    return "TRUE" if value is None else f"{column} = :{column.rpartition('.')[2]}"


def last_before(table: str) -> str:
    """The last row up to entry :after, looked for from the end: rows ascend with entries."""
    newest_first = f"SELECT n FROM {table} WHERE seq <= :after ORDER BY n DESC LIMIT 1"
    return f"CASE :after WHEN 0 THEN 0 ELSE coalesce(({newest_first}), 0) END"


def facts(block: str, columns: Columns[Any], alias: str) -> str:
    """What block they are of, then the noun's facts; its route is told by the hops."""
    told = [f"{alias}.{each.name}" for each in columns.columns if each.name != "start_pool"]
    facts = ["r.hops" if each == f"{alias}.cycle" else each for each in told]
    return ", ".join([block, *(each for each in facts if each not in block.split(", "))])


# What the digest is taken over: facts about the chain and the trades. Neither seqs (they depend on
# how the collector cut its segments) nor row ids, wall-clock times or ordinals are in it.
DIGESTED = (
    (
        "strategies",
        """SELECT hash, name, config, coalesce(episodes, 0) AS seen
        FROM strategies LEFT JOIN seen ON strategy = hash ORDER BY hash""",
    ),
    (
        "decisions",
        f"""SELECT {facts("b.number, b.hash", DECISION, "d")}, d.state
        FROM decisions d JOIN blocks b ON b.seq = d.seq {ROUTE_OF.format("d")}
        ORDER BY b.number, b.hash, d.id, d.seq""",
    ),
    (
        "fills",
        f"""SELECT {facts("b.number, b.hash, d.id", FILL, "f")}, f.reorged_seq IS NOT NULL
        FROM fills f JOIN decisions d ON d.n = f.decision JOIN blocks b ON b.seq = f.seq
        ORDER BY b.number, b.hash, d.id, f.seq""",
    ),
    ("skips", f"SELECT {SKIP.names()} FROM skips ORDER BY strategy, hour, reason"),
    (
        "evidence",
        f"""SELECT {facts("e.block_number, e.block_hash", EVIDENCE, "e")},
            e.reorged_seq IS NOT NULL
        FROM evidence e {ROUTE_OF.format("e")}
        ORDER BY e.block_number, e.block_hash, r.hops, e.seq""",
    ),
)
