"""A trader without a market: writes block after block into a ledger, wherever it stands.

Usage: ledger_process.py LEDGER BLOCKS. Says the seq of every block once it is in the ledger.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dexarb.store.ledger_db import LedgerDb
from tests.store import books
from tests.support.worlds import arrivals


def main(path: Path, blocks: int) -> None:
    with LedgerDb.open(path, chain_id=arrivals.CHAIN_ID, history=path.parent) as ledger:
        for seq in range(max(ledger.seq, 0) + 1, blocks + 1):
            books.trade(ledger, seq)
            os.write(1, f"{seq}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
