"""Tokens behind proxies, on a real node: what receipts of plain transfers say they take, and what
runs of the executor through them take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from statistics import median

import pytest

from dexarb.amm.abi import encode
from dexarb.chain import decode
from dexarb.chain.contents import RECEIPTS
from dexarb.chain.decode import Receipt
from dexarb.chain.flows import traffic_of
from dexarb.chain.rpc import Rpc
from dexarb.core.gas_schedule import ETHEREUM
from dexarb.core.route import Cycle, Hop, surcharge_of
from dexarb.core.token import Address
from dexarb.search.result import hop_work
from dexarb.study.transfers import TransferGas
from dexarb.trading.models.reality import REALITY
from tests.amm.evm_world import selector
from tests.executor.arena import STOCK, Arena
from tests.executor.attackers import CONTRACTS, compiled
from tests.executor.chains import AnvilChain, Request, anvil_chain

TRANSFERS = 14


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with anvil_chain() as chain:
        arena = Arena(chain, Random(2), pools_per_pair=2)
        arena.season()
        code = compiled(CONTRACTS / "wayward_token.vy")
        behind = chain.deploy(code + encode(b"", arena.teller))
        proxy = compiled(CONTRACTS / "proxy_token.vy")
        token = chain.deploy(proxy + encode(b"", arena.teller, behind))
        arena.worth[token] = 1.0
        arena.pay(token, arena.executor, STOCK)
        pair = (min(token, arena.tokens[0]), max(token, arena.tokens[0]))
        before = set(arena.pools)
        for fork, factory in arena.v2_factories:
            arena.new_pair(factory, fork, pair)
        arena.new_pool(3000, pair)
        for key in [each for each in arena.pools if each not in before]:
            pool = arena.pools[key]
            for each in pair:
                arena.swap(pool.address, each, arena.depth(pool, each) // 1000)
        arena.tokens.append(token)
        yield arena


def learned(arena: Arena, tokens: list[Address]) -> dict[Address, int]:
    """From receipts, as the collector reads them."""
    chain = arena.chain
    assert isinstance(chain, AnvilChain)
    found, rng = TransferGas(), Random(1)
    holder = Address("0x" + "77" * 20)

    async def read() -> list[Receipt]:
        async with Rpc.connect(chain._url, attempts=1) as rpc:
            return await rpc.call_as(list[Receipt], RECEIPTS, "latest")

    for _ in range(TRANSFERS):
        data = encode(selector("transfer(address,uint256)"), holder, rng.randint(1, 10**21))
        chain.mine(*(Request(arena.teller, token, data) for token in tokens))
        receipts = asyncio.run(read())
        sent = decode.transactions(receipts)
        for index in traffic_of(receipts).transfers or ():
            to = sent[index].to
            assert to is not None
            found.add(1, ETHEREUM.name, to, sent[index].gas_used)
    return {token: each.gas for token, each in found.surcharges().items()}


def test_what_transfers_say_is_most_of_what_runs_take(arena: Arena) -> None:
    plain, proxied = arena.tokens[0], arena.tokens[-1]
    surcharges = learned(arena, [plain, proxied])
    assert surcharges[plain] == pytest.approx(0, abs=200)
    assert surcharges[proxied] == pytest.approx(11_000, abs=300)
    keys = [key for key, pool in arena.pools.items() if proxied in pool.tokens]
    without, with_it = [], []
    for flash in (False, True):
        for first in keys:
            for second in keys:
                if first == second:
                    continue
                for start, middle in ((plain, proxied), (proxied, plain)):
                    cycle = Cycle((Hop(first, start, middle), Hop(second, middle, start)))
                    took, ours = ran(arena, cycle, flash=flash)
                    more = surcharge_of(cycle.tokens, surcharges)
                    without.append(abs(ours / took - 1))
                    with_it.append(abs((ours + more) / took - 1))
    assert median(without) > 0.08
    # What is left are the later, warm calls of the same run, which no plain transfer shows.
    assert median(with_it) < 0.05
    assert max(with_it) < 0.07


def ran(arena: Arena, cycle: Cycle, *, flash: bool) -> tuple[int, int]:
    """What a run took that fills, and what it would take if the tokens were plain."""
    pools = dict(arena.pools)
    with arena.chain.undone():
        start = cycle.start_token
        second = arena.pools[cycle.pools[1]]
        arena.swap(second.address, start, arena.depth(second, start) // 20)
        trade = arena.trade(cycle, arena.depth(arena.pools[cycle.pools[0]], start) // 10**6)
        assert trade.results is not None
        assert trade.amount_out > trade.amount_in
        (receipt,) = arena.chain.mine(arena.execution(trade, trade.amount_in, flash=flash))
        assert receipt.succeeded
        work = hop_work([arena.pools[pool] for pool in cycle.pools], trade.results)
    arena.pools = pools
    return receipt.gas_used, REALITY.gas.units(work, flash=flash)
