# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Executor of arbitrage cycles
@license MIT
@notice Runs one cycle over Uniswap V2 pairs and V3 pools in one transaction, with the funds it
    holds or with a flash swap of the first pool, and reverts below a minimum output.
@dev Nothing that a pool or a token says is believed where it could cost us:
    - A callback is answered once, only for the pool that is being called, and pays exactly what
      the route says: the hop's token and amount lie in transient storage, never in call data.
    - What counts in the end is the balance of the start token. A token in between is only paid
      on where our balance of it has grown by that much in this very hop.
    - The contract gives no approvals and has no state beside its balances.
    Tokens that take a fee on transfers make a run revert.
"""

from ethereum.ercs import IERC20


interface Pair:
    def getReserves() -> (uint112, uint112, uint32): view
    def swap(
        amount0_out: uint256, amount1_out: uint256, recipient: address, data: Bytes[1]
    ): nonpayable


interface Pool:
    def swap(
        recipient: address,
        zero_for_one: bool,
        amount_specified: int256,
        sqrt_price_limit_x96: uint160,
        data: Bytes[1],
    ) -> (int256, int256): nonpayable


# A hop sells token_in for the token_in of the next hop, the last one for that of the first.
# fee_pips is the fee of a V2 pair, in hundredths of a basis point; V3 pools know their own.
struct Hop:
    pool: address
    token_in: address
    is_v3: bool
    fee_pips: uint256


struct Payment:
    pool: address
    token: address
    amount: uint256


MAX_HOPS: constant(uint256) = 4
PIPS: constant(uint256) = 1_000_000
MIN_SQRT_RATIO: constant(uint160) = 4295128739
MAX_SQRT_RATIO: constant(uint160) = 1461446703485210103287273052203988822378723970342

# Nothing to take over: to change the owner, withdraw and deploy another executor.
OWNER: public(immutable(address))

# What the pool that is being called may collect, in one callback.
due: transient(Payment)
# A flash swap's route: its hops behind the first run inside the callback.
flash_route: transient(DynArray[Hop, MAX_HOPS])


@deploy
def __init__(owner: address):
    assert owner != empty(address)
    OWNER = owner


@external
def execute(
    hops: DynArray[Hop, MAX_HOPS],
    amount_in: uint256,
    min_amount_out: uint256,
    min_profit: uint256,
    flash: bool,
    deadline_block: uint256,
) -> uint256:
    """
    @notice Send amount_in of the first hop's token round the cycle.
    @param min_amount_out Least amount of that token to come out of the last hop.
    @param min_profit Least gain over amount_in; with 0 a run still never comes out with a loss.
    @param flash Take the first pool's output before paying for it, instead of paying first.
    @param deadline_block Last block in which the run may happen.
    @return What came out of the last hop, amount_in included.
    """
    assert msg.sender == OWNER, "not owner"
    assert block.number <= deadline_block, "too late"
    assert len(hops) > 1, "no cycle"
    token: address = hops[0].token_in
    before: uint256 = self._balance(token)
    if flash:
        token_out: address = hops[1].token_in
        stock: uint256 = self._balance(token_out)
        self.flash_route = hops
        # A V2 pair calls back whoever receives its output.
        receiver: address = self._receiver(hops, 0) if hops[0].is_v3 else self
        self._swap(hops[0], token_out, amount_in, receiver, True)
        # What the first pool claimed to have sent was not taken from our own.
        assert self._balance(token_out) >= stock, "unpaid hop"
    else:
        if not hops[0].is_v3:
            self._send(token, hops[0].pool, amount_in)
        self._run(hops, 0, amount_in)
    amount_out: uint256 = amount_in + self._balance(token) - before
    assert amount_out >= max(min_amount_out, amount_in + min_profit), "too little received"
    return amount_out


@external
def uniswapV2Call(sender: address, amount0: uint256, amount1: uint256, data: Bytes[1]):
    """
    @notice A V2 pair has sent its output ahead: run the other hops, then pay it.
    """
    self._pay(self._expected(), max(amount0, amount1))


@external
def uniswapV3SwapCallback(amount0_delta: int256, amount1_delta: int256, data: Bytes[1]):
    """
    @notice A V3 pool wants its input; in a flash swap the other hops are run first.
    @dev A pool that ran out of liquidity asks for less than the hop was to sell.
    """
    payment: Payment = self._expected()
    asked: int256 = max(amount0_delta, amount1_delta)
    assert asked == convert(payment.amount, int256), "partial fill"
    self._pay(payment, convert(-min(amount0_delta, amount1_delta), uint256))


@external
def withdraw(token: address, amount: uint256):
    """
    @notice Send the owner an amount of a token, or of the native coin for the zero address.
    """
    assert msg.sender == OWNER, "not owner"
    if token == empty(address):
        raw_call(OWNER, b"", value=amount)
    else:
        self._send(token, OWNER, amount)


@internal
def _run(hops: DynArray[Hop, MAX_HOPS], first: uint256, amount_in: uint256):
    """
    @dev The hops from `first` on. The input of a V2 pair is already there: whatever comes before
        sends it there, so that it is transferred once.
    """
    amount: uint256 = amount_in
    for i: uint256 in range(first, len(hops), bound=MAX_HOPS):
        is_last: bool = i + 1 == len(hops)
        token_out: address = hops[0].token_in if is_last else hops[i + 1].token_in
        receiver: address = self._receiver(hops, i)
        if is_last or receiver != self:
            amount = self._swap(hops[i], token_out, amount, receiver, False)
        else:
            stock: uint256 = self._balance(token_out)
            amount = self._swap(hops[i], token_out, amount, receiver, False)
            assert self._balance(token_out) >= stock + amount, "unpaid hop"


@internal
def _swap(
    hop: Hop, token_out: address, amount_in: uint256, receiver: address, flash: bool
) -> uint256:
    """
    @dev Sell amount_in in one pool. Returns what the pool says it sent.
    """
    zero_for_one: bool = convert(hop.token_in, uint160) < convert(token_out, uint160)
    if hop.is_v3 or flash:
        self.due = Payment(pool=hop.pool, token=hop.token_in, amount=amount_in)
    amount_out: uint256 = 0
    if hop.is_v3:
        amount0: int256 = 0
        amount1: int256 = 0
        amount0, amount1 = extcall Pool(hop.pool).swap(
            receiver,
            zero_for_one,
            convert(amount_in, int256),
            MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1,
            b"",
        )
        amount_out = convert(-(amount1 if zero_for_one else amount0), uint256)
    else:
        reserve_in: uint256 = 0
        reserve_out: uint256 = 0
        reserve_in, reserve_out = self._reserves(hop.pool, zero_for_one)
        # As UniswapV2Library: rounded down, the most that the pair's check of k lets out.
        kept: uint256 = amount_in * (PIPS - hop.fee_pips)
        amount_out = kept * reserve_out // (reserve_in * PIPS + kept)
        extcall Pair(hop.pool).swap(
            0 if zero_for_one else amount_out,
            amount_out if zero_for_one else 0,
            receiver,
            b"f" if flash else b"",
        )
    # Else the pool could still collect while the next one is being called.
    assert self.due.pool == empty(address), "no callback"
    return amount_out


@internal
def _expected() -> Payment:
    """
    @dev What the caller may collect: only the pool that is being called, and only once.
    """
    payment: Payment = self.due
    assert msg.sender == payment.pool, "not called"
    self.due.pool = empty(address)
    return payment


@internal
def _pay(payment: Payment, amount_out: uint256):
    """
    @dev Pay the pool that calls back; where it has sent its amount_out ahead, earn it first.
    """
    if len(self.flash_route) > 0:
        hops: DynArray[Hop, MAX_HOPS] = self.flash_route
        self.flash_route = []
        if not (hops[0].is_v3 or hops[1].is_v3):
            self._send(hops[1].token_in, hops[1].pool, amount_out)
        self._run(hops, 1, amount_out)
    self._send(payment.token, payment.pool, payment.amount)


@internal
@view
def _receiver(hops: DynArray[Hop, MAX_HOPS], i: uint256) -> address:
    """
    @dev Who gets the output of hop i: the next hop's pair, else we, who pay in its callback.
    """
    if i + 1 == len(hops) or hops[i + 1].is_v3:
        return self
    return hops[i + 1].pool


@internal
@view
def _reserves(pair: address, zero_for_one: bool) -> (uint256, uint256):
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    timestamp: uint32 = 0
    reserve0, reserve1, timestamp = staticcall Pair(pair).getReserves()
    if zero_for_one:
        return convert(reserve0, uint256), convert(reserve1, uint256)
    return convert(reserve1, uint256), convert(reserve0, uint256)


@internal
@view
def _balance(token: address) -> uint256:
    return staticcall IERC20(token).balanceOf(self)


@internal
def _send(token: address, receiver: address, amount: uint256):
    """
    @dev Tokens that return nothing count as having transferred, those that return false do not.
    """
    assert extcall IERC20(token).transfer(receiver, amount, default_return_value=True)
