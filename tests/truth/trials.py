"""Paper fills against what the chain does with the same trades, at the same block and place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey, SwapResult
from dexarb.core.route import most_out, run
from dexarb.core.token import Address, pair_of
from dexarb.core.trade import Decision, Fill, FillStatus, Funding, Position
from dexarb.core.units import MICRO_USD
from dexarb.ends.probe import Prober
from dexarb.errors import PoolError
from dexarb.search.scan import Scanner
from dexarb.study.flash_gas import least_limit
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.rivals import arbitrages
from dexarb.trading.seams import Executor, Step
from dexarb.trading.settle.paper_executor import PaperExecutor
from dexarb.trading.strategy import StrategySettings
from tests.truth.lab import Lab, Trial, substance
from tests.truth.variety import GWEI, Variety, kinds_of
from tests.truth.variety import NAME as VARIETY

MOVED, TOO_LITTLE = "moved", "too little received"
CANNOT_PAY = {"ERC20: transfer amount exceeds balance", ""}
"""How a flash swap at a loss ends where the executor has nothing to add. WETH9 says nothing."""
REFUSALS = {"UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT", "AS", "partial fill"}

Value = Callable[[Address, int], int]


@dataclass
class Findings:
    """Mutable. What was tried, and the errors of the gas that was booked."""

    shapes: Counter[str] = field(default_factory=Counter)
    gas: list[tuple[float, str]] = field(default_factory=list)
    decisions: int = 0
    """Different ones: strategies of the same size and place make the same trade."""
    trials: int = 0
    bands: int = 0
    probes: int = 0
    """Decisions that came out at the end of their block as computed, run with nothing sent."""
    probed_gas: list[float] = field(default_factory=list)
    """What of the gas that such a run needs was not foreseen, as a share."""

    def gas_errors(self, part: str = "") -> tuple[float, float, float]:
        """Median, 95th percentile and greatest absolute error."""
        errors = [abs(error) for error, shape in self.gas if part in shape]
        p50, p95, greatest = np.quantile(errors, (0.5, 0.95, 1.0))
        return float(p50), float(p95), float(greatest)

    def __str__(self) -> str:
        lines = [
            f"{self.decisions} decisions, {self.trials} trials, {self.bands} bands, no difference",
            f"{self.probes} decisions probed, gas 95 % {np.quantile(self.probed_gas, 0.95):.1%}",
            "gas: median {:.1%}, 95 % {:.1%}, greatest {:.1%}".format(*self.gas_errors()),
            *(f"  {shape}: {count}" for shape, count in sorted(self.shapes.items())),
        ]
        return "\n".join(lines)


class Trials:
    """Mutable. An engine that trades on a lab's blocks, and judges every fill it books."""

    def __init__(self, lab: Lab, seed: int, *, varied: int, executor: Executor) -> None:
        self.lab = lab
        self.findings = Findings()
        self.engine = Engine(
            lab.keyframe(),
            lambda market, dust: Scanner(
                market,
                start_tokens=market.profile.start_tokens,
                gas_units=REALITY.gas.units,
                max_hops=4,
                dust=dust,
            ),
            executor,
            REALITY,
            max_state_age_s=10,
        )
        strategies = strategies_of(self.engine.market)
        variety = Variety(Random(f"{seed} variety"), varied, lab.thin_pool)
        self.engine.use([ThresholdStrategies(strategies, REALITY), variety])
        self.engine.deciding = True
        self._prober: Prober | None = None

    @property
    def market(self) -> Market:
        return self.engine.market

    async def block(self) -> None:
        """One more block; everything that was settled in it is tried."""
        value = self._value()
        mined = await self.lab.step()
        step = self.engine.step(mined.update)
        fills = step.fills
        await self._probe(step)
        known: set[tuple[object, ...]] = set()
        tried: set[int] = set()
        for fill in fills:
            decision = fill.decision
            if fill.status is FillStatus.EXPIRED:
                # In a full block, for whoever bids too little: the chain has no room either.
                assert self.lab.mined.left_out
                if decision.strategy == VARIETY or decision.priority_fee not in tried:
                    assert not await self.lab.includes(decision, limit_of(decision))
                    self.findings.shapes["not included"] += 1
                    tried.add(decision.priority_fee)
                continue
            trade = (decision.cycle, decision.amount_in, decision.min_amount_out)
            key = (*trade, fill.place, decision.funding)
            if key not in known:
                known.add(key)
                await self._judge(fill)
                self.findings.decisions += 1
            if decision.fixed_gas_cost_micro_usd == 0:
                await self._judge_band(fill, value)
        if known or tried:
            await self.lab.restore()

    async def _probe(self, step: Step) -> None:
        """All that was decided at the end of the block, each size once."""
        block, pools = step.block.hash, self.market.pools
        if self._prober is None:
            self._prober = await Prober.open(self.lab.rpc, block)
        for cycle, amount_in in dict.fromkeys((d.cycle, d.amount_in) for d in step.decisions):
            try:
                amount_out = run(cycle, amount_in, pools.__getitem__)[-1].amount_out
            except PoolError:
                continue
            ran = await self._prober.run(cycle, pools.__getitem__, amount_in, block)
            if amount_out < amount_in:
                assert ran.refusal is not None, cycle
                continue
            assert (ran.amount_out, ran.refusal) == (amount_out, None), cycle
            assert ran.gas is not None
            ours = least_limit(cycle, amount_in, pools, self.market.next_gas_schedule, {})
            self.findings.probed_gas.append(abs(ran.gas / ours - 1))
            self.findings.probes += 1

    def _value(self) -> Value:
        """Micro-USD at the prices before the next block, as the valuation rounds them."""
        prices = {token: self.engine.valuation.price(token) for token in self.market.tokens}

        def micro_usd(token: Address, amount: int) -> int:
            price = prices[token]
            assert price is not None
            return amount * price >> 96

        return micro_usd

    # -- judging --------------------------------------------------------------------------------

    async def _judge(self, fill: Fill) -> None:
        decision = fill.decision
        trial = await self._trial(decision, fill.place)
        said = self._expected(decision, fill.place)
        gas_price = int(trial.receipt.effective_gas_price or "0x0", 16)
        assert fill.gas_price == gas_price
        assert trial.succeeded == (fill.status is FillStatus.FILLED), (fill, trial.reason)
        if trial.succeeded:
            profit = {decision.cycle.start_token: fill.profit} if fill.profit else {}
            assert trial.gains == profit, (fill, trial.gains)
            assert fill.amount_in == decision.amount_in
        else:
            assert fill.profit == 0
        self._judge_swaps(decision, trial, said, fill.place)
        # Paper fills end at their gas limit exactly where real ones do.
        assert (fill.gas_used == limit_of(decision)) == out_of_gas(decision, trial)
        shape = self._shape(fill, said)
        self.findings.gas.append((fill.gas_used / trial.gas_used - 1, shape))
        self._count(fill, shape)

    def _judge_swaps(
        self, decision: Decision, trial: Trial, said: Sequence[SwapResult] | None, place: int
    ) -> None:
        """Every pool ends as predicted; a revert has the reason that was predicted."""
        pools = self._pools(decision, place)
        is_moved = self._is_moved(decision, place)
        assert (trial.reason == MOVED) == is_moved, (decision, trial.reason)
        if trial.succeeded:
            assert said is not None
            for log in trial.logs:
                pools[PoolKey(log.address)] = pools[PoolKey(log.address)].apply(log)
            assert [pools[hop.pool] for hop in decision.cycle.hops] == [r.pool for r in said]
            return
        assert not trial.logs
        if is_moved or out_of_gas(decision, trial):
            return
        if said is None:
            assert trial.reason in REFUSALS, (decision, trial.reason)
            return
        assert said[-1].amount_out < decision.min_amount_out
        poor = decision.funding is Funding.FLASH and said[-1].amount_out + 1 < decision.amount_in
        assert trial.reason in (CANNOT_PAY if poor else {TOO_LITTLE}), (decision, trial.reason)

    async def _judge_band(self, fill: Fill, value: Value) -> None:
        """Gas costs nothing here, so that the band is what the trade itself gains."""
        decision, nets = fill.decision, [0]
        for place in range(len(self.lab.mined.requests) + 1):
            trial = await self._trial(decision, place)
            gain = trial.gains.get(decision.cycle.start_token, 0)
            nets.append(value(decision.cycle.start_token, gain))
            said = self._expected(decision, place)
            enough = said is not None and said[-1].amount_out >= decision.min_amount_out
            assert trial.succeeded == enough or out_of_gas(decision, trial)
            self._judge_swaps(decision, trial, said, place)
        assert fill.band_micro_usd == (min(nets), max(nets))
        self.findings.bands += 1
        self.findings.shapes["band: several outcomes"] += len(set(nets)) > 2

    async def _trial(self, decision: Decision, place: int) -> Trial:
        """Whatever is in front of us is as it was without us."""
        trial = await self.lab.trial(decision, place, limit_of(decision))
        before = self.lab.mined.receipts[:place]
        assert [*map(substance, trial.ahead)] == [*map(substance, before)]
        self.findings.trials += 1
        return trial

    def _pools(self, decision: Decision, place: int) -> dict[PoolKey, Pool]:
        return {pool: self.market.pool_at(pool, place) for pool in decision.cycle.pools}

    def _expected(self, decision: Decision, place: int) -> Sequence[SwapResult] | None:
        """None where a pool refuses."""
        try:
            pools = self._pools(decision, place)
            return run(decision.cycle, decision.amount_in, pools.__getitem__)
        except PoolError:
            return None

    def _is_moved(self, decision: Decision, place: int) -> bool:
        """Whether the executor does not even start."""
        pools = self._pools(decision, place)
        most = most_out(decision.cycle, decision.amount_in, pools.values())
        return most is not None and most < decision.least_amount_out

    # -- counting -------------------------------------------------------------------------------

    def _shape(self, fill: Fill, said: Sequence[SwapResult] | None) -> str:
        decision = fill.decision
        kinds = kinds_of(self.market, decision.cycle)
        outcome = "refused" if said is None else fill.status.value
        if fill.gas_used == limit_of(decision):
            outcome = "dry"
        if self._is_moved(decision, fill.place):
            outcome = "moved"
        return f"{kinds} {decision.funding.value} {outcome}"

    def _count(self, fill: Fill, shape: str) -> None:
        decision, shapes = fill.decision, self.findings.shapes
        kinds, funding, outcome = shape.split()
        first = self.market.pools[decision.cycle.pools[0]]
        touching = self.market.touching(decision.cycle.pools)
        shapes[f"hops: {len(kinds)}"] += 1
        shapes[f"kinds: {kinds}"] += 1
        shapes[f"funding: {funding}"] += 1
        shapes[f"outcome: {outcome}"] += 1
        shapes[f"outcome: {outcome} {funding} of {len(kinds)} hops"] += 1
        shapes[f"token0 first: {first.tokens[0] == decision.cycle.start_token}"] += 1
        shapes[f"position: {decision.position.value}"] += 1
        shapes["cycle moved before us"] += any(index < fill.place for index in touching)
        shapes["cycle moved behind us"] += any(index >= fill.place for index in touching)
        shapes["in the middle of the block"] += 0 < fill.place < len(self.lab.mined.requests)
        rivals = [rival.transaction_index for rival in arbitrages(self.market)]
        shapes["arbitrageur in front"] += any(index < fill.place for index in rivals)
        shapes["arbitrageur behind"] += any(index >= fill.place for index in rivals)
        shapes[f"by: {'variety' if decision.strategy == 'variety' else 'strategies'}"] += 1


