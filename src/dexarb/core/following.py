"""The one way to follow a history: entries go in one by one, the market comes out.

Whoever reads a history uses `Follower`, so that all agree on what a keyframe, a reorganisation, a
block that comes twice, pools that come and go, and a break mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from dexarb.core.block import BlockHash, BlockRef, BlockUpdate
from dexarb.core.market import Break, Entry, Keyframe, Market, PoolsChanged
from dexarb.core.pool import PoolKey
from dexarb.errors import MarketError, PoolError


class MoveKind(Enum):
    """What an entry meant for the market.

    REPEATED: nothing, it says what is known: a keyframe of the market as it stands, or a block that
    is on its branch already. APPLIED: a block. CHANGED: pools have joined or left. RESTATED: a
    keyframe of the same block with other pools, other states or another profile. ANEW: a keyframe
    of another block. BROKEN: a break, or a keyframe of a block before; the market stands at that
    block. LOST: nothing is known until the next keyframe, since what came cannot follow, or a break
    goes back further than the market remembers.
    """

    REPEATED = auto()
    APPLIED = auto()
    CHANGED = auto()
    RESTATED = auto()
    ANEW = auto()
    BROKEN = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Move:
    """An entry, and what it did.

    rewound_to: hash of the block that the market was first taken back to, None if it was not.
    touched: pools that are other ones now or gone, those of the way back included; of a market that
    is another one (RESTATED, ANEW) all that are not as they were. error: why it became lost, None
    if it was before.
    """

    entry: Entry
    kind: MoveKind
    touched: frozenset[PoolKey] = frozenset()
    rewound_to: BlockHash | None = None
    error: MarketError | PoolError | None = None


class Follower:
    """Mutable. market: None before the first keyframe, and while lost."""

    def __init__(self, market: Market | None = None) -> None:
        self.market = market

    def beyond(self, entry: Entry) -> int | None:
        """The number of the block that the entry goes back to, where that lies behind what the
        market remembers; -1 where nothing is left to stand on. None: it need not."""
        market = self.market
        if market is None or isinstance(entry, PoolsChanged):
            return None
        if isinstance(entry, Break):
            back = entry.fork_point
        elif isinstance(entry, Keyframe):
            if entry.block.number > market.block.number:
                return None
            back = BlockRef(entry.block.number, entry.block.hash)
        elif entry.block.parent_hash == market.block.hash or market.remembers(entry.block.hash):
            return None
        else:
            back = BlockRef(entry.block.number - 1, entry.block.parent_hash)
        if back is None:
            return -1
        return None if market.remembers(back.hash) else back.number

    def take(self, entry: Entry) -> Move:
        """Move on by the next entry."""
        if isinstance(entry, Keyframe):
            return self._keyframe(entry)
        if self.market is None:
            return Move(entry, MoveKind.LOST)
        if isinstance(entry, Break):
            return self._break(self.market, entry)
        if isinstance(entry, PoolsChanged):
            return self._change(self.market, entry)
        return self._block(self.market, entry)

    def _keyframe(self, keyframe: Keyframe) -> Move:
        """One of a block that the market has passed says that the blocks since then are dead."""
        market = self.market
        rewound_to, back = None, frozenset[PoolKey]()
        if market is not None and market.block.hash != keyframe.block.hash:
            if not market.remembers(keyframe.block.hash):
                market = None
            else:
                rewound_to = keyframe.block.hash
                back = market.rewind(rewound_to)
        if market is None:
            before = self.market.pools.keys() if self.market else ()
            self.market = Market(keyframe)
            return Move(keyframe, MoveKind.ANEW, frozenset(before) | self.market.pools.keys())
        changed = market.differing(keyframe)
        if not changed and keyframe.profile == market.profile:
            kind = MoveKind.BROKEN if rewound_to else MoveKind.REPEATED
            return Move(keyframe, kind, back, rewound_to)
        self.market = Market(keyframe)
        return Move(keyframe, MoveKind.RESTATED, changed, rewound_to)

    def _block(self, market: Market, update: BlockUpdate) -> Move:
        block = update.block
        rewound_to, back = None, frozenset[PoolKey]()
        try:
            if block.parent_hash != market.block.hash:
                if market.remembers(block.hash):
                    return Move(update, MoveKind.REPEATED)
                back = market.rewind(block.parent_hash)
                rewound_to = block.parent_hash
            touched = market.apply(update)
        except (MarketError, PoolError) as error:
            # Events that no pool of ours can have made, or a parent that is not known.
            self.market = None
            return Move(update, MoveKind.LOST, back, rewound_to, error)
        return Move(update, MoveKind.APPLIED, back | touched, rewound_to)

    def _change(self, market: Market, entry: PoolsChanged) -> Move:
        try:
            touched = market.change(entry)
        except MarketError as error:
            self.market = None
            return Move(entry, MoveKind.LOST, error=error)
        return Move(entry, MoveKind.CHANGED, touched)

    def _break(self, market: Market, entry: Break) -> Move:
        point = entry.fork_point
        try:
            if point is None:
                raise MarketError(f"nothing that is recorded stands any more: {entry.reason}")
            back = market.rewind(point.hash)
        except MarketError as error:
            self.market = None
            return Move(entry, MoveKind.LOST, error=error)
        return Move(entry, MoveKind.BROKEN, back, point.hash)
