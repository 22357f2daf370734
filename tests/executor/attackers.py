"""Contracts that attack an executor, and executors that lack one of their guards."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from eth_abi.abi import encode as abi_encode
from vyper.compiler import compile_code

from dexarb.amm.abi import encode
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.ends.executor_contract import EXECUTE
from tests.amm.evm_world import OWNER, selector
from tests.executor.arena import FOREVER, FORKS, STOCK, AnyPool, Arena, Trade
from tests.executor.chains import OPERATOR, Chain, Receipt, Request, RevmChain

CONTRACTS = Path(__file__).parent / "contracts"
EXECUTOR = Path(__file__).parents[2] / "contracts" / "executor.vy"

STRANGER = Address("0x" + "5a" * 20)
WITNESS = Address("0x" + "77" * 20)
"""Is sent something where an attack has got as far as that."""

SWAP_V2 = "swap(uint256,uint256,address,bytes)"
SWAP_V3 = "swap(address,bool,int256,uint160,bytes)"
V2_CALLBACK = "uniswapV2Call(address,uint256,uint256,bytes)"
V3_CALLBACK = "uniswapV3SwapCallback(int256,int256,bytes)"
MOVING = "moving()"
GO = "go()"

OWNER_CHECK = 'assert msg.sender == OWNER, "not owner"'
ONCE = "self.due.pool = empty(address)"
MUST_CALL_BACK = 'assert self.due.pool == empty(address), "no callback"'
ARRIVED = 'assert self._balance(ahead.token_in) >= stock + amount, "unpaid hop"'
ARRIVED_FLASH = 'assert self._balance(token_out) >= stock, "unpaid hop"'
MINIMUM = 'assert amount_out >= least, "too little received"'
LOCK = 'assert not self.running, "running"'
"""Guards of the executor, as its source has them."""


@cache
def compiled(path: Path, without: tuple[str, ...] = ()) -> bytes:
    """The bytecode of a contract, or of what is left of it without these lines."""
    source = path.read_text()
    for line in without:
        assert line in source, line
        source = source.replace(line, "pass")
    bytecode: str = compile_code(source, output_formats=["bytecode"])["bytecode"]
    return bytes.fromhex(bytecode.removeprefix("0x"))


class Act(NamedTuple):
    """A call that an attacker makes; whether it succeeds does not matter to it."""

    target: Address
    data: bytes


class Stop(NamedTuple):
    """A hop as the contract takes it, whatever the pool is."""

    pool: Address
    token_in: Address
    kind: int
    fee_pips: int = 3000
    tick_spacing: int = 60

    @property
    def words(self) -> tuple[int | Address, ...]:
        return self.pool, self.token_in, self.kind, self.fee_pips + (self.tick_spacing << 24)


class Habit(IntFlag):
    """What a wayward token does."""

    NONE = 0
    RETURNS_NOTHING = 1
    RETURNS_FALSE = 2
    TAKES_A_FEE = 4
    IS_PAUSED = 8


def call(signature: str, *words: int | Address, tail: bytes = b"") -> bytes:
    return encode(selector(signature), *words) + tail


def transfer(token: Address, to: Address, amount: int) -> Act:
    return Act(token, call("transfer(address,uint256)", to, amount))


def v3_callback(executor: Address, amount0: int, amount1: int) -> Act:
    return Act(executor, call(V3_CALLBACK, amount0, amount1, 96, 0))


def v2_callback(executor: Address, amount0: int, amount1: int) -> Act:
    return Act(executor, call(V2_CALLBACK, STRANGER, amount0, amount1, 128, 0))


def deltas(token_in: Address, token_out: Address, paid: int, sent: int) -> tuple[int, int]:
    """A V3 pool's two amounts, in the order of the tokens."""
    return (paid, -sent) if token_in < token_out else (-sent, paid)


def route(
    stops: Sequence[Stop], amount_in: int, min_amount_out: int = 1, *, flash: bool = False
) -> bytes:
    """Call data of `execute`, without asking what the pools are."""
    fields = [word for stop in stops for word in stop.words]
    head = (192, amount_in, min_amount_out, 0, flash, FOREVER)
    return encode(EXECUTE, *head, len(stops), *fields)


def encoded(*words: int) -> bytes:
    return b"".join((word % (1 << 256)).to_bytes(32, "big") for word in words)


