# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Puppet
@notice Anything an attacker could be: whatever function is called, it does what it was taught for
    that function, call after call, and returns what it was taught.
"""

MAX_ACTS: constant(uint256) = 12
MAX_DATA: constant(uint256) = 1024


struct Act:
    target: address
    data: Bytes[MAX_DATA]


struct Part:
    acts: DynArray[Act, MAX_ACTS]
    answer: Bytes[96]


parts: HashMap[bytes4, Part]


@external
def learn(selector: bytes4, part: Part):
    self.parts[selector] = part


@external
@payable
@raw_return
def __default__() -> Bytes[96]:
    part: Part = self.parts[convert(slice(msg.data, 0, 4), bytes4)]
    for act: Act in part.acts:
        done: bool = raw_call(act.target, act.data, revert_on_failure=False)
    return part.answer
