from __future__ import annotations

import pytest

from dexarb.store.history_reader import HistoryReader
from tests.truth.recording import record

RECORDED_BLOCKS = 110
SEED = 3


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> HistoryReader:
    """A history of the embedded chain, with traders, providers and arbitrageurs."""
    return record(tmp_path_factory.mktemp("recorded"), SEED, RECORDED_BLOCKS)
