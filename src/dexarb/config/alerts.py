"""The [alerts] table of both programs: who is told, of what, and when not."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from dexarb.config.kinds import kind_with
from dexarb.config.toml_file import (
    Number,
    TomlFile,
    TomlTable,
    did_you_mean,
    expand_environment,
    read_toml,
    validate,
)
from dexarb.errors import ConfigError, ConfigErrors

TABLE = "alerts"
"""None of its values is ever shown: the URLs are keys."""
BYTES_PER_GB = 10**9
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_QUIET = re.compile(r"(\d\d:\d\d)\s*-\s*(\d\d:\d\d)")


class AlertKind(StrEnum):
    """What can be told, in the order in which it is."""

    SILENCE = "silence"
    HEAD_LAG = "head_lag"
    DISK = "disk"
    MISMATCH = "mismatch"
    STRATEGY_STOPPED = "strategy_stopped"
    LOSS_LIMIT = "loss_limit"
    FIRST_FILL = "first_fill"
    DISARMED = "disarmed"
    FIRST_TRADE = "first_trade"
    DIGEST = "digest"


_BOTH = (AlertKind.SILENCE, AlertKind.HEAD_LAG, AlertKind.DISK, AlertKind.DIGEST)
COLLECTOR_KINDS = frozenset((*_BOTH, AlertKind.MISMATCH))
PAPER_KINDS = frozenset(
    (*_BOTH, AlertKind.STRATEGY_STOPPED, AlertKind.LOSS_LIMIT, AlertKind.FIRST_FILL)
)
BOT_KINDS = PAPER_KINDS | {AlertKind.DISARMED, AlertKind.FIRST_TRADE}
"""What each program knows of."""


class AlertsTable(TomlTable):
    """urls: of apprise, each may hold ${NAME}. kinds: without them all that the program knows.

    quiet_hours and digest_at are times of day in the timezone.
    """

    urls: Annotated[list[str], Field(min_length=1, repr=False)]
    name: Annotated[str, Field(min_length=1)] = "dexarb"
    kinds: list[str] | None = None
    silence_secs: Annotated[Number, Field(gt=0)] = Decimal(120)
    head_lag_secs: Annotated[Number, Field(gt=0)] = Decimal(120)
    disk_free_gb: Annotated[Number, Field(gt=0)] = Decimal(5)
    repeat_mins: Annotated[Number, Field(ge=0)] = Decimal(60)
    quiet_hours: str | None = None
    timezone: str = "UTC"
    digest_at: str = "08:00"


class _AlertsAlone(TomlTable):
    """Whatever else there is in the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    alerts: AlertsTable


@dataclass(frozen=True, slots=True)
class AlertRules:
    """Of what and when to tell. Minutes are those of a day in the zone.

    repeat_s: a kind is told at most once in so many seconds, and that it is over likewise. quiet:
    from one minute until before another, which may be behind midnight.
    """

    kinds: frozenset[AlertKind]
    silence_s: float
    head_lag_s: float
    disk_free_bytes: int
    repeat_s: float
    quiet: tuple[int, int] | None
    zone: tzinfo
    digest_minute: int


@dataclass(frozen=True)
class AlertsConfig:
    """A checked table. Two are equal where they say the same."""

    file: TomlFile = field(compare=False)
    table: AlertsTable
    rules: AlertRules

    def __repr__(self) -> str:
        return f"AlertsConfig({len(self.table.urls)} urls)"

    def urls(self) -> list[str]:
        """With what the environment has in it: never print them. Raises ConfigErrors.

        Asked for by who sends alone: who only reads the file need not have the environment.
        """
        found, problems = [], []
        for i, url in enumerate(self.table.urls):
            try:
                found.append(expand_environment(self.file, (TABLE, "urls", i), url))
            except ConfigError as error:
                problems.append(error)
        if problems:
            raise ConfigErrors(problems)
        return found

    def wrong_url(self, index: int, problem: str, remedy: str) -> ConfigError:
        return self.file.error((TABLE, "urls", index), problem, remedy)


def read_alerts(path: Path) -> AlertsConfig:
    """Of either program's file, the rest of which is not looked at.

    Raises ConfigError or ConfigErrors, also where there is no such table.
    """
    file = read_toml(path, secrets=("rpc", TABLE), wary=True)
    if TABLE not in file.data:
        raise file.error((), "there is no [alerts]", "Add it, with urls = [...]: docs/alerts.md")
    kind = kind_with(file.data)
    known = {"collector": COLLECTOR_KINDS, "live": BOT_KINDS}.get(kind, PAPER_KINDS)
    config, problems = check_alerts(file, validate(file, _AlertsAlone).alerts, known)
    if problems:
        raise ConfigErrors(problems)
    assert config is not None
    return config


def check_alerts(
    file: TomlFile, table: AlertsTable | None, known: Collection[AlertKind]
) -> tuple[AlertsConfig | None, list[ConfigError]]:
    """known: the kinds that the program of this file can tell."""
    if table is None:
        return None, []
    problems = [*_wrong_kinds(file, table, known)]
    digest = minute_of(table.digest_at)
    if digest is None:
        at = (TABLE, "digest_at")
        problems.append(file.error(at, "no time of day", 'Write it as "08:00"'))
    quiet = None
    if table.quiet_hours is not None:
        quiet = _span(table.quiet_hours)
        if quiet is None:
            problem = "no hours of a day"
            remedy = 'Write two different times, as in "22:00-07:00"'
            problems.append(file.error((TABLE, "quiet_hours"), problem, remedy))
    zone = _zone(table.timezone)
    if zone is None:
        problem = "there is no such time zone on this machine"
        names = [*zoneinfo.available_timezones()]
        near = did_you_mean(table.timezone, names) or ""
        remedy = near if near.startswith("Did") else 'Write it as "UTC" or "Europe/Vienna"'
        problems.append(file.error((TABLE, "timezone"), problem, remedy))
    if problems or zone is None or digest is None:
        return None, problems
    wanted = known if table.kinds is None else map(AlertKind, table.kinds)
    rules = AlertRules(
        frozenset(wanted),
        float(table.silence_secs),
        float(table.head_lag_secs),
        int(table.disk_free_gb * BYTES_PER_GB),
        float(table.repeat_mins * 60),
        quiet,
        zone,
        digest,
    )
    return AlertsConfig(file, table, rules), []


def _wrong_kinds(
    file: TomlFile, table: AlertsTable, known: Collection[AlertKind]
) -> Iterator[ConfigError]:
    for i, kind in enumerate(table.kinds or ()):
        at = (TABLE, "kinds", i)
        if kind in known:
            continue
        if kind in (*AlertKind,):
            problem = f"this program knows nothing of {kind}"
            yield file.error(at, problem, "Put it into the other program's file")
        else:
            names = [each for each in AlertKind if each in known]
            yield file.error(at, "unknown kind", did_you_mean(kind, names))


def minute_of(clock: str) -> int | None:
    """`08:30` as minutes of the day; None for what is no such time."""
    found = _CLOCK.fullmatch(clock)
    return int(found[1]) * 60 + int(found[2]) if found else None


def _span(text: str) -> tuple[int, int] | None:
    found = _QUIET.fullmatch(text)
    begin, end = (minute_of(found[1]), minute_of(found[2])) if found else (None, None)
    return None if begin is None or end is None or begin == end else (begin, end)


def _zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC  # also where the machine has no list of zones
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None
