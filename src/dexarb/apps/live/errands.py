"""dexarb executor: errands of its owner. Each is done when the chain has taken it."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.apps.doctor import say_nothing, silent
from dexarb.apps.live.keys import password_from
from dexarb.chain.rpc import Rpc
from dexarb.config.chain_profile import load_chain
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.config.live import LiveConfig, load_live
from dexarb.config.toml_file import did_you_mean
from dexarb.core.profile import own_names
from dexarb.core.token import Address
from dexarb.core.units import GWEI
from dexarb.ends.executor_contract import NATIVE_COIN
from dexarb.ends.live.executor_account import Chain, Roles, Seen
from dexarb.ends.live.keys import Signer, address_in, open_key
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.tables import plain_table
from dexarb.store.files import disk_errors, replace_file

T = TypeVar("T")
COIN = "native"
"""What the commands call the chain's own coin."""
ROTATION = ".rotation.json"


@dataclass(frozen=True, slots=True)
class Errand(Answer):
    """What stands at the executor's address now. expected: roles by the bot's file. done: what was
    done, a line each. wrong: what is not as it should be, with what to do."""

    seen: Seen
    expected: Roles
    names: Mapping[Address, str]
    decimals: Mapping[Address, int]
    done: Sequence[str] = ()
    wrong: Sequence[str] = ()
    gas_wei: Mapping[Address, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return int(bool(self.wrong))

    def as_json(self) -> Mapping[str, Any]:
        roles = self.seen.roles
        return {
            "executor": self.seen.address,
            "code": self.seen.code,
            "owner": roles.owner if roles else None,
            "operators": list(roles.operators) if roles else [],
            "balances": {
                self.names.get(token, token): str(amount)
                for token, amount in self.seen.balances.items()
            },
            "gas_wei": {lane: str(amount) for lane, amount in self.gas_wei.items()},
            "done": list(self.done),
            "wrong": list(self.wrong),
        }

    def render(self) -> RenderableType:
        parts: list[RenderableType] = [Text(line) for line in self.done]
        roles = self.seen.roles
        parts.append(Text(f"executor  {self.seen.address}  code: {self.seen.code}"))
        if roles is not None:
            parts.append(Text(f"owner     {roles.owner}"))
            parts += [Text(f"operator  {each}") for each in roles.operators]
        table = plain_table(None, "holds")
        table.add_column("amount", justify="right")
        for token, amount in self.seen.balances.items():
            whole = amount / 10 ** self.decimals.get(token, 18)
            table.add_row(self.names.get(token, token), f"{whole:,.6f}")
        for lane, amount in self.gas_wei.items():
            table.add_row(f"gas of {lane}", f"{amount / 10**18:,.6f}")
        if table.row_count:
            parts.append(table)
        parts += [Text(line, style="yellow") for line in self.wrong]
        return Group(*parts)


class _Errands:
    """What all of them need: the files, the chain, and names of tokens."""

    def __init__(self, live: LiveConfig, collector: CollectorConfig, rpc: Rpc) -> None:
        self.live, self.collector, self.rpc = live, collector, rpc
        chain = collector.chain.chain
        self.chain = Chain(rpc, chain.chain_id, int(chain.default_priority_fee_gwei * GWEI))
        self.tokens = collector.chain.tokens
        self.lanes = tuple(address_in(each.key_file) for each in live.lanes)

    @property
    def expected(self) -> Roles:
        return Roles(self.live.owner, self.lanes)

    def token(self, name: str) -> Address:
        """Raises InputError."""
        if name == COIN:
            return NATIVE_COIN
        if name not in self.tokens:
            raise InputError(f'unknown token "{name}". {did_you_mean(name, self.tokens) or ""}')
        return self.tokens[name]

    async def decimals(self) -> dict[Address, int]:
        calls = [
            ("eth_call", ({"to": token, "data": "0x313ce567"}, "latest"))
            for token in self.tokens.values()
        ]
        found = await self.rpc.batch_as(str, calls)
        return {
            token: int(answer, 16)
            for token, answer in zip(self.tokens.values(), found, strict=True)
            if isinstance(answer, str) and answer != "0x"
        }

    async def smallest(self, name: str, text: str) -> int:
        """An amount of whole tokens in the smallest unit. Raises InputError."""
        token = self.token(name)
        decimals = 18 if token == NATIVE_COIN else (await self.decimals()).get(token, 18)
        try:
            amount = Decimal(text).scaleb(decimals)
        except InvalidOperation:
            raise InputError(f'"{text}" is no amount') from None
        if not amount.is_finite() or amount != int(amount) or amount <= 0:
            raise InputError(f'"{text}" is no amount of {name}, which has {decimals} decimals')
        return int(amount)

    async def told(self, executor: Address, done: Sequence[str] = ()) -> Errand:
        tokens = tuple(dict.fromkeys(self.tokens.values()))
        seen = await self.chain.look(executor, tokens)
        gas = {lane: await self.chain.native_balance(lane) for lane in self.lanes}
        return Errand(
            seen,
            self.expected,
            own_names(self.tokens),
            await self.decimals(),
            done,
            [*lacking(seen, self.expected), *_without_gas(gas, self.live.limits.min_native)],
            gas,
        )


def lacking(seen: Seen, expected: Roles) -> list[str]:
    """What is not as the bot's file has it, and what to do."""
    if seen.code == "none":
        return ["no contract stands there: dexarb executor deploy, or mend executor in [live]"]
    found = []
    if seen.code == "other":
        found.append("its code is not ours: nothing that was proven of ours holds for it")
    if seen.roles is not None and seen.roles.owner != expected.owner:
        found.append(f"its owner is not {expected.owner}, as [live] says")
    if seen.roles is not None:
        found += [
            f"{lane} is no operator of it: dexarb executor rotate, or mend [[lane]]"
            for lane in expected.operators
            if lane not in seen.roles.operators
        ]
    return found


def _without_gas(gas: Mapping[Address, int], least: int) -> list[str]:
    return [
        f"{lane} has less than min_native for gas: send it some"
        for lane, amount in gas.items()
        if amount < least
    ]


def show(config: Path) -> Errand:
    """Raises ConfigError, InputError, OutsideError."""

    async def errand(errands: _Errands) -> Errand:
        return await errands.told(errands.live.executor)

    return _run(config, errand)


def deploy(config: Path, owner: Signer) -> Errand:
    """A new executor for the owner and the lanes; the file names it then. Raises as `show`."""

    async def errand(errands: _Errands) -> Errand:
        _require_owner(errands, owner)
        there = await errands.chain.look(errands.live.executor)
        if there.code == "ours" and there.roles == errands.expected:
            raise InputError(f"{errands.live.executor} is one with these roles already")
        executor = await errands.chain.deploy(owner, errands.lanes)
        name_executor(config, executor)
        done = [f"deployed, and named in {config}", *_named_ours(errands, executor)]
        return await errands.told(executor, done)

    return _run(config, errand)


def fund(config: Path, owner: Signer, token: str, amount: str) -> Errand:
    """amount: in whole tokens. Raises as `show`."""

    async def errand(errands: _Errands) -> Errand:
        to, address = errands.live.executor, errands.token(token)
        if address == NATIVE_COIN:
            raise InputError("an executor needs none of the chain's coin: its operators do")
        seen = await errands.chain.look(to)
        if seen.code != "ours":
            raise InputError(f"{to}: its code is {seen.code}. dexarb executor verify says more")
        await errands.chain.pay(owner, address, to, await errands.smallest(token, amount))
        return await errands.told(to, [f"{amount} {token} sent to it"])

    return _run(config, errand)


def withdraw(config: Path, owner: Signer, token: str, amount: str | None) -> Errand:
    """amount: in whole tokens; None for all of it. Raises as `show`."""

    async def errand(errands: _Errands) -> Errand:
        executor, address = errands.live.executor, errands.token(token)
        _require_owner(errands, owner)
        if amount is None:
            held = (
                await errands.chain.native_balance(executor)
                if address == NATIVE_COIN
                else (await errands.chain.balances(executor, [address])).get(address, 0)
            )
        else:
            held = await errands.smallest(token, amount)
        if not held:
            raise InputError(f"it holds no {token}")
        await errands.chain.withdraw(owner, executor, address, held)
        done = f"{amount or 'all'} {token} sent to {owner.address}"
        return await errands.told(executor, [done])

    return _run(config, errand)


def rotate(config: Path, owner: Signer) -> Errand:
    """Another executor with the lanes of now: the cure for a leaked key. All that the old one holds
    passes over the owner to the new one. Whoever was interrupted calls it again: what was done is
    kept beside the file. Raises as `show`."""

    async def errand(errands: _Errands) -> Errand:
        _require_owner(errands, owner)
        chain, old = errands.chain, errands.live.executor
        path = config.with_name(config.name + ROTATION)
        plan = _Rotation.load(path)
        if plan is None:
            there = await chain.look(old, tuple(errands.tokens.values()))
            if there.code != "ours" or there.roles is None or there.roles.owner != owner.address:
                raise InputError(f"{old} is no executor of {owner.address}")
            new = await chain.deploy(owner, errands.lanes)
            plan = _Rotation(old, new, dict(there.balances), [], [])
            plan.save(path)
        done = [f"deployed {plan.new}"]
        for token in plan.amounts:
            name = own_names(errands.tokens).get(token, token)
            if token not in plan.withdrawn:
                # Runs of the old one may have changed what it holds, until its owner stops them.
                held = (await chain.balances(plan.old, [token])).get(token, 0)
                if held:
                    await chain.withdraw(owner, plan.old, token, held)
                plan.amounts[token] = held
                plan.withdrawn.append(token)
                plan.save(path)
            if token not in plan.funded:
                if plan.amounts[token]:
                    await chain.pay(owner, token, plan.new, plan.amounts[token])
                plan.funded.append(token)
                plan.save(path)
            done.append(f"{name} moved to it")
        name_executor(config, plan.new)
        done += _named_ours(errands, plan.new)
        with disk_errors(path, "cannot be removed"):
            path.unlink()
        return await errands.told(plan.new, [*done, f"named in {config}: start the bot again"])

    return _run(config, errand)


@dataclass
class _Rotation:
    """How far one has come. amounts: that are moved, by token."""

    old: Address
    new: Address
    amounts: dict[Address, int]
    withdrawn: list[Address]
    funded: list[Address]

    @classmethod
    def load(cls, path: Path) -> _Rotation | None:
        if not path.exists():
            return None
        with disk_errors(path, "cannot be read"):
            return cls(**json.loads(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        replace_file(path, json.dumps(self.__dict__).encode(), durable=True)


def _named_ours(errands: _Errands, executor: Address) -> Iterator[str]:
    """With its operators, and that this takes effect when a collector starts."""
    path = errands.collector.chain.path
    if name_own(path, (executor, *errands.lanes)):
        yield f"named in {path} as ours, so no rival: start data-collector again"


def _require_owner(errands: _Errands, owner: Signer) -> None:
    if owner.address != errands.live.owner:
        raise InputError(
            f"that key is of {owner.address}, and [live] says owner = {errands.live.owner}"
        )


def open_owner(key_file: Path, password_file: Path | None, variable: str | None) -> Signer:
    """Its password: see `keys.password_from`. Raises InputError, StoreError, MissingTool."""
    password = password_from(password_file, variable)
    return open_key(key_file, password.read(os.environ, f"the owner's key {key_file.name}"))


def name_executor(config: Path, executor: Address) -> None:
    """Into the line of [live] that says so; all else of the file stays. Raises InputError."""
    text = config.read_text(encoding="utf-8")
    pattern = re.compile(r'(^\[live\]\s*$(?:(?!^\[).*\n)*?^executor\s*=\s*)"[^"]*"', re.MULTILINE)
    changed, times = pattern.subn(rf'\g<1>"{executor}"', text, count=1)
    if not times:
        raise InputError(f'{config} has no line `executor = "..."` in [live]. Write it: {executor}')
    replace_file(config, changed.encode(), durable=True)


def name_own(path: Path, addresses: Iterable[Address]) -> bool:
    """Into `own` of a chain's file, beside those that it names; all else of it stays. Returns
    whether any is new. Raises ConfigError or ConfigErrors, StoreError."""
    known = load_chain(path).own
    named = tuple(dict.fromkeys((*known, *addresses)))
    if named == known:
        return False
    line = f"own = {json.dumps(named)}\n"
    text = path.read_text(encoding="utf-8")
    (chain,) = re.finditer(r"^\[chain\].*\n(?:(?!\[).*\n?)*", text, re.MULTILINE)
    table, times = re.subn(r"^own\s*=\s*\[[^\]]*\].*\n", line, chain[0], flags=re.MULTILINE)
    if not times:
        header, _, rest = chain[0].partition("\n")
        table = f"{header}\n{line}{rest}"
    replace_file(path, (text[: chain.start()] + table + text[chain.end() :]).encode(), durable=True)
    return True


def _run(config: Path, errand: Callable[[_Errands], Awaitable[T]]) -> T:
    live = load_live(config)
    collector = load_collector(live.collector)

    async def run() -> T:
        async with Rpc.connect(
            *collector.endpoints, timeout_s=collector.timeout_s, attempts=2, notice=say_nothing
        ) as rpc:
            rpc.expect(collector.chain.chain.chain_id, lambda: ())
            return await errand(_Errands(live, collector, rpc))

    with silent():
        return asyncio.run(run())
