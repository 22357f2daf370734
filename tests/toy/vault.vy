# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A vault of pools, as no DEX has them
@notice Pools of three tokens each, by id, in one contract. They keep books and move no tokens.
@dev Selling u times the reserve of a token, after the fee, gives u * (2 + u) / (2 * (1 + u)**2) of
    the reserve of the other one: no more than half. The fee has a surge after every swap that dies
    away within a minute.
"""

PIPS: constant(uint256) = 1_000_000
SURGE_LASTS: constant(uint256) = 60

event Swapped:
    id: indexed(uint256)
    sold: uint256
    bought: uint256
    amount_in: uint256
    amount_out: uint256

event Filled:
    id: indexed(uint256)
    reserves: uint256[3]

event Greeted:
    id: indexed(uint256)

struct Pool:
    tokens: address[3]
    reserves: uint256[3]
    fee: uint256
    surge: uint256
    last_swap: uint256

pools: HashMap[uint256, Pool]
number: public(uint256)


@external
def create(tokens: address[3], fee: uint256, surge: uint256) -> uint256:
    assert fee + surge < PIPS, "fee"
    self.number += 1
    self.pools[self.number].tokens = tokens
    self.pools[self.number].fee = fee
    self.pools[self.number].surge = surge
    return self.number


@external
def fill(id: uint256, reserves: uint256[3]):
    self.pools[id].reserves = reserves
    log Filled(id=id, reserves=reserves)


@external
def greet(id: uint256):
    log Greeted(id=id)


@external
@view
def pool(id: uint256) -> Pool:
    return self.pools[id]


@internal
@view
def _fee(id: uint256) -> uint256:
    since: uint256 = block.timestamp - self.pools[id].last_swap
    left: uint256 = SURGE_LASTS - min(since, SURGE_LASTS)
    return self.pools[id].fee + self.pools[id].surge * left // SURGE_LASTS


@external
@view
def fee(id: uint256) -> uint256:
    return self._fee(id)


@external
def swap(id: uint256, sold: uint256, bought: uint256, amount_in: uint256) -> uint256:
    assert sold != bought, "same token"
    reserve_in: uint256 = self.pools[id].reserves[sold]
    reserve_out: uint256 = self.pools[id].reserves[bought]
    assert reserve_in > 0 and reserve_out > 0, "empty"
    net: uint256 = amount_in * (PIPS - self._fee(id)) // PIPS
    behind: uint256 = reserve_in + net
    amount_out: uint256 = reserve_out * net * (2 * reserve_in + net) // (2 * behind * behind)
    assert amount_out > 0, "nothing"
    self.pools[id].reserves[sold] = reserve_in + amount_in
    self.pools[id].reserves[bought] = reserve_out - amount_out
    self.pools[id].last_swap = block.timestamp
    log Swapped(id=id, sold=sold, bought=bought, amount_in=amount_in, amount_out=amount_out)
    return amount_out
