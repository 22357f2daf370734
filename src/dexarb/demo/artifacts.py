"""The real contracts: bytecode and call data from the packages their authors published."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_hash.auto import keccak

from dexarb.core.token import Address, to_address
from dexarb.demo.npm import missing, package_file

MULTICALL3: Address = to_address("0xcA11bde05977b3631167028862bE2a173976CA11")
"""Where Multicall3 lives on every chain that has it."""

_V2_CORE = "@uniswap/v2-core/build/{}.json"
_V2_PERIPHERY = "@uniswap/v2-periphery/build/{}.json"
_V3_CORE = "@uniswap/v3-core/artifacts/contracts/{0}.sol/{0}.json"
_V3_PERIPHERY = "@uniswap/v3-periphery/artifacts/contracts/{0}.sol/{0}.json"
_V3_LENS = "@uniswap/v3-periphery/artifacts/contracts/lens/{0}.sol/{0}.json"
_OPENZEPPELIN = "@openzeppelin/contracts/build/contracts/{}.json"

_PACKAGES = {
    "UniswapV2Factory": _V2_CORE,
    "UniswapV2Pair": _V2_CORE,
    "UniswapV2Router02": _V2_PERIPHERY,
    "WETH9": _V2_PERIPHERY,
    "UniswapV3Factory": _V3_CORE,
    "UniswapV3Pool": _V3_CORE,
    "SwapRouter": _V3_PERIPHERY,
    "NonfungiblePositionManager": _V3_PERIPHERY,
    "QuoterV2": _V3_LENS,
    "TickLens": _V3_LENS,
    "ERC20PresetFixedSupply": _OPENZEPPELIN,
}


_MULTICALL3 = "viem/_cjs/constants/contracts.js"


def require_packages() -> None:
    """Raise MissingTool if a contract has not been installed, before anything is started."""
    for path in (*map(_path, _PACKAGES), _MULTICALL3):
        package_file(path)


def _path(name: str) -> str:
    """Of a contract, in node_modules."""
    return _PACKAGES[name].format(name)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a contract, as its ABI describes it."""

    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def call(self, *arguments: Any) -> bytes:
        """Call data: selector and ABI-encoded arguments, structs as tuples."""
        return self.selector + encode(self.inputs, arguments)

    def result(self, data: bytes) -> tuple[Any, ...]:
        """What a call returned. Addresses come in lower case."""
        return tuple(decode(self.outputs, data))


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract's functions by name (overloaded ones are left out) and how to deploy it."""

    name: str
    functions: Mapping[str, Function]
    constructor: tuple[str, ...]
    bytecode: bytes

    def creation(self, *arguments: Any) -> bytes:
        """The data of the transaction that deploys it."""
        return self.bytecode + encode(self.constructor, arguments)

    def __getitem__(self, function: str) -> Function:
        return self.functions[function]


@cache
def contract(name: str) -> Contract:
    """A published contract. Raises MissingTool if its package is not installed."""
    artifact = json.loads(package_file(_path(name)).read_bytes())
    abi = artifact["abi"]
    constructors = [entry for entry in abi if entry["type"] == "constructor"]
    bytecode = artifact["bytecode"].removeprefix("0x")
    return Contract(
        name=name,
        functions=_functions(abi),
        constructor=_types(constructors[0]["inputs"]) if constructors else (),
        bytecode=bytes.fromhex(bytecode),
    )


@cache
def multicall3_code() -> bytes:
    """Multicall3's code as it stands on chain.

    viem publishes the creation code, which is a constructor of 32 bytes (it copies the rest into
    memory and returns it) followed by that code.
    """
    source = package_file(_MULTICALL3).read_text(encoding="utf-8")
    found = re.search(r"multicall3Bytecode\s*=\s*['\"]0x([0-9a-f]+)['\"]", source)
    if found is None:
        raise missing("Multicall3's bytecode in node_modules/viem")
    return bytes.fromhex(found[1])[_MULTICALL3_CONSTRUCTOR_BYTES:]


_MULTICALL3_CONSTRUCTOR_BYTES = 32


def function(name: str, inputs: Sequence[str], outputs: Sequence[str] = ()) -> Function:
    """A function whose contract is not among the packages, from its Solidity types."""
    signature = f"{name}({','.join(inputs)})"
    return Function(keccak(signature.encode())[:4], tuple(inputs), tuple(outputs))


def topic(signature: str) -> bytes:
    """The first topic of an event: topic("Sync(uint112,uint112)")."""
    return keccak(signature.encode())


AGGREGATE3 = function("aggregate3", ["(address,bool,bytes)[]"], ["(bool,bytes)[]"])
"""Multicall3: calls of (target, allowFailure, callData); one that may not fail reverts all."""


def _functions(abi: Sequence[Mapping[str, Any]]) -> Mapping[str, Function]:
    entries = [entry for entry in abi if entry["type"] == "function"]
    names = [entry["name"] for entry in entries]
    return {
        entry["name"]: function(
            entry["name"], _types(entry["inputs"]), _types(entry.get("outputs", ()))
        )
        for entry in entries
        if names.count(entry["name"]) == 1
    }


def _types(parameters: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Types as signatures spell them: a struct is the parenthesised list of its members."""
    return tuple(
        f"({','.join(_types(entry['components']))}){entry['type'].removeprefix('tuple')}"
        if entry["type"].startswith("tuple")
        else entry["type"]
        for entry in parameters
    )
