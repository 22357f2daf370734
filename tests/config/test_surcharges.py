"""[[surcharge]] of the chain profile: what a token takes beyond a plain one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.config.chain_profile import load_chain
from dexarb.core.profile import TokenSurcharge
from dexarb.errors import ConfigErrors
from dexarb.store.codec import decode, encode_keyframe
from tests.support.worlds.small_chain import PROFILE, USDC, WETH, keyframe

POLYGON = Path(__file__).parent.parent.parent / "config" / "polygon.toml"


def written(folder: Path, *tables: str) -> Path:
    path = folder / "chain.toml"
    text = POLYGON.read_text() + "".join(f"\n[[surcharge]]\n{each}\n" for each in tables)
    path.write_text(text)
    return path


def test_each_holds_from_its_block_on_until_the_next_one_of_its_token() -> None:
    known = TokenSurcharge(0, USDC, 1), TokenSurcharge(10, WETH, 2), TokenSurcharge(20, USDC, 3)
    profile = replace(PROFILE, surcharges=known)
    found = [dict(profile.surcharges_at(block)) for block in (9, 10, 20)]
    assert found == [{USDC: 1}, {USDC: 1, WETH: 2}, {USDC: 3, WETH: 2}]


def test_tokens_are_named_as_elsewhere_and_blocks_may_come_in_any_order(tmp_path: Path) -> None:
    later = 'token = "USDC"\ngas = 7_000\nfrom_block = 50'
    chain = load_chain(written(tmp_path, later, 'token = "WPOL"\ngas = 10'))
    assert chain.surcharges == (
        TokenSurcharge(0, chain.tokens["WMATIC"], 10),
        TokenSurcharge(50, chain.tokens["USDC"], 7_000),
    )
    assert not load_chain(POLYGON).surcharges


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('token = "USDD"\ngas = 1', 'unknown token "USDD". Did you mean'),
        ('token = "USDC"\ngas = -1', "surcharge #1: gas: -1"),
        ('token = "USDC"', "gas is missing"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_chain(written(tmp_path, table))
    assert said in str(caught.value)


def test_a_history_keeps_them_and_says_nothing_of_none() -> None:
    first = keyframe()
    plain = encode_keyframe(first, continues=False)
    assert b"surcharges" not in plain
    dear = replace(first, profile=replace(PROFILE, surcharges=(TokenSurcharge(3, USDC, 9),)))
    for each, line in ((first, plain), (dear, encode_keyframe(dear, continues=False))):
        found = decode(line, "here")
        assert found.profile == each.profile  # type: ignore[union-attr]
