"""Quantiles of the latest measurements."""

from __future__ import annotations

from collections import deque

WINDOW = 10_000


class Latency:
    """Mutable. Milliseconds of the latest 10,000 measurements."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=WINDOW)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, seconds: float) -> None:
        self._values.append(seconds * 1000.0)

    def quantiles(self) -> dict[str, float | None]:
        """{"p50": ms, "p99": ms}, None before the first measurement."""
        if not self._values:
            return {"p50": None, "p99": None}
        ordered = sorted(self._values)
        return {
            name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)
            for name, share in (("p50", 0.50), ("p99", 0.99))
        }
