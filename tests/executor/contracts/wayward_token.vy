# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Wayward token
@notice A token that can misbehave in the ways tokens do, and tells a hook before it moves anything.
"""

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

flag Habit:
    RETURNS_NOTHING
    RETURNS_FALSE  # and moves nothing
    TAKES_A_FEE
    IS_PAUSED

balances: HashMap[address, uint256]
bonus: HashMap[address, uint256]
habits: Habit
hook: address
barred: HashMap[address, bool]


@deploy
def __init__(holder: address):
    self.balances[holder] = convert(max_value(uint128), uint256)


@external
def behave(habits: Habit, hook: address):
    self.habits = habits
    self.hook = hook


@external
def bar(holder: address):
    self.barred[holder] = True


@external
def pretend(holder: address, bonus: uint256):
    self.bonus[holder] = bonus


@external
@view
def balanceOf(holder: address) -> uint256:
    return self.balances[holder] + self.bonus[holder]


@external
@raw_return
def transfer(receiver: address, amount: uint256) -> Bytes[32]:
    assert Habit.IS_PAUSED not in self.habits, "Pausable: paused"
    assert not self.barred[receiver], "Blacklistable: account is blacklisted"
    if self.hook != empty(address):
        done: bool = raw_call(self.hook, method_id("moving()"), revert_on_failure=False)
    if Habit.RETURNS_FALSE in self.habits:
        return abi_encode(False)
    fee: uint256 = amount // 100 if Habit.TAKES_A_FEE in self.habits else 0
    self.balances[msg.sender] -= amount
    self.balances[receiver] += amount - fee
    log Transfer(sender=msg.sender, receiver=receiver, amount=amount)
    if Habit.RETURNS_NOTHING in self.habits:
        return b""
    return abi_encode(True)
