"""The real contracts in the process: Uniswap's published bytecode, run by pyrevm.

A world has the V2 and V3 factories, two tokens and a `teller`, a small contract that owns all
tokens, passes calls on to pools and pays in their callbacks.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from eth_hash.auto import keccak
from pyrevm import EVM, BlockEnv

from dexarb.amm.abi import encode
from dexarb.core.block import Log
from dexarb.core.pool import Call, Replies
from dexarb.core.token import Address, address_from_word, to_address

NODE_MODULES = Path(__file__).parents[2] / "node_modules"
V2_FACTORY = "@uniswap/v2-core/build/UniswapV2Factory.json"
V3_FACTORY = "@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
ERC20 = "@openzeppelin/contracts/build/contracts/ERC20PresetFixedSupply.json"

OWNER = Address("0x" + "0a" * 20)
GAS = 10**12
V3_TIERS = {100: 1, 500: 10, 3000: 60, 10000: 200}
"""Tick spacing by fee. The factory knows the last three; its owner enables the first, as on
mainnet."""

T = TypeVar("T")


class Reverted(Exception):
    """The contract refused."""


class Fork(NamedTuple):
    """How a V2 fork counts its fee: `fee` per `base`. Uniswap's own is 3 per 1000."""

    fee: int = 3
    base: int = 1000

    @property
    def fee_pips(self) -> int:
        return self.fee * 1_000_000 // self.base


@cache
def bytecode(artifact: str) -> bytes:
    text: str = json.loads((NODE_MODULES / artifact).read_text())["bytecode"]
    return bytes.fromhex(text.removeprefix("0x"))


@cache
def selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


def fork_bytecode(fork: Fork) -> bytes:
    """The V2 factory with another fee in the pair's check of k: three constants are exchanged."""
    code = bytecode(V2_FACTORY)
    for old, new, times in (
        ("84600363ffffffff", f"8460{fork.fee:02x}63ffffffff", 2),
        ("6103e863ffffffff", f"61{fork.base:04x}63ffffffff", 1),
        ("620f4240", f"62{fork.base**2:06x}", 1),
    ):
        assert code.count(bytes.fromhex(old)) == times, old
        code = code.replace(bytes.fromhex(old), bytes.fromhex(new))
    return code


