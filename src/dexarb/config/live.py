"""The bot's configuration (config/live.toml): what a paper trader's file has, and who sends, by
which ways, within which limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, StrictBool

from dexarb.config.alerts import BOT_KINDS
from dexarb.config.kinds import kind_of
from dexarb.config.paper import PaperConfig, inspect_tables, load_paper
from dexarb.config.paths import DEFAULT_JOURNAL_FILE, base_folder
from dexarb.config.strategy_table import Percent, Usd
from dexarb.config.toml_file import (
    Number,
    TomlFile,
    TomlTable,
    Whole,
    expand_environment,
    read_toml,
    validate,
)
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.sending import Terms
from dexarb.core.text import is_key
from dexarb.core.token import Address, to_address
from dexarb.core.units import MICRO_USD, PPM_PER_PERCENT
from dexarb.errors import ConfigError, ConfigErrors, InvalidAddress

SECRETS = ("way", "alerts", "probe")
"""Tables of which no value is shown."""
OWN = ("live", "lane", "way", "limits", "evidence")
"""Tables that a paper trader's file does not have."""
MAX_LANES = 4
"""An executor has at most so many operators."""
ETHER = 10**18
PUBLIC = "eth_sendRawTransaction"
MAY_TRADE = ("CANARY", "PROMOTE")
"""Verdicts."""


class LiveTable(TomlTable):
    """armed: without it the bot rehearses, whatever it is told. price_bump_percent: what nodes ask
    for another transaction with a nonce that waits. cancel_after_blocks: so many blocks without a
    trade, and a nonce that still waits is used up."""

    armed: StrictBool = False
    executor: str
    owner: str
    journal_file: Path = DEFAULT_JOURNAL_FILE
    collector: Path = Path("collector.toml")
    min_expected_usd: Annotated[Usd, Field(ge=-(10**9))] = Decimal(0)
    price_bump_percent: Percent = Decimal(10)
    cancel_after_blocks: Annotated[Whole, Field(ge=1)] = 8


class LaneTable(TomlTable):
    """An operator's account. password_env: the name of a variable; password_file: of a file that
    only its owner can read; without both the password is asked for."""

    key_file: Path
    password_file: Path | None = None
    password_env: Annotated[str, Field(min_length=1)] | None = None


class WayTable(TomlTable):
    """A way of sending, all of which are tried at once. method: as the endpoint calls it. USD: what
    it charges for each transaction that landed, and for each that did not."""

    name: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(min_length=1, repr=False)]
    method: Annotated[str, Field(min_length=1)] = PUBLIC
    headers: Annotated[dict[str, str], Field(default_factory=dict, repr=False)]
    usd_per_landed: Annotated[Usd, Field(ge=0)] = Decimal(0)
    usd_per_missed: Annotated[Usd, Field(ge=0)] = Decimal(0)


class LimitsTable(TomlTable):
    """Of the whole bot. What is reached disarms it."""

    daily_loss_usd: Annotated[Usd, Field(gt=0)] = Decimal(20)
    daily_gas_usd: Annotated[Usd, Field(gt=0)] = Decimal(5)
    max_reverts_in_a_row: Annotated[Whole, Field(ge=1)] = 10
    max_open_usd: Annotated[Usd, Field(gt=0)] = Decimal(5_000)
    max_trade_usd: Annotated[Usd, Field(gt=0)] = Decimal(2_000)
    min_native: Annotated[Number, Field(ge=0)] = Decimal(5)
    max_state_age_secs: Annotated[Number, Field(gt=0)] = Decimal(4)
    max_disagreement_blocks: Annotated[Whole, Field(ge=1, le=MAX_REORG_DEPTH)] = 8


class EvidenceTable(TomlTable):
    """What a strategy was promoted for. `dexarb promote` writes it."""

    model_config = TomlTable.model_config | {"extra": "ignore"}

    hash: str
    verdict: str


class LiveTables(TomlTable):
    """What a bot's file has beside what a paper trader's has."""

    live: LiveTable
    lane: Annotated[list[LaneTable], Field(min_length=1, max_length=MAX_LANES)]
    way: Annotated[list[WayTable], Field(min_length=1)]
    limits: LimitsTable = LimitsTable()
    evidence: Annotated[list[EvidenceTable], Field(default_factory=list)]


class Way(NamedTuple):
    """url and headers hold keys: never print them. micro-USD for each transaction."""

    name: str
    url: str
    method: str
    headers: Mapping[str, str]
    per_landed_micro_usd: int
    per_missed_micro_usd: int


class Lane(NamedTuple):
    key_file: Path
    password_file: Path | None
    password_env: str | None


@dataclass(frozen=True, slots=True)
class BotLimits:
    """Money in micro-USD, min_native in wei, ages in seconds."""

    daily_loss_micro_usd: int
    daily_gas_micro_usd: int
    reverts_in_a_row: int
    open_micro_usd: int
    trade_micro_usd: int
    min_native: int
    state_age_s: float
    disagreement_blocks: int


