"""One place that messages are sent to, through apprise, which is loaded when it is needed."""

from __future__ import annotations

import logging
import re
import threading
import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dexarb.config import veil
from dexarb.config.alerts import TABLE, AlertsConfig
from dexarb.core.text import seen
from dexarb.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from apprise import NotifyBase

REMEDY = "pip install dexarb[alerts]"
MAX_CHARACTERS = 1_500
"""Of a text: the least that all services take."""
_LEAST_SECRET = 3
_APPRISE = "apprise"
_TALKATIVE = (_APPRISE, "urllib3", "requests", "requests_oauthlib", "oauthlib")
_SEPARATORS = re.compile(r"[/:@?&=,#%\s]+")


class Target:
    """Named by its kind and place in the list: a host may be a key as well."""

    def __init__(self, plugin: NotifyBase, url: str, name: str) -> None:
        self._plugin = plugin
        self._url = url
        self.name = name

    def __repr__(self) -> str:
        return f"Target({self.name})"

    def send(self, title: str, lines: Sequence[str], *, is_trouble: bool) -> str | None:
        """Wait until it is sent. None, or what went wrong, without anything of the URL."""
        from apprise import NotifyFormat, NotifyType

        _heard.problem = ""
        try:
            sent = self._plugin.notify(
                body=plain("\n".join(lines)),
                title=plain(title),
                notify_type=NotifyType.WARNING if is_trouble else NotifyType.SUCCESS,
                body_format=NotifyFormat.TEXT,
            )
        except Exception as error:  # of any of a hundred plugins: none may end the program
            return without_parts(f"{type(error).__name__}: {error}", self._url)
        if sent:
            return None
        return without_parts(_heard.problem or "the service did not take it", self._url)


def open_targets(config: AlertsConfig) -> list[Target]:
    """Raises ConfigErrors: without apprise, and for URLs of services that it does not know."""
    urls = config.urls()
    _listen()  # before it is loaded: it talks from the first line on
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        problem = "alerts are wanted, and apprise, which sends them, is not installed"
        raise ConfigErrors([config.file.error((TABLE,), problem, REMEDY)]) from None
    asset = AppriseAsset(app_id="dexarb", plugin_paths=[], secure_logging=True)
    targets: list[Target] = []
    problems: list[ConfigError] = []
    for index, url in enumerate(urls):
        try:
            plugin = Apprise.instantiate(url, asset=asset)
        except Exception:  # what it says may quote the URL
            plugin = None
        if plugin is None:
            problem = "no URL of a service that apprise knows"
            problems.append(config.wrong_url(index, problem, "See docs/alerts.md for examples"))
        else:
            targets.append(Target(plugin, url, f"{scheme(url)} #{index + 1}"))
    if problems:
        raise ConfigErrors(problems)
    return targets


def scheme(url: str) -> str:
    """`tgram`, which is no secret."""
    return veil.name(url.partition("://")[0])


def without_parts(text: str, url: str) -> str:
    """The text with whatever stands behind the URL's scheme blotted out, and no other secret."""
    rest = url.partition("://")[2]
    pieces = {
        piece
        for form in (rest, urllib.parse.unquote(rest))
        for piece in (form, *_SEPARATORS.split(form))
        if len(piece) >= _LEAST_SECRET
    }
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, veil.HIDDEN)
    return plain(veil.without_secrets(text))


def plain(text: str) -> str:
    """Text of files and chains, cut to what can be seen and is not too long."""
    clean = seen(text)
    return clean if len(clean) <= MAX_CHARACTERS else clean[: MAX_CHARACTERS - 1] + "…"


class _Heard(threading.local):
    """What apprise has told of the message that this thread is sending."""

    problem = ""


_heard = _Heard()


class _Ear(logging.Handler):
    """Keeps what apprise says, and nothing of the others."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _APPRISE:
            _heard.problem = record.getMessage()


def _listen() -> None:
    """Apprise and what it posts with log URLs: they are kept out of our log."""
    for name in _TALKATIVE:
        log = logging.getLogger(name)
        log.propagate = False
        log.setLevel(logging.WARNING)
        if not any(isinstance(each, _Ear) for each in log.handlers):
            log.addHandler(_Ear())
