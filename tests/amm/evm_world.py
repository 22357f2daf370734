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
V3_TIERS = {100: 1, 500: 10, 3000: 60, 10000: 200, 50000: 16000}
"""Tick spacing by fee. The factory knows 500, 3000 and 10000; its owner enables the others. 100 is
on mainnet; 50000 is ours: so wide a spacing leaves steps long enough to overflow 256 bits."""

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


def push(number: int, size: int = 1) -> bytes:
    """The EVM instruction that pushes a number of that many bytes."""
    return bytes([0x5F + size]) + number.to_bytes(size, "big")


def teller_bytecode() -> bytes:
    """Passes on the call data behind the first word to the address in it, and pays callbacks.

    A callback's data is two words, the tokens; each is paid what the callback's first and second
    argument ask for, where that is positive. Swap, mint and flash callbacks are alike in this.
    """
    forward = bytes.fromhex(
        "6020360380602060003760006000"  # calldatacopy(0, 32, calldatasize − 32)
        "9160006000" "600035" "5af1"  # call the address in the first word
        "3d600060003e"  # returndatacopy(0, 0, returndatasize)
    )  # fmt: skip
    finish = bytes.fromhex("573d6000fd5b3d6000f3")  # on success jump over the revert
    callbacks = [
        selector(f"uniswapV3{name}")
        for name in (
            "SwapCallback(int256,int256,bytes)",
            "MintCallback(uint256,uint256,bytes)",
            "FlashCallback(uint256,uint256,bytes)",
        )
    ]
    start_of_forward = 6 + len(callbacks) * 11
    success = start_of_forward + len(forward) + 3 + 5
    start_of_pay = start_of_forward + len(forward) + 3 + len(finish)

    code = bytes.fromhex("60003560e01c")  # the selector
    for callback in callbacks:
        code += b"\x80\x63" + callback + b"\x14" + push(start_of_pay, 2) + b"\x57"
    code += forward + push(success, 2) + finish
    code += b"\x5b"
    for amount_at, token_at in ((4, 132), (36, 164)):
        amount, token = push(amount_at) + b"\x35", push(token_at) + b"\x35"
        pay = (
            b"\x7f" + selector("transfer(address,uint256)").ljust(32, b"\0") + b"\x60\x00\x52"
            + bytes.fromhex("33600452") + amount + bytes.fromhex("602452")  # to the caller
            + bytes.fromhex("60006000604460006000") + token + b"\x5a\xf1\x50"
        )  # fmt: skip
        # slt(0, amount) or jump over the payment
        guard = amount + bytes.fromhex("600012") + b"\x15"
        end = len(code) + len(guard) + 4 + len(pay)
        code += guard + push(end, 2) + b"\x57" + pay + b"\x5b"
    code += b"\0"
    return push(len(code), 2) + bytes.fromhex("80600a3d393df3") + code


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
        for fee_pips in (100, 50000):
            tier = fee_pips, V3_TIERS[fee_pips]
            self.send(self.v3_factory, "enableFeeAmount(uint24,int24)", *tier, sender=OWNER)
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
