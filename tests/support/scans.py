"""Scans with fewer open cycles than there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dexarb.search.open_cycles import OpenCycles
from dexarb.search.scan import Offers, Scan
from dexarb.search.sizing import room_for


def narrowed(scan: Scan, rows: Sequence[int]) -> Scan:
    """As if nothing else were open than what these rows of the table are."""
    whole, table = scan.table, OpenCycles(scan.table.index)
    columns, none = whole.rows, np.zeros(0, dtype=np.int64)
    kept = np.array(rows, dtype=np.int64)
    sizes = room_for(len(kept), len(whole.pieces))
    sizes.amount_in[:], sizes.profit[:] = columns.amount_in[kept], columns.profit[kept]
    sizes.first[:], sizes.number[:] = columns.first[kept], columns.number[kept]
    sizes.pieces[:] = whole.pieces
    sizes.used[0] = len(whole.pieces)
    table.floors[:] = whole.floors
    edges = columns.edges[kept].astype(np.int64)
    changes = table.update(none, edges, columns.rate[kept], sizes, none)
    offered = [(each, table.row(each.cycle)) for each in scan.opportunities if each.cycle in table]
    offers = Offers(
        tuple(each for each, _ in offered), np.array([row for _, row in offered], dtype=np.int64)
    )
    return replace(scan, offers=lambda: offers, table=table, changes=changes)
