"""What is open is the same however little somebody wants to see of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dexarb.core.market import Market
from dexarb.study.open_now import ANY_NET, Open, OpenNow, Priced
from dexarb.trading.models.reality import REALITY
from tests.support.worlds.random_chain import RandomChain


@pytest.mark.parametrize("seed", range(6))
def test_what_earns_too_little_is_counted_and_left_out(seed: int) -> None:
    chain = RandomChain("open now", seed, noise=0.006)
    market = Market(chain.first)
    for _ in range(5):
        market.apply(chain.mine())
    seen = Priced(market, REALITY.value.valuation(market))

    def found(least_net: int = ANY_NET) -> Open:
        study = OpenNow(least_net)
        study.add(seen)
        return study.answer()

    everything = found()
    nets = [each.net_micro_usd or 0 for each in everything.findings]
    assert len(nets) > 2
    assert all(better >= worse for better, worse in pairwise(nets))
    for least in {0, *nets, *(net + 1 for net in nets)}:
        some = found(least)
        assert some.open_cycles == everything.open_cycles
        assert len(some.findings) == sum(net >= least for net in nets)
        assert some.findings == everything.findings[: len(some.findings)]
