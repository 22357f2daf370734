"""Configuration files: what ships loads, and every mistake names file, line and remedy."""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from dexarb.config.collector import load_collector
from dexarb.config.difference import compare
from dexarb.config.paper import load_paper
from dexarb.config.paths import ConfigPaths, config_paths
from dexarb.config.strategy_table import SCALED, Scaled, StrategyTable
from dexarb.core.token import Address
from dexarb.errors import ConfigError, ConfigErrors, InputError
from dexarb.trading.strategy import StrategySettings

CONFIG = Path(__file__).parent.parent.parent / "config"
TOKENS = {
    name: Address("0x" + f"{number:02x}" * 20)
    for number, name in enumerate(("WETH", "USDC", "WMATIC", "WBTC"), start=1)
}
SECRET = "wss://user:s3cret@node.example/v2/k3y?token=t0ken"


def load(tmp_path: Path, text: str) -> tuple[StrategySettings, ...]:
    path = tmp_path / "paper.toml"
    path.write_text(text)
    return load_paper(path).settings(TOKENS)


def classic() -> str:
    return (CONFIG / "paper_trading.toml").read_text()


def test_the_classic_file_has_its_eight_strategies() -> None:
    settings = load_paper(CONFIG / "paper_trading.toml").settings(TOKENS)
    found = {
        each.name: (
            each.min_profit_micro_usd / 10**6,
            each.max_trade_size_micro_usd // 10**6,
            each.max_slippage_ppm / 10_000,
            each.competition_rate_ppm / 10**6,
            each.max_daily_trades,
            len(each.pairs),
        )
        for each in settings
    }
    assert found == {
        "Conservative": (10, 1000, 0.3, 0.7, 50, 1),
        "Moderate": (5, 2000, 0.5, 0.5, 100, 2),
        "Aggressive": (3, 3000, 1.0, 0.3, 200, 3),
        "Low Threshold Test": (0.1, 500, 0.01, 0, None, 2),
        "Large Trades": (5, 5000, 0.5, 0.5, None, 2),
        "Small Trades": (1, 100, 0.5, 0.5, None, 2),
        "WETH Only": (5, 2000, 0.5, 0.5, None, 1),
        "WMATIC Only": (5, 2000, 0.5, 0.5, None, 1),
    }
    assert settings[0].daily_loss_limit_micro_usd == 100 * 10**6


def test_disabled_strategies_are_in_the_classic_file() -> None:
    config = load_paper(CONFIG / "paper_trading.toml")
    tables = [each.table for each in config.strategies]
    assert {table.name: table.max_gas_gwei for table in tables if not table.enabled} == {
        "High Gas Limit": Decimal(200),
        "Low Gas Limit": Decimal(50),
    }


