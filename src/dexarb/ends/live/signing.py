"""From an intent to a signed transaction: the call, its gas, its fees, its nonce."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dexarb.core.market import Market
from dexarb.core.sending import Intent
from dexarb.core.token import Address
from dexarb.core.trade import Funding
from dexarb.ends.executor_contract import execute_data
from dexarb.ends.live.keys import Call, Signer
from dexarb.ends.live.lanes import Fees, Lanes, Slot
from dexarb.errors import PoolError
from dexarb.store.journal import SignedRaw
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.value import PRICE_SHIFT, Valuation

RISE = 9, 8
"""The most that a base fee can rise from block to block (EIP-1559); Polygon allows for less."""


class NotNow(Exception):
    """A decision that is not sent, and why."""


class Signing:
    """executor: the contract that is called. most_micro_usd: of own funds in a trade. least_native:
    wei that an account keeps. clock: seconds since 1970, for people."""

    def __init__(
        self,
        executor: Address,
        most_micro_usd: int,
        least_native: int,
        gas: GasModel,
        lanes: Lanes,
        signers: Mapping[Address, Signer],
        clock: Callable[[], float],
    ) -> None:
        self._executor = executor
        self._most, self._least_native = most_micro_usd, least_native
        self._gas, self._lanes, self._signers, self._clock = gas, lanes, signers, clock

    def sign(
        self,
        intent: Intent,
        market: Market,
        valuation: Valuation,
        balance: int | None,
        funds: int | None,
        decided_at: float,
    ) -> SignedRaw:
        """balance: of the lane in wei; funds: what the executor holds of the start token. None
        while nobody knows. Raises NotNow."""
        decision = intent.decision
        if decision.capital_micro_usd > self._most:
            raise NotNow("it is larger than max_trade_usd")
        is_own = decision.funding is not Funding.FLASH
        if is_own and funds is not None and funds < decision.amount_in:
            raise NotNow("the executor holds less of its start token")
        gas_limit = self._gas.limit(decision.gas_units)
        base_fee, (up, down) = market.block.base_fee_per_gas, RISE
        for _ in range(decision.deadline_block - market.block.number):
            base_fee = -(-base_fee * up // down)
        tip = decision.priority_fee
        wanted = Fees(min(base_fee, decision.max_base_fee) + tip, tip)
        slot = self._slot(intent, wanted, valuation)
        if balance is None or balance < max(gas_limit * slot.fees.max_fee, self._least_native):
            raise NotNow("the account has too little for gas")
        try:
            data = execute_data(
                decision.cycle,
                market.pools.__getitem__,
                decision.amount_in,
                decision.min_amount_out,
                decision.deadline_block,
                flash=not is_own,
            )
        except (PoolError, ValueError) as error:
            raise NotNow(str(error)) from error
        signed, raw = self._signers[intent.lane].sign(
            Call(self._executor, data, gas_limit),
            chain_id=market.profile.chain_id,
            nonce=slot.nonce,
            max_fee=slot.fees.max_fee,
            tip=slot.fees.tip,
            decision=decision.id,
            deadline_block=decision.deadline_block,
            decided_at=decided_at,
        )
        return SignedRaw(signed._replace(at=self._clock()), raw)  # signing takes its time

    def _slot(self, intent: Intent, wanted: Fees, valuation: Valuation) -> Slot:
        """What waits with its nonce is outbid, for as much as the trade is expected to earn."""
        decision, native = intent.decision, valuation.native_price
        worth = max(decision.expected_net_micro_usd, 0)
        more = (worth << PRICE_SHIFT) // native // max(decision.gas_units, 1) if native else 0
        most = Fees(wanted.max_fee + more, wanted.tip + more)
        slot = self._lanes.slot(intent.lane, wanted, most)
        if slot is None:
            raise NotNow("its account's nonce is in doubt, or outbidding what waits costs too much")
        return slot
