"""The embedded chain with reference executors on it, where a block can be made again with one
transaction more at any place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, Log
from dexarb.core.market import Keyframe
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address, to_address
from dexarb.core.trade import Decision, Funding
from dexarb.demo import calls
from dexarb.demo.anvil import GAS_LIMIT, start_anvil
from dexarb.demo.artifacts import contract
from dexarb.demo.deploy import POSITIONS
from dexarb.demo.driver import Driver
from dexarb.demo.mining import Mined, MinedReceipt, TransactionRequest, in_order
from dexarb.demo.scene import amount_to_move
from dexarb.demo.traders import Whale
from dexarb.demo.world import NO_DEADLINE, V3, World
from dexarb.ends.executor_contract import deploy_data, execute_data, revert_reason
from dexarb.errors import RpcError

GENESIS = 1_700_000_000
OPERATOR_ACCOUNT = 20
"""An account of the node that the demo leaves alone."""
STOCK_USD = 10_000_000
"""Of every token, in the executor that trades with its own funds."""
DUST = 1
"""Of every token, in the one that has no capital; see docs/executor.md on gas."""
SWEEPS_BPS = (400.0, 1_500.0)
"""How far prices are led each way, so that ticks there have been crossed before."""


class RestlessWhale(Whale):
    """Leaves a pool's price off in nearly every block, so that most decisions have a reason."""

    BLOCKS_BETWEEN = (1, 3)


@dataclass(frozen=True, slots=True)
class Trial:
    """One trade at one place of a block, as the chain carried it out.

    ahead: the receipts before it. gains: what the executor has more of each token. reason: of a
    revert, None where a contract gave none.
    """

    receipt: MinedReceipt
    ahead: tuple[MinedReceipt, ...]
    logs: tuple[Log, ...]
    gains: dict[Address, int]
    reason: str | None

    @property
    def succeeded(self) -> bool:
        return self.receipt.status == "0x1"

    @property
    def gas_used(self) -> int:
        return int(self.receipt.gas_used, 16)


@dataclass(frozen=True, slots=True)
class _Mark:
    snapshot: str
    head: Block
    nonces: dict[Address, int]


