"""What a bot's trades say of the strategies on paper that they came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dexarb.core.sending import GAS_TOLERANCE_PPM, Difference, Paper, Twin
from dexarb.core.trade import DecisionId, Fill, FillStatus, StrategyHash
from dexarb.core.units import PPM
from dexarb.store.journal import JournalReader
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import StrategyRow
from dexarb.study.verdict.gates import CanaryEvidence
from dexarb.trading.decide.desk import decision_id
from dexarb.trading.strategy import StrategySettings


class BotEvidence(NamedTuple):
    """own_effect: decisions on paper that stand behind a live trade of the same strategy. canaries:
    by the strategy's hash on paper."""

    own_effect: frozenset[DecisionId]
    canaries: Mapping[StrategyHash, CanaryEvidence]


NO_BOT = BotEvidence(frozenset(), {})


def live_hash(row: StrategyRow) -> StrategyHash:
    """Of the strategy as a bot trades it: the chain's rivals and its own latency are real there."""
    settings = StrategySettings.from_canonical(row.name, row.config)
    return replace(settings, competition_rate_ppm=0, latency_ms=None).hash


def bot_evidence(strategies: Iterable[StrategyRow], journal: Path, ledger: Path) -> BotEvidence:
    """strategies: on paper. journal, ledger: the bot's; what is not there tells nothing. Raises
    StoreError."""
    if not journal.is_file():
        return NO_BOT
    # As in `live_results`: who reads the journal last misses nothing.
    fills: list[Fill] = []
    if ledger.is_file():
        with read_only(ledger) as books:
            fills = [row.fill for row in books.fills() if row.reorged_seq is None]
    with JournalReader.open_to_read(journal) as opened:
        intents = {each.decision.id: each.decision for each in opened.intents()}
        papers = {each.decision: each for each in opened.papers()}
        signed = {each.decision for each in opened.signed()}
        twins = opened.twins()
    on_paper: dict[StrategyHash, list[StrategyHash]] = defaultdict(list)
    for row in strategies:
        on_paper[live_hash(row)].append(row.hash)
    behind = [intents[name] for name, each in papers.items() if each.own_effect and name in intents]
    own_effect = frozenset(
        decision_id(name, each.block.hash, each.cycle.id)
        for each in behind
        for name in on_paper.get(each.strategy, ())
    )
    by_strategy: dict[StrategyHash, list[Fill]] = defaultdict(list)
    for fill in fills:
        if fill.decision.id in signed:
            by_strategy[fill.decision.strategy].append(fill)
    canaries = {
        name: evidence
        for live, its in by_strategy.items()
        for evidence in [canary_evidence(its, twins, papers)]
        for name in on_paper.get(live, ())
    }
    return BotEvidence(own_effect, canaries)


def canary_evidence(
    fills: Sequence[Fill], twins: Iterable[Twin], papers: Mapping[DecisionId, Paper]
) -> CanaryEvidence:
    """Of one strategy. fills: those that stand of what was signed."""
    standing = {(fill.decision.id, fill.block.hash) for fill in fills}
    compared = [
        (fill, paper.band)
        for fill in fills
        if (paper := papers.get(fill.decision.id)) is not None
        and not paper.own_effect
        and paper.band is not None
    ]
    gas = sum(fill.gas_cost_micro_usd for fill, _ in compared) * GAS_TOLERANCE_PPM // PPM
    return CanaryEvidence(
        sent=len(fills),
        filled=sum(fill.status is FillStatus.FILLED for fill in fills),
        model_errors=sum(
            twin.difference is Difference.MODEL
            for twin in twins
            if (twin.decision.id, twin.block.hash) in standing
        ),
        net=sum(fill.net_micro_usd for fill in fills),
        compared=len(compared),
        compared_net=sum(fill.net_micro_usd for fill, _ in compared),
        low=sum(low for _, (low, _) in compared) - gas,
        high=sum(high for _, (_, high) in compared) + gas,
    )
