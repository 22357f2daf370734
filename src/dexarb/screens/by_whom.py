"""Whom arbitrages are put down to, as `--by` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dexarb.core.token import short
from dexarb.errors import InputError

if TYPE_CHECKING:
    from dexarb.study.rivals_study import Who

TARGET, SENDER = "target", "sender"
_WHO: Mapping[str, Who] = {TARGET: lambda each: each.to, SENDER: lambda each: each.sender}


def who_by(by: str) -> Who:
    """Raises InputError for neither of both."""
    if by not in _WHO:
        raise InputError(f'--by "{by}" is neither {TARGET} nor {SENDER}')
    return _WHO[by]


def called(who: str | None) -> str:
    """For people; None: without receipts nobody knows."""
    return short(who) if who else "unknown"
