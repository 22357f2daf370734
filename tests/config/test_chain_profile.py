"""The chain profile: the shipped one's addresses and pairs, and other names of a token."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from dexarb.config.chain_profile import ChainFile, load_chain
from dexarb.config.collector import load_collector
from dexarb.config.facts import ChainFacts
from dexarb.config.paper import load_paper
from dexarb.core.profile import own_names
from dexarb.errors import ConfigErrors
from tests.support.command import Dexarb, dexarb

__all__ = ["dexarb"]

SHIPPED = Path(__file__).parent.parent.parent / "config"
POLYGON = SHIPPED / "polygon.toml"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLYGON_RPC_URL", "https://node.example")
    return Path(shutil.copytree(SHIPPED, tmp_path / "config"))


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def checksummed(address: str) -> str:
    """As EIP-55 has it."""
    digits = address[2:].lower()
    marks = keccak(digits.encode()).hex()
    letters = (
        digit.upper() if int(mark, 16) > 7 else digit
        for digit, mark in zip(digits, marks, strict=False)
    )
    return "0x" + "".join(letters)


# -- as shipped ----------------------------------------------------------------------------------


def test_every_shipped_address_carries_its_checksum() -> None:
    found = re.findall(r"0x[0-9a-fA-F]{40}", POLYGON.read_text())
    assert len(found) == len(set(found)) > 10
    assert found == [checksummed(each) for each in found]


def test_what_is_shipped_prices_all_that_it_collects(config: Path) -> None:
    collector = load_collector(config / "collector.toml")
    chain = collector.chain
    named = {each.token_a for each in collector.choices} | {
        each.token_b for each in collector.choices
    }
    assert named == set(chain.tokens) - set(chain.aliases)
    assert {each.token for each in chain.references} | {chain.chain.numeraire} == named
    assert {each.dex for each in collector.choices} == set(chain.dexes)


# -- other names ---------------------------------------------------------------------------------


def test_an_alias_is_understood_and_never_shown(config: Path, dexarb: Dexarb) -> None:
    chain = load_chain(POLYGON)
    assert chain.tokens["WPOL"] == chain.tokens["POL"] == chain.tokens["WMATIC"]
    assert own_names(chain.tokens)[chain.tokens["POL"]] == "WMATIC"
    path = changed(
        config / "collector.toml", '"WMATIC/USDC", "WBTC', '"USDC/POL", "WPOL/USDC", "WBTC'
    )
    plain = load_collector(SHIPPED / "collector.toml")
    choices = {
        (each.dex, frozenset((each.token_a, each.token_b))) for each in load_collector(path).choices
    }
    assert choices == {
        (each.dex, frozenset((each.token_a, each.token_b))) for each in plain.choices
    }
    assert "POL" not in dexarb("config", "check", "--config", path).words.replace("POLYGON", "")


def test_strategies_may_name_a_token_by_an_alias(config: Path) -> None:
    facts = ChainFacts.of_profile(load_chain(POLYGON))
    text = (config / "paper_trading.toml").read_text()
    path = config / "paper_trading.toml"
    before = load_paper(path).settings(facts.tokens)
    path.write_text(text.replace("WMATIC/USDC", "WPOL/USDC"))
    assert [each.hash for each in load_paper(path).settings(facts.tokens)] == [
        each.hash for each in before
    ]


def test_what_has_no_price_is_found_behind_an_alias(config: Path) -> None:
    """Whichever name the reference, the chain's own table or the strategy uses."""
    changed(config / "polygon.toml", 'wrapped_native = "WMATIC"', 'wrapped_native = "WPOL"')
    chain = load_chain(changed(config / "polygon.toml", 'token = "WMATIC"', 'token = "POL"'))
    assert (chain.chain.wrapped_native, chain.unpriced) == ("WMATIC", ())
    text = (config / "polygon.toml").read_text()
    tables = text.split("[[reference]]")
    lacking = (each for each in tables if 'token = "USDT"' not in each)
    (config / "polygon.toml").write_text(
        "[[reference]]".join(lacking).replace('WPOL = "WMATIC"', 'WPOL = "WMATIC"\ntether = "USDT"')
    )
    facts = ChainFacts.of_profile(load_chain(config / "polygon.toml"))
    path = changed(
        config / "paper_trading.toml", 'pairs = ["WETH/USDC"]', 'pairs = ["WETH/tether"]'
    )
    told = [str(each) for each in load_paper(path).warnings(facts)]
    assert any("USDT has no price" in each for each in told)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'POL  = "WMATIC"',
            'POL  = "WMATIK"',
            'aliases: POL: unknown token "WMATIK". Did you mean',
        ),
        ('POL  = "WMATIC"', 'POL  = "WPOL"', 'aliases: POL: unknown token "WPOL"'),
        (
            'POL  = "WMATIC"',
            'USDT  = "WMATIC"',
            '"USDT" is a token of [tokens] already. Remove one',
        ),
        (
            "[aliases]",
            'WETH2 = "0x7ceB23fD6bC0adD59E62ac25578270cFf1b9f619"\n[aliases]',
            'tokens: WETH2: has the same address as "WETH".'
            ' If it is another name of that token: [aliases] WETH2 = "WETH"',
        ),
        (
            'numeraire = "USDC"',
            'numeraire = "WPOLL"',
            'unknown token "WPOLL". Did you mean "WPOL"?',
        ),
    ],
)
def test_mistakes_of_names(config: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_chain(changed(config / "polygon.toml", old, new))
    assert said in str(caught.value)
    assert re.search(r"polygon\.toml:\d+: ", str(caught.value))


def test_two_names_of_one_token_are_no_pair(config: Path) -> None:
    with pytest.raises(ConfigErrors, match='"WPOL/WMATIC" names the same token twice'):
        load_collector(changed(config / "collector.toml", "WMATIC/WETH", "WPOL/WMATIC"))


# -- documents -----------------------------------------------------------------------------------


def test_the_table_of_keys_is_that_of_the_schema() -> None:
    """docs/configuration.md names every key of every table of the profile, and no other."""
    text = (SHIPPED.parent / "docs" / "configuration.md").read_text()
    section = text.split("## The chain profile")[1].split("\n## ")[0]
    rows = re.findall(
        r"^\| (?:`(\[+[a-z_]+\]+)`)? *\| ((?:`[a-z_0-9]+`,? ?)+|[a-z ]+) \|", section, re.M
    )
    told: dict[str, list[str]] = {}
    table = ""
    for header, keys in rows:
        table = header.strip("[]") or table
        told.setdefault(table, []).extend(re.findall(r"`([a-z_0-9]+)`", keys))
    assert told == {
        name: list(getattr(_table_of(name), "model_fields", ())) for name in ChainFile.model_fields
    }


def _table_of(name: str) -> object:
    kind = ChainFile.model_fields[name].annotation
    inner = [each for each in getattr(kind, "__args__", ()) if hasattr(each, "model_fields")]
    return inner[0] if inner else kind
