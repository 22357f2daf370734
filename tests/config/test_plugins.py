"""Own strategies come from installed packages: real entry points, written onto the path."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from dexarb.config.paper import load_paper
from dexarb.config.plugins import StrategyTypes
from dexarb.config.strategy_table import canonical
from dexarb.errors import InputError
from dexarb.trading.strategy import StrategySettings
from tests.support.own_package import install
from tests.support.worlds.small_chain import PROFILE

PATIENT = """
class Patient:
    def __init__(self, *, blocks=3, shares=(1, 0.5)):
        if blocks < 0:
            raise ValueError(f"blocks = {blocks} is negative")
        self.blocks, self.shares = blocks, shares

    def decide(self, market, opportunities, ledger):
        return []
"""


def settings(folder: Path, table: str) -> tuple[StrategySettings, ...]:
    path = folder / "paper.toml"
    path.write_text(
        f"""
[defaults]
pairs = ["WETH/USDC"]
min_profit_usd = 1
max_trade_size_usd = 1000
{table}
"""
    )
    return load_paper(path).settings(PROFILE.tokens)


def refusal(folder: Path, table: str) -> str:
    with pytest.raises(InputError) as caught:
        settings(folder, table)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_an_installed_kind_is_used_with_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "good_own", PATIENT, {"patient": "Patient"}, version="1.2")
    (found,) = settings(
        tmp_path,
        '[[strategy]]\nname = "p"\nkind = "patient"\nparameters = {shares = [2, 0.10], blocks = 4}',
    )
    assert (found.kind, found.parameters) == ("patient", '{"blocks":4,"shares":[2,0.1]}')
    assert found.code.startswith("good_own 1.2 ")
    made = StrategyTypes()["patient"](**json.loads(found.parameters))
    assert (made.blocks, made.shares) == (4, [2, 0.1])  # type: ignore[attr-defined]
    assert StrategySettings.from_json(found.as_json()).hash == found.hash


def test_parameters_make_a_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "grid_own", PATIENT, {"patient": "Patient"})
    found = settings(
        tmp_path,
        '[[grid]]\nname = "p {parameters.blocks}"\nkind = "patient"\n'
        "[grid.parameters]\nblocks = [1, 2]\nshares = [[1, 2]]\n",
    )
    assert [(each.name, each.parameters) for each in found] == [
        ("p 1", '{"blocks":1,"shares":[1,2]}'),
        ("p 2", '{"blocks":2,"shares":[1,2]}'),
    ]
    assert len({each.hash for each in found}) == 2


def test_other_code_is_another_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = '[[strategy]]\nname = "p"\nkind = "patient"'
    found: list[StrategySettings] = []
    for number, (source, version) in enumerate(
        [(PATIENT, "1.0"), (PATIENT, "1.1"), (PATIENT + "# changed\n", "1.0")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            install(folder, "same_own", source, {"patient": "Patient"}, version=version)
            found += settings(folder, table)
        sys.modules.pop("same_own")
    assert len({each.code for each in found}) == len({each.hash for each in found}) == 3


def test_nothing_is_imported_that_no_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "broken_own", "raise RuntimeError('at import')", {"broken": "Broken"})
    assert settings(tmp_path, '[[strategy]]\nname = "built in"')
    assert "broken_own" not in sys.modules
    message = refusal(tmp_path, '[[strategy]]\nname = "b"\nkind = "broken"')
    assert 'paper.toml:8: strategy "b": kind: own strategy "broken" of broken_own 1.0' in message
    assert "cannot be imported: RuntimeError: at import" in message
    assert "broken_own.py:1)" in message


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('kind = "patent"', 'there is no kind "patent". Did you mean "patient"?'),
        ('kind = "treshold"', 'there is no kind "treshold". Did you mean "threshold"?'),
        ('kind = "patient"\nparameters = {blocks = -1}',
         "refuses its parameters: ValueError: blocks = -1 is negative"),
        ('kind = "patient"\nparameters = {block = 1}',
         "refuses its parameters: TypeError: Patient.__init__() got an unexpected keyword"),
        ('kind = "twice"', "is offered by several packages: first_own 1.0, second_own 1.0"),
        ('kind = "no_class"', "of first_own 1.0 cannot be imported: AttributeError"),
        ('kind = "number"', "of first_own 1.0 is no class: first_own:NUMBER"),
        ('kind = "patient"\nparameters = {blocks = nan}', "expected a finite number"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_an_error_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, said: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    offers = {"patient": "Patient", "twice": "Patient", "no_class": "Nothing", "number": "NUMBER"}
    install(tmp_path, "first_own", PATIENT + "\nNUMBER = 1\n", offers)
    install(tmp_path, "second_own", PATIENT, {"twice": "Patient"})
    message = refusal(tmp_path, f'[[strategy]]\nname = "p"\n{table}\n')
    assert said in message
    assert "paper.toml:" in message


def test_one_that_is_installed_later_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    types = StrategyTypes()
    assert "later" not in types
    install(tmp_path, "later_own", PATIENT, {"later": "Patient"})
    assert types["later"](blocks=1).blocks == 1  # type: ignore[attr-defined]


def test_canonical_json_is_exact_and_in_one_form() -> None:
    one = {"b": Decimal("0.10"), "a": {"y": [Decimal(2), 2, True, "x"], "x": "é"}}
    other = {"a": {"x": "é", "y": [Decimal("2.0"), 2, True, "x"]}, "b": Decimal("0.1")}
    text = canonical(one)
    assert text == canonical(other) == '{"a":{"x":"\\u00e9","y":[2.0,2,true,"x"]},"b":0.1}'
    digits = Decimal("0.1234567890123456789012345678901234567890")
    assert json.loads(canonical({"n": digits}), parse_float=Decimal) == {"n": digits}
    assert canonical(json.loads(text, parse_float=Decimal)) == text
