"""What a long-running program needs of its process: a name, signals, logs."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import structlog
from structlog.typing import EventDict

from dexarb.apps.log_files import open_log
from dexarb.config.log_keys import LOG_MAX_MB
from dexarb.core.text import seen

PYTHONS_YOUNG = 700
"""Objects between two collections of garbage."""
MAX_NAME_BYTES = 15
"""What Linux keeps of a process's name, and what pgrep compares with."""


def name_process(name: str) -> None:
    """Let `pgrep NAME` find this process, whatever interpreter line started it."""
    with contextlib.suppress(OSError):  # not Linux: the name is a convenience only
        Path("/proc/self/comm").write_text(name[:MAX_NAME_BYTES])


def keep_files_private() -> None:
    """What this process creates from now on can be read by its user alone: books and logs say what
    somebody is going to trade."""
    os.umask(0o077)


def keep_memory_private() -> None:
    """However this process ends, its memory is not written to the disk: it holds keys."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_for_good() -> None:
    """What is there now is there to stay, so collections of garbage need not look through it again:
    with ten thousand strategies or pools that takes a tenth of a second, in the middle of a block.

    Call it again when much of it has gone. What comes from now on is looked at as often as Python
    does it by itself, however the program began.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    gc.set_threshold(PYTHONS_YOUNG)
    # What is still kept when the interpreter ends counts as leaked, and libraries complain of it.
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)


class Wishes:
    """That a program stops, or reads its file again: flags, and who is told at once."""

    def __init__(self) -> None:
        self.stopping = False
        self.reload_wanted = False
        self.on_stop: Callable[[], object] | None = None
        self.on_reload: Callable[[], object] | None = None

    def stop(self) -> None:
        self.stopping = True
        if self.on_stop is not None:
            self.on_stop()

    def reload(self) -> None:
        self.reload_wanted = True
        if self.on_reload is not None:
            self.on_reload()

    def take_reload(self) -> bool:
        """Whether a reload was asked for since the last call."""
        wanted, self.reload_wanted = self.reload_wanted, False
        return wanted


class Signals(Wishes):
    """Those of SIGINT and SIGTERM (stop), and SIGHUP (reload). Installed before slow imports, so
    that an early SIGHUP does not kill the process."""

    def __init__(self) -> None:
        super().__init__()
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGHUP, self._reload)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload()


def start_logging(
    name: str, level: str, folder: Path, format_: str = "text", max_mb: int = LOG_MAX_MB
) -> Path | None:
    """Log to standard error for people and to FOLDER/NAME_TIME.log for keeping, at most so many
    megabytes of it; see `log_files`. format_: "text", or "json": a JSON object a line, in both.

    Returns the file, or None where the folder cannot be written: logging is no reason to die.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _seen,
    ]
    is_json = format_ == "json"
    colors = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_formatter(shared, _renderer(is_json=is_json, colors=colors)))
    handlers: list[logging.Handler] = [console]
    path: Path | None = None
    try:
        file = open_log(folder, name, max_mb * 1_000_000)
        file.setFormatter(_formatter(shared, _renderer(is_json=is_json, colors=False)))
        handlers.append(file)
        path = Path(file.baseFilename)
    except OSError as error:
        sys.stderr.write(f"no log file: {error}\n")
    logging.raiseExceptions = False  # a full disk must not end the program through its log
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    for noisy in ("httpx", "httpcore", "websockets", "asyncio", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return path


def _seen(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Nodes and tokens word some of it: it must not do anything to a terminal."""
    return {key: seen(each) if isinstance(each, str) else each for key, each in event.items()}


def _renderer(*, is_json: bool, colors: bool) -> structlog.typing.Processor:
    if is_json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=colors)


def _formatter(
    shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor
) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
