"""The engine's state after a block: beside the market of that block, what it goes on from."""

from __future__ import annotations

import msgspec

from dexarb.core.ledger import LedgerState
from dexarb.core.pool import SwapGas
from dexarb.core.saved import Nouns
from dexarb.trading.episodes import EpisodesState
from dexarb.trading.models.value import SavedMids
from dexarb.trading.settle.chances import ChancesState
from dexarb.trading.settle.evidence import SavedWatch


class EngineState(msgspec.Struct):
    """seq: of the history's entry that it stands behind. pace, swap_gas: see Market. max_hops: as
    far as the search has gone. mids: see Valuation. chances: None while nobody weighs them.
    executor: as it gave it itself."""

    seq: int
    pace: int
    swap_gas: list[SwapGas]
    max_hops: int
    mids: list[SavedMids]
    episodes: EpisodesState
    ledger: LedgerState
    watches: list[SavedWatch]
    chances: ChancesState | None
    executor: bytes
    nouns: Nouns
