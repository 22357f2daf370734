"""Own strategies: classes that installed packages offer under the entry point group.

Nothing is imported before a file names its kind, so a package that does not work harms nobody who
does not use it. A kind is imported once a process: changed code takes effect after a restart.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import traceback
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from dexarb.trading.strategy import THRESHOLD

if TYPE_CHECKING:  # numpy comes with it, which `dexarb status` need not wait for
    from dexarb.trading.decide.custom import StrategyFactory

FINGERPRINT_DIGITS = 12


class PluginError(Exception):
    """Why an own strategy cannot be used; apps.config turns it into a ConfigError with its line."""


class StrategyTypes(Mapping[str, "StrategyFactory"]):
    """Kind to factory, of the installed packages; they are looked for at the first use.

    Reading a kind imports it: raises KeyError for one that nobody offers, PluginError for one that
    cannot be imported, or that two packages offer.
    """

    def __init__(self) -> None:
        self._points: dict[str, list[EntryPoint]] = {}
        self._loaded: dict[str, tuple[StrategyFactory, str]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._offered())

    def __len__(self) -> int:
        return len(self._offered())

    def __getitem__(self, kind: str) -> StrategyFactory:
        return self._load(kind)[0]

    def _offered(self) -> dict[str, list[EntryPoint]]:
        from dexarb.trading.decide.custom import ENTRY_POINTS

        importlib.invalidate_caches()
        self._points = {}
        for point in entry_points(group=ENTRY_POINTS):
            self._points.setdefault(point.name, []).append(point)
        return self._points

    def code(self, kind: str) -> str:
        """Which code decides: distribution, version, and a digest of the sources as imported.
        Empty for the built-in strategy. Raises like reading."""
        return "" if kind == THRESHOLD else self._load(kind)[1]

    def check(self, kind: str, parameters: str) -> str | None:
        """Make the strategy once. Returns what is wrong with kind or parameters (as in
        StrategySettings), None for nothing. Raises KeyError for a kind that nobody offers."""
        try:
            factory = self[kind]
        except PluginError as error:
            return str(error)
        try:
            factory(**json.loads(parameters))
        except (Exception, SystemExit) as error:
            return f"refuses its parameters: {_described(error)}"
        return None

    def _load(self, kind: str) -> tuple[StrategyFactory, str]:
        if kind not in self._loaded:
            # A package that has been installed since the last look counts as well.
            offers = self._points.get(kind) or self._offered()[kind]
            first, *others = offers
            if others:
                names = ", ".join(sorted(map(_distribution, offers)))
                raise PluginError(f"is offered by several packages: {names}")
            try:
                factory = first.load()
            except (Exception, SystemExit) as error:
                raise PluginError(
                    f"of {_distribution(first)} cannot be imported: {_described(error)}"
                ) from error
            if not callable(factory):
                raise PluginError(f"of {_distribution(first)} is no class: {first.value}")
            self._loaded[kind] = factory, f"{_distribution(first)} {_fingerprint(first.module)}"
        return self._loaded[kind]


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"


def _fingerprint(module: str) -> str:
    """Digest of the Python sources of the top-level package, or of the single module. "-" where
    there are none to read, as for compiled code: then the version alone tells codes apart."""
    top = sys.modules[module.partition(".")[0]]
    folders = [Path(each) for each in getattr(top, "__path__", ())]
    files = [each for folder in folders for each in sorted(folder.rglob("*.py"))]
    if not folders and getattr(top, "__file__", None):
        files = [Path(str(top.__file__))]
    hasher = hashlib.sha256()
    for file in files:
        hasher.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return hasher.hexdigest()[:FINGERPRINT_DIGITS] if files else "-"


def _described(error: BaseException) -> str:
    """The error as Python names it, and the line of code that raised it."""
    what = "".join(traceback.format_exception_only(error)).strip()
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen")
    ]
    return f"{what} ({own[-1].filename}:{own[-1].lineno})" if own else what
