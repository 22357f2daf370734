# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Proxy token
@notice A wayward token behind a proxy, as the great stablecoins are: its storage here, its code there.
"""

flag Habit:
    RETURNS_NOTHING
    RETURNS_FALSE
    TAKES_A_FEE
    IS_PAUSED

# Laid out as those of the wayward token.
balances: HashMap[address, uint256]
bonus: HashMap[address, uint256]
habits: Habit
hook: address
barred: HashMap[address, bool]
implementation: address


@deploy
def __init__(holder: address, implementation: address):
    self.balances[holder] = convert(max_value(uint128), uint256)
    self.implementation = implementation


@external
@raw_return
def __default__() -> Bytes[32]:
    return raw_call(
        self.implementation, slice(msg.data, 0, 68) if len(msg.data) > 36 else slice(msg.data, 0, 36),
        max_outsize=32, is_delegate_call=True,
    )
