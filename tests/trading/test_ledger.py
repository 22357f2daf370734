"""The books under anything a chain can do: blocks, reorganisations, keyframes, resyncs, pools that
come and go.

After every entry the ledger is compared with a fold written down plainly from all that was sent
and all that stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.core.block import Block, BlockHash, BlockRef, BlockUpdate
from dexarb.core.market import Entry, Keyframe, PoolsChanged
from dexarb.core.pool import PoolKey
from dexarb.core.trade import Decision, Fill, FillStatus, Position, StrategyHash
from dexarb.trading.engine import Engine
from dexarb.trading.seams import Step
from tests.support.scripted import Change, Scripted
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.small_chain import CHEAP, DEAR, GAS, SmallChain, keyframe, weth_pool

PRICES = (2_450, 2_500, 2_500, 2_550)
ROWS: dict[str, Change | dict[str, object]] = {
    "plain": {},
    "slow": lambda made: made._replace(
        first_block=made.first_block + 2, deadline_block=made.first_block + 4
    ),
    "late": lambda made: made._replace(latency_ms=1_500),
    "thrifty": {"max_base_fee": 40 * GWEI, "position": Position.TOP},
    "strict": lambda made: made._replace(min_amount_out=made.amount_out),
    "unlucky": {"competition_lost": True},
    "dear": {"fixed_gas_cost_micro_usd": 10**10},
}


def utc_day(block: Block) -> int:
    """By the calendar."""
    return (datetime.fromtimestamp(block.timestamp, UTC).date() - date(1970, 1, 1)).days


def is_lost(fill: Fill) -> bool:
    return fill.net_micro_usd < 0 or fill.status in (FillStatus.REVERTED, FillStatus.LOST)


@dataclass
class Books:
    """What a plain reader keeps: all that was sent, what became of it, and the branch it is on."""

    sent: list[Decision] = field(default_factory=list)
    stands: list[Fill] = field(default_factory=list)
    voided: dict[str, int] = field(default_factory=dict)
    branch: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    day: int = 0

    def note(self, entry: Entry, step: Step, open_cycles: Iterable[str]) -> None:
        if step.dead_blocks:
            gone = []
            while self.branch[-1][0] in step.dead_blocks:
                gone.append(self.branch.pop()[0])
            assert list(dict.fromkeys(reversed(gone))) == list(step.dead_blocks)
            # What was given up in a dead block waits for its cycle to close on the new branch.
            for name, at in self.voided.items():
                self.voided[name] = min(at, len(self.branch))
        if step.undone:
            assert tuple(self.stands[-len(step.undone) :]) == tuple(step.undone)
            del self.stands[-len(step.undone) :]
        seen = step.block.hash, frozenset(open_cycles)
        if self.branch[-1] != seen:  # a keyframe that repeats what is known is no block
            self.branch.append(seen)
        self.stands += step.fills
        for decision in step.voided:
            self.voided[decision.id] = len(self.branch) - 1
        self.sent += step.decisions
        if isinstance(entry, BlockUpdate):
            self.day = utc_day(step.block)

    def columns(self, name: str) -> dict[str, int]:
        sent = [each for each in self.sent if each.strategy == name]
        stands = [each for each in self.stands if each.decision.strategy == name]
        settled = {each.decision.id for each in stands} | self.voided.keys()
        still = [each for each in sent if each.id not in settled]
        today = [each for each in sent if utc_day(each.block) == self.day]
        losses, last_loss = 0, 0
        for fill in stands:
            if is_lost(fill):
                losses, last_loss = losses + 1, fill.block.number
            elif fill.status is FillStatus.FILLED:
                losses = 0
        counts = {
            status.value: sum(each.status is status for each in stands) for status in FillStatus
        }
        return counts | {
            "sent": len(sent),
            "reorged": sum(each.id in self.voided for each in sent),
            "open": len(still),
            "profit_micro_usd": sum(each.net_micro_usd for each in stands),
            "band_low_micro_usd": sum(each.band_micro_usd[0] for each in stands),
            "band_high_micro_usd": sum(each.band_micro_usd[1] for each in stands),
            "gas_cost_micro_usd": sum(each.gas_cost_micro_usd for each in stands),
            "open_capital_micro_usd": sum(each.capital_micro_usd for each in still),
            "open_gas_micro_usd": sum(each.gas_reserve_micro_usd for each in still),
            "consecutive_losses": losses,
            "last_loss_block": last_loss,
            "day": self.day,
            "day_trades": len(today),
            "day_net_micro_usd": sum(
                each.net_micro_usd for each in stands if each.decision in today
            ),
        }

    def is_busy(self, name: str, pool: str) -> bool:
        """Some cycle taken through the pool has not been closed at a block end since its fill."""
        at: dict[str, int] = {}
        for number, (block_hash, _) in enumerate(self.branch):
            at.setdefault(block_hash, number)
        included = {each.decision.id: at.get(each.block.hash) for each in self.stands}
        for decision in self.sent:
            if decision.strategy == name and pool in decision.cycle.pools:
                since = self.voided.get(decision.id, included.get(decision.id))
                if since is None or all(
                    decision.cycle.id in open_cycles for _, open_cycles in self.branch[since:]
                ):
                    return True
        return False


class Life:
    """An engine and the plain books beside it."""

    def __init__(self) -> None:
        self.first = keyframe()
        self.chain = SmallChain(self.first)
        self.engine = engine(self.first, [Scripted(ROWS)], scanner=plain)
        self.books = Books(branch=[(self.first.block.hash, frozenset())])
        self.blocks: list[Block] = [self.first.block]
        self.forks = 0
        self.jump_s = 0

    def step(self, entry: Entry) -> None:
        step = self.engine.step(entry)
        self.books.note(entry, step, self.engine.scan.open_cycles)
        self.check()

    def mine(self, cheap: int, dear: int, base_fee: int, back: int, jump_s: int) -> None:
        back = min(back, len(self.blocks) - 1)
        if back:
            del self.blocks[-back:]
            self.forks += 1
        branch = f"{self.forks}." if self.forks else ""
        update = self.chain.mine(
            weth_pool(CHEAP, cheap),
            weth_pool(DEAR, dear),
            parent=self.blocks[-1],
            branch=branch,
            base_fee=base_fee,
        )
        timestamp = self.blocks[-1].timestamp + 1 + jump_s
        block = replace(update.block, timestamp=timestamp, seen_at=timestamp + 0.5)
        self.blocks.append(block)
        self.step(replace(update, block=block))

    def keyframe(self, kind: str) -> None:
        """same: what is known. fewer, all: other pools. resync: another chain of blocks."""
        self.chain.seq += 1
        pools = list(self.engine.market.pools.values())
        block = self.blocks[-1]
        if kind == "fewer":
            pools = [pool for pool in pools if pool.key != DEAR]
        elif kind == "all":
            known = {pool.key for pool in pools}
            pools += [pool for pool in self.first.pools if pool.key not in known]
        elif kind == "resync":
            number = block.number + 7
            block = replace(
                block,
                number=number,
                hash=BlockHash(f"0xr{self.chain.seq}"),
                parent_hash=BlockHash("0x"),
            )
        changed = {pool.key for pool in pools} != self.engine.market.pools.keys()
        if changed or kind == "resync":
            self.blocks = [block]
        self.chain.tip = block
        entry = Keyframe(self.chain.seq, block, self.first.profile, self.first.tokens, tuple(pools))
        self.step(entry)

    def change(self, kind: str, key: PoolKey, price: int) -> None:
        """leave: the pool goes, if it is there. state: it comes, or is put right."""
        market = self.engine.market
        there = key in market.pools
        if kind == "leave" and not there:
            return
        self.chain.seq += 1
        self.step(
            PoolsChanged(
                self.chain.seq,
                BlockRef(market.block.number, market.block.hash),
                joined=(weth_pool(key, price),) if kind == "state" else (),
                left=(key,) if there else (),
            )
        )

    def check(self) -> None:
        ledger = self.engine.ledger
        total = {each.id for each in self.books.sent}
        assert len(total) == len(self.books.sent)
        for name in ROWS:
            columns = self.books.columns(name)
            assert {key: ledger.value(StrategyHash(name), key) for key in columns} == columns
            outcomes = ("filled", "reverted", "lost", "expired", "reorged", "open")
            assert columns["sent"] == sum(columns[key] for key in outcomes)
            for pool in (CHEAP, DEAR, GAS):
                row = ledger.rows[StrategyHash(name)]
                assert ledger.busy([pool])[row] == self.books.is_busy(name, pool)


BLOCKS = st.tuples(
    st.just("mine"),
    st.sampled_from(PRICES),
    st.sampled_from(PRICES),
    st.sampled_from([30 * GWEI, 30 * GWEI, 90 * GWEI]),
    st.sampled_from([0, 0, 0, 0, 1, 2, 5]),
    st.sampled_from([0, 0, 0, 50_000]),
)
KEYFRAMES = st.tuples(st.sampled_from(["same", "fewer", "all", "resync"]))
CHANGES = st.tuples(
    st.sampled_from(["leave", "state"]), st.sampled_from([CHEAP, DEAR]), st.sampled_from(PRICES)
)
ACTIONS = st.lists(
    st.one_of(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, CHANGES, KEYFRAMES), max_size=25
)


@settings(max_examples=100)
@given(ACTIONS)
def test_the_ledger_is_a_fold_of_what_was_sent_and_what_stands(
    actions: list[tuple[object, ...]],
) -> None:
    life = Life()
    for kind, *how in actions:
        if kind == "mine":
            life.mine(*how)  # type: ignore[arg-type]
        elif kind in ("leave", "state"):
            life.change(str(kind), *how)  # type: ignore[arg-type]
        else:
            life.keyframe(str(kind))
    # Nothing stays open for ever.
    for _ in range(8):
        life.mine(2_500, 2_500, 30 * GWEI, 0, 0)
    assert all(life.books.columns(name)["open"] == 0 for name in ROWS)


PRICED_BLOCKS = st.lists(st.tuples(st.sampled_from(PRICES), st.sampled_from(PRICES)), max_size=6)


@settings(max_examples=60)
@given(PRICED_BLOCKS, PRICED_BLOCKS.filter(bool), PRICED_BLOCKS.filter(bool))
def test_an_engine_after_a_reorg_equals_one_that_never_saw_the_dead_branch(
    trunk: list[tuple[int, int]], dead: list[tuple[int, int]], alive: list[tuple[int, int]]
) -> None:
    """Deciding on the trunk and on the branch that lives; on the dead one only settling."""
    rows = {name: change for name, change in ROWS.items() if name != "late"}
    first = keyframe()
    # Both branches in one chain, so that an entry is the same for both engines.
    chain = SmallChain(first)
    trunk_blocks = [chain.mine(weth_pool(CHEAP, c), weth_pool(DEAR, d)) for c, d in trunk]
    fork = trunk_blocks[-1].block if trunk_blocks else first.block
    dead_blocks = [chain.mine(weth_pool(CHEAP, c), weth_pool(DEAR, d)) for c, d in dead]
    chain.tip = fork
    alive_blocks = [
        chain.mine(weth_pool(CHEAP, c), weth_pool(DEAR, d), branch="b") for c, d in alive
    ]
    steps: list[list[Step]] = []
    engines: list[Engine] = []
    for sees_dead in (True, False):
        made = engine(first, [Scripted(rows)], scanner=plain)
        for update in trunk_blocks:
            made.step(update)
        made.deciding = False
        for update in dead_blocks if sees_dead else ():
            made.step(update)
        made.deciding = True
        steps.append([made.step(update) for update in alive_blocks])
        engines.append(made)
    one, other = engines
    for saw, did_not in zip(*steps, strict=True):
        assert (saw.fills, saw.decisions, saw.evidence) == (
            did_not.fills,
            did_not.decisions,
            did_not.evidence,
        )
    assert one.market.pools == other.market.pools
    assert one.episodes.by_id() == other.episodes.by_id()
    assert one.scan.open_cycles == other.scan.open_cycles
    for token in one.market.tokens:
        assert one.valuation.price(token) == other.valuation.price(token)
    assert (one.ledger.column("sent") == other.ledger.column("sent")).all()
    for name in map(StrategyHash, rows):
        for column in ("profit_micro_usd", "open", "consecutive_losses", "day_net_micro_usd"):
            assert one.ledger.value(name, column) == other.ledger.value(name, column)
    for pool in (CHEAP, DEAR):
        assert (one.ledger.busy([pool]) == other.ledger.busy([pool])).all()
