"""What each key of each TOML file means, a sentence each: for editors, by the JSON schemas."""

from __future__ import annotations

from collections.abc import Mapping

from dexarb.config.alerts import AlertsTable
from dexarb.config.chain_profile import (
    ChainFile,
    ChainTable,
    DexTable,
    GasScheduleTable,
    ReferenceTable,
    SurchargeTable,
    TipFloorTable,
)
from dexarb.config.collector import CollectorFile, CollectorTable, PoolsTable, RpcTable
from dexarb.config.importing import ImportFile, ImportTable, NamedPoolTable
from dexarb.config.live import (
    EvidenceTable,
    LaneTable,
    LimitsTable,
    LiveTable,
    LiveTables,
    WayTable,
)
from dexarb.config.paper import GeneralTable, PaperFile
from dexarb.config.probe import ProbeTable
from dexarb.config.strategy_table import StrategyTable
from dexarb.config.toml_file import TomlTable

_LOG_LEVEL = "Least urgent lines of the log: debug, info, warning or error."

_ALERTS = "Who is told when something is wrong."
_LOG_FORMAT = "text for people, or json: one JSON object a line."
_LOG_MAX_MB = "Megabytes that the log of a run takes; as much is kept of earlier runs."

DESCRIPTIONS: Mapping[type[TomlTable], Mapping[str, str]] = {
    AlertsTable: {
        "urls": "Who is told, as apprise writes it; ${NAME} is taken from the environment.",
        "name": "What messages call this program's run.",
        "kinds": "What is told; without it all that the program knows of.",
        "silence_secs": "No new block for so long.",
        "head_lag_secs": "The newest block is so old.",
        "disk_free_gb": "Less than so much is free where the data lies.",
        "repeat_mins": "A kind is not told again before.",
        "quiet_hours": 'Times of day in which messages wait, as "22:00-07:00".',
        "timezone": "Of quiet_hours and digest_at, as Europe/Berlin.",
        "digest_at": "When the digest of the day is told.",
    },
    CollectorFile: {
        "alerts": _ALERTS,
        "collector": "The data-collector: which chain, and where its files lie.",
        "rpc": "The nodes to ask.",
        "pools": "Pools to collect: every pair on every DEX, as far as the DEX has it.",
    },
    CollectorTable: {
        "chain": "The chain profile, relative to this file.",
        "data_dir": "Where history/<chain id>/ lies.",
        "state_file": "The newest state as JSON.",
        "log_dir": "Where the log lies.",
        "log_level": _LOG_LEVEL,
        "log_format": _LOG_FORMAT,
        "log_max_mb": _LOG_MAX_MB,
        "poll_interval_ms": "How often to ask for a new block where no endpoint announces them.",
        "metrics_interval_secs": "How often to log what was measured.",
        "segment_blocks": "Blocks in a segment of the history.",
        "keep_calls": "Keep nonce and selector of every transaction: one more call a block, of the "
        "whole block.",
    },
    RpcTable: {
        "endpoints": "wss://, ws://, https://, http://, or ipc:///path/to/node.ipc, preferred "
        "first; ${NAME} is taken from the environment.",
        "timeout_s": "Seconds until the next endpoint is tried.",
        "daily_requests": "Budget of JSON-RPC calls a UTC day: a number for each endpoint, or a "
        "list with one number for each; 0: no limit.",
        "monthly_compute_units": "The same in the provider's compute units a UTC month.",
        "compute_units": "Units by method, where the provider counts otherwise than Alchemy.",
    },
    PoolsTable: {
        "dexes": "Names of DEXes in the chain profile.",
        "pairs": 'Pairs of token names in the chain profile, as "WETH/USDC".',
    },
    ChainFile: {
        "chain": "What is particular to the chain.",
        "tokens": "Addresses by the names that all other files use.",
        "aliases": "Other names of tokens, each to the name in [tokens], which is what is shown.",
        "dex": "Factories of pools.",
        "reference": "Pools that price a token in the numeraire.",
        "gas_schedule": "What gas costs there, from which block on; before the first, as Ethereum.",
        "tip_floor": "The least tip that lands, from a block on; by ascending block.",
        "surcharge": "Tokens whose transfers take more gas than a plain one's.",
    },
    SurchargeTable: {
        "token": "Its name.",
        "gas": "Units, added once to each trade that passes it; dexarb calibrate proposes them.",
        "from_block": "The first block that it holds in.",
    },
    GasScheduleTable: {
        "from_block": "The first block that charges by it.",
        "name": "Which schedule, see docs/executor.md.",
    },
    ChainTable: {
        "chain_id": "As eth_chainId says; an endpoint of another chain is not used.",
        "name": "For people.",
        "ordering": "How transactions are ordered in a block: by priority fee, or unknown.",
        "wrapped_native": "The token that wraps the coin gas is paid in.",
        "numeraire": "The token that counts as one USD.",
        "start_tokens": "Tokens that a trade may start and end with.",
        "exclude_tokens": "Tokens never searched: they take a fee on transfers, or rebase.",
        "exclude_pools": "Addresses of pools that are never searched.",
        "own": "Executors and operators of ours: no rivals. dexarb executor deploy names them.",
        "multicall3": "Where Multicall3 lies, if not at its usual address.",
        "default_priority_fee_gwei": "Bid of strategies that state none.",
        "builder_cutoff_ms": "How long before a block is seen its builder takes nothing more.",
        "l1_data_fee": "Chains that charge one are refused: it is not recorded yet.",
        "header_fields": "What the block hash is made of, in order, as nodes call the fields.",
        "sealed_headers": "Producers sign headers at the end of extraData, as on Polygon.",
    },
    DexTable: {
        "name": "As other files call it.",
        "kind": "Kind of its pools: uniswap_v2 or uniswap_v3.",
        "factory": "Address of the factory.",
        "fees_pips": "Fee tiers to look for, in pips (3000 is 0.3 %); a V2 fork has one, its fee.",
    },
    ReferenceTable: {
        "token": "The token that is priced.",
        "dex": "The DEX whose pools price it.",
        "fees_pips": "Only those of these fee tiers.",
        "min_depth": "Least virtual reserve of a pool, in whole numeraire tokens.",
    },
    TipFloorTable: {
        "from_block": "Number of the first block that it holds in.",
        "gwei": "Per gas, above the base fee.",
    },
    ImportFile: {
        "import": "What the logs are of.",
        "decimals": "Of tokens, by their names in the chain profile: no log tells them.",
        "pools": "Pools to find by their creation: every pair on every DEX.",
        "pool": "A pool by its address, whether or not its creation is among the logs.",
    },
    ImportTable: {
        "chain": "The chain profile, relative to this file.",
        "gas_limit": "Of the blocks, which cryo does not write; 0: not known, so that every block "
        "counts as full.",
    },
    NamedPoolTable: {
        "dex": "Name of its DEX in the chain profile.",
        "address": "Its address.",
        "pair": 'Its tokens by their names in the chain profile, as "WETH/USDC".',
        "fee_pips": "Its fee; without it the DEX's, where that has one.",
    },
    LiveTables: {
        "live": "dexarb-bot: whether it may send, whose executor, and its files.",
        "lane": "An operator's account: as many trades at once as there are lanes.",
        "way": "A way of sending; all are tried at once.",
        "limits": "Of the whole bot. What is reached disarms it.",
        "evidence": "What strategies were promoted for; dexarb promote writes it.",
    },
    LiveTable: {
        "armed": "Without it nothing is sent, whatever the command line says.",
        "executor": "The contract's address; dexarb executor deploy writes it.",
        "owner": "Who deployed it and withdraws; its key stays away from the bot.",
        "journal_file": "The log of all that was signed and sent. Keep it.",
        "collector": "The collector's file, relative to this one.",
        "min_expected_usd": "Least that a trade has to be worth, misses and prices counted in.",
        "price_bump_percent": "What nodes ask of a transaction that takes the nonce of another.",
        "cancel_after_blocks": "So long a nonce waits behind its deadline before it is used up.",
    },
    LaneTable: {
        "key_file": "A keystore that only you can read, relative to this file.",
        "password_file": "Its password, in a file that only you can read; else it is asked for.",
        "password_env": "Or the name of a variable that holds it.",
    },
    WayTable: {
        "name": "What logs call it.",
        "url": "An endpoint or relay; ${NAME} is taken from the environment.",
        "method": "As the endpoint calls it.",
        "headers": "Over HTTP, beside the usual ones; ${NAME} is taken from the environment.",
        "usd_per_landed": "What it charges for a transaction that landed.",
        "usd_per_missed": "What it charges for one that did not.",
    },
    LimitsTable: {
        "daily_loss_usd": "Net loss per UTC day.",
        "daily_gas_usd": "Gas per UTC day, of fills as well.",
        "max_reverts_in_a_row": "Included and failed, one after the other.",
        "max_open_usd": "Own funds under way at once.",
        "max_trade_usd": "A larger trade is not sent.",
        "min_native": "Of the chain's coin, in each operator's account.",
        "max_state_age_secs": "On an older block nothing is sent.",
        "max_disagreement_blocks": "So deep below the newest block all endpoints have to have the"
        " same one; one that has another disarms the bot.",
    },
    EvidenceTable: {
        "hash": "Of the strategy's parameters.",
        "verdict": "CANARY or PROMOTE.",
    },
    PaperFile: {
        "alerts": _ALERTS,
        "general": "The paper-trading process and its files.",
        "defaults": "Hold for every strategy and grid that does not state the key.",
        "strategy": "One strategy each.",
        "probe": "Nodes that run what is decided, with nothing sent.",
        "grid": "Lists multiply into strategies; {key} in the name is replaced.",
    },
    ProbeTable: {
        "endpoints": "wss://, ws://, https://, http://, or ipc:///path/to/node.ipc, preferred "
        "first; ${NAME} is taken from the environment.",
        "timeout_s": "Seconds until the next endpoint is tried.",
        "daily_requests": "Budget of JSON-RPC calls a UTC day for each endpoint; 0: no limit.",
        "bar_blocks": "For so many blocks a route is not traded that did not come out as computed.",
    },
    GeneralTable: {
        "state_file": "The collector's state file, which leads to the history.",
        "ledger_file": "The books, an SQLite file.",
        "log_dir": "Where the log lies.",
        "log_level": _LOG_LEVEL,
        "log_format": _LOG_FORMAT,
        "log_max_mb": _LOG_MAX_MB,
        "poll_interval_ms": "How often to look for a new block in the history.",
        "metrics_interval_secs": "How often to log what was measured.",
        "max_state_age_secs": "A block that reached the collector later than this after its "
        "timestamp is not traded on.",
        "watch_config": "Take up this file whenever it has been written, without being asked.",
    },
    StrategyTable: {
        "name": "What it is called; a strategy is known by its parameters, not by its name.",
        "enabled": "Whether it takes part.",
        "pairs": "Every hop of a trade has to be one of these pairs.",
        "min_profit_usd": "Least expected profit after gas; -1.0 makes every open spread visible.",
        "max_trade_size_usd": "Largest size; smaller where the spread is used up earlier.",
        "max_slippage_percent": "How much less than expected may come out before it reverts.",
        "max_gas_gwei": "Highest gas price, base fee and bid together.",
        "simulate_competition": "Whether a coin loses a share of the trades.",
        "competition_rate": "The share that the coin loses, 0 to 1.",
        "max_daily_trades": "Trades sent per UTC day.",
        "daily_loss_limit_usd": "Net loss per UTC day that stops it.",
        "max_consecutive_losses": "Reverted, lost or net-negative trades in a row that stop it.",
        "cooldown_blocks": "Blocks until one that losses stopped goes on; 0: never.",
        "max_hops": "Longest cycle.",
        "min_spread_percent": "Least spread after fees.",
        "min_expected_usd": "Least expected value: chance of a fill times profit, less chance of a "
        "miss times its gas.",
        "dexes": "Only cycles within these DEXes.",
        "capital_usd": "Bounds open trades together; else the trade size does.",
        "priority_fee_gwei": "Bid per gas.",
        "bid_percent": "Instead of a fixed bid: this share of the expected profit.",
        "gas_balance_usd": "Bounds what the gas of open trades may cost together.",
        "min_profit_onchain_usd": "What the contract demands beyond the input, or it reverts.",
        "funding": "own, or flash: a flash swap of the first pool, which binds no capital.",
        "gas_cost_usd": "Replaces the measured gas.",
        "slippage_haircut_percent": "Taken off the expected profit when deciding.",
        "position": "Place in the block: contested (behind every arbitrage that the bid does not "
        "beat), fee, top or bottom.",
        "latency_blocks": "Blocks between seeing and being included.",
        "latency_ms": "Also: milliseconds from seeing a block to being included.",
        "deadline_blocks": "Blocks behind the first possible one that are tried as well.",
        "kind": "Who decides: threshold, or an own strategy of an installed package.",
        "parameters": "What an own strategy takes.",
    },
}