def limit_of(decision: Decision) -> int:
    """The gas limit that it is sent with."""
    return REALITY.gas.limit(decision.gas_units)


def out_of_gas(decision: Decision, trial: Trial) -> bool:
    """Whether it used up what it had. A call leaves its caller 1/64 of it, see EIP-150."""
    return not trial.succeeded and trial.gas_used > limit_of(decision) * 0.95


def strategies_of(market: Market) -> list[StrategySettings]:
    """Of different sizes, bids, places, funding and latency, that take all they can get."""
    pairs = tuple(
        sorted({pair_of(pool.tokens[0], pool.tokens[1]) for pool in market.pools.values()})
    )
    found: list[StrategySettings] = []
    for size_usd in (50, 500, 5_000, 50_000):
        for position in Position:
            for funding in Funding:
                number = len(found)
                found.append(
                    StrategySettings(
                        name=f"s{number}",
                        pairs=pairs,
                        min_profit_micro_usd=-MICRO_USD,
                        max_trade_size_micro_usd=size_usd * MICRO_USD,
                        max_slippage_ppm=(500, 5_000, 50_000)[number % 3],
                        max_gas_price=10_000 * GWEI,
                        capital_micro_usd=20 * size_usd * MICRO_USD,
                        priority_fee=(25, 35, 45, 60)[number % 4] * GWEI,
                        latency_blocks=1 + (number % 5 == 0),
                        position=position,
                        funding=funding,
                        max_hops=2 + number % 3,
                    )
                )
    return found


async def try_blocks(
    lab: Lab, seed: int, blocks: int, *, varied: int, executor: Executor | None = None
) -> Findings:
    """varied: decisions a block beside those of the strategies."""
    trials = Trials(lab, seed, varied=varied, executor=executor or PaperExecutor(REALITY))
    for _ in range(blocks):
        await trials.block()
    return trials.findings
