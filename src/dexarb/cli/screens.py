"""Commands that show what was collected and traded. Each returns its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexarb.cli.options import (
    HOW_TO_SAY_WHEN,
    PAPER_TOML,
    WHEN,
    BlockCount,
    By,
    Csv,
    FirstBlock,
    History,
    Json,
    LastBlock,
    PaperFile,
    blocks_asked,
    is_given,
    one_form,
    usd,
)
from dexarb.screens.answer import show
from dexarb.screens.by_whom import TARGET
from dexarb.screens.unproven import tell_unproven
from dexarb.screens.when import When, when

FILLS_SHOWN = 10


def status(
    config: PaperFile = PAPER_TOML,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until Ctrl-C.")] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            help="profit (default), band, seen, sent, filled, reverted, lost, open, name, config.",
        ),
    ] = None,
    filter_text: Annotated[
        str, typer.Option("--filter", help="Part of a name or hash, or: active, stopped.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Strategies on the screen.")] = 30,
    begin: FirstBlock = None,
    end: LastBlock = None,
    performance: Annotated[
        bool,
        typer.Option("--performance", help="Profit a day, win rate, drawdown and gas first."),
    ] = False,
    by_hour: Annotated[
        bool, typer.Option("--by-hour", help="Instead: what came of each hour of the day (UTC).")
    ] = False,
    as_csv: Csv = False,
    as_json: Json = False,
) -> int:
    """How the strategies stand: counts, profit and band, since when, and how old the state is."""
    from dexarb.screens import hours, status
    from dexarb.screens.csv_output import show_csv
    from dexarb.screens.tables import COUNTS, PERFORMANCE

    tell_unproven(config)
    one_form(csv=as_csv, json=as_json)
    one_form(by_hour=by_hour, csv=as_csv, watch=watch)
    first = PERFORMANCE if performance else COUNTS
    selection = status.Selection(sort, filter_text, limit, first, begin, end)
    if by_hour:
        return show(hours.answer(config, selection), as_json=as_json)
    if watch:
        status.follow(config, selection, as_json=as_json)
    found = status.answer(config, selection)
    return show_csv(found) if as_csv else show(found, as_json=as_json)


def why(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME [OTHER]]", help="One strategy, or two to compare; else all in brief."
        ),
    ] = None,
    config: PaperFile = PAPER_TOML,
    as_json: Json = False,
) -> int:
    """Why strategies did not trade more: all in brief, one in full, two side by side."""
    from dexarb.screens.why import answer

    tell_unproven(config)
    return show(answer(config, names or []), as_json=as_json)


def fills(
    config: PaperFile = PAPER_TOML,
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", help="Only this one, by name or hash.")
    ] = None,
    first: FirstBlock = None,
    until: LastBlock = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--last",
            min=1,
            help=f"Of these the newest so many; without it, --from and --csv: {FILLS_SHOWN}.",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Names and hashes whole; on wide terminals they are.")
    ] = False,
    as_csv: Csv = False,
    as_json: Json = False,
) -> int:
    """The last fills, each with what the chain did with the same spread."""
    from dexarb.screens.csv_output import show_csv
    from dexarb.screens.fills import answer

    tell_unproven(config)
    one_form(csv=as_csv, json=as_json)
    if last is None and first is None and not as_csv:
        last = FILLS_SHOWN
    found = answer(config, strategy=strategy, last=last, first=first, until=until, is_full=full)
    return show_csv(found) if as_csv else show(found, as_json=as_json)


def scan(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    block: Annotated[
        When | None,
        typer.Option(
            "--block",
            parser=when,
            metavar=WHEN,
            help=f"A block of the history: {HOW_TO_SAY_WHEN}.",
        ),
    ] = None,
    min_profit_usd: Annotated[
        float,
        typer.Option("--min-profit-usd", callback=usd, help="Least profit after gas."),
    ] = 0.0,
    as_json: Json = False,
) -> int:
    """Show what is open at a block: route, best size, profit, gas; no strategy involved."""
    from dexarb.screens.scan import answer

    found = answer(history, config=config, block=block, min_profit_usd=min_profit_usd)
    return show(found, as_json=as_json)


def spreads(
    context: typer.Context,
    history: History = None,
    config: PaperFile = PAPER_TOML,
    first: FirstBlock = None,
    last: LastBlock = None,
    count: BlockCount = None,
    size_usd: Annotated[
        float | None,
        typer.Option(
            "--size",
            min=0.01,
            callback=usd,
            help="USD of the round trips; else the strategies'.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """What the market offered against what the strategies need: why there is how much to trade."""
    from dexarb.screens.spreads import answer

    # A history says all that is needed: strategies are shown beside it where somebody names them.
    is_alone = history and not is_given(context, "config")
    tell_unproven(config)
    asked = blocks_asked(history, config, first, last, count)
    found = answer(asked, size_usd=size_usd, with_strategies=not is_alone)
    return show(found, as_json=as_json)


def rivals(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    first: FirstBlock = None,
    last: LastBlock = None,
    count: BlockCount = None,
    by: By = TARGET,
    as_json: Json = False,
) -> int:
    """Who really takes the spreads: how often, for which gain, at which bid, how fast."""
    from dexarb.screens.rivals import answer

    tell_unproven(config)
    asked = blocks_asked(history, config, first, last, count)
    return show(answer(asked, by=by), as_json=as_json)


def winners(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    first: FirstBlock = None,
    last: LastBlock = None,
    count: BlockCount = None,
    by: By = TARGET,
    as_json: Json = False,
) -> int:
    """Who earns what by arbitrage, net and a day, through whichever pools, at which places."""
    from dexarb.screens.winners import answer

    tell_unproven(config)
    asked = blocks_asked(history, config, first, last, count)
    return show(answer(asked, by=by), as_json=as_json)


def census(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    first: FirstBlock = None,
    last: LastBlock = None,
    count: BlockCount = None,
    as_json: Json = False,
) -> int:
    """How much of all swaps and profits passes collected pools, and what to collect next."""
    from dexarb.screens.census import answer

    tell_unproven(config)
    asked = blocks_asked(history, config, first, last, count)
    return show(answer(asked), as_json=as_json)


def backruns(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    first: FirstBlock = None,
    last: LastBlock = None,
    count: BlockCount = None,
    as_json: Json = False,
) -> int:
    """What opened inside blocks: behind which transaction, worth what there, and who ended it."""
    from dexarb.screens.backruns import answer

    tell_unproven(config)
    asked = blocks_asked(history, config, first, last, count)
    return show(answer(asked), as_json=as_json)


def map(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    first: FirstBlock = None,
    last: LastBlock = None,
    count: BlockCount = None,
    tips: Annotated[
        list[float] | None,
        typer.Option("--tip", min=0, help="Gwei, as often as wanted; else from 25 to 5,000."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Net USD a day against the tip: what one send per spread would have come to at its place."""
    from dexarb.screens.money_map import answer

    tell_unproven(config)
    asked = blocks_asked(history, config, first, last, count)
    return show(answer(asked, tips_gwei=tips or ()), as_json=as_json)


def calibrate(
    history: History = None,
    config: PaperFile = PAPER_TOML,
    first: FirstBlock = None,
    last: LastBlock = None,
    as_json: Json = False,
) -> int:
    """Compare what others really swapped with what we would have said of it, to the wei."""
    from dexarb.screens.calibrate import answer

    found = answer(history, config=config, first=first, last=last)
    return show(found, as_json=as_json)


def report(
    config: PaperFile = PAPER_TOML,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file.")] = Path("report.html"),
    first: FirstBlock = None,
    last: LastBlock = None,
    count: BlockCount = None,
    force: Annotated[bool, typer.Option("--force", help="Also where the file is there.")] = False,
    as_json: Json = False,
) -> int:
    """All of a run as one page: books, spreads, money map, verdict; nothing in it is loaded."""
    from dexarb.screens.report import answer

    asked = blocks_asked(None, config, first, last, count)
    return show(answer(asked, out, force=force), as_json=as_json)
