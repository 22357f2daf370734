"""The part of dexarb doctor that needs no chain: settings, folders, files, the kernels' cache."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from dexarb.alerts.target import open_targets
from dexarb.config import veil
from dexarb.config.alerts import AlertsConfig
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.config.paper import GeneralTable, inspect_paper
from dexarb.config.paths import nearest
from dexarb.config.unpriced import REMEDY, consequence
from dexarb.errors import ConfigError, ConfigErrors, StoreError
from dexarb.screens import config_check
from dexarb.screens.collector_health import collector_remarks
from dexarb.screens.doctor import Finding, note, ok, wrong
from dexarb.screens.output import counted
from dexarb.store.follow import start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import LOCK_FILE
from dexarb.store.ledger_db import trader_of
from dexarb.store.ledger_reader import read_only
from dexarb.store.locking import lock_holder
from dexarb.store.snapshot import State, read_state
from dexarb.study.warm_up import require_kept_kernels

LEAST_FREE_BYTES, LITTLE_FREE_BYTES = 1_000_000_000, 5_000_000_000
OTHERS = stat.S_IRWXO


def collector_settings(path: Path) -> tuple[CollectorConfig | None, list[Finding]]:
    """The collector's file with the chain's; None where they cannot be used."""
    try:
        config = load_collector(path)
    except (ConfigError, ConfigErrors) as error:
        return None, [wrong(path.name, str(each)) for each in error.errors]
    pairs = {(each.token_a, each.token_b) for each in config.choices}
    dexes = len({each.dex for each in config.choices})
    found = [
        ok(
            path.name,
            f"chain {config.chain.chain.chain_id}, {counted(len(config.endpoints), 'endpoint')}, "
            f"{counted(len(pairs), 'pair')} on {dexes} {'DEX' if dexes == 1 else 'DEXes'}",
        )
    ]
    for token in config.chain.unpriced:
        problem = consequence(token, config.chain.chain.wrapped_native)
        found.append(note(config.chain.path.name, problem, REMEDY))
    found += _alerts(path, config.alerts)
    if _holds_a_key(config) and _is_open(path):
        remedy = f"chmod go= {path}, or write ${{NAME}} and export it"
        found.append(note(path.name, "others can read it, and an endpoint stands in it", remedy))
    return config, found


def paper_settings(path: Path) -> tuple[GeneralTable | None, list[Finding]]:
    """What `dexarb config check` says; None where the file is not to be read."""
    try:
        checked = config_check.answer(path, chain=None)
    except (ConfigError, ConfigErrors) as error:
        return None, [wrong(path.name, str(each)) for each in error.errors]
    except StoreError as error:  # the ledger, which is looked at by itself
        return inspect_paper(path)[0].general, [note(path.name, f"not checked: {error}")]
    found = [wrong(path.name, str(each)) for each in checked.errors]
    if not found:
        enabled = sum(each.table.enabled for each in checked.config.strategies)
        found.append(ok(path.name, f"{enabled:,} of {len(checked.config.strategies):,} enabled"))
    found += [note(path.name, str(each)) for each in checked.warnings]
    if checked.unchecked:
        found.append(note(path.name, f"not checked: {checked.unchecked}"))
    found += _alerts(path, checked.config.alerts)
    return checked.config.general, found


def _alerts(path: Path, config: AlertsConfig | None) -> list[Finding]:
    """Whether somebody can be told; nothing is sent."""
    subject = f"{path.name} [alerts]"
    if config is None:
        return []
    try:
        targets = open_targets(config)
    except (ConfigError, ConfigErrors) as error:
        return [wrong(subject, str(each)) for each in error.errors]
    told = f"{counted(len(targets), 'target')}; dexarb alerts test sends a message"
    return [ok(subject, told)]


def one_state(config: CollectorConfig, general: GeneralTable) -> Iterator[Finding]:
    """Whether the trader reads what the collector writes."""
    written, read = config.settings.state_file, general.state_file
    if written.absolute() != read.absolute():
        problem = f"the collector writes {written}, and the paper trader reads {read}"
        yield wrong("state_file", problem, "Name the same in both files")


def folders(wanted: Sequence[Path]) -> Iterator[Finding]:
    """Whether they can be written to, whether there is room, and who else can look into them."""
    for folder in dict.fromkeys(wanted):
        there = nearest(folder)
        subject = f"folder {folder}"
        if not there.is_dir():
            yield wrong(subject, f"{there} is a file", "Name another folder")
        elif not os.access(there, os.W_OK | os.X_OK):
            remedy = "Give this user the right to write there, or name another folder"
            yield wrong(subject, "cannot be written to", remedy)
        else:
            yield _room(subject, there)
            if there == folder and _is_open(folder):
                yield note(subject, "others can read it", f"chmod -R go= {folder}")


def _room(subject: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    told = f"{free / 1e9:,.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return wrong(subject, told, "Free space: writing stops where there is none")
    if free < LITTLE_FREE_BYTES:
        return note(subject, told, "Free space soon")
    return ok(subject, f"can be written to, {told}")


def state(path: Path, chain_id: int | None) -> tuple[State | None, list[Finding]]:
    """The state file, and what the collector says in it of itself. None where there is none."""
    if not path.exists():
        return None, [note(path.name, "is not there yet", "Start data-collector")]
    try:
        found = read_state(path)
    except StoreError as error:
        return None, [wrong(path.name, str(error))]
    if chain_id not in (None, found.chain_id):
        problem = f"is of chain {found.chain_id}, and the collector's file of chain {chain_id}"
        return found, [wrong(path.name, problem, "Name another state_file")]
    remarks = [
        note("data-collector", each.rstrip(".")) for each in collector_remarks(found.metrics)
    ]
    return found, [ok(path.name, f"block {found.block.number:,}"), *remarks]


def history(folder: Path) -> Iterator[Finding]:
    """Whether it opens and leads to a market; `dexarb history check` reads all of it."""
    subject = f"history {folder}"
    try:
        reader = HistoryReader(folder)
        reader.require_whole_end()
        keyframe, entry = start(reader), reader.last_seq
        tip = reader.recent_chain(1)
        writer = lock_holder(folder / LOCK_FILE)
    except StoreError as error:
        yield wrong(subject, str(error))
        return
    ends_at = tip[-1].number if tip else keyframe.block.number
    who = f"process {writer} writes it" if writer else "nobody writes it now"
    yield ok(subject, f"ends at block {ends_at:,}, entry {entry:,}; {who}")


def ledger(path: Path, history_folder: Path | None) -> Iterator[Finding]:
    """Whether the books open, and belong to the history."""
    if not path.exists():
        yield ok(path.name, "is not there yet; paper-trading begins it")
        return
    try:
        with read_only(path) as books:
            # One that includes nothing yet ends nowhere.
            entry, chain_id = books.seq if books.last_block else 0, books.chain_id
        trader = trader_of(path)
        reader = HistoryReader(history_folder) if history_folder else None
        ends_at = reader.last_seq if reader else entry
    except StoreError as error:
        yield wrong(path.name, str(error))
        return
    if reader and reader.manifest.chain_id != chain_id:
        problem = f"is of chain {chain_id}, and the history of chain {reader.manifest.chain_id}"
        yield wrong(path.name, problem, "Name another ledger_file")
    elif entry > ends_at:
        problem = f"includes entry {entry:,}, and the history ends at {ends_at:,}"
        yield wrong(path.name, problem, "Bring back the history that it was traded on")
    else:
        who = f"process {trader} writes it" if trader else "nobody writes it now"
        yield ok(path.name, f"includes entry {entry:,}; {who}")


def kernels() -> Finding:
    try:
        return ok("compiled kernels", f"kept in {require_kept_kernels()}")
    except StoreError as error:
        return wrong("compiled kernels", str(error))


def _holds_a_key(config: CollectorConfig) -> bool:
    """Whether an endpoint with more than a host stands in the file as it is, rather than as the
    name of a variable."""
    text = config.path.read_text(encoding="utf-8-sig")
    return any(veil.without_urls(each) != each for each in config.endpoints if each in text)


def _is_open(path: Path) -> bool:
    """Whether others than the user and his group can get at it."""
    whole = path.absolute()
    return all(each.stat().st_mode & OTHERS for each in (whole, *whole.parents))
