"""The worked example of docs/strategies.md does what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

from dexarb.trading.decide.custom import Resumable
from dexarb.trading.decide.own_strategies import OwnStrategies
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.reality import REALITY
from tests.support.worlds.small_chain import (
    CHEAP,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    weth_pool,
)

DOC = Path(__file__).parent.parent.parent / "docs" / "strategies.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)


def example() -> Any:
    names: dict[str, Any] = {}
    exec(examples()[0], names)
    return names["Patient"]


def test_the_two_methods_make_a_strategy_resumable() -> None:
    _, methods = examples()
    names: dict[str, Any] = {}
    exec(f"class Counting:\n{indent(methods, '    ')}", names)
    before, after = names["Counting"](), names["Counting"]()
    before.seen = 7
    assert isinstance(before, Resumable)
    after.resume(before.state())
    assert after.seen == 7


def test_the_example_waits_and_takes_half() -> None:
    patient = settings("patient", kind="patient", parameters='{"blocks": 2}')
    whole = settings("whole", max_trade_size_micro_usd=10**12)
    patient_too = settings("patient", kind="patient", max_trade_size_micro_usd=10**12)
    made = threshold_engine(keyframe(), whole)
    own = OwnStrategies({"patient": example()}, REALITY)
    own.use([patient, patient_too])
    made.use([ThresholdStrategies((whole,), REALITY), own])
    chain = SmallChain(keyframe())
    first = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert [each.strategy for each in first.decisions] == [whole.hash]
    best = first.decisions[0].amount_in
    assert not made.step(chain.mine()).decisions
    third = made.step(chain.mine())
    assert [each.strategy for each in third.decisions] == [patient.hash]
    assert third.decisions[0].amount_in == 2_000_000_000  # the table's cap
    fourth = made.step(chain.mine())
    assert [each.strategy for each in fourth.decisions] == [patient_too.hash]
    assert fourth.decisions[0].amount_in == best // 2