class Puppet:
    """A contract that does what it is taught, whatever is called."""

    def __init__(self, arena: Arena, address: Address | None = None) -> None:
        """address: of an account that carries its code already."""
        self.arena = arena
        self.address = address or arena.chain.deploy(compiled(CONTRACTS / "puppet.vy"))
        # A V3 pool without liquidity in range tells nothing: a run over it starts.
        self.learn("slot0()", answer=encoded(0, 0))
        self.learn("liquidity()", answer=encoded(0))

    def learn(self, method: str, *acts: Act, answer: bytes = b"") -> None:
        part = ([(act.target, act.data) for act in acts], answer)
        words = abi_encode(["bytes4", "((address,bytes)[],bytes)"], [selector(method), part])
        data = selector("learn(bytes4,((address,bytes)[],bytes))") + words
        self.arena.sent(Request(STRANGER, self.address, data))

    def play(self, method: str) -> Receipt:
        """Call it, from outside."""
        return self.arena.chain.mine(Request(STRANGER, self.address, selector(method)))[0]


class WaywardToken:
    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        code = compiled(CONTRACTS / "wayward_token.vy") + encode(b"", arena.teller)
        self.address = arena.chain.deploy(code)

    def behave(self, habits: Habit, hook: Address | None = None) -> None:
        nobody = Address("0x" + "00" * 20)
        self.arena.send(OWNER, self.address, "behave(uint256,address)", habits, hook or nobody)

    def pretend(self, holder: Address, bonus: int) -> None:
        self.arena.send(OWNER, self.address, "pretend(address,uint256)", holder, bonus)


def deploy_executor(
    arena: Arena, *without: str, operators: Sequence[Address] = (OPERATOR,)
) -> Address:
    """An executor without these lines of its source, with a stock of every token."""
    roles = encode(b"", OWNER, *operators, *[0] * (4 - len(operators)))
    executor = arena.chain.deploy(compiled(EXECUTOR, without) + roles)
    for token in arena.tokens:
        arena.pay(token, executor, 1 << 100)
    return executor


class Stage:
    """An arena with two puppets that own plenty of each token."""

    def __init__(self, chain: Chain | None = None) -> None:
        self.arena = arena = Arena(chain or RevmChain(), Random(3), pools_per_pair=2)
        self.puppets = [Puppet(arena) for _ in range(2)]
        for puppet in self.puppets:
            for token in arena.tokens:
                arena.pay(token, puppet.address, STOCK)
        self.a, self.b = arena.tokens[:2]

    def real(self, kind: type[AnyPool], token_in: Address, token_out: Address) -> Stop:
        for pool in self.arena.pools.values():
            if isinstance(pool, kind) and {token_in, token_out} == set(pool.tokens):
                spacing = pool.tick_spacing if isinstance(pool, UniswapV3Pool) else 0
                return Stop(pool.address, token_in, kind is UniswapV3Pool, pool.fee_pips, spacing)
        raise AssertionError("the arena has a pair and a pool for any two tokens")

    def run(self, executor: Address, data: bytes, sender: Address = OPERATOR) -> Receipt:
        return self.arena.chain.mine(Request(sender, executor, data))[0]

    def lost(self, executor: Address, before: dict[Address, int]) -> dict[Address, int]:
        """By honest token, what the executor has less than before."""
        now = self.arena.balances(executor)
        return {token: before[token] - now[token] for token in now if now[token] < before[token]}


class Wayward:
    """A wayward token with a real pair and a real pool against an honest token."""

    def __init__(self, stage: Stage) -> None:
        self.arena, self.honest = stage.arena, stage.a
        self.token = WaywardToken(self.arena)
        self.arena.worth[self.token.address] = 1.0
        pair = sorted([self.token.address, self.honest])
        known = set(self.arena.pools)
        self.arena.new_pair(self.arena.v2_factories[0][1], FORKS[0], (pair[0], pair[1]))
        self.arena.new_pool(3000, (pair[0], pair[1]))
        self.pools = [address for address in self.arena.pools if address not in known]

    def winner(self, start: Address, *, pair_first: bool = False) -> Trade:
        """The way through pair and pool that pays, after a swap in the pair by some percent."""
        other = self.honest if start == self.token.address else self.token.address
        pair, pool = self.pools
        sold = other if pair_first else start
        self.arena.swap(Address(pair), sold, self.arena.depth(self.arena.pools[pair], sold) // 8)
        first, second = (pair, pool) if pair_first else (pool, pair)
        cycle = Cycle((Hop(first, start, other), Hop(second, other, start)))
        size = self.arena.depth(self.arena.pools[first], start) // 1000
        trade = self.arena.trade(cycle, size)
        assert trade.amount_out > trade.amount_in
        return trade
