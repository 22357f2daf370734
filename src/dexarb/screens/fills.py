"""dexarb fills: the last fills, and what the chain did with the same spreads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from dexarb.config.paths import config_paths
from dexarb.core.block import BlockHash
from dexarb.core.evidence import Evidence, Mover
from dexarb.core.route import CycleId
from dexarb.core.text import as_name
from dexarb.core.token import short
from dexarb.core.trade import Fill, FillStatus
from dexarb.core.units import MICRO_USD, NATIVE
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names, find_strategy, names_of, state_beside
from dexarb.screens.tables import UNKNOWN, band, signed_usd
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.store.ledger_rows import FillRow
from dexarb.study.evidence import won_over_taker

INDENT, NAME_WIDTH = 10, 20
STYLES = {FillStatus.FILLED: "green", FillStatus.EXPIRED: "dim"}


@dataclass(frozen=True, slots=True)
class NamedFill:
    """A fill with the name of its strategy and what is known of the spread. evidence: None while
    the spread is still open and not yet 64 blocks old."""

    row: FillRow
    strategy: str
    evidence: Evidence | None

    @property
    def fill(self) -> Fill:
        return self.row.fill

    @property
    def is_won_over_taker(self) -> bool:
        return self.row.reorged_seq is None and won_over_taker(self.fill, self.evidence)


@dataclass(frozen=True, slots=True)
class Fills(Answer):
    """Oldest first. strategy: whose were asked for, None for all. open_decisions: that may still
    become fills; counted only where there are none."""

    fills: Sequence[NamedFill]
    names: Names
    strategy: str | None
    open_decisions: int

    def as_json(self) -> dict[str, Any]:
        return {"fills": [_fill_json(each) for each in self.fills]}

    def render(self) -> RenderableType:
        return _list(self.fills, self.names) if self.fills else Text(self._hint(), style="yellow")

    def _hint(self) -> str:
        """What to do where there is nothing to show."""
        name = f' "{self.strategy}"' if self.strategy else ""
        head = f"No fills{name and f' of{name}'} yet.\n"
        if self.open_decisions:
            open_ = f"{self.open_decisions} decisions are open"
            return f"{head}{open_}: they are settled within a few blocks."
        return (
            f"{head}`dexarb why{name}` says what stands in the way,\n"
            "`dexarb spreads` what the market offers against what the strategies need."
        )


def answer(config: Path, *, strategy: str | None, last: int) -> Fills:
    """The last fills, of all strategies or of one.

    Raises ConfigError, InputError for an unknown strategy, StoreError.
    """
    files = config_paths(config)
    with read_only(files.ledger_file) as reader, reader.at_one_moment():
        found = read_fills(reader, strategy, last)
        open_decisions = len(reader.open_decisions()) if not found else 0
    return Fills(found, names_of(state_beside(files.state_file)), strategy, open_decisions)


def read_fills(reader: LedgerReader, strategy: str | None, last: int) -> list[NamedFill]:
    """The last fills, of all strategies or of one, oldest first."""
    strategies = reader.strategies()
    names = {row.hash: row.name for row in strategies}
    key = None
    if strategy is not None:
        active = reader.active()
        key = find_strategy(strategy, strategies, active).hash
    rows = reader.fills(key, last=last)
    evidence: dict[tuple[CycleId, BlockHash], Evidence] = {}
    for cycle in {row.fill.decision.cycle.id for row in rows}:
        for each in reader.evidence(cycle):
            if each.reorged_seq is None:
                evidence[cycle, each.evidence.block_hash] = each.evidence
    found = []
    for row in rows:
        decision = row.fill.decision
        known = evidence.get((decision.cycle.id, decision.block.hash))
        found.append(NamedFill(row, names[decision.strategy], known))
    return found


# -- for machines ---------------------------------------------------------------------------------


def _fill_json(shown: NamedFill) -> dict[str, Any]:
    fill, decision = shown.fill, shown.fill.decision
    known = fill.place_known
    return {
        "strategy": shown.strategy,
        "hash": decision.strategy,
        "id": decision.id,
        "decided_block": decision.block.number,
        "block": fill.block.number,
        "place": fill.place if known else None,
        "status": fill.status.value if known else None,
        "reorged": shown.row.reorged_seq is not None,
        "route": list(decision.cycle.pools),
        "tokens": list(decision.cycle.tokens),
        "amount_in": str(decision.amount_in),
        "expected_out": str(decision.amount_out),
        "amount_out": str(fill.amount_out) if known else None,
        "expected_net_usd": decision.expected_net_micro_usd / MICRO_USD,
        "net_usd": fill.net_micro_usd / MICRO_USD if known else None,
        "band_usd": [each / MICRO_USD for each in fill.band_micro_usd],
        "gas_cost_usd": fill.gas_cost_micro_usd / MICRO_USD,
        "won_over_taker": shown.is_won_over_taker,
        "evidence": None if shown.evidence is None else _evidence_json(shown.evidence),
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    return {
        "outcome": evidence.outcome.value,
        "closed_after_blocks": evidence.closed_after,
        "mover": None if evidence.mover is None else _mover_json(evidence.mover),
        "gain_token": evidence.gain_token,
        "gain": None if evidence.gain is None else str(evidence.gain),
    }


def _mover_json(mover: Mover) -> dict[str, Any]:
    return {
        "block": mover.block_number,
        "place": mover.place,
        "transaction": mover.transaction,
        "sender": mover.sender,
        "to": mover.to,
        "paid_wei": None if mover.paid is None else str(mover.paid),
    }


# -- for people -----------------------------------------------------------------------------------


def _list(found: Sequence[NamedFill], names: Names) -> RenderableType:
    head = f"{'block':>8}  {'strategy':<{NAME_WIDTH}}  outcome       net      band"
    parts: list[RenderableType] = [Text(head, style="dim")]
    for shown, next_one in zip_longest(found, found[1:]):
        parts += [_result(shown), _trade(shown, names)]
        # Several strategies take the same spread: what became of it is told once, below the last.
        if next_one is None or not _is_same_spread(shown, next_one):
            parts += _chain(shown, names)
        elif shown.is_won_over_taker:
            parts.append(_won())
    won = sum(each.fill.net_micro_usd for each in found if each.is_won_over_taker)
    if won:
        gained = f"{won / MICRO_USD:+,.2f} USD"
        line = f"Of these, {gained} were won over a taker who was really there."
        parts.append(Text(line, style="yellow"))
    if any(not each.fill.place_known for each in found):
        parts.append(Text("?: the place in the block is not known, so only the band is true."))
    return Group(*parts)


def _result(shown: NamedFill) -> Text:
    """`70  Moderate   filled   +25.79 USD  -0.00..26.55  place 3`"""
    fill = shown.fill
    known = fill.place_known
    status = fill.status.value if known else UNKNOWN
    if shown.row.reorged_seq is not None:
        status = "reorged"
    name = as_name(shown.strategy)
    if len(name) > NAME_WIDTH:
        name = name[: NAME_WIDTH - 1] + "…"
    text = Text(f"{fill.block.number:>8}  ")
    text.append(f"{name:<{NAME_WIDTH}}  ", style="bold")
    text.append(f"{status:<8}", style=STYLES.get(fill.status, "red"))
    net = signed_usd(fill.net_micro_usd) if known else Text(UNKNOWN)
    text.append(" " * max(1, 10 - len(net)))
    text.append_text(net)
    text.append(f" USD  {band(*fill.band_micro_usd)}  ", style="")
    text.append(f"place {fill.place}" if known else "place ?", style="dim")
    return text


def _trade(shown: NamedFill, names: Names) -> RenderableType:
    """`1,000.00 USDC: USDC > WETH > USDC by QuickSwap 0.30%, UniswapV3 0.05%`"""
    decision = shown.fill.decision
    amount = names.amount(decision.cycle.start_token, decision.amount_in)
    route = f"{names.tokens_of(decision.cycle)} by {names.pools_of(decision.cycle)}"
    return _indent(f"{amount}, {route}", "dim")


def _chain(shown: NamedFill, names: Names) -> Iterator[RenderableType]:
    """What became of the spread without us."""
    evidence = shown.evidence
    if evidence is None:
        if shown.row.reorged_seq is None:
            yield _indent("what the chain did with it is told when the spread has closed", "dim")
        return
    closed = evidence.closed_after
    when = f"closed after {closed} block{'s' if closed != 1 else ''}" if closed else "did not close"
    what = f"{evidence.outcome.value}: {when}"
    mover = evidence.mover
    if mover is None:
        yield _indent(f"{what}, nobody moved its pools", "cyan")
        return
    yield _indent(f"{what}; {_moved(mover, evidence, names)}", "cyan")
    if shown.is_won_over_taker:
        yield _won()


def _won() -> RenderableType:
    return _indent("won over a taker who was really there", "yellow")


def _is_same_spread(one: NamedFill, other: NamedFill) -> bool:
    """The same cycle, seen after the same block."""
    first, second = one.fill.decision, other.fill.decision
    return one.row.reorged_seq == other.row.reorged_seq and (first.cycle.id, first.block.hash) == (
        second.cycle.id,
        second.block.hash,
    )


def _moved(mover: Mover, evidence: Evidence, names: Names) -> str:
    """`first moved in block 66 at place 3 by 0xabcd..ef01, who paid 0.0041 and gained 3.2 USDC`"""
    text = f"first moved in block {mover.block_number} at place {mover.place}"
    if mover.sender is not None:
        target = short(mover.to) if mover.to else "a new contract"
        text += f" by {short(mover.sender)} through {target}"
    facts = []
    if mover.paid is not None:
        facts.append(f"paid {mover.paid / NATIVE:.4g} of the native token for gas")
    if evidence.gain is not None and evidence.gain_token is not None:
        facts.append(f"gained {names.amount(evidence.gain_token, evidence.gain)}")
    return f"{text}, {' and '.join(facts)}" if facts else text


def _indent(text: str, style: str) -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, INDENT))
