"""An owner's errands on a real chain: deployed, verified, funded, emptied, replaced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dexarb.apps.live import errands, preflight
from dexarb.chain.rpc import Rpc
from dexarb.config.chain_profile import load_chain
from dexarb.config.collector import load_collector
from dexarb.config.live import load_live
from dexarb.core.token import Address
from dexarb.demo.artifacts import contract
from dexarb.demo.bot import ETHER, STRATEGY, bot_file
from dexarb.demo.mining import TransactionRequest
from dexarb.ends.executor_contract import NATIVE_COIN
from dexarb.ends.live.keys import Signer, new_key, open_key
from dexarb.errors import InputError, TransactionRefused
from dexarb.screens.doctor import Health
from tests.support.live import Live, live

pytestmark = pytest.mark.e2e

PASSWORD = "an owner's pass phrase"


class Household:
    """A chain, the bot's file, and the keys of an owner and an operator."""

    def __init__(self, run: Live) -> None:
        self.run = run
        self.config = run.folder / "live.toml"
        self.owner_key = run.folder / "keys" / "owner.json"
        self.operator_key = run.folder / "keys" / "operator.json"
        new_key(self.owner_key, PASSWORD)
        self.operator = new_key(self.operator_key, PASSWORD)
        self.owner: Signer = open_key(self.owner_key, PASSWORD)
        self.config.write_text(
            bot_file(NATIVE_COIN, self.owner.address, "http://127.0.0.1:1") + STRATEGY
        )

    async def endow(self) -> None:
        """The owner has coins and tokens."""
        run = self.run
        for account in (self.owner.address, self.operator):
            await run.rpc.call("anvil_setBalance", account, hex(100 * ETHER))
        deployer = run.driver.world.accounts.deployer
        usdc = run.driver.world.tokens["USDC"]
        pay = contract("ERC20PresetFixedSupply")["transfer"].call(self.owner.address, 5_000 * 10**6)
        request = TransactionRequest("stock", deployer, usdc.address, pay, 100_000, 0)
        await run.driver.mine([request])
        await run.rpc.call("evm_setAutomine", True)

    def approve_by_operator(self) -> None:
        usdc = self.run.driver.world.tokens["USDC"].address
        data = contract("ERC20PresetFixedSupply")["approve"].call(self.executor, 1)
        self._tell("anvil_impersonateAccount", self.operator)
        call = {"from": self.operator, "to": usdc, "data": "0x" + data.hex()}
        self._tell("eth_sendTransaction", call)

    def empty_operator(self) -> None:
        self._tell("anvil_setBalance", self.operator, "0x1")

    def _tell(self, method: str, *params: object) -> None:
        async def call() -> None:
            async with Rpc.connect(self.url) as rpc:
                await rpc.call(method, *params)

        asyncio.run(call())

    @property
    def url(self) -> str:
        return load_collector(self.run.files.collector).endpoints[0]

    @property
    def chain(self) -> Path:
        return self.config.with_name("chain.toml")

    @property
    def executor(self) -> Address:
        return load_live(self.config).executor


def on_a_chain(folder: Path, story: Callable[[Household], None]) -> None:
    """Errands run loops of their own, so the story is told in a thread beside the chain's."""

    async def tell() -> None:
        async with live(folder, endpoint="http") as run:
            house = Household(run)
            await house.endow()
            await asyncio.to_thread(story, house)

    asyncio.run(tell())


def wrong(house: Household) -> dict[str, str]:
    """What the preflight finds wrong, with what to do."""
    found = preflight.answer(house.config, time.time)
    return {
        each.subject: f"{each.found}. {each.remedy}"
        for each in found.findings
        if each.health is Health.WRONG
    }


