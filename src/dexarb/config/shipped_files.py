"""The configuration files that come with the program, wherever it is installed."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).with_name("shipped")
CLASSIC_STRATEGIES = SHIPPED / "paper_trading.toml"
"""The eight strategies that everybody begins with."""
LIVE_BOT = SHIPPED / "live.toml"
"""A bot that is not armed."""
SAMPLE_HISTORY = Path(__file__).parent.parent / "demo" / "sample" / "137"
"""A recorded history of the embedded chain; scripts/make_sample.py records it anew."""
