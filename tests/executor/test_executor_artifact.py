"""The shipped artifact is what the compiler makes of the source, and calls fit its interface."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from eth_abi.abi import decode
from eth_hash.auto import keccak

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.ends.executor_contract import (
    EXECUTE,
    MAX_HOPS,
    WITHDRAW,
    artifact,
    deploy_data,
    execute_data,
    revert_reason,
    withdraw_data,
)
from dexarb.errors import PoolError

REPOSITORY = Path(__file__).parents[2]
A, B, POOL_2, POOL_3, OWNER = (Address(f"0x{digit * 40}") for digit in "ab23c")

PAIR = UniswapV2Pool(address=POOL_2, token0=A, token1=B, reserve0=1, reserve1=1, fee_pips=2000)
POOL = UniswapV3Pool(
    address=POOL_3,
    token0=A,
    token1=B,
    fee_pips=500,
    tick_spacing=10,
    sqrt_price_x96=1 << 96,
    tick=0,
    liquidity=0,
    ticks={},
)
POOLS: dict[PoolKey, Pool] = {PAIR.key: PAIR, POOL.key: POOL}
CYCLE = Cycle((Hop(PAIR.key, A, B), Hop(POOL.key, B, A)))


def test_the_compiler_makes_the_shipped_artifact_of_the_source() -> None:
    script = runpy.run_path(str(REPOSITORY / "scripts" / "build_executor.py"))
    shipped = json.loads(script["ARTIFACT"].read_text())
    assert script["build"]() == shipped, "run scripts/build_executor.py"


def test_the_artifact_loads_as_package_data() -> None:
    shipped = artifact()
    assert shipped.compiler.startswith("vyper 0.4.3")
    assert shipped.settings["evm_version"] == "cancun"
    roles = bytes(12) + bytes.fromhex("cc" * 20) + bytes(12) + bytes.fromhex("aa" * 20)
    assert deploy_data(OWNER, [A]) == shipped.bytecode + roles + bytes(3 * 32)
    # EIP-170 bounds the code that is deployed, EIP-3860 the code that deploys it.
    assert len(shipped.bytecode) < 24_576


def signature(name: str) -> str:
    function = next(entry for entry in artifact().abi if entry.get("name") == name)

    def type_of(field: dict[str, object]) -> str:
        kind = str(field["type"])
        components = field.get("components")
        if not isinstance(components, list):
            return kind
        return f"({','.join(map(type_of, components))}){kind.removeprefix('tuple')}"

    return f"{name}({','.join(map(type_of, function['inputs']))})"


def test_selectors_are_those_of_the_interface() -> None:
    assert keccak(signature("execute").encode())[:4] == EXECUTE
    assert keccak(signature("withdraw").encode())[:4] == WITHDRAW


def test_calls_decode_to_what_was_meant() -> None:
    data = execute_data(CYCLE, POOLS.__getitem__, 5, 6, 1234, flash=True, min_profit=7)
    types = signature("execute").removeprefix("execute(").removesuffix(")")
    kinds = ["(address,address,uint8,bytes32)[]", *types.split(",")[-5:]]
    assert data[:4] == EXECUTE
    assert decode(kinds, data[4:]) == (
        (
            (POOL_2, A, 0, (2000).to_bytes(32, "big")),
            (POOL_3, B, 1, (500 + (10 << 24)).to_bytes(32, "big")),
        ),
        5,
        6,
        7,
        True,
        1234,
    )
    assert decode(["address", "uint256"], withdraw_data(A, 9)[4:]) == (A, 9)


def test_pools_that_the_contract_cannot_call_are_refused() -> None:
    class Curve(UniswapV2Pool):
        kind = "curve"

        def executor_hop(self) -> None:
            """There is no branch for it."""

    fields = {name: getattr(PAIR, name) for name in ("address", "token0", "token1")}
    pools = POOLS | {PAIR.key: Curve(**fields, reserve0=1, reserve1=1)}
    with pytest.raises(PoolError, match="cannot call a curve"):
        execute_data(CYCLE, pools.__getitem__, 1, 1, 1)


@pytest.mark.parametrize("operators", [[], [A, B, POOL_2, POOL_3, OWNER], [A, OWNER]])
def test_roles_that_the_contract_does_not_take_are_refused(operators: list[Address]) -> None:
    with pytest.raises(ValueError, match="1 to 4 operators"):
        deploy_data(OWNER, operators)


def test_cycles_that_are_too_long_are_refused() -> None:
    cycle = Cycle(CYCLE.hops * 2 + CYCLE.hops[:1])
    assert len(cycle.hops) == MAX_HOPS + 1
    with pytest.raises(ValueError, match="hops"):
        execute_data(cycle, POOLS.__getitem__, 1, 1, 1)


def test_reasons_are_read_and_other_reverts_have_none() -> None:
    text = b"too little received"
    data = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + len(text).to_bytes(32, "big")
    assert revert_reason(data + text.ljust(32, b"\0")) == text.decode()
    assert revert_reason(b"") is None
    assert revert_reason(bytes.fromhex("4e487b71") + bytes(32)) is None
