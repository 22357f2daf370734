from __future__ import annotations

import pytest

from tests.demo.story import Story, record, run
from tests.support.command import dexarb

__all__ = ["dexarb", "story"]


@pytest.fixture(scope="session")
def story() -> Story:
    """200 blocks of the default seed."""
    return run(record())
