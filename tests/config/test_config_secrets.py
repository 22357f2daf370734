"""Keys in the wrong places of collector.toml: no message, repr or traceback shows them."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from dexarb.config import veil
from dexarb.config.collector import CollectorFile, EndpointBudget, load_collector
from dexarb.config.toml_file import read_toml, validate
from dexarb.errors import InputError

CONFIG = Path(__file__).parent.parent.parent / "config"
KEY = "k3yMaterial0123456789abcdef"
SHORT = "k3yMat1"
URL = f"https://user:{SHORT}@rpc.example.org/v2/{KEY}?token={SHORT}#{SHORT}"

RPC = f'[rpc]\nendpoints = ["{URL}"]\n'
COLLECTOR = f'[collector]\nchain = "{CONFIG}/polygon.toml"\n'
POOLS = '[[pools]]\ndexes = ["QuickSwap"]\npairs = ["WETH/USDC"]\n'
GOOD = COLLECTOR + POOLS + RPC

WRONG = {
    "a text where a list is expected": COLLECTOR + POOLS + f'[rpc]\nendpoints = "{URL}"',
    "a bare key there": COLLECTOR + POOLS + f'[rpc]\nendpoints = "{KEY}"',
    "a table in the list": COLLECTOR + POOLS + f'[rpc]\nendpoints = [{{url = "{URL}"}}]',
    "a table with a name": COLLECTOR + POOLS + f'[rpc]\nendpoints = [{{name = "{SHORT}"}}]',
    "a list in the list": COLLECTOR + POOLS + f'[rpc]\nendpoints = [["{URL}", "{KEY}"]]',
    "no table but a text": COLLECTOR + POOLS + f'rpc = "{URL}"',
    "rpc as a text": f'rpc = "{URL}"\n' + COLLECTOR + POOLS,
    "rpc as a list": f'rpc = ["{URL}"]\n' + COLLECTOR + POOLS,
    "rpc as tables": COLLECTOR + POOLS + f'[[rpc]]\nendpoints = ["{URL}"]',
    "another key's value": GOOD + f'timeout_s = "{URL}"',
    "a bare key as a number": GOOD + f'timeout_s = "{SHORT}"',
    "an unknown key's value": GOOD + f'api_key = "{KEY}"',
    "an unknown key": GOOD + f"{KEY} = 1",
    "a short unknown key": GOOD + f"{SHORT} = 1",
    "a URL as a key": GOOD + f'"{URL}" = 1',
    "a method's units": GOOD + f'compute_units = {{ "{SHORT}" = "{KEY}" }}',
    "units as text": GOOD + f'compute_units = "{URL}"',
    "a budget": GOOD + f'daily_requests = ["{URL}"]',
    "a variable's name": COLLECTOR + POOLS + f'[rpc]\nendpoints = ["https://a/${{{KEY}}}"]',
    "the chain's file": GOOD.replace(f"{CONFIG}/polygon.toml", URL),
    "a folder": GOOD.replace("[[pools]]", f'data_dir = ["{URL}"]\n[[pools]]'),
    "the log level": GOOD.replace("[[pools]]", f'log_level = "{URL}"\n[[pools]]'),
    "a bare key as log level": GOOD.replace("[[pools]]", f'log_level = "{KEY}"\n[[pools]]'),
    "an interval": GOOD.replace("[[pools]]", f'poll_interval_ms = "{URL}"\n[[pools]]'),
    "an unknown key elsewhere": GOOD.replace("[[pools]]", f'"{URL}" = 1\n[[pools]]'),
    "an unknown table": GOOD + f'\n["{URL}"]\na = 1',
    "an unknown table of a key": GOOD + f"\n[{KEY}]\na = 1",
    "the collector as a text": f'collector = "{URL}"\n' + POOLS + RPC,
    "a dex": GOOD.replace('"QuickSwap"', f'"{URL}"'),
    "a pair": GOOD.replace('"WETH/USDC"', f'"{URL}"'),
    "a pair of a key": GOOD.replace('"WETH/USDC"', f'"{KEY}"'),
    "pools as a text": COLLECTOR + f'pools = "{URL}"\n' + RPC,
    "no quotes": COLLECTOR + POOLS + f"[rpc]\nendpoints = [{URL}]",
    "no end": COLLECTOR + POOLS + f'[rpc]\nendpoints = ["{URL}',
    "a key twice": GOOD + f'"{URL}" = 1\n"{URL}" = 2',
    "a table twice": GOOD + f"\n[{KEY}]\n[{KEY}]",
    "a table in a value": GOOD + f"\n{KEY} = 1\n[rpc.{KEY}.{KEY}]",
    "no list's end": COLLECTOR + POOLS + f'[rpc]\nendpoints = ["{URL}" "{KEY}"]',
}


@pytest.mark.parametrize("place", WRONG)
def test_a_key_in_a_wrong_place_is_told_without_being_shown(tmp_path: Path, place: str) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(WRONG[place])
    with pytest.raises(InputError) as caught:
        load_collector(path)
    told = str(caught.value) + repr(caught.value)
    told += "".join(traceback.format_exception(caught.value))
    told += repr(vars(caught.value))
    assert KEY not in told
    assert SHORT not in told
    assert "collector.toml" in told or place == "the chain's file"


def test_what_can_be_shown_still_is(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(GOOD + "timeout = 3")
    with pytest.raises(InputError, match=r'rpc: timeout: unknown key\. Did you mean "timeout_s"\?'):
        load_collector(path)
    path.write_text(GOOD.replace("QuickSwap", "QuickSwop"))
    with pytest.raises(InputError, match=r'unknown DEX "QuickSwop"\. Did you mean "QuickSwap"'):
        load_collector(path)
    path.write_text(COLLECTOR + POOLS + '[rpc]\nendpoints = ["${NO_SUCH_RPC_URL}"]')
    with pytest.raises(InputError, match="variable NO_SUCH_RPC_URL is not set"):
        load_collector(path)


def test_nothing_that_holds_the_file_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(GOOD)
    file = read_toml(path, secrets=("rpc",), wary=True)
    for holder in (file, validate(file, CollectorFile), load_collector(path)):
        assert KEY not in repr(holder)
        assert SHORT not in repr(holder)


def test_budgets_are_one_for_all_or_one_for_each(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    rpc = f'[rpc]\nendpoints = ["{URL}", "wss://b"]\n'
    path.write_text(
        COLLECTOR + POOLS + rpc + "daily_requests = 100\nmonthly_compute_units = [0, 7]\n"
        "compute_units = { eth_getLogs = 75 }"
    )
    config = load_collector(path)
    assert config.budgets == (EndpointBudget(100, None), EndpointBudget(100, 7))
    assert config.compute_units == {"eth_getLogs": 75}
    path.write_text(COLLECTOR + POOLS + rpc)
    assert load_collector(path).budgets == (EndpointBudget(), EndpointBudget())
    for wrong in ("daily_requests = [1, 2, 3]", "daily_requests = -1", "daily_requests = true"):
        path.write_text(COLLECTOR + POOLS + rpc + wrong)
        with pytest.raises(InputError, match="rpc: daily_requests"):
            load_collector(path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{URL}: no", "https://rpc.example.org no"),
        (f"wss://rpc.example.org:8546/{KEY}", "wss://rpc.example.org:8546"),
        (f"https://rpc.example.org:{KEY}", "https://rpc.example.org"),
        (f"https:/rpc.example.org/v2/{KEY}", "https://rpc.example.org"),
        (f"['https://a/{SHORT}', 'https://b/{SHORT}']", "['https://a', 'https://b']"),
        (f"a {KEY} b", "a *** b"),
        ("0x" + "a1" * 20, "0x" + "a1" * 20),
        ("poll_interval_ms: 3: expected", "poll_interval_ms: 3: expected"),
    ],
)
def test_what_a_text_may_quote(text: str, shown: str) -> None:
    assert veil.without_secrets(text) == shown
