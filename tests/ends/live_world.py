"""A small chain with a live executor on it: blocks that hold our transactions, or do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dexarb.core.block import BlockUpdate, Transaction
from dexarb.core.sending import Control, ControlKind, Intent, Signed, TransactionHash
from dexarb.core.token import Address
from dexarb.core.trade import Decision
from dexarb.core.traffic import Change, Flow, Traffic
from dexarb.ends.live.live_executor import LiveExecutor, Results
from dexarb.ends.live.records import Records
from dexarb.trading.decide.one_bot import OneBot
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.seams import Step
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds.blocks import GWEI, transaction
from tests.support.worlds.engines import plain
from tests.support.worlds.small_chain import CHEAP, SmallChain, keyframe, settings, weth_pool

LANES = (Address("0x" + "e1" * 20), Address("0x" + "e2" * 20))
EXECUTOR = Address("0x" + "ee" * 20)


class LiveWorld:
    """Mutable: everything that is decided is signed at once, unless `signing` is off."""

    def __init__(self, *strategies: StrategySettings, lanes: int = 1, armed: bool = True) -> None:
        self.records = Records()
        if armed:
            self.records.add_control(Control(0, ControlKind.ARM, "a test"))
        self.lanes = LANES[:lanes]
        self.executor = LiveExecutor(REALITY, self.records, self.lanes)
        first = keyframe()
        self.chain = SmallChain(first)
        self.engine = Engine(first, plain, self.executor, REALITY, max_state_age_s=10)
        wanted = strategies or (settings(deadline_blocks=1),)
        deciding = ThresholdStrategies(wanted, REALITY)
        self.engine.use([OneBot([deciding], self.executor)])
        self.engine.deciding = True
        self.signing = True
        self.signed: list[Signed] = []
        self.results = Results()
        self._nonces = dict.fromkeys(self.lanes, 0)

    def step(self, update: BlockUpdate) -> Step:
        step = self.engine.step(update)
        self.results = self.executor.take_results()
        if self.signing:
            for intent in self.results.intents:
                self.sign(intent)
        return step

    def sign(self, intent: Intent, *, nonce: int | None = None) -> Signed:
        """Into the records, as the journal would have it."""
        lane, decision = intent.lane, intent.decision
        at = self._nonces[lane] if nonce is None else nonce
        self._nonces[lane] = at + 1
        signed = Signed(
            TransactionHash(f"0x{decision.id}{at}"), lane, at, decision.id, 100 * GWEI, GWEI,
            400_000, decision.deadline_block,
        )  # fmt: skip
        self.records.add_signed(signed)
        self.signed.append(signed)
        return signed

    def open_spread(self, price: int = 2_450) -> tuple[Step, Decision]:
        """A block behind which one is decided and signed."""
        step = self.step(self.chain.mine(weth_pool(CHEAP, price)))
        (decision,) = step.decisions
        return step, decision

    def including(
        self,
        signed: Signed,
        decision: Decision,
        *,
        gain: int | None = None,
        gas_used: int = 145_000,
        before: Sequence[Transaction] = (),
    ) -> BlockUpdate:
        """The next block, with a transaction of ours in it. gain: None for a revert."""
        update = self.chain.mine()
        index = len(before)
        ours = transaction(
            index, hash=signed.hash, sender=signed.lane, to=EXECUTOR, gas_used=gas_used,
            succeeded=gain is not None,
        )  # fmt: skip
        change = Change(decision.cycle.start_token, str(gain or 0))
        flow = Flow(index, (0, 1), True, (), (change,))
        traffic = Traffic((), (flow,) if gain is not None else ())
        return replace(update, transactions=(*before, ours), traffic=traffic, witnesses=2)
