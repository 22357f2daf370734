"""dexarb doctor: everything that a run needs, looked at before it is started or while it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import structlog

from dexarb.apps.clock_watch import LAG, SET_IT
from dexarb.apps.endpoint_check import EndpointCheck, check_endpoint
from dexarb.apps.self_check import SelfCheck
from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig
from dexarb.config.paths import DEFAULT_MAX_STATE_AGE_S
from dexarb.core.market import Market
from dexarb.errors import DexarbError, OutsideError
from dexarb.screens import doctor_local as local
from dexarb.screens.answer import show
from dexarb.screens.doctor import Diagnosis, Finding, note, ok, wrong
from dexarb.screens.output import counted
from dexarb.store.follow import newest_market
from dexarb.store.history_reader import HistoryReader

LAGGING_BLOCKS = 2
POOLS_COMPARED = 10
AHEAD_S = 2.0
"""A block may be so much younger than now: whoever makes it has a clock of his own."""


def run(collector: Path, paper: Path, *, as_json: bool) -> int:
    """Returns the exit code: 1 where something is wrong."""
    return show(asyncio.run(diagnose(collector, paper)), as_json=as_json)


async def diagnose(collector: Path, paper: Path, utc: Callable[[], float] = time.time) -> Diagnosis:
    """collector, paper: the TOML files. utc: seconds since 1970. Raises nothing of what can be
    wrong with a run."""
    config, findings = local.collector_settings(collector)
    general, more = local.paper_settings(paper)
    findings += more
    wanted = [config.settings.data_dir, config.settings.log_dir] if config else []
    if general:
        wanted += [general.state_file.parent, general.ledger_file.parent, general.log_dir]
    if config and general:
        findings += local.one_state(config, general)
    findings += local.folders(wanted)
    history = config.history if config else None
    if general:
        chain_id = config.chain.chain.chain_id if config else None
        state, more = local.state(general.state_file, chain_id)
        findings += more
        history = state.history if state else history
        findings += local.ledger(general.ledger_file, history if state else None)
    if history and history.exists():
        findings += local.history(history)
    findings.append(local.kernels())
    checks: Sequence[EndpointCheck] = ()
    if config:
        market = _market(history)
        with silent():
            checks, more = await _ask(config, market, utc)
        findings += more
        age_s = float(general.max_state_age_secs) if general else DEFAULT_MAX_STATE_AGE_S
        findings += _clock(checks, age_s)
    return Diagnosis(findings, [asdict(each) for each in checks])


def _market(history: Path | None) -> Market | None:
    """None where a history leads to none: that is told where it is looked at."""
    try:
        return newest_market(HistoryReader(history)) if history else None
    except DexarbError:
        return None


async def _ask(
    config: CollectorConfig, market: Market | None, utc: Callable[[], float]
) -> tuple[Sequence[EndpointCheck], list[Finding]]:
    """All endpoints, side by side; then whether they have the pools that we have."""
    chain = config.chain
    multicall = chain.multicall3 or MULTICALL3
    async with AsyncExitStack() as open_ones:
        rpc = await open_ones.enter_async_context(
            Rpc.connect(
                *config.endpoints, timeout_s=config.timeout_s, attempts=1, notice=say_nothing
            )
        )
        alone = [rpc.only(name) for name in rpc.names]
        checks = await asyncio.gather(
            *(
                check_endpoint(
                    each, chain.chain.chain_id, chain.chain.header_fields, multicall, utc
                )
                for each in alone
            )
        )
        findings = list(_of_endpoints(checks))
        if market is not None and any(each.problem is None for each in checks):
            findings.append(await _compare(SelfCheck(rpc, multicall), market))
    return checks, findings


def _of_endpoints(checks: Sequence[EndpointCheck]) -> Iterator[Finding]:
    newest = max((each.newest_block or 0 for each in checks), default=0)
    for each in checks:
        subject = f"endpoint {each.endpoint}"
        if each.problem is not None:
            others = any(other.problem is None for other in checks)
            remedy = "The others serve meanwhile" if others else "Check its URL, key and network"
            yield wrong(subject, each.problem, remedy)
            continue
        has = [name for name in _FEATURES if name not in each.lacks]
        block = each.newest_block or 0
        yield ok(subject, f"block {block:,}, {each.answered_ms:g} ms; {', '.join(has)}")
        for feature, problem in each.lacks.items():
            yield note(subject, f"no {feature}, so {problem}")
        if newest - block > LAGGING_BLOCKS:
            yield note(subject, f"{newest - block:,} blocks behind another endpoint")


_FEATURES = ("headers", "receipts", "batches", "push", "multicall3")


def _clock(checks: Sequence[EndpointCheck], max_age_s: float) -> Iterator[Finding]:
    """This machine's, by the newest block of all endpoints."""
    heads = [each for each in checks if each.age_s is not None]
    if not heads:
        return
    newest = min(heads, key=lambda each: each.age_s or 0.0)
    age_s = newest.age_s or 0.0
    if age_s < -AHEAD_S:
        yield wrong("clock", f"{-age_s:,.0f} s behind the chain's newest block", SET_IT)
    elif age_s > max_age_s + 2 * (newest.block_time_s or 0.0):
        problem = f"the newest block is {age_s:,.0f} s old; after {max_age_s:g} s none is traded on"
        yield wrong("clock", problem, f"{SET_IT}. {LAG}")
    else:
        yield ok("clock", f"the newest block is {max(0.0, age_s):.1f} s old")


async def _compare(check: SelfCheck, market: Market) -> Finding:
    """Some pools as the history has them with those of the chain at the same block."""
    pools = list(market.pools.values())[:POOLS_COMPARED]
    where = f"block {market.block.number:,}"
    try:
        differing = await check.differing(market.block, pools)
    except OutsideError as error:
        return note("pools", f"not compared with the chain at {where}: {error}")
    if differing:
        remedy = "The collector takes the chain's states at its next start"
        return wrong("pools", f"{', '.join(differing)} differ from the chain at {where}", remedy)
    return ok("pools", f"{counted(len(pools), 'pool')} at {where} are as the chain has them")


@contextmanager
def silent() -> Iterator[None]:
    """What is found is told as findings, not as a log in between."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def say_nothing(*_: str) -> None:
    """Instead of the log."""
