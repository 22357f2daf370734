"""What stops a send: nothing leaves the process, and the journal says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.sending import Control, ControlKind, Signed, TransactionHash, avoided
from dexarb.core.trade import FillStatus
from dexarb.core.units import MICRO_USD
from dexarb.ends.live.keys import Call, Signer
from dexarb.errors import InputError
from dexarb.screens.bot_orders import armed, trusted
from dexarb.store.journal import Journal, JournalReader, SignedRaw
from tests.ends.end_world import EndWorld, end_world
from tests.store.disks import no_room
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import CHEAP, DEAR, WETH, weth_pool


def test_what_is_decided_is_signed_written_and_sent(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        (decision,) = world.step(world.spread()).decisions
        world.offered()
        (signed,) = world.journal.signed()
        ((_, raw),) = world.journal.raw([signed.hash])
        assert world.node.taken == ["0x" + raw.hex()]
        assert (signed.decision, signed.nonce, world.drops) == (decision.id, 0, [])
        gain = world.gain_of(signed)
        (fill,) = world.step(world.including(signed, gain=gain)).fills
        assert fill.status is FillStatus.FILLED
        assert world.said.fills == [fill]
        assert world.disarmed_by is None
        world.assert_replays()


def test_the_time_of_signing_is_when_it_was_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = Signer.sign

    with end_world(tmp_path) as world:
        world.ready()

        def sign_for_a_second(signer: Signer, call: Call, **fields: Any) -> SignedRaw:
            world.late_s += 1.0
            return sign(signer, call, **fields)

        monkeypatch.setattr(Signer, "sign", sign_for_a_second)
        world.step(world.spread())
        (signed,) = world.journal.signed()
        assert signed.at - signed.decided_at == 1.0


def late_clock(world: EndWorld, update: BlockUpdate) -> None:
    world.late_s = 4.5
    world.step(update)


def early_clock(world: EndWorld, update: BlockUpdate) -> None:
    world.late_s = -60.0
    world.step(update)


def empty_account(world: EndWorld, update: BlockUpdate) -> None:
    world.node.balance = 10**15
    world.ask()
    world.step(update)


def nonce_in_doubt(world: EndWorld, update: BlockUpdate) -> None:
    world.node.is_there = False
    world.end.lanes.doubt(world.lanes[0])
    world.step(update)


def full_disk(world: EndWorld, update: BlockUpdate) -> None:
    with without_room(world.journal, "add"):
        world.step(update)


@contextmanager
def without_room(journal: Journal, method: str) -> Iterator[None]:
    """The disk is full while the journal's method runs, and has room again for other files."""
    write = getattr(journal, method)

    def write_in_vain(*things: object) -> None:
        with no_room(16):
            write(*things)

    setattr(journal, method, write_in_vain)
    yield
    setattr(journal, method, write)


Gate = Callable[[EndWorld, BlockUpdate], object]
GATES: dict[str, tuple[Gate, str]] = {
    "no receipts": (
        lambda world, update: world.step(replace(update, has_receipts=False)),
        "the node gave no receipts",
    ),
    "not proven": (
        lambda world, update: world.step(update, witnesses=0),
        "its block is not proven",
    ),
    "backfilled": (
        lambda world, update: world.step(update, is_live=False),
        "its block was there before the bot was started",
    ),
    "late": (late_clock, "its block is 4.5 s old"),
    "early": (early_clock, "its block is 60.0 s ahead of the clock"),
    "account": (empty_account, "the account has too little for gas"),
    "nonce": (nonce_in_doubt, "its account's nonce is in doubt"),
    "disk": (full_disk, "the journal could not be written"),
}


@pytest.mark.parametrize("name", GATES)
def test_nothing_is_sent(tmp_path: Path, name: str) -> None:
    close, reason = GATES[name]
    with end_world(tmp_path) as world:
        world.ready()
        close(world, world.spread())
        (decision,) = world.end.executor.open_decisions
        assert world.node.taken == []
        assert world.journal.signed() == []
        (said,) = world.drops
        assert reason in said
        fills = [*world.quiet().fills, *world.quiet().fills]
        assert [(each.decision.id, each.status) for each in fills] == [
            (decision.id, FillStatus.EXPIRED)
        ]
        world.assert_replays()