class Lab:
    """Mutable. `step` makes a block; then `trial` makes it again with a trade in it, as often as
    wanted, and `restore` leaves the chain as `step` left it."""

    def __init__(self, rpc: Rpc, driver: Driver, operator: Address) -> None:
        self.rpc, self.driver = rpc, driver
        self.miner = driver._miner
        self.operator = operator
        self.thin_pool = PoolKey("")
        self.executors: dict[Funding, Address] = {}
        self._held: dict[Funding, dict[Address, int]] = {}
        self._before: _Mark | None = None
        self._mined: Mined | None = None

    @property
    def world(self) -> World:
        return self.driver.world

    @property
    def mined(self) -> Mined:
        assert self._mined is not None
        return self._mined

    def keyframe(self) -> Keyframe:
        """The market as it stands now, as the first entry of a history."""
        return self.driver.market.keyframe()

    # -- preparation ----------------------------------------------------------------------------

    async def prepare(self, seed: int) -> None:
        """Executors of the deployer, and pools that look as if they had been used for long."""
        deployer = self.world.accounts.deployer
        data = deploy_data(deployer, [self.operator])
        created = await self._mine(
            [TransactionRequest("executor", deployer, None, data, 4_000_000, 0) for _ in Funding]
        )
        self.executors = dict(zip(Funding, created.created(), strict=True))
        payments = []
        for funding, executor in self.executors.items():
            for plan in self.world.plan.tokens:
                token = self.world.tokens[plan.symbol]
                amount = round(STOCK_USD / plan.price_usd) * int(10**token.decimals)
                amount = amount if funding is Funding.OWN else DUST
                pay = contract("ERC20PresetFixedSupply")["transfer"].call(executor, amount)
                payments.append(
                    TransactionRequest("stock", deployer, token.address, pay, 100_000, 0)
                )
        await self._mine(payments)
        await self._thin_out()
        await self._season(Random(f"{seed} season"))
        self._held = {funding: await self._balances(funding) for funding in Funding}
        whale = RestlessWhale(self.world, Random(f"{seed} restless"))
        # In front of the arbitrageurs, who look at what the others have decided.
        self.driver._actors = (whale, *self.driver._actors)

    async def _thin_out(self) -> None:
        """Take the liquidity that reaches to the ends out of one pool, so that it can run dry."""
        pool = next(pool for pool in self.world.pools if pool.kind == V3)
        state = self.driver.market.pools[pool.key]
        assert isinstance(state, UniswapV3Pool)
        liquidity, _ = state.ticks[min(state.ticks)]
        # Its positions were made one after the other, in turns by the providers.
        place = next(n for n, (below, *_) in enumerate(POSITIONS) if below == min(POSITIONS)[0])
        providers = self.world.accounts.providers
        owner = providers[(self.world.pools.index(pool) + place) % len(providers)]
        burn = contract("NonfungiblePositionManager")["decreaseLiquidity"].call(
            (1 + place, liquidity, 0, 0, NO_DEADLINE)
        )
        manager = self.world.position_manager
        await self._mine([TransactionRequest("thin out", owner, manager, burn, 500_000, 0)])
        self.thin_pool = pool.key

    async def _season(self, rng: Random) -> None:
        """Sell one way, the other way twice as much, and back, in every pool."""
        grow = contract("UniswapV3Pool")["increaseObservationCardinalityNext"]
        deployer = self.world.accounts.deployer
        v3 = [pool.address for pool in self.world.pools if pool.kind == V3]
        await self._mine(
            [
                TransactionRequest("season", deployer, address, grow.call(8), 500_000, 0)
                for address in v3
                if rng.random() < 0.5
            ]
        )
        whale = self.world.accounts.whales[0]
        for way, scale in ((0, 1), (1, 2), (0, 2), (1, 1)):
            for pool in self.world.pools:
                token = (pool.token0, pool.token1)[way].address
                bps = scale * SWEEPS_BPS[pool.kind == V3]
                amount = amount_to_move(self.driver.market.pools[pool.key], token, bps)
                to, data = calls.sell(
                    self.world, pool, token, amount_in=amount, least_out=0, recipient=whale
                )
                await self._mine([TransactionRequest("season", whale, to, data, 8_000_000, 0)])

    async def _mine(self, requests: Sequence[TransactionRequest]) -> Mined:
        mined = await self.miner.mine(requests)
        assert all(transaction.succeeded for transaction in mined.update.transactions)
        self.driver.follow(mined)
        return mined

    # -- blocks ---------------------------------------------------------------------------------

    async def step(self) -> Mined:
        self._before = await self._mark()
        self._mined = await self.driver.step()
        return self._mined

    async def trial(self, decision: Decision, place: int, gas_limit: int) -> Trial:
        """The block with the decision's trade behind its first `place` transactions, and with as
        much more room as that may need."""
        request = self.execution(decision, gas_limit)
        others = self.mined.requests
        mined = await self._again([*others[:place], request, *others[place:]], gas_limit)
        assert not mined.left_out
        receipt = mined.receipts[place]
        assert receipt.from_.lower() == self.operator
        held = self._held[decision.funding]
        now = await self._balances(decision.funding)
        gains = {token: now[token] - held[token] for token in now if now[token] != held[token]}
        reason = None
        if receipt.status != "0x1":
            assert not gains
            reason = await self._reason(receipt.transaction_hash)
        logs = tuple(log for log in mined.update.logs if log.transaction_index == place)
        return Trial(receipt, mined.receipts[:place], logs, gains, reason)

    async def includes(self, decision: Decision, gas_limit: int) -> bool:
        """Whether a builder who knew of it, and of all that was left out, takes the trade in."""
        request = self.execution(decision, gas_limit)
        mined = await self._again(in_order([*self.mined.requests, *self.mined.left_out, request]))
        return any(each is request for each in mined.requests)

    def execution(self, decision: Decision, gas_limit: int) -> TransactionRequest:
        """What the operator sends."""
        data = execute_data(
            decision.cycle,
            self.driver.market.pools.__getitem__,
            decision.amount_in,
            decision.min_amount_out,
            decision.deadline_block,
            flash=decision.funding is Funding.FLASH,
        )
        return TransactionRequest(
            purpose="execution",
            sender=self.operator,
            to=self.executors[decision.funding],
            data=data,
            gas=gas_limit,
            priority_fee=decision.priority_fee,
        )

    async def restore(self) -> None:
        """The block as it was without us, to its hash."""
        mined = await self._again(self.mined.requests)
        assert mined.block == self.mined.block

    async def _again(self, requests: Sequence[TransactionRequest], more_gas: int = 0) -> Mined:
        assert self._before is not None
        assert await self.rpc.call("evm_revert", self._before.snapshot)
        self.miner.head = self._before.head
        self.miner._nonces = dict(self._before.nonces)
        self._before = await self._mark()
        await self.rpc.call("evm_setBlockGasLimit", hex(GAS_LIMIT + more_gas))
        return await self.miner.mine_in_order(
            requests,
            timestamp=self.mined.block.timestamp,
            base_fee=self.mined.block.base_fee_per_gas,
        )

    async def _mark(self) -> _Mark:
        # A snapshot is used up by going back to it.
        snapshot = await self.rpc.call("evm_snapshot")
        return _Mark(snapshot, self.miner.head, dict(self.miner._nonces))

    # -- reading --------------------------------------------------------------------------------

    async def _balances(self, funding: Funding) -> dict[Address, int]:
        ask = contract("ERC20PresetFixedSupply")["balanceOf"].call(self.executors[funding])
        tokens = [token.address for token in self.world.tokens.values()]
        answers = await self.rpc.batch(
            [("eth_call", [{"to": token, "data": "0x" + ask.hex()}, "latest"]) for token in tokens]
        )
        return {
            token: int(sound(answer), 16) for token, answer in zip(tokens, answers, strict=True)
        }

    async def _reason(self, transaction: str) -> str | None:
        tracer = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}
        trace = await self.rpc.call("debug_traceTransaction", transaction, tracer)
        return revert_reason(bytes.fromhex(trace.get("output", "0x")[2:]))


def sound(answer: str | RpcError) -> str:
    if isinstance(answer, RpcError):
        raise answer
    return answer


def substance(receipt: MinedReceipt) -> tuple[object, ...]:
    """What a transaction did, without what names its block."""
    events = [(event.address, *event.topics, event.data) for event in receipt.logs]
    return receipt.status, receipt.gas_used, receipt.effective_gas_price, events


@asynccontextmanager
async def open_lab(seed: int) -> AsyncIterator[Lab]:
    with start_anvil(timestamp=GENESIS) as node:
        async with Rpc.connect(node.ws_url) as rpc:
            driver = await Driver.start(rpc, seed=seed)
            operator = to_address((await rpc.call("eth_accounts"))[OPERATOR_ACCOUNT])
            lab = Lab(rpc, driver, operator)
            await lab.prepare(seed)
            yield lab
