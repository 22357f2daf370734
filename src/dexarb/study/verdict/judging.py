"""Verdicts on all strategies of a ledger, with what the register of trials knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dexarb.core.route import Cycle
from dexarb.core.trade import DecisionId, StrategyHash
from dexarb.errors import StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_columns import cycle_from
from dexarb.store.ledger_figures import EpochTimes, epoch_times
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.store.ledger_rows import StrategyRow
from dexarb.store.ledger_trades import SettledRow, settled
from dexarb.store.trials import (
    Family,
    Finalists,
    OfFamily,
    Trial,
    family_of,
    family_size,
    of_family,
    read_register,
    register_of,
)
from dexarb.study.verdict.confirmation import Confirmed, confirm, due
from dexarb.study.verdict.fragility import Fragility, fragility
from dexarb.study.verdict.gates import CanaryEvidence
from dexarb.study.verdict.selection import Selection, select
from dexarb.study.verdict.series import (
    Series,
    Trades,
    is_contested,
    is_untaken,
    series_of,
    trades_of,
    whole_days,
)
from dexarb.study.verdict.verdict import Case, Judged, judge

_ROUTES = "SELECT DISTINCT cycle, hops FROM routes"
_FIRST_BLOCK = "SELECT min(number) FROM blocks"


@dataclass(frozen=True, slots=True)
class Untaken:
    """A route that gained on paper while it stayed open for 64 blocks. micro_usd: the net of so
    many fills. is_tried: a node has run it as we say, so that they count."""

    cycle: Cycle
    fills: int
    micro_usd: int
    is_tried: bool


@dataclass(frozen=True, slots=True)
class Considered:
    """A strategy with its verdict. rank: by selection, from 1. is_active: it takes part now."""

    row: StrategyRow
    is_active: bool
    rank: int
    case: Case
    judged: Judged
    fragility: Fragility
    untaken: tuple[Untaken, ...]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The best ranked first. second: UTC, of the ledger's newest block, block its number.
    problem: why the register could not be asked. finalists: the newest, in whose confirmation
    `confirmed` tells the looks; None without any."""

    ledger: Path
    history: Path
    family: Family | None
    family_size: int
    trials: int
    blocks: int
    block: int
    second: int
    strategies: tuple[Considered, ...]
    selection: Selection
    finalists: Finalists | None
    confirmed: Confirmed | None
    problem: str | None


def read_verdicts(
    ledger: Path,
    registers: Sequence[Path] = (),
    *,
    own_effect: Collection[DecisionId] = (),
    canaries: Mapping[StrategyHash, CanaryEvidence] | None = None,
) -> Verdicts:
    """registers: copies of the register elsewhere, beside the one beside the history. canaries: by
    strategy, of a live ledger. Raises StoreError."""
    with read_only(ledger) as reader, reader.at_one_moment():
        rows = settled(reader)
        strategies = reader.strategies()
        active = frozenset(reader.active())
        failed = frozenset(each.strategy for each in reader.incidents())
        epochs = epoch_times(reader)
        cycles = {name: cycle_from(hops) for name, hops in reader.rows(_ROUTES)}
        # The newest word of a node on each route.
        passing = {each.probe.cycle.id: each.probe.is_equal for each in reader.probes()}
        history = reader.history
        ((first_block,),) = reader.rows(_FIRST_BLOCK)
        block = reader.last_block[0] if reader.last_block else 0
        second, behind = _newest(reader)
    family, records, problem = _registered(history, registers)
    tried = {name for name, is_equal in passing.items() if is_equal}
    trials = [each for each in records if isinstance(each, Trial)]
    size = family_size(trials, (each.hash for each in strategies))
    registered = (each for each in records if isinstance(each, Finalists))
    finalists = max(registered, key=lambda each: each.at, default=None)

    by_strategy: dict[StrategyHash, list[SettledRow]] = defaultdict(list)
    for each in rows:
        by_strategy[each.strategy].append(each)
    trades = {
        row.hash: trades_of(by_strategy[row.hash], tried=tried, own_effect=own_effect)
        for row in strategies
    }
    spans = _spans(epochs, second)
    selection = select(
        _side_by_side(trades, spans), size, {name: _net(each) for name, each in trades.items()}
    )
    confirmed, first_day = _confirmed(finalists, trades, second)
    chosen = () if finalists is None else finalists.hashes
    ranks = {name: rank for rank, name in enumerate(selection.ranking, start=1)}
    found = []
    for row in strategies:
        own, mine = trades[row.hash], by_strategy[row.hash]
        is_finalist = confirmed is not None and row.hash in chosen
        case = Case(
            own,
            series_of(own, *spans.get(row.hash, (0, 0))),
            is_contested=all(map(is_contested, mine)),
            has_failed=row.hash in failed,
            days_since=confirmed.days if confirmed and is_finalist else None,
            passed_at=confirmed.passed.get(row.hash) if confirmed and is_finalist else None,
            confirmed=own.between(first_day, confirmed.days) if confirmed and is_finalist else None,
            has_tried=any(each.net > 0 and each.cycle in tried for each in mine),
            canary=(canaries or {}).get(row.hash),
            finalists=max(1, len(chosen)),
        )
        found.append(
            Considered(
                row,
                row.hash in active,
                ranks[row.hash],
                case,
                judge(case),
                fragility(own),
                _untaken(mine, cycles, tried),
            )
        )
    return Verdicts(
        ledger=ledger,
        history=history,
        family=family,
        family_size=size,
        trials=len(trials),
        blocks=0 if first_block is None else block - first_block + 1,
        block=block,
        second=second,
        strategies=tuple(sorted(found, key=lambda each: each.rank)),
        selection=selection,
        finalists=finalists,
        confirmed=confirmed,
        problem=problem or behind,
    )