def test_a_disarming_that_finds_no_room_lets_nothing_go_and_is_written_later(
    tmp_path: Path,
) -> None:
    """Though the journal could take a trade before it."""
    with end_world(tmp_path, limits={"min_native": 5}) as world:
        world.ready()
        world.node.balance = 10**18
        with without_room(world.journal, "add_controls"):
            world.ask()
            assert len(world.said.disarmed_by) == 1
            assert [each.kind for each in world.journal.controls()] == [ControlKind.ARM]
            assert len(world.step(world.spread()).decisions) == 1
            assert (world.journal.signed(), world.node.taken) == ([], [])
        world.until(lambda: len(world.journal.controls()) == 3, "room for it")
        assert world.drops == ["the journal could not be written"]
        assert "min_native" in (world.disarmed_by or "")
        world.end_it()
        world.begin()
        assert "min_native" in (world.disarmed_by or "")
        assert len(world.said.disarmed_by) == 1
        assert world.step(world.spread(2_440)).decisions == []
        world.assert_replays()


@pytest.mark.parametrize("restart", [False, True])
def test_what_a_reorganisation_takes_back_is_given_out_again(tmp_path: Path, restart: bool) -> None:
    """Under its own nonce, and once more after a restart; not where it would come too late."""
    with end_world(tmp_path) as world:
        world.ready()
        opened = world.step(world.spread())
        world.offered()
        (signed,) = world.journal.signed()
        world.step(world.including(signed, gain=world.gain_of(signed)))
        world.node.nonces[signed.lane] = 1
        world.ask()
        assert len(world.node.taken) == 1
        if restart:
            world.end_it()
            world.begin()
            world.heard()
        world.node.nonces[signed.lane] = 0
        world.step(world.chain.mine(parent=opened.block, branch="b"))
        world.until(lambda: len(world.node.taken) == 2, "it to be given out again")
        assert world.node.taken[0] == world.node.taken[1]
        (fill,) = world.step(world.including(signed, gain=world.gain_of(signed))).fills
        assert fill.status is FillStatus.FILLED
        assert [each.nonce for each in world.journal.signed()] == [0]
        world.assert_replays()


