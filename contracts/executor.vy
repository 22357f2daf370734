# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Executor of arbitrage cycles
@license MIT
@notice Runs one cycle over Uniswap V2 pairs and V3 pools in one transaction, with the funds it
    holds or with a flash swap of the first pool, and reverts below a minimum output.
@dev The owner funds and withdraws, operators run. Whoever steals an operator's key can make runs
    that come out even, and pay for their gas.
    Nothing that a pool or a token says is believed where it could cost us:
    - No run starts inside another one, whoever calls: an operator can carry code (EIP-7702).
    - A callback is answered once, only for the pool that is being called, and pays exactly what
      the route says: the hop's token and amount lie in transient storage, never in call data.
    - What counts in the end is the balance of the start token. A token in between is only paid
      on where our balance of it has grown by that much in this very hop.
    - The contract gives no approvals and has no state beside its balances.
    Tokens that take a fee on transfers make a run revert.
"""

from ethereum.ercs import IERC20


interface Pair:
    def getReserves() -> (uint256, uint256): view
    def swap(
        amount0_out: uint256, amount1_out: uint256, recipient: address, data: Bytes[1]
    ): nonpayable


interface Pool:
    def liquidity() -> uint256: view
    def slot0() -> (uint256, int256): view
    def swap(
        recipient: address,
        zero_for_one: bool,
        amount_specified: int256,
        sqrt_price_limit_x96: uint160,
        data: Bytes[1],
    ) -> (int256, int256): nonpayable


# A hop sells token_in for the token_in of the next hop, the last one for that of the first.
# data is what its kind of pool needs to be told, see FIELD.
struct Hop:
    pool: address
    token_in: address
    kind: uint8
    data: bytes32


struct Payment:
    pool: address
    token: address
    amount: uint256


MAX_HOPS: constant(uint256) = 4
MAX_OPERATORS: constant(uint256) = 4

# Kinds of pools.
V2: constant(uint8) = 0
V3: constant(uint8) = 1

# data of both kinds: the fee in pips in the lowest bits; of V3 pools, the tick spacing above it.
# A V3 pool knows its own fee: here it is for the check of prices alone.
FIELD: constant(uint256) = 2**24

PIPS: constant(uint256) = 1_000_000
MIN_SQRT_RATIO: constant(uint160) = 4295128739
MAX_SQRT_RATIO: constant(uint160) = 1461446703485210103287273052203988822378723970342

# A tick moves the square root of the price by a factor of at least 1 + this share of a billion:
# ln(1.0001) / 2, rounded down by more than the roundings of the ratio at a tick come to.
ROOT_OF_TICK: constant(uint256) = 49_997
BILLION: constant(uint256) = 1_000_000_000

# Amounts and reserves up to this are reckoned with before a run, so that no product overflows.
LARGEST: constant(uint256) = 2**112 - 1
UNKNOWN: constant(uint256) = max_value(uint256)

# Nothing to take over: to change the owner or an operator, withdraw and deploy another executor.
OWNER: public(immutable(address))
OPERATORS: immutable(address[MAX_OPERATORS])

# One run at a time.
running: transient(bool)
# What the pool that is being called may collect, in one callback.
due: transient(Payment)
# A flash swap's route: its hops behind the first run inside the callback.
flash_route: transient(DynArray[Hop, MAX_HOPS])


@deploy
def __init__(owner: address, operators: address[MAX_OPERATORS]):
    """
    @param operators Up to four, and the zero address in the places that are left.
    """
    assert owner != empty(address) and owner not in operators
    OWNER = owner
    OPERATORS = operators


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
    assert msg.sender in OPERATORS, "not operator"
    assert not self.running, "running"
    self.running = True
    assert block.number <= deadline_block, "too late"
    assert len(hops) > 1, "no cycle"
    least: uint256 = max(min_amount_out, amount_in + min_profit)
    assert self._most_out(hops, amount_in) >= least, "moved"
    token: address = hops[0].token_in
    before: uint256 = self._balance(token)
    if flash:
        token_out: address = hops[1].token_in
        stock: uint256 = self._balance(token_out)
        self.flash_route = hops
        # A V2 pair calls back whoever receives its output.
        receiver: address = self
        if hops[0].kind == V3 and hops[1].kind == V2:
            receiver = hops[1].pool
        self._swap(hops[0], token_out, amount_in, receiver, True)
        # What the first pool claimed to have sent was not taken from our own.
        assert self._balance(token_out) >= stock, "unpaid hop"
    else:
        if hops[0].kind == V2:
            self._send(token, hops[0].pool, amount_in)
        self._run(hops, 0, amount_in)
    amount_out: uint256 = amount_in + self._balance(token) - before
    assert amount_out >= least, "too little received"
    self.running = False
    return amount_out


@external
@view
def operators() -> address[MAX_OPERATORS]:
    return OPERATORS


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
@view
def _most_out(hops: DynArray[Hop, MAX_HOPS], amount_in: uint256) -> uint256:
    """
    @dev What can come out at the most, by what each pool says before anything has moved: exact for
        V2 pairs, and for V3 pools as long as the price does not leave the ticks between which
        their liquidity is sure to stay as it is. Reads nothing that the swaps would not read.
        With LARGEST no product overflows; a pool that lies decides on the run's refusal alone.
    """
    amount: uint256 = amount_in
    for i: uint256 in range(len(hops), bound=MAX_HOPS):
        hop: Hop = hops[i]
        token_out: address = hops[unsafe_add(i, 1) % len(hops)].token_in
        zero_for_one: bool = convert(hop.token_in, uint256) < convert(token_out, uint256)
        reserve_in: uint256 = 0
        reserve_out: uint256 = 0
        ticks: uint256 = UNKNOWN
        if hop.kind == V2:
            reserve_in, reserve_out = self._reserves(hop.pool, zero_for_one)
        elif hop.kind == V3:
            reserve_in, reserve_out, ticks = self._virtual_reserves(
                hop.pool, hop.data, zero_for_one
            )
        else:
            raise "unknown kind"
        if amount | reserve_in | reserve_out > LARGEST or reserve_in == 0:
            amount = UNKNOWN
            continue
        kept: uint256 = unsafe_mul(amount, PIPS - self._fee_pips(hop.data))
        before: uint256 = unsafe_mul(reserve_in, PIPS)
        sure: uint256 = kept
        if ticks != UNKNOWN:
            share: uint256 = unsafe_mul(ticks, ROOT_OF_TICK)
            sure = min(kept, unsafe_div(unsafe_mul(before, share), BILLION))
        behind: uint256 = unsafe_add(before, sure)
        if sure == kept:
            amount = unsafe_div(unsafe_mul(kept, reserve_out), behind)
        else:
            # Whatever liquidity lies behind, the price only gets worse.
            left: uint256 = unsafe_div(unsafe_mul(before, reserve_out), behind)
            rest: uint256 = unsafe_mul(unsafe_sub(kept, sure), unsafe_add(left, 1))
            amount = unsafe_add(unsafe_sub(reserve_out, left), unsafe_div(rest, behind)) + 1
    return amount


@internal
@view
def _virtual_reserves(
    pool: address, data: bytes32, zero_for_one: bool
) -> (uint256, uint256, uint256):
    """
    @dev Reserves of the V2 pair that a V3 pool is between two ticks, rounded in the trader's
        favour, and by how many ticks the price surely moves before that ends. All 0 where that
        says nothing of what it gives.
    """
    price: uint256 = 0
    tick: int256 = 0
    price, tick = staticcall Pool(pool).slot0()
    liquidity: uint256 = staticcall Pool(pool).liquidity()
    # Where the product would overflow, the reserve would be above LARGEST anyway.
    if liquidity == 0 or (liquidity >= 2**96 and price >= 2**128):
        return 0, 0, 0
    reserve0: uint256 = unsafe_div(liquidity << 96, price)
    reserve1: uint256 = unsafe_mul(liquidity, price) >> 96
    spacing: uint256 = convert(data, uint256) >> 24
    # Counted up from a multiple of the spacing that is below every tick.
    above: uint256 = convert(unsafe_add(tick, convert(spacing << 20, int256)), uint256) % spacing
    if zero_for_one:
        return reserve0, reserve1 + 1, above
    return reserve1, reserve0 + 1, spacing - 1 - above


@internal
@pure
def _fee_pips(data: bytes32) -> uint256:
    return convert(data, uint256) % FIELD


@internal
def _run(hops: DynArray[Hop, MAX_HOPS], first: uint256, amount_in: uint256):
    """
    @dev The hops from `first` on. The input of a V2 pair is already there: whatever comes before
        sends it there, so that it is transferred once.
    """
    amount: uint256 = amount_in
    for i: uint256 in range(first, len(hops), bound=MAX_HOPS):
        if i + 1 == len(hops):
            amount = self._swap(hops[i], hops[0].token_in, amount, self, False)
            break
        # The output goes to the next hop's pair, or to us, who pay in its callback.
        ahead: Hop = hops[i + 1]
        if ahead.kind == V2:
            amount = self._swap(hops[i], ahead.token_in, amount, ahead.pool, False)
        else:
            stock: uint256 = self._balance(ahead.token_in)
            amount = self._swap(hops[i], ahead.token_in, amount, self, False)
            assert self._balance(ahead.token_in) >= stock + amount, "unpaid hop"


@internal
def _swap(
    hop: Hop, token_out: address, amount_in: uint256, receiver: address, flash: bool
) -> uint256:
    """
    @dev Sell amount_in in one pool. Returns what the pool says it sent.
    """
    zero_for_one: bool = convert(hop.token_in, uint160) < convert(token_out, uint160)
    if hop.kind == V3 or flash:
        self.due = Payment(pool=hop.pool, token=hop.token_in, amount=amount_in)
    amount_out: uint256 = 0
    if hop.kind == V3:
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
        kept: uint256 = amount_in * (PIPS - self._fee_pips(hop.data))
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
        if hops[0].kind == V2 and hops[1].kind == V2:
            self._send(hops[1].token_in, hops[1].pool, amount_out)
        self._run(hops, 1, amount_out)
    self._send(payment.token, payment.pool, payment.amount)


@internal
@view
def _reserves(pair: address, zero_for_one: bool) -> (uint256, uint256):
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = staticcall Pair(pair).getReserves()
    if zero_for_one:
        return reserve0, reserve1
    return reserve1, reserve0


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
