"""dexarb calibrate: do our integers give what others really got? See docs/truth.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.core.gas_schedule import ETHEREUM, SCHEDULES, ScheduleName
from dexarb.core.pool import SwapStyle
from dexarb.core.profile import ChainProfile
from dexarb.core.text import as_name
from dexarb.core.token import Address
from dexarb.core.units import SECONDS_PER_HOUR
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.blockspace_lines import order_line
from dexarb.screens.console import unbroken
from dexarb.screens.output import counted, listed
from dexarb.screens.progress import shown
from dexarb.screens.when import When, blocks_of, utc_minute
from dexarb.store.follow import start
from dexarb.store.history_reader import HistoryReader
from dexarb.study.calibrating import Calibrations, CalibrationStudy, beginning, followed
from dexarb.study.calibration_sums import Calibration, Disagreement
from dexarb.study.order_meter import Order
from dexarb.study.span import history_reader
from dexarb.study.study import run

WORTH_A_LINE = 500
"""Gas units that a token takes otherwise than the profile says; calldata makes as much."""
TOKENS = 5

SHOWN = 20
"""Differences that are told one by one."""

RATIOS = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
ERRORS = {"p50": 0.5, "p95": 0.95, "max": 1.0}
"""Quantiles that are shown."""

WORST = 3
"""So many hours and producers are told in which the order held least."""


@dataclass(frozen=True)
class Calibrated(Answer):
    """What calibrating a stretch of a history gave. profile: the chain's, as the history has it
    last; without it tokens have no names."""

    calibrations: Calibrations
    profile: ChainProfile | None = None

    @cached_property
    def calibration(self) -> Calibration:
        """Of all blocks: what was swapped in one that died is a check like any other."""
        return self.calibrations.whole

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
            "blocks_that_died": self.calibrations.died.blocks,
            "swaps": {style.name.lower(): found.swaps[style] for style in SwapStyle},
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
                "schedules": {
                    name: {
                        "held": found.held[name],
                        "ratio": _quantiles(found.ratios(name), RATIOS) or None,
                        "error": _quantiles(found.errors(name), ERRORS) or None,
                    }
                    for name in SCHEDULES
                },
            },
            "transfers": [
                {"token": token, "more_gas": each.gas, "schedule": each.schedule}
                | {"transfers": each.transfers, "explained": each.explained}
                | {"in_profile": self._known.get(token, 0)}
                for token, each in found.transfers.surcharges().items()
            ],
            "missed_forks": [each._asdict() for each in found.missed_forks],
            "order": self.calibrations.order.as_json(),
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
        found, died = self.calibration, self.calibrations.died.blocks
        parts = [_swaps(found, died), _arbitrages(found), *_gas(found)]
        parts += [*self._surcharges(), *self._missed_forks()]
        parts += [_order(self.calibrations.order), *_odd_pairs(found)]
        parts += map(_difference, found.differences[:SHOWN])
        if len(found.differences) > SHOWN:
            parts.append(Text(f"and {len(found.differences) - SHOWN} more"))
        verdict = "No amount differs."
        if not found.ok:
            verdict = f"{counted(len(found.differences), 'difference')}."
        parts.append(Text(verdict, style="bold green" if found.ok else "bold red"))
        return Group(*parts)

    @property
    def _known(self) -> Mapping[Address, int]:
        """Surcharges of the profile."""
        last = self.calibration.last_block or 0
        return self.profile.surcharges_at(last) if self.profile else {}

    def _name(self, token: Address) -> str:
        return as_name(self.profile.name_of(token) if self.profile else token)

    def _surcharges(self) -> Iterator[Text]:
        """Of tokens that take another one than the profile says, ready to be put there."""
        found = self.calibration.transfers.surcharges()
        lines, tables = [], []
        for token, each in found.items():
            known = self._known.get(token, 0)
            if abs(each.gas - known) < WORTH_A_LINE:
                continue
            name = self._name(token)
            lines.append(
                f"  {name}: {each.gas:,} more, by {each.explained:,} of {each.transfers:,} plain"
                f" transfers under {each.schedule}; the profile says {known:,}"
            )
            gas = each.gas // 100 * 100
            tables += ["[[surcharge]]", f"token = {json.dumps(name)}", f"gas = {gas}"]
        if lines:
            yield _lines("Tokens that take more gas than a plain ERC-20", *lines)
            yield _lines("For the chain's profile:", *tables)

    def _missed_forks(self) -> Iterator[Text]:
        for each in self.calibration.missed_forks:
            names = listed([self._name(token) for token in each.tokens], TOKENS)
            like = f", as under {' or '.join(each.looks_like)}" if each.looks_like else ""
            yield Text(
                f"A fork that we missed, about block {each.from_block:,}: transfers of {names}"
                f" take {each.change:+,} gas from there on{like}, and {each.held} is said to hold"
                " before and behind it. Correct [[gas_schedule]] of the chain's profile.",
                style="bold red",
            )


def answer(
    history: Path | None, *, config: Path, first: When | None, last: When | None
) -> Calibrated:
    """Raises StoreError, InputError."""
    reader = history_reader(history, config)
    profile = start(reader, before=0).profile
    return Calibrated(calibrate(reader, *blocks_of(reader, first, last)), profile)


def calibrate(
    reader: HistoryReader, first_block: int | None = None, last_block: int | None = None
) -> Calibrations:
    """Judge the blocks from first_block to last_block, both included; None: the history's ends."""
    first = beginning(reader, first_block)
    feed = followed(reader, first, first_block, last_block)
    found = run(CalibrationStudy(), shown(feed, "calibrating", reader.last_seq - first.seq))
    if not found.whole.blocks:
        asked = f" from {first_block or 'its start'} to {last_block or 'its end'}"
        raise InputError(f"{reader.folder} has no blocks{asked}")
    return found


