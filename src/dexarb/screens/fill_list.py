"""Fills for people: what came of each, when, and what the chain did with the same spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from dexarb.core.evidence import Evidence, Mover
from dexarb.core.text import as_name
from dexarb.core.token import Address, short
from dexarb.core.trade import FillStatus
from dexarb.core.units import NATIVE
from dexarb.screens.named_fill import NamedFill
from dexarb.screens.names import Names
from dexarb.screens.tables import UNKNOWN, band, signed_usd
from dexarb.screens.when import utc

MARGIN, NAME_WIDTH = 8, 20
"""In the margin stand blocks, times, and what the hashes are of."""
WIDE = 140
"""On so many columns nothing is shortened."""
STYLES = {FillStatus.FILLED: "green", FillStatus.EXPIRED: "dim"}


@dataclass(frozen=True, slots=True)
class FillList:
    """is_full: nothing is shortened, however long it becomes."""

    fills: Sequence[NamedFill]
    names: Names
    is_full: bool

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        is_full = self.is_full or options.max_width >= WIDE
        yield Text(f"{'block':>8}  {'strategy':<{NAME_WIDTH}}  outcome       net      band", "dim")
        day = ""
        for shown, next_one in zip_longest(self.fills, self.fills[1:]):
            date, time, _zone = utc(shown.fill.block.timestamp).split()
            if date != day:
                yield Text(f"{date} UTC", style="dim")
                day = date
            yield _result(shown, is_full)
            yield _beside(time, *_trade(shown, self.names))
            if is_full:
                yield from _hashes(shown)
            # Several strategies take the same spread: what became of it is told once, below the
            # last.
            if next_one is None or not _is_same_spread(shown, next_one):
                yield from _chain(shown, self.names, is_full)
            elif shown.is_won_over_taker:
                yield _won()
        won = sum(each.fill.net_micro_usd for each in self.fills if each.is_won_over_taker)
        if won:
            gained = f"{signed_usd(won).plain} USD"
            line = f"Of these, {gained} were won over a taker who was really there."
            yield Text(line, style="yellow")
        if any(not each.fill.place_known for each in self.fills):
            yield Text("?: the place in the block is not known, so only the band is true.")


def _result(shown: NamedFill, is_full: bool) -> Text:
    """`70  Moderate   filled   +25.79 USD  -0.00..26.55  place 3`"""
    fill = shown.fill
    known = fill.place_known
    status = fill.status.value if known else UNKNOWN
    if shown.row.reorged_seq is not None:
        status = "reorged"
    name = as_name(shown.strategy)
    if len(name) > NAME_WIDTH and not is_full:
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


def _trade(shown: NamedFill, names: Names) -> tuple[str, str]:
    """`1,000.00 USDC: USDC > WETH > USDC by QuickSwap 0.30%, UniswapV3 0.05%`, and its style."""
    decision = shown.fill.decision
    amount = names.amount(decision.cycle.start_token, decision.amount_in)
    route = f"{names.tokens_of(decision.cycle)} by {names.pools_of(decision.cycle)}"
    return f"{amount}, {route}", "dim"


def _hashes(shown: NamedFill) -> Iterator[RenderableType]:
    """Of our own trade, which never was on the chain: its blocks and what names it here."""
    fill, decision = shown.fill, shown.fill.decision
    yield _beside("block", fill.block.hash, "dim")
    at = f"block {decision.block.number}, {utc(decision.block.timestamp)}"
    yield _beside("decided", at, "dim")
    yield _beside("", decision.block.hash, "dim")
    yield _beside("decision", f"{decision.id} of strategy {decision.strategy}", "dim")


def _chain(shown: NamedFill, names: Names, is_full: bool) -> Iterator[RenderableType]:
    """What became of the spread without us."""
    evidence = shown.evidence
    if evidence is None:
        if shown.row.reorged_seq is None:
            told = "what the chain did with it is told when the spread has closed"
            yield _beside("", told, "dim")
        return
    closed = evidence.closed_after
    when = f"closed after {closed} block{'s' if closed != 1 else ''}" if closed else "did not close"
    what = f"{evidence.outcome.value}: {when}"
    mover = evidence.mover
    if mover is None:
        yield _beside("", f"{what}, nobody moved its pools", "cyan")
        return
    yield _beside("", f"{what}; {_moved(mover, evidence, names, is_full)}", "cyan")
    if is_full:
        yield _beside("there", mover.block_hash, "cyan")
        if mover.transaction is not None:
            yield _beside("tx", mover.transaction, "cyan")
    if shown.is_won_over_taker:
        yield _won()


def _won() -> RenderableType:
    return _beside("", "won over a taker who was really there", "yellow")


def _is_same_spread(one: NamedFill, other: NamedFill) -> bool:
    """The same cycle, seen after the same block."""
    first, second = one.fill.decision, other.fill.decision
    return one.row.reorged_seq == other.row.reorged_seq and (first.cycle.id, first.block.hash) == (
        second.cycle.id,
        second.block.hash,
    )


def _moved(mover: Mover, evidence: Evidence, names: Names, is_full: bool) -> str:
    """`first moved in block 66 at place 3 by 0xabcd..ef01, who paid 0.0041 and gained 3.2 USDC`"""

    def named(address: Address) -> str:
        return address if is_full else short(address)

    text = f"first moved in block {mover.block_number} at place {mover.place}"
    if mover.sender is not None:
        target = named(mover.to) if mover.to else "a new contract"
        text += f" by {named(mover.sender)} through {target}"
    facts = []
    if mover.paid is not None:
        facts.append(f"paid {mover.paid / NATIVE:.4g} of the native token for gas")
    if evidence.gain is not None and evidence.gain_token is not None:
        facts.append(f"gained {names.amount(evidence.gain_token, evidence.gain)}")
    return f"{text}, {' and '.join(facts)}" if facts else text


def _beside(label: str, text: str, style: str) -> RenderableType:
    """A label in the margin, and the text beside it: folded where it is too long, never cut."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=MARGIN, justify="right", style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label), Text(text, style=style))
    return grid