def test_what_is_avoided_is_traded_again_once_it_is_trusted(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        world.step(world.spread())
        world.offered()
        (signed,) = world.journal.signed()
        world.step(world.including(signed, gain=world.gain_of(signed) + 1))
        assert set(avoided(world.journal.controls())) == {CHEAP, DEAR}
        world.step(world.spread(2_500))
        assert world.step(world.spread()).decisions == []
        world.step(world.spread(2_500))
        for each in (CHEAP, DEAR):
            world.order(ControlKind.TRUST, "it was explained", each)
        world.node.nonces[signed.lane] = 1
        assert len(world.step(world.spread()).decisions) == 1
        assert world.disarmed_by is None
        world.assert_replays()


def test_people_are_told_of_each_disarming_and_that_it_is_over(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        world.order(ControlKind.DISARM, "stop")
        world.order(ControlKind.DISARM, "stop")
        assert world.step(world.spread()).decisions == []
        world.arm()
        assert world.said.disarmed_by == ["stop", "stop"]
        assert world.said.times_armed == 2
        assert len(world.step(world.spread(2_440)).decisions) == 1


def test_an_order_to_trust_names_what_is_avoided(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        path = world.config.path
        with pytest.raises(InputError, match="nothing is avoided"):
            trusted(path, WETH, "a test")
        world.journal.add_controls([Control(1, ControlKind.AVOID, "it lied", WETH)])
        with pytest.raises(InputError, match=f'not avoided. Did you mean "{WETH}"'):
            trusted(path, WETH[:-1], "a test")
        world.journal.close()
        assert trusted(path, WETH, "a test").exit_code == 0
        with JournalReader.open_to_read(world.config.journal_file) as reader:
            assert [each.subject for each in reader.orders()] == [WETH]


def test_what_disarmed_it_before_somebody_armed_it_does_not_do_so_at_every_start(
    tmp_path: Path,
) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        world.step(world.spread())
        (signed,) = world.journal.signed()
        strange = signed._replace(hash=TransactionHash("0x" + "ab" * 32))
        world.step(world.including(strange, gain=None))
        world.arm()
        world.end_it()
        world.begin()
        world.node.nonces[world.lanes[0]] = 1
        world.quiet()
        assert world.disarmed_by is None
        assert len(world.said.disarmed_by) == 1
        world.assert_replays()


def test_who_arms_it_behind_reverts_or_a_canary_has_seen_them(tmp_path: Path) -> None:
    with end_world(tmp_path, limits={"max_reverts_in_a_row": 1}) as world:
        world.ready()
        world.end.limit_to(1)
        world.step(world.spread())
        (signed,) = world.journal.signed()
        world.node.nonces[signed.lane] = 1
        for reason in ("max_reverts_in_a_row", ""):
            update = world.including(signed, gain=None) if reason else world.spread(2_500)
            world.step(update)
            assert reason in (world.disarmed_by or "")
            if reason:
                world.arm()
        assert world.disarmed_by is None


SHOWN: dict[str, tuple[dict[str, object], Callable[[EndWorld, Signed], BlockUpdate], str]] = {
    "reverts": (
        {"max_reverts_in_a_row": 1},
        lambda world, ours: world.including(ours, gain=None),
        "disarmed: max_reverts_in_a_row: 1 reverts",
    ),
    "gas": (
        {"daily_gas_usd": 0.000001},
        lambda world, ours: world.including(ours, gain=world.gain_of(ours)),
        "disarmed: daily_gas_usd",
    ),
    "loss": (
        {"daily_loss_usd": 0.000001},
        lambda world, ours: world.including(ours, gain=None),
        "disarmed: daily_loss_usd",
    ),
    "canary": (
        {},
        lambda world, ours: world.including(ours, gain=world.gain_of(ours)),
        "disarmed: the canary is done",
    ),
    "model error": (
        {},
        lambda world, ours: world.including(ours, gain=world.gain_of(ours) + 1),
        "one of its pools or tokens is avoided",
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_block_shows_holds_for_what_is_decided_behind_it(tmp_path: Path, name: str) -> None:
    limits, block, reason = SHOWN[name]
    with end_world(tmp_path, limits=limits) as world:
        world.ready()
        world.end.limit_to(1 if name == "canary" else None)
        world.use_another_strategy()
        world.step(world.spread())
        world.offered()
        (signed,) = world.journal.signed()
        step = world.step(block(world, signed))
        assert len(step.decisions) == 1
        (said,) = world.drops
        assert reason in said
        assert [each.hash for each in world.journal.signed()] == [signed.hash]
        assert len(world.node.taken) == 1
        world.assert_replays()


@pytest.mark.parametrize("more", [0, -1])
@pytest.mark.parametrize("limit", ["max_open_usd", "max_trade_usd"])
def test_a_trade_of_the_largest_size_is_sent_and_not_a_micro_usd_more(
    tmp_path: Path, limit: str, more: int
) -> None:
    before, then = tmp_path / "before", tmp_path / "then"
    before.mkdir()
    then.mkdir()
    with end_world(before) as world:
        world.ready()
        (decision,) = world.step(world.spread()).decisions
    most = Decimal(decision.capital_micro_usd + more) / MICRO_USD
    with end_world(then, limits={limit: float(most)}) as world:
        world.ready()
        world.step(world.spread())
        assert [limit in each for each in world.drops] == ([True] if more else [])
        assert len(world.journal.signed()) == 1 + more
        assert (limit in (world.disarmed_by or "")) == (limit == "max_open_usd" and more == -1)


def test_a_block_of_the_oldest_age_and_the_lowest_balance_are_enough(tmp_path: Path) -> None:
    with end_world(tmp_path, limits={"min_native": 1}) as world:
        world.node.balance = 10**18
        world.ready()
        world.late_s = 4.0
        world.step(world.spread())
        assert len(world.journal.signed()) == 1
        world.node.balance -= 1
        world.ask()
        assert "min_native" in (world.disarmed_by or "")


def test_who_arms_it_while_the_reason_holds_is_told_so_at_once(tmp_path: Path) -> None:
    """Also behind a restart; and it is armed once the reason is gone."""
    with end_world(tmp_path, limits={"daily_gas_usd": 0.000001, "min_native": 5}) as world:
        world.ready()
        world.node.balance = 10**18
        world.ask()
        world.arm()
        assert "min_native" in (world.disarmed_by or "")
        world.node.balance = 5 * 10**18
        world.arm_again()
        assert world.disarmed_by is None
        world.step(world.spread())
        world.offered()
        (signed,) = world.journal.signed()
        world.step(world.including(signed, gain=world.gain_of(signed)))
        world.node.nonces[signed.lane] = 1
        for _ in range(2):
            world.arm()
            assert "daily_gas_usd" in (world.disarmed_by or "")
            world.end_it()
            world.begin()
        assert [each.partition(":")[0] for each in world.said.disarmed_by] == [
            *["min_native"] * 2,
            *["daily_gas_usd"] * 3,
        ]
        world.step(world.spread(2_500))
        assert world.step(world.spread()).decisions == []
        world.assert_replays()


def test_an_order_to_arm_says_whether_it_is(tmp_path: Path) -> None:
    with end_world(tmp_path, limits={"min_native": 5}) as world, ThreadPoolExecutor(1) as pool:
        path = world.config.path
        world.ready()
        for balance, exit_code in ((10**18, 1), (5 * 10**18, 0)):
            world.node.balance = balance
            world.ask()
            answer = pool.submit(armed, path, "a test")
            world.until(answer.done, "the order to arm")
            assert answer.result().exit_code == exit_code
            assert ("min_native" in str(answer.result().render())) == bool(exit_code)


def test_a_base_fee_above_the_cap_sends_nothing_and_one_that_jumps_later_does_no_harm(
    tmp_path: Path,
) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        dear = world.chain.mine(weth_pool(CHEAP, 2_450), base_fee=71 * GWEI)
        assert world.step(dear).decisions == []
        assert (world.journal.signed(), world.node.taken) == ([], [])
        world.step(world.spread(2_500))
        update = world.chain.mine(weth_pool(CHEAP, 2_450), base_fee=69 * GWEI)
        (decision,) = world.step(update).decisions
        world.offered()
        (signed,) = world.journal.signed()
        assert signed.max_fee - signed.tip == decision.max_base_fee  # an eighth more were beyond it
        for _ in range(2):  # it waits for its nonce, which nobody takes at such a price
            step = world.step(world.chain.mine(base_fee=500 * GWEI))
            assert (step.fills, step.decisions) == ([], [])
        assert world.end.executor.open_decisions == (decision,)
        assert len(world.node.taken) == 1
        (fill,) = world.step(world.including(signed, gain=None)).fills
        assert fill.status is FillStatus.REVERTED  # "too late", says the contract
        assert (world.disarmed_by, avoided(world.journal.controls())) == (None, {})
        world.assert_replays()


def test_gas_off_the_schedule_bars_the_route_and_nothing_else(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        world.use_another_strategy()
        world.step(world.spread())
        world.offered()
        (signed,) = world.journal.signed()
        update = world.including(signed, gain=world.gain_of(signed), gas_used=300_000)
        assert len(world.step(update).decisions) == 1
        assert world.drops == ["one of its pools or tokens is avoided"]
        why = avoided(world.journal.controls())
        assert [pool for pool, each in why.items() if "other gas" in each] == [CHEAP, DEAR]
        assert (len(world.node.taken), world.disarmed_by) == (1, None)
        world.assert_replays()


def test_an_endpoint_that_has_another_chain_disarms_it_and_one_that_lags_does_not(
    tmp_path: Path,
) -> None:
    with end_world(tmp_path, limits={"max_disagreement_blocks": 2}) as world:
        world.ready()
        assert world.node.compared == []
        first, _, _ = (world.quiet().block for _ in range(3))
        world.until(lambda: world.node.compared, "the endpoint to be asked")
        assert world.node.compared[0] == first.number - 1
        for named in (None, first.hash.upper().replace("X", "x")):
            world.node.blocks = {first.number: named} if named else {}
            world.compare()
            assert world.disarmed_by is None
        world.node.blocks = {first.number: "0x" + "ab" * 32}
        world.waited_s += 60
        world.until(lambda: world.disarmed_by, "it to be disarmed")
        assert "max_disagreement_blocks" in (world.disarmed_by or "")
        world.arm()
        assert "max_disagreement_blocks" in (world.disarmed_by or "")
        world.node.blocks = {first.number: first.hash}
        world.arm_again()
        assert world.disarmed_by is None
        assert world.step(world.spread()).decisions != []
        world.assert_replays()