# -- showing --------------------------------------------------------------------------------------


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _quantiles(values: Sequence[float], shares: Mapping[str, float]) -> dict[str, float]:
    """Empty without values."""
    return {name: float(np.quantile(values, share)) for name, share in shares.items() if values}


def _swaps(found: Calibration, died: int) -> Text:
    return _lines(
        f"Blocks {found.first_block} to {found.last_block}, {found.blocks} of them"
        + (f", {died} of which died" if died else ""),
        f"Swaps of others: {sum(found.swaps.values()):,}",
        *(_count(found.swaps[style], style.value) for style in SwapStyle),
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
    if set(found.held) - {ETHEREUM.name}:
        for name in SCHEDULES:
            yield _under(found, name)
    for why, count in found.gas_not_compared.items():
        yield Text(_count(count, f"not compared: {why}"))


def _order(order: Order) -> Text:
    """In how many blocks it held, and where it held least."""
    lines = [order_line(order.whole)]
    if order.without_receipts:
        lines.append(_count(order.without_receipts, "blocks without receipts: nobody can tell"))
    broken = [(at, kept) for at, kept in sorted(order.by_hour.items()) if kept.kept < kept.blocks]
    worst = sorted(broken, key=lambda each: each[1].kept / each[1].blocks)[:WORST]
    for at, kept in worst:
        hour = utc_minute(at * SECONDS_PER_HOUR)
        lines.append(_count(kept.kept, f"of {kept.blocks:,} in the hour from {hour}"))
    by_producer = sorted(order.by_producer.items(), key=lambda each: each[1].kept / each[1].blocks)
    for producer, kept in by_producer[:WORST]:
        if kept.kept < kept.blocks:
            lines.append(_count(kept.kept, f"of {kept.blocks:,} by producer {producer}"))
    return _lines(*lines)


def _under(found: Calibration, name: ScheduleName) -> Text:
    """Where a chain has a schedule of its own, that is assumed until this says the same."""
    line = f"  all under {name}, which held for {found.held[name]:,}:"
    ratios = _quantiles(found.ratios(name), RATIOS)
    line += "".join(f"  {key} {each:.2f}" for key, each in ratios.items())
    errors = _quantiles(found.errors(name), ERRORS)
    if errors:
        line += f"; off what is usual p50 {errors['p50']:.1%}  p95 {errors['p95']:.1%}"
    return Text(line)


def _odd_pairs(found: Calibration) -> Iterator[Text]:
    for pair, fee in found.odd_pairs.items():
        here = found.fees_here[pair]
        gives = "less" if fee > here else "more"
        line = f"Pair {pair} gives {gives} than its fee of {here} pips here allows"
        yield unbroken((f"{line}; {fee:.0f} pips would fit", "yellow"))


def _difference(each: Disagreement) -> Text:
    line = f"Block {each.block}, transaction {each.transaction}: {each.problem}"
    if each.pool:
        line += f" in {each.pool}"
    if each.amount_in is not None:
        line += f": {each.amount_in} in, {each.amount_out} out, predicted {each.predicted}"
    return unbroken((line, "red"))


def _count(count: int, what: str) -> str:
    return f"  {count:>9,} {what}"


def _lines(head: str, *rest: str) -> Text:
    return Text.assemble((head, "bold"), *(f"\n{line}" for line in rest))