def teller_bytecode() -> bytes:
    """Passes on the call data behind the first word to the address in it, and pays callbacks.

    A callback's data is two words, the tokens; it is paid what its first two arguments ask for
    where that is positive. Swap and mint callbacks look alike in this.
    """
    swap_callback = selector("uniswapV3SwapCallback(int256,int256,bytes)").hex()
    mint_callback = selector("uniswapV3MintCallback(uint256,uint256,bytes)").hex()
    transfer = selector("transfer(address,uint256)").hex() + "00" * 28

    def pay(amount_at: int, token_at: int, start: int) -> str:
        code = (
            "6000" f"60{amount_at:02x}35" "13"  # amount > 0, signed
            "15" "61{end:04x}" "57"  # else jump to the end
            f"7f{transfer}" "600052"
            "33" "600452"  # to: who called back
            f"60{amount_at:02x}35" "602452"
            "6000" "6000" "6044" "6000" "6000" f"60{token_at:02x}35" "5a" "f1" "50"
            "5b"
        )  # fmt: skip
        length = len(code.replace("{end:04x}", "0000")) // 2
        return code.format(end=start + length - 1)

    forward = (
        "6020" "3603" "80" "6020" "6000" "37"  # calldatacopy(0, 32, calldatasize - 32)
        "6000" "6000" "91" "6000" "6000" "600035" "5a" "f1"
        "3d" "6000" "6000" "3e"
        "61{ok:04x}" "57" "3d" "6000" "fd" "5b" "3d" "6000" "f3"
    )  # fmt: skip
    select = (
        "600035" "60e0" "1c"
        f"80" f"63{swap_callback}" "14" "61{pay:04x}" "57"
        f"63{mint_callback}" "14" "61{pay:04x}" "57"
    )  # fmt: skip
    head = (len(select) - 2 * len("{pay:04x}") + 2 * 4) // 2
    body = (len(forward) - len("{ok:04x}") + 4) // 2
    ok = head + body - 5
    runtime = select.format(pay=head + body) + forward.format(ok=ok) + "5b"
    runtime += pay(4, 132, len(runtime) // 2)
    runtime += pay(36, 164, len(runtime) // 2)
    runtime += "00"
    size = len(runtime) // 2
    return bytes.fromhex(f"61{size:04x}80600a3d393df3" + runtime)


class World:
    """Mutable: one chain of our own, without blocks."""

    def __init__(self, fork: Fork | None = None) -> None:
        fork = fork or Fork()
        self.evm = EVM(gas_limit=GAS)
        self.evm.set_block_env(BlockEnv(number=1, timestamp=1_700_000_000, gas_limit=GAS))
        self.evm.set_balance(OWNER, 10**24)
        self.teller = self.deploy(teller_bytecode())
        supply = encode(b"", 0x80, 0xC0, (1 << 256) - 1, self.teller, 1, 1 << 255, 1, 1 << 255)
        tokens = sorted(self.deploy(bytecode(ERC20) + supply) for _ in range(2))
        self.token0, self.token1 = tokens
        self.v2_factory = self.deploy(fork_bytecode(fork) + encode(b"", OWNER))
        self.v3_factory = self.deploy(bytecode(V3_FACTORY))
        self.send(self.v3_factory, "enableFeeAmount(uint24,int24)", 100, 1, sender=OWNER)
        self._payment = encode(b"", 64, self.token0, self.token1)

    def deploy(self, code: bytes) -> Address:
        return to_address(self.evm.deploy(OWNER, code))

    def send(
        self,
        to: Address,
        signature: str,
        *arguments: int | Address,
        tail: bytes = b"",
        sender: Address | None = None,
    ) -> bytes:
        """A transaction from the teller (or another sender). Raises Reverted."""
        data = encode(selector(signature), *arguments) + tail
        if sender is None:
            return self._call(OWNER, self.teller, encode(b"", to) + data)
        return self._call(sender, to, data)

    def send_paying(self, to: Address, signature: str, *arguments: int | Address) -> bytes:
        """A transaction whose last argument is `bytes`: what the teller is to pay with."""
        offset = 32 * (len(arguments) + 1)
        return self.send(to, signature, *arguments, offset, tail=self._payment)

    def logs(self) -> list[Log]:
        """The events of the last transaction."""
        result = self.evm.result
        assert result is not None
        return [
            Log(to_address(log.address), tuple(log.data[0]), log.data[1], 0, index)
            for index, log in enumerate(result.logs)
        ]

    def answer(self, reader: Generator[Sequence[Call], Replies, T]) -> T:
        """Run a pool's `load` or `find` against this chain."""
        try:
            calls = next(reader)
            while True:
                calls = reader.send([self.read(call) for call in calls])
        except StopIteration as done:
            answer: T = done.value
            return answer

    def read(self, call: Call) -> bytes | None:
        try:
            return self._call(OWNER, call.to, call.data)
        except Reverted:
            return None

    def new_pair(self) -> Address:
        reply = self.send(self.v2_factory, "createPair(address,address)", self.token0, self.token1)
        return address_from_word(reply)

    def new_pool(self, fee_pips: int) -> Address:
        reply = self.send(
            self.v3_factory,
            "createPool(address,address,uint24)",
            self.token0,
            self.token1,
            fee_pips,
        )
        return address_from_word(reply)

    def pay(self, token: Address, to: Address, amount: int) -> None:
        self.send(token, "transfer(address,uint256)", to, amount)

    def _call(self, sender: Address, to: Address, data: bytes) -> bytes:
        try:
            return bytes(self.evm.message_call(sender, to, data))
        except RuntimeError as error:
            raise Reverted(str(error)) from error
