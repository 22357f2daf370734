"""A bot without a market: writes trades into a journal until it is killed.

Usage: journal_process.py JOURNAL. Says the number of every trade once the journal has it.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

from dexarb.store.journal import Journal
from tests.store.journal_trades import trade


def main(path: Path) -> None:
    with Journal.open(path, chain_id=137) as journal:
        for number in count(len(journal.signed())):
            journal.add(*trade(number))
            os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
