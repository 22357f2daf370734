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

from dexarb.config.where import where
from dexarb.core.evidence import Evidence, Mover
from dexarb.core.route import CycleId
from dexarb.core.token import short
from dexarb.core.trade import Fill, FillStatus
from dexarb.core.units import MICRO_USD, NATIVE
from dexarb.screens.console import plain_console
from dexarb.screens.names import Names, find_strategy, names_of
from dexarb.screens.output import print_json
from dexarb.screens.tables import UNKNOWN, band, signed_usd
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.store.ledger_rows import FillRow
from dexarb.study.evidence import won_over_taker

INDENT, NAME_WIDTH = 10, 20
STYLES = {FillStatus.FILLED: "green", FillStatus.EXPIRED: "dim"}


@dataclass(frozen=True, slots=True)
class Told:
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


def run(config: Path, *, strategy: str | None, last: int, as_json: bool) -> int:
    """Returns 0. Raises ConfigError, InputError for an unknown strategy, StoreError."""
    files = where(config)
    with read_only(files.ledger_file) as reader, reader.at_one_moment():
        found = read_fills(reader, strategy, last)
        open_decisions = len(reader.open_decisions()) if not found else 0
    if as_json:
        print_json({"fills": [_json(each) for each in found]})
    elif found:
        plain_console().print(_screen(found, names_of(files.state_file)))
    else:
        plain_console().print(Text("\n".join(_nothing(strategy, open_decisions)), style="yellow"))
    return 0


def read_fills(reader: LedgerReader, strategy: str | None, last: int) -> list[Told]:
    """The last fills, of all strategies or of one, oldest first."""
    strategies = reader.strategies()
    names = {row.hash: row.name for row in strategies}
    key = None
    if strategy is not None:
        active = reader.active()
        key = find_strategy(strategy, strategies, active).hash
    rows = reader.fills(key, last=last)
    evidence: dict[tuple[CycleId, str], Evidence] = {}
    for cycle in {row.fill.decision.cycle.id for row in rows}:
        for each in reader.evidence(cycle):
            if each.reorged_seq is None:
                evidence[cycle, each.evidence.block_hash] = each.evidence
    found = []
    for row in rows:
        decision = row.fill.decision
        known = evidence.get((decision.cycle.id, decision.block.hash))
        found.append(Told(row, names[decision.strategy], known))
    return found


def _nothing(strategy: str | None, open_decisions: int) -> Iterator[str]:
    """What to do where there is nothing to show."""
    whose = f' of "{strategy}"' if strategy else ""
    yield f"No fills{whose} yet."
    if open_decisions:
        yield f"{open_decisions} decisions are open: they are settled within a few blocks."
    else:
        name = f' "{strategy}"' if strategy else ""
        yield f"`dexarb why{name}` says what stands in the way,"
        yield "`dexarb spreads` what the market offers against what the strategies need."


# -- for machines ---------------------------------------------------------------------------------


def _json(told: Told) -> dict[str, Any]:
    fill, decision = told.fill, told.fill.decision
    known = fill.place_known
    return {
        "strategy": told.strategy,
        "hash": decision.strategy,
        "id": decision.id,
        "decided_block": decision.block.number,
        "block": fill.block.number,
        "place": fill.place if known else None,
        "status": fill.status.value if known else None,
        "reorged": told.row.reorged_seq is not None,
        "route": list(decision.cycle.pools),
        "tokens": list(decision.cycle.tokens),
        "amount_in": str(decision.amount_in),
        "expected_out": str(decision.amount_out),
        "amount_out": str(fill.amount_out) if known else None,
        "expected_net_usd": decision.expected_net_micro_usd / MICRO_USD,
        "net_usd": fill.net_micro_usd / MICRO_USD if known else None,
        "band_usd": [each / MICRO_USD for each in fill.band_micro_usd],
        "gas_cost_usd": fill.gas_cost_micro_usd / MICRO_USD,
        "won_over_taker": told.is_won_over_taker,
        "evidence": None if told.evidence is None else _evidence_json(told.evidence),
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


def _screen(found: Sequence[Told], names: Names) -> RenderableType:
    head = f"{'block':>8}  {'strategy':<{NAME_WIDTH}}  outcome       net      band"
    parts: list[RenderableType] = [Text(head, style="dim")]
    for told, next_one in zip_longest(found, found[1:]):
        parts += [_result(told), _trade(told, names)]
        # Several strategies take the same spread: what became of it is told once, below the last.
        if next_one is None or not _is_same_spread(told, next_one):
            parts += _chain(told, names)
        elif told.is_won_over_taker:
            parts.append(_won())
    won = sum(each.fill.net_micro_usd for each in found if each.is_won_over_taker)
    if won:
        gained = f"{won / MICRO_USD:+,.2f} USD"
        told_won = f"Of these, {gained} were won over a taker who was really there."
        parts.append(Text(told_won, style="yellow"))
    if any(not each.fill.place_known for each in found):
        parts.append(Text("?: the place in the block is not known, so only the band is true."))
    return Group(*parts)


def _result(told: Told) -> Text:
    """`70  Moderate   filled   +25.79 USD  -0.00..26.55  place 3`"""
    fill = told.fill
    known = fill.place_known
    status = fill.status.value if known else UNKNOWN
    if told.row.reorged_seq is not None:
        status = "reorged"
    name = told.strategy
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


def _trade(told: Told, names: Names) -> RenderableType:
    """`1,000.00 USDC: USDC > WETH > USDC by QuickSwap 0.30%, UniswapV3 0.05%`"""
    decision = told.fill.decision
    amount = names.amount(decision.cycle.start_token, decision.amount_in)
    route = f"{names.tokens_of(decision.cycle)} by {names.pools_of(decision.cycle)}"
    return _indent(f"{amount}, {route}", "dim")


def _chain(told: Told, names: Names) -> Iterator[RenderableType]:
    """What became of the spread without us."""
    evidence = told.evidence
    if evidence is None:
        if told.row.reorged_seq is None:
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
    if told.is_won_over_taker:
        yield _won()


def _won() -> RenderableType:
    return _indent("won over a taker who was really there", "yellow")


def _is_same_spread(one: Told, other: Told) -> bool:
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
