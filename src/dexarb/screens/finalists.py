"""dexarb finalists: who is being confirmed; register: who is to be, from now on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.core.text import as_name, in_a_line
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.names import find_strategy
from dexarb.screens.verdict import confirmation_lines, verdicts_of
from dexarb.screens.when import utc
from dexarb.store.trials import Finalists, enter, register_of
from dexarb.study.verdict.confirmation import LOOKS, MOST_FINALISTS
from dexarb.study.verdict.judging import Considered, Verdicts
from dexarb.study.verdict.verdict import may_be_finalist

BEST = "the best ranked of selection that are eligible and not rejected"
BY_NAME = "named by hand"
RULE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class FinalistList(Answer):
    """is_new: they have just been registered."""

    found: Verdicts
    finalists: Finalists | None
    is_new: bool

    def as_json(self) -> dict[str, Any]:
        chosen, confirmed = self.finalists, self.found.confirmed
        if chosen is None:
            return {"finalists": [], "rule": None, "registered_at": None, "block": None}
        passed = {} if self.is_new or confirmed is None else confirmed.passed
        p_values = {} if self.is_new or confirmed is None else confirmed.p_values
        return {
            "finalists": [
                {
                    "name": name,
                    "hash": hash_,
                    "passed_at": passed.get(hash_),
                    "p_value": p_values.get(hash_),
                }
                for name, hash_ in zip(chosen.names, chosen.hashes, strict=True)
            ],
            "rule": chosen.rule,
            "registered_at": chosen.at,
            "block": chosen.block,
            "days": 0 if self.is_new or confirmed is None else confirmed.days,
            "looks": list(LOOKS),
        }

    def render(self) -> RenderableType:
        chosen = self.finalists
        if chosen is None:
            return Text("No finalists yet: dexarb finalists register")
        head = "Registered" if self.is_new else "Finalists"
        lines = [
            Text(f"{head} at block {chosen.block}, {utc(chosen.second)}", style="bold"),
            Text(f"Rule: {in_a_line(chosen.rule, RULE_LENGTH)}"),
            *(Text(f"  {as_name(name)}") for name in chosen.names),
        ]
        if self.is_new:
            days = ", ".join(map(str, LOOKS))
            lines.append(
                Text(f"Only what comes now counts; looks at days {days} and at no others.")
            )
        else:
            lines += map(Text, confirmation_lines(self.found))
        return Group(*lines)


def answer(config: Path) -> FinalistList:
    """Raises ConfigError, StoreError."""
    found = verdicts_of(config)
    return FinalistList(found, found.finalists, is_new=False)


def register(
    config: Path, names: Sequence[str], *, rule: str | None, replace: bool, now: int
) -> FinalistList:
    """names: of strategies, or beginnings of their hashes; without any, the best. rule: how they
    were chosen, in words. replace: also where a confirmation is going on, which ends with it. now:
    UTC second.

    Raises ConfigError, InputError, StoreError.
    """
    found = verdicts_of(config)
    if found.family is None:
        raise InputError(f"nothing can be registered without the history: {found.problem}")
    confirmed = found.confirmed
    if confirmed is not None and not confirmed.is_over and not replace:
        raise InputError(
            f"a confirmation is at day {confirmed.days} of {max(LOOKS)}: with --replace it ends"
            " unfinished and another begins"
        )
    chosen = _named(found, names) if names else _best(found)
    if len(chosen) > MOST_FINALISTS:
        raise InputError(
            f"{len(chosen)} finalists are named: {MOST_FINALISTS} at most, or none would pass"
        )
    made = Finalists(
        found.family.id,
        now,
        found.block,
        found.second,
        rule or (BY_NAME if names else BEST),
        tuple(each.row.hash for each in chosen),
        tuple(each.row.name for each in chosen),
    )
    enter(register_of(found.history), found.family, made)
    return FinalistList(found, made, is_new=True)


def _named(found: Verdicts, names: Sequence[str]) -> list[Considered]:
    by_hash = {each.row.hash: each for each in found.strategies}
    rows = [each.row for each in found.strategies]
    active = {each.row.hash for each in found.strategies if each.is_active}
    hashes = dict.fromkeys(find_strategy(name, rows, active).hash for name in names)
    return [by_hash[each] for each in hashes]


def _best(found: Verdicts) -> list[Considered]:
    eligible = [
        each
        for each in found.strategies
        if each.is_active and may_be_finalist(each.case, each.judged)
    ]
    if not eligible:
        raise InputError(
            f"of {len(found.strategies)} strategies none is eligible and gains yet: dexarb verdict"
            " says what is missing; or name some yourself"
        )
    return eligible[:MOST_FINALISTS]
