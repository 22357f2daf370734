"""What judged swaps come to: sums of one block or of many, and what they say of our integers.

See docs/truth.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dexarb.core.block import Block, Transaction
from dexarb.core.gas_schedule import SCHEDULES, ScheduleName
from dexarb.core.pool import PoolKey, SwapStyle
from dexarb.core.token import Address
from dexarb.study.calibration import EXACT, JudgedSwap, JudgedTransaction
from dexarb.study.transfers import MissedFork, TransferGas

USUAL = 5
"""So many arbitrages of a contract say what is usual for it, so many swaps for a pair."""

NO_RECEIPTS = "no receipts"
NO_GAS = "a receipt that tells no gas"
NOT_A_CHAIN = "swaps do not pass on all they get"
OTHER_STYLE = "a swap of another style"


GasRatios = dict[Address | None, list[float]]
"""By the contract that was called."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where our integers and the chain do not agree. Amounts in smallest units."""

    block: int
    transaction: int
    problem: str
    pool: PoolKey | None = None
    amount_in: int | None = None
    amount_out: int | None = None
    predicted: int | None = None


@dataclass
class Calibration:
    """Mutable.

    errors_wei: of each arbitrage that could be judged, predicted less real output in the smallest
    unit of its token. gas: by the contract that was called, predicted gas over gas used of each,
    under the schedule that holds by the chain's profile. gas_under: the same by gas schedule.
    held: for how many of them each of those did. transfers: plain ones, of tokens that are known.
    odd_pairs: V2 pairs that give something else than our formula more often than not, with the fee
    that would explain it, in pips. fees_here: the fee that each has here.
    """

    blocks: int = 0
    first_block: int | None = None
    last_block: int | None = None
    swaps: Counter[SwapStyle] = field(default_factory=Counter)
    arbitrages: int = 0
    errors_wei: list[int] = field(default_factory=list)
    not_judged: Counter[str] = field(default_factory=Counter)
    several_swaps: int = 0
    gas: GasRatios = field(default_factory=lambda: defaultdict(list))
    gas_under: dict[ScheduleName, GasRatios] = field(
        default_factory=lambda: {name: defaultdict(list) for name in SCHEDULES}
    )
    held: Counter[ScheduleName] = field(default_factory=Counter)
    gas_not_compared: Counter[str] = field(default_factory=Counter)
    transfers: TransferGas = field(default_factory=TransferGas)
    differences: list[Disagreement] = field(default_factory=list)
    by_pair: dict[PoolKey, Counter[SwapStyle]] = field(default_factory=lambda: defaultdict(Counter))
    fees: dict[PoolKey, list[float]] = field(default_factory=lambda: defaultdict(list))
    fees_here: dict[PoolKey, int] = field(default_factory=dict)

    @property
    def odd_pairs(self) -> dict[PoolKey, float]:
        return {
            pair: float(np.median(fees))
            for pair, fees in sorted(self.fees.items())
            if len(fees) >= USUAL and len(fees) > sum(self.by_pair[pair][each] for each in EXACT)
        }

    @property
    def ok(self) -> bool:
        return not self.differences and not self.odd_pairs and not self.missed_forks

    @property
    def missed_forks(self) -> Sequence[MissedFork]:
        """Of all that has been folded in by then."""
        return self.transfers.missed_forks()

    def add(self, block: Block, judged: JudgedTransaction, transaction: Transaction | None) -> None:
        """One transaction. transaction: what its receipt says of it, where there is one."""
        for swap in judged.swaps:
            self._swap(block, judged, swap)
        if judged.is_arbitrage:
            self._arbitrage(block, judged, transaction)
        elif len({swap.before.key for swap in judged.swaps}) > 1:
            self.several_swaps += 1

    def fold(self, other: Calibration) -> None:
        """Add the sums of other blocks."""
        self.blocks += other.blocks
        self.arbitrages += other.arbitrages
        self.several_swaps += other.several_swaps
        self.first_block = min(filter(None, (self.first_block, other.first_block)), default=None)
        self.last_block = max(filter(None, (self.last_block, other.last_block)), default=None)
        self.swaps.update(other.swaps)
        self.not_judged.update(other.not_judged)
        self.gas_not_compared.update(other.gas_not_compared)
        self.held.update(other.held)
        self.transfers.fold(other.transfers)
        self.errors_wei += other.errors_wei
        self.differences += other.differences
        for to, ratios in other.gas.items():
            self.gas[to] += ratios
        for name, gas in other.gas_under.items():
            for to, ratios in gas.items():
                self.gas_under[name][to] += ratios
        for pair, styles in other.by_pair.items():
            self.by_pair[pair].update(styles)
        for pair, fees in other.fees.items():
            self.fees[pair] += fees
        self.fees_here.update(other.fees_here)

    def _swap(self, block: Block, judged: JudgedTransaction, swap: JudgedSwap) -> None:
        self.swaps[swap.style] += 1
        pool = swap.before.key
        fee = swap.implied_fee_pips
        if fee is not None:
            self.by_pair[pool][swap.style] += 1
            self.fees_here[pool] = swap.before.fee_pips
            if swap.style not in EXACT:
                self.fees[pool].append(fee)
        if swap.style is SwapStyle.MISMATCH:
            self.differences.append(
                Disagreement(
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
        if styles <= {SwapStyle.EXACT_INPUT, SwapStyle.MISMATCH}:
            self._output(block, judged)
        else:
            self.not_judged[OTHER_STYLE] += 1
        if transaction is None or judged.gas_units is None:
            self.gas_not_compared[NO_RECEIPTS] += 1
        elif not transaction.gas_used:
            self.gas_not_compared[NO_GAS] += 1
        else:
            self.gas[transaction.to].append(judged.gas_units / transaction.gas_used)
            self.held[judged.schedule] += 1
            for name, units in judged.gas_under.items():
                self.gas_under[name][transaction.to].append(units / transaction.gas_used)

    def _output(self, block: Block, judged: JudgedTransaction) -> None:
        if judged.predicted is not None:
            self.errors_wei.append(judged.predicted - judged.amount_out)
        if judged.predicted != judged.amount_out:
            self.differences.append(
                Disagreement(
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

    def ratios(self, schedule: ScheduleName | None = None) -> list[float]:
        """Predicted gas over gas used, of all arbitrages. schedule: None: the one that holds."""
        return [ratio for ratios in self._gas(schedule).values() for ratio in ratios]

    def _gas(self, schedule: ScheduleName | None) -> GasRatios:
        return self.gas if schedule is None else self.gas_under[schedule]

    def errors(self, schedule: ScheduleName | None = None) -> list[float]:
        """How far each is off what is usual for the contract that made it.

        Their contracts are not ours, so the ratio itself says little. But if the model knows what
        makes one arbitrage dearer than another, each contract has about the same ratio always.
        """
        found = []
        for ratios in self._gas(schedule).values():
            if len(ratios) >= USUAL:
                usual = float(np.median(ratios))
                found += [abs(ratio / usual - 1.0) for ratio in ratios]
        return found