def _newest(reader: LedgerReader) -> tuple[int, str | None]:
    """UTC second of the entry that the ledger includes last. Days on which nothing happened count,
    and only the history tells of them; without it, why not, and what the ledger itself knows."""
    known = reader.last_timestamp or 0
    try:
        entry = next(HistoryReader(reader.history).entries(reader.seq, reader.seq), None)
        at = getattr(getattr(entry, "block", None), "timestamp", known)
    except StoreError as error:
        return known, f"days behind the last trade are not known: {error}"
    return max(known, int(at)), None


def _registered(
    history: Path, registers: Sequence[Path]
) -> tuple[Family | None, list[OfFamily], str | None]:
    """What is known of the family; without the history, why nothing is."""
    try:
        family = family_of(history)
    except StoreError as error:
        return None, [], f"without the history there is no register of trials: {error}"
    records = read_register(register_of(history))
    for each in registers:
        if not each.is_file():
            raise StoreError(each, "does not exist", "Name a trials.jsonl")
        records += read_register(each)
    return family, of_family(records, family), None


def _spans(epochs: Sequence[EpochTimes], second: int) -> dict[StrategyHash, tuple[int, int]]:
    """First whole UTC day and count of whole days in which each took part."""
    since: dict[StrategyHash, int] = {}
    until: dict[StrategyHash, int] = {}
    for each in epochs:
        if each.began is not None:
            since[each.strategy] = min(since.get(each.strategy, each.began), each.began)
        ended = second if each.to_seq is None or each.ended is None else each.ended
        until[each.strategy] = max(until.get(each.strategy, 0), ended)
    return {name: whole_days(began, until[name]) for name, began in since.items()}


def _side_by_side(
    trades: Mapping[StrategyHash, Trades], spans: Mapping[StrategyHash, tuple[int, int]]
) -> dict[StrategyHash, Series]:
    """Over the same days for all: who was not there yet, or no more, had none."""
    lasting = [(first, first + days) for first, days in spans.values() if days]
    first = min((begin for begin, _ in lasting), default=0)
    days = max((end for _, end in lasting), default=first) - first
    return {name: series_of(each, first, days) for name, each in trades.items()}


def _confirmed(
    finalists: Finalists | None, trades: Mapping[StrategyHash, Trades], second: int
) -> tuple[Confirmed | None, int]:
    """Of the finalists that the ledger knows, and the first day that counts."""
    if finalists is None:
        return None, 0
    # The block that was known then does not count, so neither does a day that begins with it.
    first_day, days = whole_days(finalists.second + 1, second)
    looks = [
        {
            name: series_of(trades[name], first_day, day)
            for name in finalists.hashes
            if name in trades
        }
        for day in due(days)
    ]
    return confirm(days, looks), first_day


def _untaken(
    rows: Sequence[SettledRow], cycles: Mapping[str, Cycle], tried: Collection[str]
) -> tuple[Untaken, ...]:
    """The best first."""
    by_cycle: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if is_untaken(row):
            by_cycle[row.cycle].append(row.net)
    found = [
        Untaken(cycles[name], len(nets), sum(nets), name in tried)
        for name, nets in by_cycle.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.micro_usd, each.cycle.id)))


def _net(trades: Trades) -> int:
    return int(trades.counted.net.sum())
