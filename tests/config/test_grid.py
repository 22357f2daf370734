"""[defaults] and [[grid]]: what they expand to, and how their mistakes are told."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from dexarb.config.paper import PaperConfig, inspect_paper, load_paper
from dexarb.core.token import Address
from dexarb.core.trade import Funding
from dexarb.errors import ConfigErrors, InputError

TOKENS = {
    name: Address("0x" + f"{number:02x}" * 20)
    for number, name in enumerate(("WETH", "USDC", "WMATIC", "WBTC"), start=1)
}
BASE = """\
[defaults]
pairs = ["WETH/USDC"]
min_profit_usd = 1.0
max_trade_size_usd = 1000.0
"""


def load(tmp_path: Path, text: str) -> PaperConfig:
    path = tmp_path / "paper.toml"
    path.write_text(text)
    return load_paper(path)


def refused(tmp_path: Path, text: str) -> list[str]:
    """All that is said about a file, each with `paper.toml:LINE`."""
    path = tmp_path / "paper.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_paper(path).settings(TOKENS)
    errors = caught.value.errors if isinstance(caught.value, ConfigErrors) else (caught.value,)
    return [str(error).removeprefix(f"{tmp_path}/") for error in errors]


def test_a_default_holds_where_nothing_is_stated(tmp_path: Path) -> None:
    text = (
        BASE
        + """
        max_gas_gwei = 80
        priority_fee_gwei = 40
        [[strategy]]
        name = "as it comes"
        [[strategy]]
        name = "its own"
        min_profit_usd = 2.5
        bid_percent = 30
    """
    )
    first, second = load(tmp_path, text).settings(TOKENS)
    assert (first.min_profit_micro_usd, first.max_gas_price) == (1_000_000, 80 * 10**9)
    assert (first.priority_fee, first.bid_ppm) == (40 * 10**9, None)
    assert (second.min_profit_micro_usd, second.max_gas_price) == (2_500_000, 80 * 10**9)
    # A bid is one or the other: stating one puts the default for the other out of force.
    assert (second.priority_fee, second.bid_ppm) == (None, 300_000)


def test_a_grid_is_the_product_of_its_lists(tmp_path: Path) -> None:
    text = (
        BASE
        + """
        [[grid]]
        name = "g {min_profit_usd}/{max_trade_size_usd} {pairs} {funding}"
        pairs = [["WETH/USDC"], ["WETH/USDC", "WMATIC/USDC"]]
        min_profit_usd = [0.50, 5]
        funding = ["own", "flash"]
        max_hops = 2
    """
    )
    config = load(tmp_path, text)
    assert [each.table.name for each in config.strategies] == [
        "g 0.5/1000 WETH/USDC own",
        "g 0.5/1000 WETH/USDC flash",
        "g 5/1000 WETH/USDC own",
        "g 5/1000 WETH/USDC flash",
        "g 0.5/1000 WETH/USDC+WMATIC/USDC own",
        "g 0.5/1000 WETH/USDC+WMATIC/USDC flash",
        "g 5/1000 WETH/USDC+WMATIC/USDC own",
        "g 5/1000 WETH/USDC+WMATIC/USDC flash",
    ]
    settings = config.settings(TOKENS)
    assert len({each.hash for each in settings}) == 8
    assert [len(each.pairs) for each in settings] == [1] * 4 + [2] * 4
    assert settings[3].min_profit_micro_usd == 5_000_000
    assert settings[3].funding is Funding.FLASH
    assert {each.max_hops for each in settings} == {2}


def test_a_grid_and_the_same_strategies_by_hand_are_the_same(tmp_path: Path) -> None:
    """Values are checked once a list; what comes out is what a table by itself would give."""
    grid = (
        BASE
        + """
        [[grid]]
        name = "{min_profit_usd} {max_slippage_percent}"
        min_profit_usd = [1, 2.50]
        max_slippage_percent = [0.1, 0.75]
    """
    )
    by_hand = BASE + "".join(
        f'[[strategy]]\nname = "{profit} {slippage}"\n'
        f"min_profit_usd = {profit}\nmax_slippage_percent = {slippage}\n"
        for profit in ("1", "2.5")
        for slippage in ("0.1", "0.75")
    )
    assert load(tmp_path, grid).settings(TOKENS) == load(tmp_path, by_hand).settings(TOKENS)


def test_lists_that_the_name_leaves_out_are_appended(tmp_path: Path) -> None:
    text = (
        BASE
        + """
        [[grid]]
        name = "probe"
        min_profit_usd = [1, 2]
        max_hops = [3]
        enabled = [true, false]
    """
    )
    names = [each.table.name for each in load(tmp_path, text).strategies]
    assert names == [
        "probe min_profit_usd=1 enabled=true",
        "probe min_profit_usd=1 enabled=false",
        "probe min_profit_usd=2 enabled=true",
        "probe min_profit_usd=2 enabled=false",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE + 'max_gaz_gwei = 1\n[[strategy]]\nname = "a"',
         ':5: defaults: max_gaz_gwei: unknown key. Did you mean "max_gas_gwei"?'),
        (BASE.replace("= 1.0", '= "1.0"') + '[[strategy]]\nname = "a"\n[[grid]]\nname = "b"',
         ":3: defaults: min_profit_usd: '1.0': expected a number, without quotes"),
        (BASE + 'name = "x"\n[[strategy]]\nname = "a"',
         ":5: defaults: name: every strategy has its own. Remove it"),
        (BASE + '[[grid]]\nname = "g"\nmin_profit = [1, 2]',
         ':7: grid "g": min_profit: unknown key. Did you mean "min_profit_usd"?'),
        (BASE + '[[grid]]\nname = "g"\nmin_profit_usd = []',
         ':7: grid "g": min_profit_usd: an empty list makes no strategy. Give it a value, or'),
        (BASE + '[[grid]]\nname = "g"\nmin_profit_usd = [\n 1.0,\n "2.0",\n]',
         ":9: grid \"g\": min_profit_usd #2: '2.0': expected a number, without quotes"),
        (BASE + '[[grid]]\nname = "g"\nmin_profit_usd = [1, 2]\nmax_hops = [4, 5]',
         ':8: grid "g": max_hops #2: 5: input should be less than or equal to 4'),
        (BASE + '[[grid]]\nname = "g"\nmin_profit_usd = [1, 2, 1.0]',
         ':7: grid "g": min_profit_usd #3: 1 stands in the list twice'),
        (BASE + '[[grid]]\nname = "g {min_profit}"\nmin_profit_usd = [1, 2]',
         ':6: grid "g {min_profit}": name: {min_profit} is no key of this grid. Did you mean'),
        (BASE + '[[grid]]\nname = "g"\npairs = [["WETH/USDC"], ["WBTX/USDC"]]\n',
         ':7: grid "g": pairs #2 #1: unknown token "WBTX" in "WBTX/USDC". Did you mean "WBTC"?'),
        (BASE.replace("WETH/", "WETX/") + '[[strategy]]\nname = "a"\n[[strategy]]\nname = "b"\n',
         ':2: defaults: pairs #1: unknown token "WETX" in "WETX/USDC". Did you mean "WETH"?'),
        (BASE + '[[grid]]\nname = "g"\npairs = []\n',
         ':7: grid "g": pairs: []: list should have at least 1 item'),
        (BASE + '[[grid]]\nname = ["a", "b"]', ":6: grid #1: name: ['a', 'b']: expected text"),
        (BASE + "[[grid]]\nmin_profit_usd = [1, 2]", ":5: grid #1: name is missing"),
        ('[[grid]]\nname = "g"\nmin_profit_usd = [1, 2]\npairs = ["WETH/USDC"]',
         ':1: grid "g": max_trade_size_usd is missing'),
        (BASE + '[[strategy]]\nname = "a"\npriority_fee_gwei = 1\nbid_percent = 5',
         ':8: strategy "a": bid_percent: stands beside priority_fee_gwei. Keep one'),
        (BASE + '[[strategy]]\nname = "a"\nparameters = {x = 1}',
         ':7: strategy "a": parameters: are of no use to the built-in strategy'),
        (BASE + '[[strategy]]\nname = "a"\nmin_spread_percent = 0.00001',
         ":7: strategy \"a\": min_spread_percent: 0.00001: decimal input should have no more than"),
        (BASE + '[[strategy]]\nname = "a"\nmin_profit_usd = 1e12',
         ':7: strategy "a": min_profit_usd: 1E+12: input should be less than or equal to'),
        ('strategy = [{name = "a", max_hop = 3}]\n' + BASE,
         ':1: strategy "a": max_hop: unknown key. Did you mean "max_hops"?'),
        (BASE + '[[strategy]]\nname = "a"\n[[grid]]\nname = "a"',
         ':7: grid "a": the name "a" is taken by the strategy on line 5'),
        (BASE + '[[strategy]]\nname = "a"\n[[grid]]\nname = "g {min_profit_usd}"\n'
         "min_profit_usd = [0.5, 1]",
         ':7: grid "g {min_profit_usd}": "g 1" has the same parameters as "a"'),
        (BASE + '[[grid]]\nname = "s{cooldown_blocks}{max_daily_trades}"\n'
         "cooldown_blocks = [1, 11]\nmax_daily_trades = [1, 11]\nmax_consecutive_losses = 3",
         'two of its strategies would be called "s111". Put something between the values'),
        (BASE + '[[grid]]\nname = "s {dexes}"\ndexes = [["A"], ["A\u200b"]]',
         'two of its strategies would be called "s A". Put something between the values'),
        (BASE + '[[strategy]]\nname = "a\u202eb"',
         'name: \'a\\u202eb\': has characters that no screen shows. Write "ab"'),
        (BASE + "[[strategies]]\nname = 1", 'strategies: unknown key. Did you mean "strategy"?'),
        (BASE + '[strategy]\nname = "a"', ":5: strategy: {'name': 'a'}: expected a list"),
        ("[general]\n", "there is no [[strategy]] and no [[grid]]. Add one"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_once_and_where_it_is(tmp_path: Path, text: str, said: str) -> None:
    (message,) = refused(tmp_path, text)
    assert said in message
    assert message.startswith("paper.toml")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = (
        BASE
        + """