@dataclass(frozen=True)
class LiveConfig:
    """Checked. limits_table: the limits as the file states them. verdicts: of strategies, by hash,
    as their promotion wrote them."""

    paper: PaperConfig
    armed: bool
    executor: Address
    owner: Address
    journal_file: Path
    collector: Path
    terms: Terms
    price_bump_ppm: int
    cancel_after_blocks: int
    lanes: tuple[Lane, ...]
    ways: tuple[Way, ...]
    limits: BotLimits
    limits_table: LimitsTable
    verdicts: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.paper.file.path

    def __repr__(self) -> str:
        return f"LiveConfig({self.path}, {len(self.lanes)} lanes, {len(self.ways)} ways)"


def load_live(path: Path) -> LiveConfig:
    """Raises ConfigError or ConfigErrors."""
    file = read_toml(path, secrets=SECRETS, wary=True)
    if "live" not in file.data:
        raise file.error(
            (), "there is no [live]", "dexarb init writes one to begin with, config/live.toml"
        )
    paper, problems = inspect_tables(
        _only(file, lambda name: name not in OWN), alert_kinds=BOT_KINDS
    )
    try:
        tables = validate(_only(file, lambda name: name in OWN), LiveTables)
    except (ConfigError, ConfigErrors) as error:
        raise ConfigErrors([*problems, *error.errors]) from None
    addresses: dict[str, Address] = {}
    for key in ("executor", "owner"):
        try:
            addresses[key] = to_address(getattr(tables.live, key))
        except InvalidAddress as error:
            problems.append(file.error(("live", key), str(error)))
    ways = []
    for index, way in enumerate(tables.way):
        try:
            ways.append(_way(file, index, way))
        except ConfigError as error:
            problems.append(error)
    problems += _wrong(file, tables, paper)
    if problems:
        raise ConfigErrors(problems)
    base = base_folder(path)
    live = tables.live.placed(base, "journal_file")
    return LiveConfig(
        paper=paper,
        armed=live.armed,
        executor=addresses["executor"],
        owner=addresses["owner"],
        journal_file=live.journal_file,
        collector=path.parent / live.collector,
        terms=Terms(
            int(live.min_expected_usd * MICRO_USD),
            sum(each.per_landed_micro_usd for each in ways),
            sum(each.per_missed_micro_usd for each in ways),
        ),
        price_bump_ppm=int(live.price_bump_percent * PPM_PER_PERCENT),
        cancel_after_blocks=live.cancel_after_blocks,
        lanes=tuple(_lane(path.parent, each) for each in tables.lane),
        ways=tuple(ways),
        limits=_limits(tables.limits),
        limits_table=tables.limits,
        verdicts={each.hash: each.verdict for each in tables.evidence},
    )


def load_traded(path: Path) -> PaperConfig:
    """What a paper trader's file has, of its own or of a bot's. Raises ConfigError or
    ConfigErrors."""
    return load_live(path).paper if kind_of(path) == "live" else load_paper(path)


def _only(file: TomlFile, is_wanted: Any) -> TomlFile:
    data = {name: table for name, table in file.data.items() if is_wanted(name)}
    return replace(file, data=data)


def _lane(folder: Path, lane: LaneTable) -> Lane:
    password = lane.password_file and folder / lane.password_file
    return Lane(folder / lane.key_file, password, lane.password_env)


def _way(file: TomlFile, index: int, way: WayTable) -> Way:
    return Way(
        way.name,
        expand_environment(file, ("way", index, "url"), way.url),
        way.method,
        {
            name: expand_environment(file, ("way", index, "headers", name), value)
            for name, value in way.headers.items()
        },
        int(way.usd_per_landed * MICRO_USD),
        int(way.usd_per_missed * MICRO_USD),
    )


def _limits(table: LimitsTable) -> BotLimits:
    return BotLimits(
        daily_loss_micro_usd=int(table.daily_loss_usd * MICRO_USD),
        daily_gas_micro_usd=int(table.daily_gas_usd * MICRO_USD),
        reverts_in_a_row=table.max_reverts_in_a_row,
        open_micro_usd=int(table.max_open_usd * MICRO_USD),
        trade_micro_usd=int(table.max_trade_usd * MICRO_USD),
        min_native=int(table.min_native * ETHER),
        state_age_s=float(table.max_state_age_secs),
        disagreement_blocks=table.max_disagreement_blocks,
    )


def _wrong(file: TomlFile, tables: LiveTables, paper: PaperConfig) -> Iterator[ConfigError]:
    """What can stand on paper, and not here."""
    for place, lane in enumerate(tables.lane):
        if is_key(lane.key_file.name):
            remedy = "Name a file: `dexarb key import FILE` keeps a key in one"
            yield file.error(("lane", place, "key_file"), "that is a private key itself", remedy)
        if lane.password_file is not None and lane.password_env is not None:
            at = ("lane", place, "password_env")
            yield file.error(at, "there is a password_file as well", "Keep one of them")
    names = [each.name for each in tables.way]
    for place, name in enumerate(names):
        if name in names[:place]:
            yield file.error(("way", place, "name"), "another way has this name", "Rename it")
    for listed in paper.strategies:
        if listed.table.enabled and listed.table.simulate_competition:
            at_key = (*listed.at, "simulate_competition")
            yield file.error(at_key, "the chain's rivals are real here", "Remove it")
        if listed.table.enabled and listed.table.latency_ms is not None:
            at_key = (*listed.at, "latency_ms")
            yield file.error(at_key, "how late the bot is shows by itself here", "Remove it")