def test_from_nothing_to_a_funded_executor_and_back(tmp_path: Path) -> None:
    def story(house: Household) -> None:
        nothing = errands.show(house.config)
        assert nothing.exit_code == 1
        assert nothing.wrong[0].startswith("no contract stands there: dexarb executor deploy")
        assert "dexarb executor deploy" in wrong(house)["executor"]

        stranger = open_key(house.operator_key, PASSWORD)
        for errand in (errands.deploy, errands.rotate):
            with pytest.raises(InputError, match="that key is of"):
                errand(house.config, stranger)
        with pytest.raises(InputError, match=r'unknown token "USDX"\. Did you mean "USDC"'):
            errands.fund(house.config, house.owner, "USDX", "1")
        with pytest.raises(InputError, match="its code is none"):
            errands.fund(house.config, house.owner, "USDC", "1")

        made = errands.deploy(house.config, house.owner)
        assert made.wrong == []
        assert (made.seen.code, made.seen.address) == ("ours", house.executor)
        assert made.seen.roles == made.expected
        assert "as ours, so no rival" in made.done[1]
        assert load_chain(house.chain).own == (house.executor, house.operator)
        with pytest.raises(InputError, match="is one with these roles already"):
            errands.deploy(house.config, house.owner)

        assert "trade with own funds" in wrong(house)["funds"]
        assert wrong(house).keys() == {"funds", "way relay"}

        funded = errands.fund(house.config, house.owner, "USDC", "1234.5")
        usdc = house.run.driver.world.tokens["USDC"].address
        assert funded.seen.balances == {usdc: 1_234_500_000}
        assert funded.as_json()["balances"] == {"USDC": "1234500000"}
        assert wrong(house).keys() == {"way relay"}

        part = errands.withdraw(house.config, house.owner, "USDC", "234.5")
        assert part.seen.balances == {usdc: 1_000_000_000}
        rest = errands.withdraw(house.config, house.owner, "USDC", None)
        assert rest.seen.balances == {}
        with pytest.raises(InputError, match="it holds no USDC"):
            errands.withdraw(house.config, house.owner, "USDC", None)
        with pytest.raises(TransactionRefused, match="the chain refuses it"):
            errands.fund(house.config, house.owner, "USDC", "1000000")

        house.approve_by_operator()
        assert "Take it back" in wrong(house)["allowance"]
        house.empty_operator()
        assert "Send it some" in wrong(house)["gas"]
        chain = house.chain
        chain.write_text(chain.read_text().replace("chain_id = 137", "chain_id = 138"))
        assert "the endpoint is on chain 137" in wrong(house)["chain"]

    on_a_chain(tmp_path, story)


def test_another_executor_for_a_leaked_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted behind every step, and gone on with each time."""

    def story(house: Household) -> None:
        errands.deploy(house.config, house.owner)
        errands.fund(house.config, house.owner, "USDC", "4000")
        old = house.executor
        house.operator_key.unlink()
        operator = new_key(house.operator_key, PASSWORD)
        assert f"{operator} is no operator of it" in " ".join(errands.show(house.config).wrong)
        saved = errands._Rotation.save
        steps = 0

        def save_and_die(rotation: errands._Rotation, path: Path) -> None:
            nonlocal steps
            saved(rotation, path)
            steps += 1
            raise KeyboardInterrupt

        monkeypatch.setattr(errands._Rotation, "save", save_and_die)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                errands.rotate(house.config, house.owner)
            assert house.executor == old
        monkeypatch.setattr(errands._Rotation, "save", saved)
        done = errands.rotate(house.config, house.owner)
        usdc = house.run.driver.world.tokens["USDC"].address
        assert steps == 3
        assert house.executor == done.seen.address != old
        assert done.seen.balances == {usdc: 4_000_000_000}
        assert done.seen.roles is not None
        assert done.seen.roles.operators == (operator,)
        assert not list(house.config.parent.glob("*.rotation.json"))

    on_a_chain(tmp_path, story)


def test_the_file_keeps_all_but_the_address(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    text = '# mine\n[general]\nx = 1\n\n[live]\n# which\nexecutor = "0x00"  # later\nowner = "o"\n'
    path.write_text(text)
    errands.name_executor(path, Address("0x11"))
    assert path.read_text() == text.replace("0x00", "0x11")
    path.write_text('[live]\nowner = "o"\n[other]\nexecutor = "0x00"\n')
    with pytest.raises(InputError, match="has no line"):
        errands.name_executor(path, Address("0x11"))


def test_a_chains_file_names_what_is_ours_and_keeps_the_rest(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "config" / "polygon.toml").read_text()
    path = tmp_path / "polygon.toml"
    path.write_text(shipped)
    one, two = (Address("0x" + byte * 20) for byte in ("a1", "b2"))
    assert errands.name_own(path, [one])
    assert path.read_text().replace(f'own = ["{one}"]\n', "", 1) == shipped
    assert not errands.name_own(path, [one, one])
    path.write_text(path.read_text().replace(f'["{one}"]', f'[  # the first\n  "{one}",\n]'))
    assert errands.name_own(path, [two, one])
    assert load_chain(path).own == (one, two)
    assert path.read_text().replace(f'own = ["{one}", "{two}"]\n', "", 1) == shipped
