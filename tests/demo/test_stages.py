"""Who waits for a demo is told for what, for as long as it takes."""

from __future__ import annotations

import asyncio
import io
from contextlib import suppress

import pytest

from dexarb.demo.stages import Stages
from dexarb.screens.console import plain_console

WHAT = "compiling the kernels of the search"


def test_a_stage_is_told_at_once_and_again_while_it_lasts() -> None:
    said = io.StringIO()

    async def wait_for_reminders() -> None:
        async with Stages(plain_console(file=said, width=20), remind_every_s=0.001).during(WHAT):
            assert said.getvalue() == f"{WHAT}\n"
            async with asyncio.timeout(10):
                while said.getvalue().count(f"still {WHAT} (0 s)") < 2:
                    await asyncio.sleep(0)

    asyncio.run(wait_for_reminders())


@pytest.mark.parametrize("failure", [None, RuntimeError("no")])
def test_a_stage_that_has_ended_is_not_reminded_of(failure: Exception | None) -> None:
    said = io.StringIO()

    async def go_on_behind_it() -> None:
        with suppress(RuntimeError):
            async with Stages(plain_console(file=said), remind_every_s=0.0).during(WHAT):
                if failure is not None:
                    raise failure
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(go_on_behind_it())
    assert said.getvalue() == f"{WHAT}\n"
