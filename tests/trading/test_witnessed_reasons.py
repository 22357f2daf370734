"""What is heard about an opportunity is what the strategy says when it is offered nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dexarb.core.market import Market
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import REASONS, SkipReason, StrategyHash
from dexarb.trading.decide.arrays import TAKEN, Codes, Ints
from dexarb.trading.decide.skips import NOTHING, SkipTally
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View
from dexarb.trading.strategy import StrategySettings
from tests.support.scans import narrowed
from tests.support.worlds.engines import engine, thorough
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_trading import keyframe, random_block, settings_drawn

Seen = tuple[Cycle, SkipReason | None, int | None]
"""The cycle, the reason against it, and the best there was where that is a threshold."""

THRESHOLDS = (SkipReason.SPREAD, SkipReason.PROFIT, SkipReason.EXPECTED)


class AskedAgain:
    """Decides, and is then asked about every cycle by itself."""

    def __init__(self, drawn: StrategySettings) -> None:
        self._inner = ThresholdStrategies([drawn], REALITY, witness=self._note)
        self._again = ThresholdStrategies([drawn], REALITY)
        self.witnessed: list[Seen] = []
        self.asked: list[Seen] = []

    @property
    def hashes(self) -> Sequence[StrategyHash]:
        return self._inner.hashes

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self._inner.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        decided = self._inner.decide(view, skips)
        offered = view.scan.offered.tolist()
        misses = [each for each in view.scan.table.cycles() if each[0] not in offered]
        for row, cycle in [*((row, view.scan.table.cycle(row)) for row in offered), *misses]:
            self._ask(cycle, replace(view, scan=narrowed(view.scan, [row])))
        return decided

    def _ask(self, cycle: Cycle, alone: View) -> None:
        tally = SkipTally()
        self._again.decide(alone, tally)
        skip = next(iter(tally.drain(0)), None)
        self.asked.append((cycle, skip.reason if skip else None, skip.best if skip else None))

    def _note(self, cycle: Cycle, reasons: Codes, best: Ints) -> None:
        code = int(reasons[0])
        reason = None if code == TAKEN else REASONS[code]
        self.witnessed.append((cycle, reason, best_of(reason, best)))


def best_of(reason: SkipReason | None, best: Ints) -> int | None:
    return int(best[0]) if reason in THRESHOLDS and best[0] != NOTHING else None


@examples(max_examples=30)
@given(seed=st.integers(0, 10**6), drawn=settings_drawn, least=st.sampled_from([1, 10**6, 10**12]))
def test_what_is_witnessed_is_what_it_would_say_if_asked(
    seed: int, drawn: StrategySettings, least: int
) -> None:
    """least: the search offers what earns so much; everything else is a near miss."""
    rng = rng_of("heard", seed)
    strategy = AskedAgain(drawn)
    scanner = partial(thorough, min_gross=lambda _: least)
    made = engine(keyframe(seed), [strategy], scanner=scanner)
    for _ in range(8):
        made.step(random_block(made.market, rng, moved=int(rng.integers(0, 5))))
        assert strategy.witnessed == strategy.asked
