"""What status and why tell of decisions that a node has run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dexarb.core.probes import Probe
from dexarb.core.text import in_a_line
from dexarb.screens.names import Names
from dexarb.screens.output import counted
from dexarb.study.probed import GasBeside, ProbedDecisions

MOST = 300
"""Characters of a reason: contracts word some of it."""
SHOWN = 5
DEAR = 0.08
"""Gas beyond ours that is worth a line: more than the model is off for plain tokens."""
ROUTES = 50


def probing_as_json(found: ProbedDecisions | None) -> dict[str, Any] | None:
    if found is None:
        return None
    metering = found.metering
    return {
        "endpoint": metering and metering.endpoint,
        "estimates_gas": metering and metering.estimates_gas,
        "requests_today": metering and metering.requests_today,
        "daily_requests": metering and metering.daily_requests,
        "waiting": metering and metering.waiting,
        "passed_over": metering and metering.passed_over,
        "problem": metering and metering.problem,
        "ran": found.ran,
        "equal": found.equal,
        "refused": found.refused,
        "different": found.different,
        "not_executable": list(map(barred_as_json, found.barred)),
        "gas_by_token": [
            {"token": token, **_gas_json(gas)} for token, gas in found.by_token.items()
        ],
        "gas_by_route": [
            {"route": list(cycle.pools), "tokens": list(cycle.tokens), **_gas_json(gas)}
            for cycle, gas in list(found.by_route.items())[:ROUTES]
        ],
    }


def _gas_json(gas: GasBeside) -> dict[str, Any]:
    return {"runs": gas.runs, "more_percent": round(100 * gas.more, 2)}


def barred_as_json(probe: Probe) -> dict[str, Any]:
    return {
        "route": list(probe.cycle.pools),
        "tokens": list(probe.cycle.tokens),
        "block": probe.block_number,
        "until_block": probe.until_block,
        "reason": probe.words,
    }


def probing_lines(found: ProbedDecisions | None, names: Names) -> Iterator[str]:
    """Of all strategies together."""
    if found is None:
        return
    told = [f"{found.equal:,} of {found.ran:,} equal to the wei"]
    told += [f"{found.refused:,} refused"] if found.refused else []
    told += [f"{found.different:,} with another amount"] if found.different else []
    metering = found.metering
    if metering is not None:
        limit = f" of {metering.daily_requests:,}" if metering.daily_requests else ""
        told.append(f"{metering.requests_today:,}{limit} requests today")
        if metering.passed_over:
            told.append(f"{metering.passed_over:,} decisions passed over")
    yield f"Probes: {', '.join(told)}"
    for token, gas in list(found.by_token.items())[:SHOWN]:
        if gas.more > DEAR:
            runs = counted(gas.runs, "run")
            yield f"Gas: {runs} with {names.symbol(token)} took {gas.more:+.0%} beside ours"


def probing_remarks(found: ProbedDecisions | None) -> Iterator[str]:
    """What somebody should do something about."""
    if found is None:
        return
    if found.metering is not None and found.metering.problem:
        yield f"Probing: {in_a_line(found.metering.problem, MOST)}"
    if found.barred:
        routes = counted(len(found.barred), "route")
        yield f"Not traded, since a node that ran it said no: {routes}. `dexarb why NAME` has them."


def barred_lines(barred: Sequence[Probe], names: Names) -> Iterator[str]:
    for probe in barred[:SHOWN]:
        route = f"{names.tokens_of(probe.cycle)} by {names.pools_of(probe.cycle)}"
        until = f"not traded until block {probe.until_block}"
        yield in_a_line(f"{route}: {until}, {probe.words}", MOST)
    if len(barred) > SHOWN:
        yield f"and {len(barred) - SHOWN:,} routes more that a node refuses: --json has all"
