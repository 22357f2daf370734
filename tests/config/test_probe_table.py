"""[probe] of the paper trader's file: told by file, line and key, never by URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.apps.trader_probes import require_endpoints
from dexarb.config.paper import load_paper
from dexarb.errors import InputError
from tests.support.traded import configure, strategy

KEY = "k3yMaterial0123456789abcdef"
URL = f"https://rpc.example.org/v2/{KEY}"


def written(folder: Path, table: str) -> Path:
    return configure(folder, strategy("one"), table).config


def used(path: Path) -> None:
    config = load_paper(path).probe
    assert config is not None
    require_endpoints(config)


def test_who_only_reads_the_file_needs_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, '[probe]\nendpoints = ["${NO_SUCH_URL}"]\n')
    config = load_paper(path).probe
    assert config is not None
    assert (config.table.daily_requests, config.table.bar_blocks) == (10_000, 43_200)
    with pytest.raises(InputError, match="variable NO_SUCH_URL is not set"):
        require_endpoints(config)
    monkeypatch.setenv("NO_SUCH_URL", URL)
    require_endpoints(config)
    assert config.urls() == [URL]
    assert KEY not in repr(config)


@pytest.mark.parametrize(
    "table",
    [
        f'[probe]\nendpoints = "{URL}"',
        "[probe]\nendpoints = []",
        f'[probe]\nendpoints = ["{URL}"]\ndaily_requests = "{KEY}"',
        f'[probe]\nendpoints = ["{URL}"]\nbar_blocks = 0',
        f'[probe]\nendpoints = ["{URL}"]\n{KEY} = 1',
        f'[[probe]]\nendpoints = ["{URL}"]',
        f'[probe]\nendpoints = ["gopher://{KEY}"]',
    ],
)
def test_what_is_wrong_is_told_without_a_key(tmp_path: Path, table: str) -> None:
    path = written(tmp_path, table)
    with pytest.raises(InputError) as caught:
        used(path)
    assert KEY not in str(caught.value) + repr(caught.value)
