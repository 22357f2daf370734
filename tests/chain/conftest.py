"""Nodes for the tests of chain access."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.anvil import Node, running_anvil


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A node that tests may mine on but must not reorganise."""
    with running_anvil() as running:
        yield running


@pytest.fixture
def fresh_node() -> Iterator[Node]:
    """A node of the test's own."""
    with running_anvil() as running:
        yield running
