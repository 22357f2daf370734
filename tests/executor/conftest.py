"""The stage on which the executor is attacked: built once a module, undone after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.executor.attackers import Stage


@pytest.fixture(scope="module")
def built() -> Stage:
    return Stage()


@pytest.fixture
def stage(built: Stage) -> Iterator[Stage]:
    pools = dict(built.arena.pools)
    with built.arena.chain.undone():
        yield built
    built.arena.pools = pools
