"""A rush: for a block or two a crowd claims its tokens, and whoever bids less waits outside."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from dexarb.core.units import GWEI
from dexarb.demo.mining import Mined, TransactionRequest
from dexarb.demo.scene import Scene
from dexarb.demo.world import World

CLAIM = "claim"

_DISTRIBUTOR = bytes.fromhex(
    "333014601257"  # if the caller is this contract itself, jump to 0x12
    "5f5f5f5f5f305af1"  # else call itself with all the gas that there is
    "5000"  # drop the outcome and stop
    "00005bfe"  # 0x12: use up all that came along
)
"""Takes 63/64 of the gas that it gets, and costs a node no time: what its claims do with it is
nobody's business here."""


def distributor_creation() -> bytes:
    """The data of the transaction that deploys the contract that claims call."""
    size = f"{len(_DISTRIBUTOR):02x}"
    # Copy what follows these twelve bytes into memory, and return it.
    return bytes.fromhex(f"60{size}600c60003960{size}6000f3") + _DISTRIBUTOR


class Claims:
    """Now and then a claim opens. Its crowd bids more than most, and is more than a block holds.

    Many claims for several at once, and small ones that take what is left: a full block has less
    gas left than a small one asks for.
    """

    BLOCKS_BETWEEN = (6, 14)
    LASTS = (1, 1, 2)
    """Blocks, equally likely."""
    LARGE, LARGE_GAS, LARGE_GWEI = 11, 2_000_000, (60.0, 90.0)
    SMALL, SMALL_GAS, SMALL_GWEI = 22, 400_000, (38.0, 55.0)

    def __init__(self, world: World, random: Random) -> None:
        self._world, self._random = world, random
        self._wait = random.randint(*self.BLOCKS_BETWEEN)
        self._lasts = random.choice(self.LASTS)

    def act(self, scene: Scene, pending: Sequence[TransactionRequest]) -> list[TransactionRequest]:
        del scene, pending
        self._wait -= 1
        if self._wait > 0:
            return []
        self._lasts -= 1
        if not self._lasts:
            self._wait = self._random.randint(*self.BLOCKS_BETWEEN)
            self._lasts = self._random.choice(self.LASTS)
        sizes = (
            (self.LARGE, self.LARGE_GAS, self.LARGE_GWEI),
            (self.SMALL, self.SMALL_GAS, self.SMALL_GWEI),
        )
        return [
            TransactionRequest(
                purpose=CLAIM,
                sender=claimant,
                to=self._world.distributor,
                data=b"",
                gas=gas,
                priority_fee=int(self._random.uniform(*gwei) * GWEI),
            )
            for claimant, (count, gas, gwei) in zip(
                self._world.accounts.claimants, sizes, strict=True
            )
            for _ in range(count)
        ]

    def observe(self, mined: Mined) -> None:
        """Whoever was left out comes too late."""