@pytest.mark.parametrize(
    ("old", "new", "said", "line_of"),
    [
        ('name = "Moderate"', 'name = "Moderate', "not valid TOML", 'name = "Moderate'),
        ("max_daily_trades = 100", "max_daly_trades = 100",
         'max_daly_trades: unknown key. Did you mean "max_daily_trades"?', "max_daly_trades"),
        ("min_profit_usd = 3.0", 'min_profit_usd = "3.0"',
         "'3.0': expected a number, without quotes", 'min_profit_usd = "3.0"'),
        ("competition_rate = 0.7", "competition_rate = 70",
         "70: input should be less than or equal to 1", "competition_rate = 70"),
        ("max_trade_size_usd = 100.0", "max_trade_size_usd = 0",
         "input should be greater than 0", "max_trade_size_usd = 0"),
        ('pairs = ["WMATIC/USDC"]', 'pairs = ["WMATC/USDC"]',
         'unknown token "WMATC" in "WMATC/USDC". Did you mean "WMATIC"?', '["WMATC/USDC"]'),
        ('pairs = ["WMATIC/USDC"]', 'pairs = ["WMATIC-USDC"]',
         '"WMATIC-USDC" is not a pair. Write it as "WETH/USDC"', "WMATIC-USDC"),
        ('name = "WETH Only"', 'name = "Moderate"', 'the name "Moderate" is taken', None),
        ("[general]", "[genral]", 'genral: unknown key. Did you mean "general"?', "[genral]"),
        ("max_trade_size_usd = 5000.0", "# gone", "max_trade_size_usd is missing", None),
        ("enabled = true", 'enabled = "yes"', "should be a valid boolean", 'enabled = "yes"'),
        ("max_consecutive_losses = 5", "max_consecutive_losses = 2.5",
         "expected a whole number", "max_consecutive_losses = 2.5"),
        ("max_slippage_percent = 0.01", "max_slippage_percent = nan",
         "finite", "max_slippage_percent = nan"),
        ("max_consecutive_losses = 5", "max_hops = 1",
         "max_hops: 1: input should be greater than or equal to 2", "max_hops = 1"),
        ("max_consecutive_losses = 5", "max_hops = 5",
         "max_hops: 5: input should be less than or equal to 4", "max_hops = 5"),
        ('state_file = "', 'state_file = 5 #', "5: expected a path, in quotes", "state_file = 5"),
        ("poll_interval_ms = 5", "poll_interval_ms = 0",
         "greater than or equal to 1", "poll_interval_ms = 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_line_and_remedy(
    tmp_path: Path, old: str, new: str, said: str, line_of: str | None
) -> None:
    text = classic()
    assert old in text
    text = text.replace(old, new, 1)
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert said in message
    assert caught.value.exit_code == 2
    place = re.search(r"paper\.toml:(\d+)", message)
    assert place
    if line_of is not None:
        assert line_of in text.splitlines()[int(place[1]) - 1]


@pytest.mark.parametrize(
    "general",
    ["", 'state_file = "one.json"\nledger_file = "two.db"\nmax_state_age_secs = 2.5\n'],
)
def test_a_screen_looks_at_the_files_of_the_trader(tmp_path: Path, general: str) -> None:
    path = tmp_path / "paper.toml"
    strategies = classic()[classic().index("[[strategy]]") :]
    path.write_text(f"[general]\n{general}{strategies}")
    found, trader = config_paths(path), load_paper(path).general
    assert found == ConfigPaths(
        trader.state_file, trader.ledger_file, float(trader.max_state_age_secs)
    )


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = classic().replace("max_gas_gwei = 100", "max_gas_gwei = -1")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, text)
    lines = [error.line for error in caught.value.errors]
    assert len(lines) == text.count("max_gas_gwei = -1")
    assert None not in lines
    assert lines == sorted(line for line in lines if line is not None)


def test_equal_parameters_under_two_names_are_refused(tmp_path: Path) -> None:
    text = classic()
    moderate = text[text.index('name = "Moderate"') : text.index('name = "Aggressive"')]
    copy = "[[strategy]]\n" + moderate.replace("Moderate", "Copy").removesuffix("[[strategy]]\n")
    with pytest.raises(ConfigErrors, match='has the same parameters as "Moderate"'):
        load(tmp_path, text + "\n" + copy)


def test_a_missing_file_is_told() -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: there is no such file"):
        load_paper(Path("nowhere.toml"))


def test_no_enabled_strategy_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no strategy is enabled"):
        load(tmp_path, classic().replace("enabled = true", "enabled = false"))


# -- the collector's file ------------------------------------------------------------------------


def test_the_shipped_collector_file_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_RPC_URL", SECRET)
    config = load_collector(CONFIG / "collector.toml")
    assert config.endpoints == (SECRET,)
    assert {choice.dex for choice in config.choices} == set(config.chain.dexes)


def test_secrets_do_not_show_in_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_RPC_URL", SECRET)
    shown = repr(load_collector(CONFIG / "collector.toml"))
    for secret in ("s3cret", "k3y", "t0ken"):
        assert secret not in shown


def test_an_unset_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYGON_RPC_URL", raising=False)
    with pytest.raises(ConfigErrors, match="POLYGON_RPC_URL is not set"):
        load_collector(CONFIG / "collector.toml")


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("collector.toml", '"SushiSwap"', '"SushiSwp"', 'unknown DEX "SushiSwp". Did you mean'),
        ("collector.toml", "timeout_s", "timeout", "unknown key"),
        ("collector.toml", '"WBTC/USDC"', '"WBTC/EURS"', 'unknown token "EURS"'),
        ("polygon.toml", "0x5757371414417b8C6CAad45bAeF941aBc7d3Ab32", "0x57", "is not an address"),
        ("polygon.toml", 'kind = "uniswap_v3"', 'kind = "uniswap_v4"', "unknown kind of pool"),
        ("polygon.toml", 'numeraire = "USDC"', 'numeraire = "USD"', 'unknown token "USD"'),
        ("polygon.toml", 'ordering = "fee"', 'ordering = "fees"', "ordering"),
        ("polygon.toml", "[tokens]\n", 'exclude_tokens = ["WBTX"]\n[tokens]\n', 'mean "WBTC"?'),
        ("polygon.toml", "[tokens]\n", 'exclude_pools = ["0x12"]\n[tokens]\n', "is not an address"),
        (
            "polygon.toml",
            "[tokens]\n",
            'exclude_pools = ["0x12:7"]\n[tokens]\n',
            "is not an address",
        ),
        (
            "polygon.toml",
            "[tokens]\n",
            f'exclude_pools = ["0x{"12" * 20}:"]\n[tokens]\n',
            "is not an address",
        ),
        (
            "polygon.toml",
            "[tokens]\n",
            'header_fields = ["parentHash", "number"]\n[tokens]\n',
            "header_fields: lacks receiptsRoot, logsBloom",
        ),
        (
            "polygon.toml",
            'ordering = "fee"',
            'ordering = "fee"\nl1_data_fee = true',
            "chains that charge an L1 data fee are refused",
        ),
        (
            "polygon.toml",
            'name = "polygon-chicago"',
            'name = "polygon-chicaco"',
            "input should be 'ethereum' or 'polygon-chicago'",
        ),
        (
            "polygon.toml",
            "[[gas_schedule]]",
            '[[gas_schedule]]\nfrom_block = 87_218_600\nname = "ethereum"\n[[gas_schedule]]',
            "87218600 is not behind 87218600, where the one above it begins",
        ),
    ],
)
def test_mistakes_in_collector_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str, said: str
) -> None:
    monkeypatch.setenv("POLYGON_RPC_URL", SECRET)
    for file in ("collector.toml", "polygon.toml"):
        text = (CONFIG / file).read_text()
        (tmp_path / file).write_text(text.replace(old, new, 1) if file == name else text)
    with pytest.raises(InputError) as caught:
        load_collector(tmp_path / "collector.toml")
    assert said in str(caught.value)
    assert re.search(rf"{name}:\d+", str(caught.value))


