"""dexarb calibrate: do our integers give what others really got? See docs/truth.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.core.block import Block, BlockUpdate, Transaction
from dexarb.core.following import Kind
from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.errors import InputError, PoolError
from dexarb.screens.answer import Answer
from dexarb.screens.output import counted
from dexarb.screens.progress import shown
from dexarb.store.follow import first_keyframe, follow, start
from dexarb.store.history_reader import HistoryReader
from dexarb.study.calibration import EXACT, JudgedSwap, JudgedTransaction, Style, judge_block
from dexarb.study.walk import history_reader

SHOWN = 20
"""Differences that are told one by one."""
USUAL = 5
"""So many arbitrages of a contract say what is usual for it, so many swaps for a pair."""

RATIOS = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
ERRORS = {"p50": 0.5, "p95": 0.95, "max": 1.0}
"""Quantiles that are shown."""

NO_RECEIPTS = "no receipts"
NOT_A_CHAIN = "swaps do not pass on all they get"
OTHER_STYLE = "a swap of another style"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where our integers and the chain do not agree. Amounts in smallest units."""

    block: int
    transaction: int
    problem: str
    pool: Address | None = None
    amount_in: int | None = None
    amount_out: int | None = None
    predicted: int | None = None


@dataclass
class Calibration:
    """Mutable: `add` block after block, then read. Dead branches count as well.

    errors_wei: of each arbitrage that could be judged, predicted less real output in the smallest
    unit of its token. gas: by the contract that was called, predicted gas over gas used of each.
    odd_pairs: V2 pairs that give less than our formula more often than not, with the fee that
    would explain it, in pips.
    """

    blocks: int = 0
    first_block: int | None = None
    last_block: int | None = None
    swaps: Counter[Style] = field(default_factory=Counter)
    arbitrages: int = 0
    errors_wei: list[int] = field(default_factory=list)
    not_judged: Counter[str] = field(default_factory=Counter)
    several_swaps: int = 0
    gas: dict[Address | None, list[float]] = field(default_factory=lambda: defaultdict(list))
    gas_not_compared: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    _by_pair: dict[Address, Counter[Style]] = field(default_factory=lambda: defaultdict(Counter))
    _fees: dict[Address, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def odd_pairs(self) -> dict[Address, float]:
        return {
            pair: float(np.median(self._fees[pair]))
            for pair, styles in sorted(self._by_pair.items())
            if styles[Style.LESS] >= USUAL
            and styles[Style.LESS] > sum(styles[style] for style in EXACT)
        }

    @property
    def ok(self) -> bool:
        return not self.differences and not self.odd_pairs

    def add(self, market: Market, update: BlockUpdate) -> None:
        """The block that the market has just applied."""
        block = update.block
        self.blocks += 1
        self.first_block = min(block.number, self.first_block or block.number)
        self.last_block = max(block.number, self.last_block or block.number)
        transactions = {each.index: each for each in update.transactions}
        for judged in judge_block(market, update):
            for swap in judged.swaps:
                self._swap(block, judged, swap)
            if judged.is_arbitrage:
                self._arbitrage(block, judged, transactions.get(judged.index))
            elif len({swap.before.address for swap in judged.swaps}) > 1:
                self.several_swaps += 1

    def cannot_follow(self, block: Block, error: PoolError) -> None:
        self.differences.append(Difference(block.number, -1, f"events cannot follow: {error}"))

    def _swap(self, block: Block, judged: JudgedTransaction, swap: JudgedSwap) -> None:
        self.swaps[swap.style] += 1
        pool = swap.before.address
        fee = swap.implied_fee_pips
        if fee is not None:
            self._by_pair[pool][swap.style] += 1
            if swap.style is Style.LESS:
                self._fees[pool].append(fee)
        if swap.style is Style.MISMATCH:
            self.differences.append(
                Difference(
                    block.number,
                    judged.index,
                    "a swap",
                    pool,
                    swap.amount_in,
                    swap.amount_out,
                    swap.predicted,
                )
            )

    def _arbitrage(
        self, block: Block, judged: JudgedTransaction, transaction: Transaction | None
    ) -> None:
        self.arbitrages += 1
        styles = {swap.style for swap in judged.swaps}
        if judged.cycle is None:
            self.not_judged[NOT_A_CHAIN] += 1
            self.gas_not_compared[NOT_A_CHAIN] += 1
            return
        if styles <= {Style.EXACT_INPUT, Style.MISMATCH}:
            self._output(block, judged)
        else:
            self.not_judged[OTHER_STYLE] += 1
        if transaction is None or judged.gas_units is None:
            self.gas_not_compared[NO_RECEIPTS] += 1
        else:
            self.gas[transaction.to].append(judged.gas_units / transaction.gas_used)

    def _output(self, block: Block, judged: JudgedTransaction) -> None:
        if judged.predicted is not None:
            self.errors_wei.append(judged.predicted - judged.amount_out)
        if judged.predicted != judged.amount_out:
            self.differences.append(
                Difference(
                    block.number,
                    judged.index,
                    "an arbitrage as a whole",
                    None,
                    judged.amount_in,
                    judged.amount_out,
                    judged.predicted,
                )
            )

    @property
    def exact(self) -> int:
        """Arbitrages that paid what our code says, to the wei."""
        return self.errors_wei.count(0)

    @property
    def greatest_error_wei(self) -> int:
        return max(map(abs, self.errors_wei), default=0)

    # -- gas ------------------------------------------------------------------------------------

    def ratios(self) -> list[float]:
        """Predicted gas over gas used, of all arbitrages."""
        return [ratio for ratios in self.gas.values() for ratio in ratios]

    def errors(self) -> list[float]:
        """How far each is off what is usual for the contract that made it.

        Their contracts are not ours, so the ratio itself says little. But if the model knows what
        makes one arbitrage dearer than another, each contract has about the same ratio always.
        """
        found = []
        for ratios in self.gas.values():
            if len(ratios) >= USUAL:
                usual = float(np.median(ratios))
                found += [abs(ratio / usual - 1.0) for ratio in ratios]
        return found


@dataclass(frozen=True, slots=True)
class Calibrated(Answer):
    """What calibrating a stretch of a history gave."""

    calibration: Calibration

    @property
    def exit_code(self) -> int:
        """1 where an amount is not as predicted."""
        return 0 if self.calibration.ok else 1

    def as_json(self) -> dict[str, Any]:
        """Amounts as decimal strings."""
        found = self.calibration
        return {
            "ok": found.ok,
            "from_block": found.first_block,
            "to_block": found.last_block,
            "blocks": found.blocks,
            "swaps": {style.name.lower(): found.swaps[style] for style in Style},
            "arbitrages": {
                "found": found.arbitrages,
                "judged": len(found.errors_wei),
                "exact": found.exact,
                "greatest_error_wei": str(found.greatest_error_wei),
                "not_judged": dict(found.not_judged),
            },
            "several_swaps_without_a_cycle": found.several_swaps,
            "gas": {
                "compared": len(found.ratios()),
                "not_compared": dict(found.gas_not_compared),
                "ratio": _quantiles(found.ratios(), RATIOS) or None,
                "error": _quantiles(found.errors(), ERRORS) or None,
            },
            "odd_pairs": found.odd_pairs,
            "differences": len(found.differences),
            "first_differences": [
                {
                    "block": each.block,
                    "transaction_index": each.transaction,
                    "problem": each.problem,
                    "pool": each.pool,
                    "amount_in": _text(each.amount_in),
                    "amount_out": _text(each.amount_out),
                    "predicted": _text(each.predicted),
                }
                for each in found.differences[:SHOWN]
            ],
        }

    def render(self) -> RenderableType:
        found = self.calibration
        parts = [_swaps(found), _arbitrages(found), *_gas(found), *_odd_pairs(found)]
        parts += map(_difference, found.differences[:SHOWN])
        if len(found.differences) > SHOWN:
            parts.append(Text(f"and {len(found.differences) - SHOWN} more"))
        verdict = "No amount differs."
        if not found.ok:
            verdict = f"{counted(len(found.differences), 'difference')}."
        parts.append(Text(verdict, style="bold green" if found.ok else "bold red"))
        return Group(*parts)


def answer(
    history: Path | None, *, config: Path, first: int | None, last: int | None
) -> Calibrated:
    """Raises StoreError, InputError."""
    return Calibrated(calibrate(history_reader(history, config), first, last))


def calibrate(
    reader: HistoryReader, first_block: int | None = None, last_block: int | None = None
) -> Calibration:
    """Judge the blocks from first_block to last_block, both included; None: the history's ends."""
    found = Calibration()
    if first_block is None:
        first = first_keyframe(reader)
    else:
        first = start(reader, block=first_block - 1, before=0)
    last_seq = reader.last_seq
    for move, market in shown(follow(reader, first), "calibrate", last_seq - first.seq):
        entry = move.entry
        if not isinstance(entry, BlockUpdate):
            continue
        number = entry.block.number
        if number < (first_block or 0) or (last_block is not None and number > last_block):
            continue
        if isinstance(move.error, PoolError):
            found.cannot_follow(entry.block, move.error)
        elif market is not None and move.kind is Kind.APPLIED:
            found.add(market, entry)
    if not found.blocks:
        asked = f" from {first_block or 'its start'} to {last_block or 'its end'}"
        raise InputError(f"{reader.folder} has no blocks{asked}")
    return found


# -- showing --------------------------------------------------------------------------------------


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _quantiles(values: Sequence[float], shares: Mapping[str, float]) -> dict[str, float]:
    """Empty without values."""
    return {name: float(np.quantile(values, share)) for name, share in shares.items() if values}


def _swaps(found: Calibration) -> Text:
    return _lines(
        f"Blocks {found.first_block} to {found.last_block}, {found.blocks} of them",
        f"Swaps of others: {sum(found.swaps.values()):,}",
        *(_count(found.swaps[style], style.value) for style in Style),
    )


def _arbitrages(found: Calibration) -> Text:
    return _lines(
        f"Their arbitrages: {found.arbitrages:,}",
        _count(
            found.exact,
            f"of {len(found.errors_wei):,} judged paid what our code says;"
            f" greatest error {found.greatest_error_wei} wei",
        ),
        *(_count(count, f"not judged: {why}") for why, count in found.not_judged.items()),
        _count(found.several_swaps, "transactions with several swaps close no cycle in our pools:"),
        "            trades over several pools, or arbitrages through pools not collected",
    )


def _gas(found: Calibration) -> Iterator[Text]:
    ratios, errors = found.ratios(), found.errors()
    if ratios:
        parts = (f"{name} {value:.2f}" for name, value in _quantiles(ratios, RATIOS).items())
        yield Text(
            f"Gas of {len(ratios):,} arbitrages, our executor's over theirs: {'  '.join(parts)}"
        )
    if errors:
        parts = (f"{name} {value:.1%}" for name, value in _quantiles(errors, ERRORS).items())
        yield Text(f"  off what is usual for the contract they called: {'  '.join(parts)}")
    for why, count in found.gas_not_compared.items():
        yield Text(_count(count, f"not compared: {why}"))


def _odd_pairs(found: Calibration) -> Iterator[Text]:
    for pair, fee in found.odd_pairs.items():
        yield _whole(
            f"Pair {pair} gives less than its fee here allows; {fee:.0f} pips would fit", "yellow"
        )


def _difference(each: Difference) -> Text:
    line = f"Block {each.block}, transaction {each.transaction}: {each.problem}"
    if each.pool:
        line += f" in {each.pool}"
    if each.amount_in is not None:
        line += f": {each.amount_in} in, {each.amount_out} out, predicted {each.predicted}"
    return _whole(line, "red")


def _count(count: int, what: str) -> str:
    return f"  {count:>9,} {what}"


def _lines(head: str, *rest: str) -> Text:
    return Text.assemble((head, "bold"), *(f"\n{line}" for line in rest))


def _whole(line: str, style: str) -> Text:
    """A line that is not broken, so that its address can be found and copied."""
    return Text(line, style=style, no_wrap=True, overflow="ignore")