[[strategy]]
name = "a"
max_hops = 9
[[strategy]]
name = "a"
[[grid]]
name = "g"
funding = ["own", "flush"]
max_hops = [1, 2]
position = ["top"]
[[grid]]
name = "h"
min_profit_usd = []
[general]
log_level = "loud"
"""
    )
    messages = refused(tmp_path, text)
    lines = [int(re.match(r"paper\.toml:(\d+)", each)[1]) for each in messages]  # type: ignore[index]
    assert lines == [8, 13, 14, 18, 20]


def test_too_many_strategies_are_refused_before_they_are_made(tmp_path: Path) -> None:
    text = (
        BASE
        + f"""
        [[strategy]]
        name = "one"
        [[grid]]
        name = "g"
        min_profit_usd = {list(range(100))}
        max_trade_size_usd = {list(range(1, 101))}
        max_slippage_percent = {[each / 1000 for each in range(1000)]}
    """
    )
    (message,) = refused(tmp_path, text)
    assert (
        "makes 10,000,000 strategies, min_profit_usd (100) x max_trade_size_usd (100) x" in message
    )
    assert "max_slippage_percent (1000), and with those before it 10,000,001" in message
    assert "a file may have 10,000. Shorten a list" in message


def test_ten_thousand_strategies_load_quickly(tmp_path: Path) -> None:
    text = (
        BASE
        + f"""
        [[grid]]
        name = "g {{min_profit_usd}} {{max_trade_size_usd}}"
        min_profit_usd = {list(range(100))}
        max_trade_size_usd = {list(range(1, 101))}
    """
    )
    begun = time.process_time()
    settings = load(tmp_path, text).settings(TOKENS)
    took_s = time.process_time() - begun
    assert len({each.hash for each in settings}) == len({each.name for each in settings}) == 10_000
    assert took_s < 5  # a second on an idle machine


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "capital_usd = 999",
            "999 is less than max_trade_size_usd = 1000: a larger trade",
        ),
        ('capital_usd = 5000\nfunding = "flash"', "capital_usd: has no effect: a flash swap"),
        ("competition_rate = 0.5", "competition_rate: has no effect. Set simulate_competition"),
        ("cooldown_blocks = 5", "cooldown_blocks: has no effect. Set max_consecutive_losses"),
        ("max_daily_trades = 0", "max_daily_trades: 0 means that it never trades"),
        ("priority_fee_gwei = 100", "leaves nothing of max_gas_gwei = 100 for the base fee"),
        ("gas_cost_usd = 0.5\ngas_balance_usd = 0.4", "0.4 does not pay gas_cost_usd = 0.5 once"),
    ],
)
def test_what_is_hardly_meant_is_a_warning(tmp_path: Path, line: str, said: str) -> None:
    config = load(tmp_path, BASE + f'[[strategy]]\nname = "a"\n{line}\n')
    (warning,) = config.warnings()
    assert said in str(warning)
    assert re.search(r"paper\.toml:[78]: strategy", str(warning))
    assert (
        load(tmp_path, BASE + f'[[strategy]]\nname = "a"\nenabled = false\n{line}').warnings() == []
    )


def test_a_grid_is_warned_of_once(tmp_path: Path) -> None:
    text = (
        BASE
        + """
        [[grid]]
        name = "g"
        capital_usd = [500, 1500]
        max_trade_size_usd = [100, 1000, 2000]
    """
    )
    (warning,) = load(tmp_path, text).warnings()
    assert '"g capital_usd=500 max_trade_size_usd=1000", and 2 more of this grid' in str(warning)


def test_what_can_be_used_of_a_bad_file_is_known(tmp_path: Path) -> None:
    path = tmp_path / "paper.toml"
    path.write_text(BASE + '[[strategy]]\nname = "a"\n[[strategy]]\nname = "b"\nmax_hops = 7\n')
    config, problems = inspect_paper(path)
    assert [each.table.name for each in config.strategies] == ["a"]
    assert len(problems) == 1
