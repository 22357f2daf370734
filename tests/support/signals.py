"""A trader's surroundings, told in advance."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dexarb.apps.process import Signals

RELOAD = "reload"
"""Among what happens: somebody asks for a reload."""


class ScriptedSignals(Signals):
    """What happens while the trader waits for entries; then it is stopped. Takes no signals."""

    def __init__(self, happens: Iterator[object]) -> None:
        self.stopping = self.reload_wanted = False
        self.on_stop: Callable[[], object] | None = None
        self._happens = happens

    def take_reload(self) -> bool:
        happened = next(self._happens, self)
        self.stopping = happened is self
        return happened is RELOAD
