"""dexarb why: the funnels of strategies, nearest misses, and what stands in their way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from dexarb.apps.names import Names, find_strategy, names_of
from dexarb.apps.output import print_json
from dexarb.apps.standing import MICRO, as_json
from dexarb.apps.tables import UNKNOWN, band, bar, plain_table, signed_usd, usd
from dexarb.apps.where import where
from dexarb.core.trade import SkipReason
from dexarb.errors import InputError
from dexarb.report.funnel import (
    EXPLAINED,
    SCOPE,
    Funnel,
    Miss,
    Obstacle,
    funnel,
    nearest,
    obstacle,
)
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.store.ledger_rows import SkipRow, Standing, StrategyRow
from dexarb.trading.strategy import THRESHOLD, StrategySettings

BAR = 20
SHOWN = 30
NAME_WIDTH = 20
FAILED = {
    "lost": "lost to its coin",
    "reverted": "reverted: the pools had moved before its place",
    "expired": "not included in time",
}
FAILED_ITSELF = "It failed in its own code and is stopped."
GWEI = 10**9
PPM_PER_PERCENT = 10_000
OUTCOMES = ("filled", "reverted", "lost", "expired", "reorged", "open")


@dataclass(frozen=True, slots=True)
class Answer:
    """All that the ledger says about a strategy.

    last_block: of the ledger. earlier: hashes of other parameter sets under the same name.
    problem: the traceback of a strategy that failed in its own code.
    """

    strategy: StrategyRow
    settings: StrategySettings
    standing: Standing
    won_over_taker_micro_usd: int
    last_block: int | None
    is_active: bool
    earlier: tuple[str, ...]
    problem: str | None
    funnel: Funnel
    misses: tuple[Miss, ...]

    @property
    def obstacle(self) -> Obstacle | None:
        return obstacle(self.funnel)


def run(config: Path, names: list[str], *, as_json: bool) -> int:
    """All in brief, one strategy in full, or two side by side. Returns 0.

    Raises ConfigError, InputError, StoreError.
    """
    if len(names) > 2:
        raise InputError(f"{len(names)} names were given; why explains one strategy, or two")
    files = where(config)
    with read_only(files.ledger_file) as reader, reader.at_one_moment():
        active = {epoch.strategy for epoch in reader.epochs() if epoch.to_seq is None}
        known = reader.strategies()
        rows = [find_strategy(name, known, active) for name in names]
        answers = _answers(reader, known, rows or [row for row in known if row.hash in active])
    tokens = names_of(files.state_file)
    if not names:
        _print_all(answers, as_json=as_json)
    elif len(answers) == 2:
        from dexarb.apps.side_by_side import show

        show(files, (answers[0], answers[1]), tokens, as_json=as_json)
    elif as_json:
        print_json(_json(answers[0]))
    else:
        Console().print(_screen(answers[0], tokens))
    return 0


def _answers(
    reader: LedgerReader, known: Sequence[StrategyRow], asked: Sequence[StrategyRow]
) -> list[Answer]:
    """For each of the strategies asked; known: all of the ledger."""
    active = {epoch.strategy for epoch in reader.epochs() if epoch.to_seq is None}
    standings = {each.hash: each for each in reader.standings()}
    problems = {each.strategy: each.problem for each in reader.incidents()}
    won = reader.won_over_takers()
    last = reader.last_block
    by_name: dict[str, list[str]] = {}
    for row in known:
        by_name.setdefault(row.name, []).append(row.hash)
    found = []
    for row in asked:
        skips = reader.skips(row.hash)
        found.append(
            Answer(
                strategy=row,
                settings=StrategySettings.from_json(json.loads(row.config) | {"name": row.name}),
                standing=standings[row.hash],
                won_over_taker_micro_usd=won.get(row.hash, 0),
                last_block=last[0] if last else None,
                is_active=row.hash in active,
                earlier=tuple(key for key in by_name[row.name] if key != row.hash),
                problem=problems.get(row.hash),
                funnel=_funnel(standings[row.hash], skips),
                misses=tuple(_misses(skips)),
            )
        )
    return found


def _funnel(standing: Standing, skips: Iterable[SkipRow]) -> Funnel:
    times: dict[SkipReason, int] = {}
    for row in skips:
        times[row.reason] = times.get(row.reason, 0) + row.times
    outcomes = {key: int(getattr(standing, key)) for key in OUTCOMES}
    return funnel(times, standing.sent, outcomes)


def _misses(skips: Iterable[SkipRow]) -> Iterator[Miss]:
    """The nearest of each reason that is a threshold."""
    by_reason: dict[SkipReason, list[Miss]] = {}
    for row in skips:
        needed, best = row.needed, row.best
        if needed is not None and best is not None and row.block is not None:
            by_reason.setdefault(row.reason, []).append(Miss(row.reason, needed, best, row.block))
    for misses in by_reason.values():
        found = nearest(misses)
        if found is not None:
            yield found


# -- for machines ---------------------------------------------------------------------------------


def _json(found: Answer) -> dict[str, Any]:
    told = found.obstacle
    return as_json(found.standing) | {
        "won_over_taker_usd": found.won_over_taker_micro_usd / MICRO,
        "state": state(found),
        "block": found.last_block,
        "offered": found.funnel.offered,
        "stopped": {stage.reason.value: stage.stopped for stage in found.funnel.stages},
        "nearest_misses": [
            {"reason": miss.reason.value, "block": miss.block}
            | in_units(miss.reason, miss.needed, miss.best)
            for miss in found.misses
        ],
        "obstacle": None if told is None else asdict(told),
        "sentence": sentence(found),
        "earlier": list(found.earlier),
        "problem": found.problem,
    }


def state(found: Answer) -> str:
    """`active`, `ended` or `failed`."""
    if found.problem is not None:
        return "failed"
    return "active" if found.is_active else "ended"


# -- for people -----------------------------------------------------------------------------------


def sentence(found: Answer) -> str:
    """What stands most in the way, as one would say it."""
    way, offers = found.obstacle, found.funnel
    if not offers.offered:
        return "Nothing was open after fees: no setting of a strategy changes that."
    if way is None:
        if offers.sent:
            return "Nothing stands in its way: all it could take it has taken."
        return "What it looked at was taken already, or has no price: no setting changes that."
    if not way.sending:
        what = f"{way.stopped} of {way.total} sent {FAILED[way.what]}"
        return f"{way.parameter} decides most: {what}."
    text = f"{way.parameter} stands most in the way: it stopped {way.stopped} of {way.total}"
    if way.what in SCOPE:
        return f"{text}, and nothing else was open."
    miss = next((each for each in found.misses if each.reason == way.what), None)
    return f"{text}; {nearly(miss)}." if miss else f"{text}."


def nearly(miss: Miss) -> str:
    """`needed 5.00 USD, best was 0.41 USD at block 812`"""
    needed, best = (told(miss.reason, value) for value in (miss.needed, miss.best))
    return f"needed {needed}, best was {best} at block {miss.block}"


def told(reason: SkipReason, value: int) -> str:
    """`5.00 USD`; of a spread `0.3 %`"""
    if reason is SkipReason.SPREAD:
        return f"{value / PPM_PER_PERCENT:.4g} %"
    return f"{usd(value)} USD"


def in_units(reason: SkipReason, needed: int | None, best: int | None) -> dict[str, float | None]:
    """What machines get: USD, or percent of a spread."""
    is_spread = reason is SkipReason.SPREAD
    unit, scale = ("percent", PPM_PER_PERCENT) if is_spread else ("usd", MICRO)
    return {
        f"needed_{unit}": None if needed is None else needed / scale,
        f"best_{unit}": None if best is None else best / scale,
    }


def _print_all(found: Sequence[Answer], *, as_json: bool) -> None:
    """All that take part, in the order of the configuration."""
    if as_json:
        print_json({"strategies": [_json(each) for each in found]})
        return
    console = Console(highlight=False)
    if not found:
        told = "No strategies yet: paper-trading takes them up with the next block it sees"
        console.print(told, style="yellow")
        return
    table = plain_table(None)
    table.add_column("strategy", overflow="fold", max_width=NAME_WIDTH)
    for name in ("offered", "sent", "fill"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what stands most in the way")
    for each in found[:SHOWN]:
        counts = (each.funnel.offered, each.funnel.sent, each.standing.filled)
        told = FAILED_ITSELF if each.problem else sentence(each)
        table.add_row(Text(each.strategy.name), *map(str, counts), Text(told))
    console.print(table)
    if len(found) > SHOWN:
        console.print(f"{len(found) - SHOWN:,} more: --json has all", style="dim")
    told = "`dexarb why NAME` has the whole funnel, `dexarb why A B` two side by side."
    console.print(told, style="dim")


def _screen(found: Answer, names: Names) -> RenderableType:
    parts: list[RenderableType] = [
        Text.assemble((found.strategy.name, "bold"), f"  {found.strategy.hash}, {state(found)}"),
        Text(wants(found.settings, names), style="dim"),
        Text(""),
        Text(sentence(found), style="bold yellow"),
        _table(found.funnel),
    ]
    parts += [Text(f"Nearest miss by {miss.reason.value}: {nearly(miss)}") for miss in found.misses]
    parts += list(_books(found))
    return Group(*parts)


def wants(settings: StrategySettings, names: Names) -> str:
    """Its main parameters in a line."""
    if settings.kind != THRESHOLD:
        return f"own strategy {settings.kind}, parameters {settings.parameters}"
    pairs = ", ".join(names.pair(pair) for pair in settings.pairs)
    return (
        f"{pairs}; wants {usd(settings.min_profit_micro_usd)} USD after gas and "
        f"{settings.min_spread_ppm / PPM_PER_PERCENT:g} % after fees;\n"
        f"up to {settings.max_trade_size_micro_usd / MICRO:,.0f} USD and "
        f"{settings.max_gas_price / GWEI:g} gwei"
    )


def _table(found: Funnel) -> RenderableType:
    table = plain_table(None, "opportunity x block")
    table.add_column("count", justify="right")
    table.add_column("")
    table.add_column("why it ended here")
    whole = max(found.offered, 1)
    table.add_row("offered", str(found.offered), bar(found.offered / whole, BAR), "")
    for stage in found.stages:
        share = bar(stage.stopped / whole, BAR)
        reason = stage.reason.value
        table.add_row(
            f"  {reason}", f"-{stage.stopped}", f"[red]{share}[/]", EXPLAINED[stage.reason]
        )
    table.add_row("sent", str(found.sent), bar(found.sent / whole, BAR), "", style="bold")
    for key, count in found.outcomes.items():
        if count:
            color = "green" if key == "filled" else "red"
            share = f"[{color}]{bar(count / whole, BAR)}[/]"
            table.add_row(f"  {key}", str(count), share, "")
    return table


def _books(found: Answer) -> Iterator[Text]:
    """What came of it, and what else there is to know."""
    row = found.standing
    if row.sent:
        net = UNKNOWN if row.unplaced else signed_usd(row.profit_micro_usd)
        other = band(row.band_low_micro_usd, row.band_high_micro_usd)
        yield Text.from_markup(f"Net {net} USD; at other places in the blocks {other} USD")
    if row.unplaced:
        yield Text(f"The place of {row.unplaced} fills is not known: only the band is true.")
    if found.won_over_taker_micro_usd:
        won = found.won_over_taker_micro_usd / MICRO
        yield Text(f"Of this {won:+,.2f} USD were won over a taker who was really there.")
    if found.earlier:
        yield Text(f"Earlier under this name: {', '.join(found.earlier)}", style="dim")
    if found.problem:
        yield Text(found.problem, style="red")
    if not row.sent and not found.funnel.in_scope:
        yield Text("Next: `dexarb spreads` shows how far the market was from paying.", style="dim")
