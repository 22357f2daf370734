"""Configurations with an [alerts] table."""

from __future__ import annotations

from pathlib import Path

from dexarb.config.alerts import AlertsConfig, read_alerts


def alerts_table(*urls: str, more: str = "") -> str:
    listed = ", ".join(f'"{url}"' for url in urls)
    return f"[alerts]\nurls = [{listed}]\n{more}\n"


def alerts_config(folder: Path, *urls: str, more: str = "") -> AlertsConfig:
    path = folder / "alerts.toml"
    path.write_text(alerts_table(*urls, more=more))
    return read_alerts(path)
