"""Who swapped in a block, in whichever pools, and what that brought him.

Taken from the receipts of all transactions when the block is collected, because the history keeps
the logs of the collected pools alone. How: chain/flows.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dexarb.core.token import Address


class SwapCount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """So many swap events of one kind that a contract emitted in a block.

    kind: which event, see amm/swap_events. A fork of a DEX emits the events of the original.
    """

    emitter: Address
    kind: str
    count: int


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What somebody had more of a token after a transaction, less if negative. Never zero.

    digits: in the token's smallest unit, decimal. It becomes a number for those who ask: most
    readers of a history do not, and 256 bits do not fit into what JSON decoders call a number.
    """

    token: Address
    digits: str

    @property
    def amount(self) -> int:
        return int(self.digits)


class Flow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a transaction with swaps in two or more pools changed for its sender and its target.

    pools: places in the block's `swaps`. is_closed: nobody else gave tokens without taking any, so
    that whatever was gained came out of trades. sender and target: by token, in order of address.
    """

    transaction_index: int
    pools: tuple[int, ...]
    is_closed: bool
    sender: tuple[Change, ...]
    target: tuple[Change, ...]

    def net(self) -> Mapping[Address, int]:
        """Of both together, by token. What passed from one to the other is gone from it."""
        net: dict[Address, int] = {}
        for change in (*self.sender, *self.target):
            net[change.token] = net.get(change.token, 0) + change.amount
        return {token: amount for token, amount in net.items() if amount}

    def gains(self) -> Mapping[Address, int]:
        """What an arbitrage had more of afterwards, before gas. Empty for all else: whoever gave
        anything for it, or got it without a trade, made none."""
        net = self.net() if self.is_closed else {}
        return net if all(amount > 0 for amount in net.values()) else {}


class Traffic(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Of one block. swaps: of all pools that are known by their events, the collected ones
    included, in order of their first event. flows: in order of transactions. transfers: indices of
    the transactions whose only event is a transfer of the very token that they called, ascending;
    None where nobody kept them.
    """

    swaps: tuple[SwapCount, ...]
    flows: tuple[Flow, ...]
    transfers: tuple[int, ...] | None = None

    def emitters(self, flow: Flow) -> tuple[SwapCount, ...]:
        """Those that one of its flows passed."""
        return tuple(self.swaps[place] for place in flow.pools)
