"""What `import dexarb` offers: all that an own strategy meets, loaded when it is asked for."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dexarb
from dexarb.trading.decide.own_strategies import OwnStrategies
from dexarb.trading.models.reality import REALITY
from tests.support.worlds.small_chain import (
    CHEAP,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    weth_pool,
)

ROOT = Path(__file__).parent.parent


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_import_alone_loads_nothing() -> None:
    modules = "[name for name in sys.modules if name.startswith('dexarb.')]"
    assert in_a_new_process(f"import sys, dexarb; print({modules})") == "[]"


def test_a_pool_comes_without_the_compiler_and_a_strategy_without_the_chain() -> None:
    slow = "[name for name in ('numba', 'duckdb', 'httpx') if name in sys.modules]"
    assert in_a_new_process(f"import sys; from dexarb import UniswapV3Pool; print({slow})") == "[]"
    slow = "[name for name in sys.modules if name.startswith(('dexarb.chain', 'dexarb.store'))]"
    assert in_a_new_process(f"import sys; from dexarb import Choice; print({slow})") == "[]"


def test_every_name_leads_to_what_type_checkers_see() -> None:
    tree = ast.parse(inspect.getsource(dexarb))
    seen = {
        alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dexarb.")
        for alias in node.names
    }
    assert sorted(seen) == dexarb.__all__
    for name, path in seen.items():
        module, _, attribute = path.rpartition(".")
        assert getattr(dexarb, name) is getattr(sys.modules[module], attribute)
        assert name in dir(dexarb)


@pytest.mark.parametrize("name", ["Desk", "numpy", "_nothing"])
def test_what_is_not_offered_is_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'dexarb' has no attribute '{name}'"):
        getattr(dexarb, name)


def our_types(annotation: Any) -> Iterator[Any]:
    """Those of an annotation that are ours, the parts of unions and containers included."""
    for part in typing.get_args(annotation):
        yield from our_types(part)
    if str(getattr(annotation, "__module__", "")).startswith("dexarb."):
        yield annotation


def signatures(face: type) -> Iterator[Callable[..., Any]]:
    """Public methods and properties, and what its fields are."""
    for name, member in vars(face).items():
        if not name.startswith("_"):
            method = member.fget if isinstance(member, property) else member
            if callable(method):
                yield method


@pytest.mark.parametrize("name", ["Books", "Choice", "MarketView", "OwnStrategy"])
def test_all_that_an_own_strategy_meets_is_offered(name: str) -> None:
    face = getattr(dexarb, name)
    hints = [typing.get_type_hints(each) for each in (face, *signatures(face))]
    met = {
        each.__name__
        for hint in hints
        for field, annotation in hint.items()
        if not field.startswith("_")
        for each in our_types(annotation)
    }
    assert met <= {*dexarb.__all__}
    assert met or name == "Books"


def test_a_strategy_needs_no_other_import() -> None:
    class All(dexarb.OwnStrategy):
        def decide(
            self,
            market: dexarb.MarketView,
            opportunities: typing.Sequence[dexarb.Opportunity],
            ledger: dexarb.Books,
        ) -> list[dexarb.Choice]:
            if market.stale or ledger["sent"]:
                return []
            return [dexarb.Choice(each) for each in opportunities]

    own = OwnStrategies({"all": All}, REALITY)
    taker = settings("taker", kind="all", max_trade_size_micro_usd=10**12)
    made = threshold_engine(keyframe(), taker)
    own.use([taker])
    made.use([own])
    step = made.step(SmallChain(keyframe()).mine(weth_pool(CHEAP, 2_450)))
    assert [each.strategy for each in step.decisions] == [taker.hash]


def test_the_readme_shows_the_mathematics_as_it_is() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shown = re.findall(r"# ([\d_]+)$", code, re.MULTILINE)
    lines = [line.partition("  # ")[0] for line in code.splitlines()]
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)
    values = [eval(line, names) for line in lines if line.startswith("pool.")]
    assert values == [int(each) for each in shown]
    assert len(values) == 2
