"""A market as it really is: a few deep pools among many that hold next to nothing and are off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import numpy as np

from benchmarks.hub_market import HubMarket
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import ChainProfile, ReferencePool
from dexarb.core.token import Address, Token, pair_of
from dexarb.study.searching import scanner_of
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.decide.triage import NOBODY
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.settle.paper_executor import PaperExecutor
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds.blocks import block, next_block
from tests.support.worlds.pools import token, v2, v3

GWEI: Final = 10**9
USD: Final = 10**6
HUBS: Final = ((6, 1.0), (18, 2_500.0), (18, 0.25), (6, 1.0))
"""Decimals and dollars: the numeraire, two others, one of which pays for gas, and a stablecoin."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Pools that nobody looks after are worth a dollar or next to nothing; every fourth is V3."""

    keyframe: Keyframe

    @classmethod
    def of(cls, dead: int, tokens: int, off: float = 0.05, seed: int = 5) -> Crowd:
        """off: by how much, as a share, the prices of dead pools deviate. With 0 nothing is open:
        the deep ones agree within their fee."""
        rng = np.random.default_rng(seed)
        names = [token(number) for number in range(tokens)]
        others = tokens - len(HUBS)
        decimals = [each for each, _ in HUBS] + rng.choice([6, 8, 18, 18], others).tolist()
        dollars = [each for _, each in HUBS] + (10.0 ** rng.uniform(-3, 3, others)).tolist()
        values = [usd / 10.0**places for usd, places in zip(dollars, decimals, strict=True)]
        numbers = count()

        def made(pair: tuple[int, int], worth: float, away: float, is_v3: bool = False) -> Pool:
            low, high = sorted(pair)
            price = values[low] / values[high] * math.exp(away)
            root = worth / math.sqrt(values[low] * values[high])
            both, number = (names[low], names[high]), next(numbers)
            if is_v3:
                return v3(number, both, price, [(-20, 20, int(root) + 1)])
            reserves = int(root / math.sqrt(price)) + 1, int(root * math.sqrt(price)) + 1
            return v2(number, both, *reserves)

        def hub() -> int:
            return int(rng.integers(len(HUBS)))

        pairs = [(one, other) for one in range(len(HUBS)) for other in range(one)] * 2
        pairs += [(place, hub()) for place in range(len(HUBS), tokens) for _ in range(2)]
        deep = [
            made(pair, 10.0 ** rng.uniform(4, 7), 0.0005 * float(rng.normal())) for pair in pairs
        ]
        lonely = []
        for number in range(dead):
            place = int(rng.integers(len(HUBS), tokens))
            pair, is_v3 = (place, hub()), number % 4 == 0
            # Enough that reserves, which are integers, do not move the price.
            worth = max(10.0 ** rng.uniform(-4, 0.5), 3_000 * values[place], 3_000 * values[0])
            lonely.append(made(pair, worth, off * float(rng.normal()), is_v3))
        known = tuple(Token(137, *each) for each in zip(names, names, decimals, strict=True))
        profile = _profile(names, deep)
        first = block(100, "0x100")
        keyframe = Keyframe(first.number, first, profile, known, (*deep, *lonely))
        return cls(keyframe)

    @property
    def tokens(self) -> list[Address]:
        """By name; each is called by its address."""
        return list(self.keyframe.profile.tokens.values())

    @property
    def keys(self) -> list[PoolKey]:
        return [pool.key for pool in self.keyframe.pools]


def _profile(names: list[Address], deep: list[Pool]) -> ChainProfile:
    numeraire, starts = names[0], tuple(names[: len(HUBS)])
    return ChainProfile(
        chain_id=137,
        name="crowd",
        ordering="fee",
        wrapped_native=names[2],
        numeraire=numeraire,
        tokens={name: name for name in names},
        start_tokens=starts,
        reference_pools={
            token: (
                next(
                    ReferencePool(pool.key, numeraire, 1_000 * USD)
                    for pool in deep
                    if set(pool.tokens) == {token, numeraire}
                ),
            )
            for token in starts[1:]
        },
        default_priority_fee=30 * GWEI,
    )


class Triage:
    """What the search need not look at, once there is an engine."""

    def __init__(self, strategies: ThresholdStrategies) -> None:
        self._strategies = strategies
        self.engine: Engine | None = None

    def min_gross(self, token: Address) -> int:
        if self.engine is None:
            return NOBODY
        return self._strategies.least_gross(token, self.engine.market, self.engine.valuation)


def engine(crowd: Crowd) -> Engine:
    """With one strategy that looks at everything."""
    pairs = tuple(sorted({pair_of(*pool.tokens) for pool in crowd.keyframe.pools}))
    settings = StrategySettings(
        name="one",
        pairs=pairs,
        min_profit_micro_usd=USD // 20,
        max_trade_size_micro_usd=1_000 * USD,
        max_slippage_ppm=5_000,
        max_gas_price=300 * GWEI,
        competition_rate_ppm=0,
        max_daily_trades=None,
        daily_loss_limit_micro_usd=None,
        max_consecutive_losses=None,
        cooldown_blocks=0,
    )
    strategies = ThresholdStrategies([settings], REALITY)
    triage = Triage(strategies)
    running = Engine(
        crowd.keyframe,
        lambda market, dust: scanner_of(market, REALITY.gas, min_gross=triage.min_gross, dust=dust),
        PaperExecutor(REALITY),
        REALITY,
        max_state_age_s=1e9,
    )
    triage.engine = running
    running.use([strategies])
    running.deciding = True
    return running


def turns(
    engines: Sequence[Engine], chosen: Iterable[Sequence[PoolKey]]
) -> Iterator[list[BlockUpdate]]:
    """Block by block the same pools move in all; the base fee moves by up to 5 %."""
    rng = np.random.default_rng(3)
    for keys in chosen:
        fees = [0.05 * float(rng.normal()) for _ in keys]
        updates = []
        for each in engines:
            moved = [
                HubMarket.moved(each.market.pools[key], by)
                for key, by in zip(keys, fees, strict=True)
            ]
            update = next_block(each.market, moved)
            base_fee = int(30 * GWEI * (1 + 0.05 * math.sin(update.block.number)))
            updates.append(replace(update, block=replace(update.block, base_fee_per_gas=base_fee)))
        yield updates
