"""Whom arbitrages are put down to, as `--by` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dexarb.core.token import short
from dexarb.errors import InputError

if TYPE_CHECKING:
    from dexarb.study.rivals_study import Who

TARGET, SENDER, SELECTOR = "target", "sender", "selector"
_WHO: Mapping[str, Who] = {
    TARGET: lambda each: each.to,
    SENDER: lambda each: each.sender,
    SELECTOR: lambda each: each.selector,
}
_LONGEST_SELECTOR = 10


def who_by(by: str) -> Who:
    """Raises InputError for none of these."""
    if by not in _WHO:
        raise InputError(f'--by "{by}" is none of {", ".join(_WHO)}')
    return _WHO[by]


def called(who: str | None) -> str:
    """For people; None: without receipts, or without calls that were kept, nobody knows."""
    if not who:
        return "unknown"
    return who if len(who) <= _LONGEST_SELECTOR else short(who)
