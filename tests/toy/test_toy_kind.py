"""The toy kind against its contract, to the unit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from pyrevm import BlockEnv

from dexarb.amm.abi import encode, unsigned
from dexarb.core.pool import FoundPool, PoolKey, SwapStyle, ways
from dexarb.core.token import Address
from dexarb.core.undoing import undo
from dexarb.errors import PoolError, UnknownToken
from tests.amm.evm_world import GAS, OWNER, Reverted, World
from tests.executor.attackers import compiled
from tests.support.worlds.pools import token
from tests.toy.kind import SWAPPED, ToyPool, gives

SOURCE = Path(__file__).parent / "vault.vy"
TOKENS = tuple(map(token, range(3)))
BEGIN = 1_700_000_000


class Vault:
    """The contract in the process, and its pool as our code has it."""

    def __init__(self) -> None:
        self.world = World()
        self.address = self.world.deploy(compiled(SOURCE))
        self.send("create(address[3],uint256,uint256)", *TOKENS, 500, 9_000)
        self.at(BEGIN)
        self.send("fill(uint256,uint256[3])", 1, 10**20, 10**12, 5 * 10**15)
        (found,) = self.world.answer(
            ToyPool.find(
                factory=self.address, token_a=TOKENS[2], token_b=TOKENS[0], fees_pips=[500]
            )
        )
        assert found == FoundPool(PoolKey(f"{self.address}:1"), TOKENS, 500)
        self.found = found
        self.pool = self.read()

    def at(self, timestamp: int) -> None:
        self.now = timestamp
        self.world.evm.set_block_env(BlockEnv(number=1, timestamp=timestamp, gas_limit=GAS))

    def read(self) -> ToyPool:
        return self.world.answer(ToyPool.load(self.found, dex="Toy"))

    def send(self, signature: str, *arguments: int | Address) -> bytes:
        return self.world.send(self.address, signature, *arguments, sender=OWNER)

    def follow(self) -> None:
        for log in self.world.logs():
            assert ToyPool.key_of(log) == self.pool.key
            self.pool = self.pool.at(self.now).apply(log)


def test_every_swap_at_any_time_is_the_contracts() -> None:
    vault, rng = Vault(), Random(7)
    refused = 0
    for _ in range(300):
        vault.at(vault.now + rng.choice([0, 0, 1, 7, 30, 59, 60, 61, 500]))
        now = vault.pool.at(vault.now)
        fee = unsigned(vault.send("fee(uint256)", 1), 0)
        assert now.fee_pips == fee
        sold, bought = rng.sample(range(3), 2)
        amount = int(vault.pool.reserves[sold] * 10.0 ** rng.uniform(-13, 1)) or 1
        call = ("swap(uint256,uint256,uint256,uint256)", 1, sold, bought, amount)
        try:
            ours = now.swap(TOKENS[sold], amount, TOKENS[bought])
        except PoolError:
            refused += 1
            with pytest.raises(Reverted):
                vault.send(*call)
            continue
        assert unsigned(vault.send(*call), 0) == ours.amount_out
        assert now.flow(vault.world.logs()[0]) is not None
        vault.follow()
        assert vault.pool == ours.pool == vault.read()
    assert 0 < refused < 100


def test_what_changes_nothing_and_what_is_filled_up() -> None:
    vault = Vault()
    vault.send("greet(uint256)", 1)
    before = vault.pool
    vault.follow()
    assert vault.pool == before
    vault.send("fill(uint256,uint256[3])", 1, 7, 8, 9)
    vault.follow()
    assert vault.pool == vault.read() == replace(before, reserves=(7, 8, 9))
    assert ToyPool.from_state(vault.pool.state()) == vault.pool


@pytest.mark.parametrize("way", ways(TOKENS))
def test_its_mirror_is_never_short_by_more_than_it_says(way: tuple[Address, Address]) -> None:
    pool = Vault().pool.at(BEGIN + 20)
    token_in, token_out = way
    sold = pool.tokens.index(token_in)
    given = taken = 0.0
    worst = 0.0
    for segment in pool.segments(token_in, token_out):
        width = min(segment.input_limit, 10.0 * pool.reserves[sold])
        for share in (0.25, 0.5, 0.75, 1.0):
            step = share * width
            mirrored = given + segment.rate * step / (1 + segment.depth * step)
            exact = pool.swap(token_in, int(taken + step), token_out).amount_out
            assert exact <= mirrored * (1 + pool.mirror_error) + 1
            worst = max(worst, (exact - 1) / mirrored - 1)
        given += segment.rate * width / (1 + segment.depth * width)
        taken += width
    assert worst > pool.mirror_error / 10, "else the bound shows nothing"


def test_the_least_input_for_an_output_is_the_least() -> None:
    pool = Vault().pool
    for amount_out in (1, 1_000, 10**9):
        found = pool.swap_exact_out(TOKENS[1], amount_out, TOKENS[0])
        assert found.amount_out >= amount_out
        assert gives(pool, TOKENS[0], found.amount_in - 1, TOKENS[1]) < amount_out
    with pytest.raises(UnknownToken):
        pool.swap(TOKENS[0], 1)
    assert pool.explain(TOKENS[0], found) is SwapStyle.MISMATCH


def test_a_vault_with_several_pools_tells_them_apart() -> None:
    vault = Vault()
    more = (TOKENS[0], TOKENS[2], token(7))
    vault.send("create(address[3],uint256,uint256)", *more, 500, 0)
    vault.send("create(address[3],uint256,uint256)", *more, 3000, 0)
    found = vault.world.answer(
        ToyPool.find(factory=vault.address, token_a=TOKENS[0], token_b=TOKENS[2], fees_pips=[500])
    )
    assert [pool.key for pool in found] == [f"{vault.address}:{n}" for n in (1, 2)]
    vault.send("fill(uint256,uint256[3])", 2, 7, 8, 9)
    (log,) = vault.world.logs()
    assert ToyPool.key_of(log) == found[1].key
    assert vault.pool.apply(log) is vault.pool
    assert encode(b"", 2) in log.topics


def test_its_events_do_not_tell_what_was_before_them() -> None:
    """So it comes in at the end of the block of the first of them."""
    vault = Vault()
    vault.at(BEGIN + 5)
    vault.send("swap(uint256,uint256,uint256,uint256)", 1, 0, 1, 10**15)
    (log,) = (log for log in vault.world.logs() if log.topics[0] == SWAPPED)
    vault.follow()
    undone = undo({vault.pool.key: vault.pool}, [(7, [log]), (8, [])], {})
    assert not undone.before
    assert undone.begins == {7: [vault.pool]}
    kept = undo({vault.pool.key: vault.pool}, [(7, []), (8, [])], {})
    assert kept.before == {vault.pool.key: vault.pool}
