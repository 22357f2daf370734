from __future__ import annotations

import pytest

from tests.demo.story import Story, record, run


@pytest.fixture(scope="session")
def story() -> Story:
    """200 blocks of the default seed."""
    return run(record())
