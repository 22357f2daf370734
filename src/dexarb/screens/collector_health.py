"""What the collector says of itself in the state file, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dexarb.config.unpriced import REMEDY
from dexarb.core.text import in_a_line
from dexarb.screens.output import listed
from dexarb.screens.tables import ago

SHOWN = 3
MOST_CHARACTERS = 300
"""Of what an endpoint or a name says."""
READY = "ready"


def proof_line(metrics: Mapping[str, Any]) -> str:
    """`Blocks: proven by 2 endpoints up to 1,003, consistent (1 endpoint) up to 1,005`"""
    named: Mapping[str, int] = metrics.get("named_by") or {}
    words: list[str] = []
    for count, block in sorted(named.items(), key=lambda item: -int(item[0])):
        level = f"proven by {count} endpoints" if int(count) > 1 else "consistent (1 endpoint)"
        if not words or not words[-1].endswith(f" {block:,}"):
            words.append(f"{level} up to {block:,}")
    levels = ", ".join(words) or "not known to be proven"
    rest = [
        f"{metrics[key]:,} {label}"
        for key, label in (("unproven", "unproven"), ("backfilled", "filled in later"))
        if metrics.get(key)
    ]
    if metrics.get("finalized_block"):
        rest.append(f"final up to {metrics['finalized_block']:,}")
    return "; ".join([f"Blocks: {levels}", *rest])


def collector_remarks(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What somebody should do something about."""
    for endpoint in metrics.get("endpoints") or []:
        if endpoint.get("state") != READY:
            said = (str(endpoint.get(key)) for key in ("endpoint", "reason"))
            name, reason = (in_a_line(each, MOST_CHARACTERS) for each in said)
            yield f"Endpoint {name}: {reason}"
    yield from trading_remarks(metrics)
    left_out = metrics.get("left_out") or []
    if left_out:
        shown = listed([in_a_line(each, MOST_CHARACTERS) for each in left_out], SHOWN)
        yield f"Left out, because they differ from the chain: {shown}. The log says why."


def trading_remarks(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What keeps every strategy from trading, whatever its settings: a wrong clock, which makes
    blocks look too old or never so, and tokens without a price."""
    offset_s: float = metrics.get("clock_offset_s") or 0.0
    if offset_s:
        way = "ahead of the chain's, or all endpoints lag" if offset_s > 0 else "behind the chain's"
        yield f"The machine's clock is {ago(abs(offset_s))} {way}: set it."
    unpriced: Mapping[str, str] = metrics.get("unpriced") or {}
    for problem in unpriced.values():
        yield f"{in_a_line(problem, MOST_CHARACTERS)}. {REMEDY}."


def usage_of(metrics: Mapping[str, Any]) -> dict[str, int] | None:
    """What all endpoints have been asked, in the UTC day and month that they counted last; None
    where the collector does not say."""
    endpoints = [each for each in metrics.get("endpoints") or [] if each.get("this_month")]
    if not endpoints:
        return None
    return {
        f"{what}_{period}": sum(int((each.get(period) or {}).get(what, 0)) for each in endpoints)
        for period in ("today", "this_month")
        for what in ("requests", "compute_units")
    }


def usage_line(metrics: Mapping[str, Any]) -> str | None:
    """`Requests, as providers bill them: 43,210 today (1,104,000 compute units), ...`"""
    used = usage_of(metrics)
    if used is None:
        return None
    told = [
        f"{used[f'requests_{period}']:,} {period.replace('_', ' ')}"
        f" ({used[f'compute_units_{period}']:,} compute units)"
        for period in ("today", "this_month")
    ]
    line = f"Requests, as providers bill them: {', '.join(told)}"
    shares = [_share(each) for each in metrics.get("endpoints") or []]
    known = [share for share in shares if share is not None]
    return f"{line}; {100 * max(known):.0f} % of a budget used" if known else line


def _share(endpoint: Mapping[str, Any]) -> float | None:
    """Of its budget, the one that is nearer to its end."""
    budget = endpoint.get("budget") or {}
    found = [
        (endpoint.get(period) or {}).get(what, 0) / budget[limit]
        for limit, period, what in (
            ("daily_requests", "today", "requests"),
            ("monthly_compute_units", "this_month", "compute_units"),
        )
        if budget.get(limit)
    ]
    return max(found, default=None)
