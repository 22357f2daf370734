"""dexarb-bot preflight: everything that trading for real needs, each line ok or what to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from dexarb.apps.doctor import say_nothing, silent
from dexarb.apps.live.errands import lacking
from dexarb.chain.endpoints.trouble import is_revert
from dexarb.chain.rpc import Rpc
from dexarb.chain.transport.connect import connect
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.config.facts import ChainFacts
from dexarb.config.live import MAY_TRADE, LiveConfig, Way, load_live
from dexarb.core.market import Market
from dexarb.core.profile import own_names
from dexarb.core.sending import why_not_armed
from dexarb.core.token import Address
from dexarb.core.units import GWEI
from dexarb.ends.executor_contract import execute_data
from dexarb.ends.live.executor_account import Chain, Roles, Seen
from dexarb.ends.live.keys import address_in
from dexarb.ends.refusal import refusal
from dexarb.errors import DexarbError, OutsideError, PoolError, RpcError
from dexarb.screens.answer import show
from dexarb.screens.doctor import Diagnosis, Finding, note, ok, wrong
from dexarb.screens.output import counted
from dexarb.store.history_reader import HistoryReader
from dexarb.store.journal import JournalReader
from dexarb.study.open_now import Open, OpenNow, priced, way_to
from dexarb.study.study import run as study

REVERTS = 50
"""The gas for so many should be there."""
REVERT_GAS = 60_000
TIMEOUT_S = 5.0
NO_TRANSACTION = "0x00"
"""What no node takes: it answers, and nothing has happened."""
LATEST = 64
"""Blocks by which the node may be ahead of us when it runs a call."""
MOVED = ("moved", "too little received")
"""The executor has taken the call, and others what was open."""
NO_METHOD = (
    "method not found",
    "not supported",
    "does not exist",
    "unknown method",
    "not available",
)


def run(config_path: Path, *, as_json: bool) -> int:
    """Returns the exit code: 1 where something is wrong. Raises as `answer`."""
    return show(answer(config_path, time.time), as_json=as_json)


def answer(config_path: Path, now: Callable[[], float]) -> Diagnosis:
    """now: seconds since 1970. Raises ConfigError for files that cannot be used."""
    config = load_live(config_path)
    collector = load_collector(config.collector)
    findings: list[Finding] = [*_files(config)]
    found = _open(collector, findings)
    if found is not None:
        findings += _chain(config, found.market, now())
        findings += _strange(config, found.market.profile.own)
    with silent():
        findings += asyncio.run(_outside(config, collector, found))
    return Diagnosis(findings)


# -- here -----------------------------------------------------------------------------------------


def _files(config: LiveConfig) -> Iterator[Finding]:
    yield ok("config", f"{config.path}, {counted(len(config.lanes), 'lane')}")
    if not config.armed:
        yield note("armed", "[live] says armed = false", "So even --live sends nothing")
    for lane in config.lanes:
        try:
            yield ok("key", f"{lane.key_file} is of {address_in(lane.key_file)}")
        except DexarbError as error:
            yield wrong("key", str(error))
    try:
        with JournalReader.open_to_read(config.journal_file) as journal:
            reason = why_not_armed(journal.controls())
    except DexarbError:
        yield ok("journal", "there is none yet: the first start begins it")
    else:
        if reason is None:
            yield ok("journal", "armed")
        else:
            yield note("journal", f"not armed: {reason}", "dexarb-bot arm, once that is mended")


def _open(collector: CollectorConfig, findings: list[Finding]) -> Open | None:
    try:
        reader = HistoryReader(collector.history)
        return study(OpenNow(), priced(reader, way_to(reader, None)))
    except DexarbError as error:
        remedy = "Start the bot, or data-collector, and ask again once it follows the chain"
        findings.append(note("history", str(error), remedy))
        return None


def _chain(config: LiveConfig, market: Market, now: float) -> Iterator[Finding]:
    block, profile = market.block, market.profile
    age, most = now - block.timestamp, config.limits.state_age_s
    if age > most:
        remedy = "A bot sends nothing then. Is the collector running, is the clock right?"
        yield wrong("newest block", f"{block.number:,}, {age:.0f} s old", remedy)
    else:
        yield ok("newest block", f"{block.number:,}, {age:.1f} s old")
    schedule = profile.gas_schedule(block.number)
    yield ok("gas schedule", f"{schedule.name}")
    facts = ChainFacts.of_pools(profile, market.pools.values(), block.number)
    for fork in facts.coming_forks(config.paper.file):
        yield note("gas schedule", fork.problem, fork.remedy)
    floor = profile.tip_floor(block.number)
    try:
        settings = config.paper.settings(profile.tokens, tip_floor=floor)
    except DexarbError as error:
        yield wrong("strategies", str(error))
        return
    yield ok("strategies", f"{counted(len(settings), 'strategy')}, tip floor {floor / GWEI:g} gwei")
    base_fee = block.base_fee_per_gas
    low = [each.name for each in settings if each.max_gas_price < base_fee]
    if low:
        problem = f"{base_fee / GWEI:.1f} gwei, above max_gas_gwei of {', '.join(low)}"
        yield wrong("base fee", problem, "Raise max_gas_gwei, or wait")
    else:
        yield ok("base fee", f"{base_fee / GWEI:.1f} gwei")
    unproven = [each.name for each in settings if config.verdicts.get(each.hash) not in MAY_TRADE]
    if unproven:
        remedy = "dexarb promote NAME, or start with --unproven"
        yield note("verdict", f"{', '.join(unproven)}: none", remedy)


def _strange(config: LiveConfig, own: Container[Address]) -> Iterator[Finding]:
    """Accounts of ours that the history does not know as such."""
    try:
        ours = [config.executor, *(address_in(each.key_file) for each in config.lanes)]
    except DexarbError:
        return  # it has been told of the key
    if strange := [each for each in ours if each not in own]:
        remedy = "Name them as own in the chain's file, and start data-collector again"
        yield wrong("own", f"the history takes {', '.join(strange)} for rivals", remedy)
    else:
        yield ok("own", "the history takes neither executor nor lanes for rivals")


# -- outside --------------------------------------------------------------------------------------


async def _outside(
    config: LiveConfig, collector: CollectorConfig, found: Open | None
) -> list[Finding]:
    findings: list[Finding] = []
    chain = collector.chain.chain
    async with Rpc.connect(
        *collector.endpoints, timeout_s=collector.timeout_s, attempts=1, notice=say_nothing
    ) as rpc:
        try:
            chain_id = int(await rpc.call_as(str, "eth_chainId"), 16)
            if chain_id != chain.chain_id:
                problem = f"the endpoint is on chain {chain_id}, the file is of {chain.chain_id}"
                return [wrong("chain", problem, "Name an endpoint of that chain")]
            findings.append(ok("chain", f"{chain.name}, {chain_id}"))
            reader = Chain(rpc, chain_id, int(chain.default_priority_fee_gwei * GWEI))
            findings += await _accounts(config, collector, reader, rpc)
            if found is not None:
                findings += await _runs(config, rpc, found)
        except OutsideError as error:
            findings.append(wrong("endpoint", str(error), "dexarb doctor says more"))
    for way in config.ways:
        findings.append(await _way(way))
    return findings


async def _accounts(
    config: LiveConfig, collector: CollectorConfig, chain: Chain, rpc: Rpc
) -> list[Finding]:
    lanes = [address_in(each.key_file) for each in config.lanes]
    tokens = tuple(dict.fromkeys(collector.chain.tokens.values()))
    names = own_names(collector.chain.tokens)
    seen = await chain.look(config.executor, tokens)
    expected = Roles(config.owner, tuple(lanes))
    problems = lacking(seen, expected)
    found = [wrong("executor", each) for each in problems]
    if not problems:
        found.append(ok("executor", f"{seen.address} is ours, with the roles of the file"))
    found += _holdings(config, seen, names)
    header = await rpc.call("eth_getBlockByNumber", "latest", False)
    price = 2 * int(header.get("baseFeePerGas", "0x0"), 16)
    for lane in lanes:
        wei = await chain.native_balance(lane)
        needed = max(config.limits.min_native, REVERTS * REVERT_GAS * price)
        text = f"{lane} has {wei / 10**18:,.4f} for gas"
        if wei < needed:
            remedy = f"Send it some: {needed / 10**18:,.4f} are {REVERTS} reverts, and min_native"
            found.append(wrong("gas", text, remedy))
        else:
            found.append(ok("gas", text))
        held = await chain.balances(lane, tokens)
        if held:
            what = ", ".join(names.get(token, token) for token in held)
            remedy = "An operator needs none: whoever has its key has them too"
            found.append(note("operator", f"{lane} holds {what}", remedy))
        allowed = await chain.allowances(lane, config.executor, tokens)
        if allowed:
            what = ", ".join(names.get(token, token) for token in allowed)
            problem = f"{lane} allows the executor its {what}"
            found.append(wrong("allowance", problem, "Take it back: the executor never needs one"))
    return found


def _holdings(config: LiveConfig, seen: Seen, names: dict[Address, str]) -> list[Finding]:
    held = ", ".join(names.get(token, token) for token in seen.balances)
    if held:
        return [ok("funds", f"the executor holds {held}")]
    own = [
        each.table.name
        for each in config.paper.strategies
        if each.table.enabled and each.table.funding == "own"
    ]
    if own:
        remedy = 'dexarb executor fund TOKEN AMOUNT, or funding = "flash"'
        problem = f"the executor holds nothing, and {', '.join(own)} trade with own funds"
        return [wrong("funds", problem, remedy)]
    return [note("funds", "the executor holds nothing", "A unit of each token makes runs cheaper")]


async def _runs(config: LiveConfig, rpc: Rpc, found: Open) -> list[Finding]:
    """The best open cycle, from the first operator on the newest state, and the same asked for more
    than there is. Nothing is signed or sent."""
    market = found.market
    best = found.findings[0].opportunity if found.findings else None
    if best is None:
        return [note("run", "no cycle is open now, so none was tried", "Ask again later")]
    operator = address_in(config.lanes[0].key_file)

    async def said(least_out: int) -> str | None:
        """What the chain refuses it with; None where it would run."""
        data = execute_data(
            best.cycle,
            market.pools.__getitem__,
            best.amount_in,
            least_out,
            market.block.number + LATEST,
            flash=True,
        )
        call = {"from": operator, "to": config.executor, "data": "0x" + data.hex()}
        try:
            answer = await rpc.call_as(str, "eth_call", call, "latest")
        except RpcError as error:
            if not is_revert(error):
                raise
            return refusal(error)
        return "no contract answers" if answer == "0x" else None

    try:
        refused, losing = await said(0), await said(best.amount_out * 2)
    except PoolError as error:
        return [note("run", str(error))]
    findings = []
    if refused is None:
        findings.append(ok("run", "the best open cycle runs from the operator"))
    elif any(word in refused for word in MOVED):
        findings.append(ok("run", f"the executor takes the operator's call ({refused})"))
    else:
        findings.append(wrong("run", f"the best open cycle is refused: {refused}"))
    if losing is None:
        problem = "a run that asks for twice what there is was not refused"
        findings.append(wrong("losing run", problem, "This is not our executor: do not trade"))
    else:
        findings.append(ok("losing run", f"refused, as it has to be: {losing}"))
    return findings


async def _way(way: Way) -> Finding:
    """Whether it answers, and knows the method."""
    subject = f"way {way.name}"
    async with Rpc([connect(way.url, TIMEOUT_S, headers=way.headers)], attempts=1) as rpc:
        try:
            await rpc.call(way.method, NO_TRANSACTION)
        except RpcError as error:
            said = error.message.lower()
            if any(word in said for word in NO_METHOD):
                remedy = "Name the method that its provider has, or leave this [[way]] out"
                return wrong(subject, f"does not know {way.method}", remedy)
            return ok(subject, f"answers to {way.method}")
        except OutsideError as error:
            return wrong(subject, str(error), "Check its url and headers, or leave it out")
    return note(subject, f"takes anything for a transaction by {way.method}")
