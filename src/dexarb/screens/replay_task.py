"""What is to be replayed: which entries of which history, and who takes part when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dexarb.config.paper import load_paper
from dexarb.config.paths import DEFAULT_MAX_STATE_AGE_S
from dexarb.config.plugins import PluginError, StrategyTypes
from dexarb.core.market import Keyframe
from dexarb.core.text import as_name
from dexarb.errors import InputError, StoreError
from dexarb.screens.when import BlocksAsked, blocks_of
from dexarb.store.follow import first_keyframe
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_figures import block_from
from dexarb.store.ledger_notes import Replayed
from dexarb.store.ledger_reader import LedgerReader
from dexarb.study.lineup import Lineup
from dexarb.study.replay import Plan, plan_as, plan_of, unlike_models
from dexarb.study.span import first_market, history_reader, seqs_of, span
from dexarb.trading.strategy import THRESHOLD, StrategySettings


@dataclass(frozen=True, slots=True)
class Task:
    """blocks: numbers of the first and the last one. settings: all that take part at any time.
    types: of own strategies. what: what a ledger to go on with has to be of. live: whose epochs
    these are; unlike: models of reality and own code that are other ones here than they were."""

    reader: HistoryReader
    plan: Plan
    blocks: tuple[int, int]
    settings: Sequence[StrategySettings]
    types: StrategyTypes
    what: str
    live: LedgerReader | None = None
    unlike: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def note(self) -> Replayed:
        folder = str(self.reader.folder.resolve())
        return Replayed(folder, self.plan.first_seq, self.plan.from_seq, self.what)


def of_config(asked: BlocksAsked) -> Task:
    """The strategies of a file over the blocks asked for, all of them where nobody says which.

    Raises ConfigErrors, InputError, StoreError.
    """
    reader = history_reader(asked.history, asked.config)
    config, types = load_paper(asked.config), StrategyTypes()
    first, (from_seq, last), blocks = _entries(reader, asked)
    profile = first.profile
    settings = config.settings(
        profile.tokens, types, tip_floor=profile.tip_floor(first.block.number)
    )
    plan = plan_of(
        settings,
        float(config.general.max_state_age_secs),
        first_seq=first.seq,
        from_seq=from_seq,
        last_seq=last,
    )
    return Task(reader, plan, blocks, settings, types, plan.fingerprint)


def _entries(
    reader: HistoryReader, asked: BlocksAsked
) -> tuple[Keyframe, tuple[int, int], tuple[int, int]]:
    """The keyframe to begin at; the first entry to trade on, and the last; their blocks."""
    oldest = first_keyframe(reader)
    if reader.last_seq == oldest.seq:
        raise StoreError(reader.folder, "has no blocks yet", "Wait for the collector's first")
    is_whole = (asked.first, asked.last, asked.count) == (None, None, None)
    begin, end = blocks_of(reader, asked.first, asked.last)
    wanted = span(reader, first=begin, last=end, count=asked.count)
    blocks = wanted.first, wanted.last
    if is_whole:  # as it was received, from the very first entry on
        return oldest, (oldest.seq + 1, reader.last_seq), blocks
    return first_market(wanted), seqs_of(wanted), blocks


def of_ledger(live: LedgerReader, history: Path | None) -> Task:
    """The epochs of a ledger. history: None for the one that it names.

    Raises InputError, StoreError.
    """
    plan = plan_as(live, DEFAULT_MAX_STATE_AGE_S)
    types = StrategyTypes()
    known = list(Lineup(live.strategies(), live.epochs()).known.values())
    unlike = {**unlike_models(live), **_unlike_code(known, types)}
    what = f"ledger {live.path.resolve()}"
    reader = HistoryReader(history or live.history)
    if plan.last_seq > reader.last_seq or plan.first_seq < reader.first_seq:
        raise StoreError(
            reader.folder,
            f"has entries {reader.first_seq} to {reader.last_seq}, and {live.path} is of entries"
            f" {plan.first_seq} to {plan.last_seq}",
            "Name the history that it was traded on",
        )
    began, ended = block_from(live, plan.from_seq), live.last_block
    blocks = began[0] if began else 0, ended[0] if ended else 0
    return Task(reader, plan, blocks, known, types, what, live, unlike)


def _unlike_code(
    known: Iterable[StrategySettings], types: StrategyTypes
) -> dict[str, tuple[str, str]]:
    """Own strategies whose code has changed. Raises InputError where it is not there."""
    unlike = {}
    for each in known:
        if each.kind == THRESHOLD:
            continue
        try:
            code = types.code(each.kind)
        except KeyError:
            raise InputError(
                f'"{as_name(each.name)}" is of kind "{each.kind}", which no installed package'
                " offers. Install the one that it was traded with"
            ) from None
        except PluginError as error:
            raise InputError(f'"{as_name(each.name)}": {error}') from error
        if code != each.code:
            unlike[f'the code of "{as_name(each.name)}"'] = (each.code, code)
    return unlike