# -- reload --------------------------------------------------------------------------------------


def test_a_reload_tells_what_changes(tmp_path: Path) -> None:
    before = load(tmp_path, classic())
    text = classic()
    text = text.replace("min_profit_usd = 10.0", "min_profit_usd = 8.0")
    text = text.replace('name = "Small Trades"', 'name = "Tiny Trades"')
    text = text.replace(
        'enabled = false\npairs = ["WETH/USDC", "WMATIC/USDC"]',
        'enabled = true\npairs = ["WETH/USDC"]',
        1,
    )
    text = text.replace(
        'name = "WMATIC Only"\nenabled = true', 'name = "WMATIC Only"\nenabled = false'
    )
    difference = compare(before, load(tmp_path, text))
    assert [each.name for each in difference.added] == ["High Gas Limit"]
    assert [each.name for each in difference.removed] == ["WMATIC Only"]
    assert [(each.before.name, each.parameters) for each in difference.changed] == [
        ("Conservative", ("min_profit_micro_usd",))
    ]
    assert [(old.name, new.name) for old, new in difference.renamed] == [
        ("Small Trades", "Tiny Trades")
    ]
    assert difference.unchanged == 6
    lines = difference.lines({})
    assert '~ "Conservative" changes: min_profit_usd 10 -> 8; new books' in lines


def test_every_parameter_with_a_unit_is_scaled() -> None:
    unit = re.compile(".*(_micro_usd|_ppm|_price|_fee)")
    fields_ = {each.name for each in fields(StrategySettings)}
    assert {each.field for each in SCALED} == {name for name in fields_ if unit.fullmatch(name)}
    stated = StrategyTable.model_fields.keys() - {each.key for each in SCALED}
    assert stated - {"enabled", "simulate_competition"} <= fields_


@pytest.mark.parametrize("scaled", SCALED, ids=lambda scaled: scaled.key)
def test_a_change_is_told_as_the_file_states_it(tmp_path: Path, scaled: Scaled) -> None:
    key, field, scale = scaled
    strategy = {
        "name": '"one"',
        "pairs": '["WETH/USDC"]',
        "min_profit_usd": "7",
        "max_trade_size_usd": "100",
        "simulate_competition": "true",
    }

    def with_value(value: str) -> StrategySettings:
        lines = (f"{name} = {told}\n" for name, told in (strategy | {key: value}).items())
        (settings,) = load(tmp_path, "[[strategy]]\n" + "".join(lines))
        return settings

    before, after = with_value("0.25"), with_value("0.5")
    assert (getattr(before, field), getattr(after, field)) == (scale // 4, scale // 2)
    assert compare([before], [after]).lines({}) == [
        f'~ "one" changes: {key} 0.25 -> 0.5; new books'
    ]


def test_settings_survive_json(tmp_path: Path) -> None:
    for each in load(tmp_path, classic()):
        assert StrategySettings.from_json(each.as_json()) == each


def test_a_path_that_is_no_text_file_is_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_paper(tmp_path)
    binary = tmp_path / "paper.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_paper(binary)
    binary.write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_paper(binary)


def test_a_mark_in_front_of_the_text_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "paper.toml"
    path.write_text(classic(), encoding="utf-8-sig")
    assert load_paper(path).strategies


def test_the_paper_traders_file_is_not_the_collectors(tmp_path: Path) -> None:
    path = tmp_path / "paper.toml"
    path.write_text("general = 5\n")
    with pytest.raises(ConfigErrors) as caught:
        load_collector(path)
    assert "rpc is missing. Add [rpc]" in str(caught.value)
    assert "pools is missing. Add [[pools]]" in str(caught.value)
    with pytest.raises(ConfigErrors, match="general: 5: expected a table"):
        load_paper(path)
