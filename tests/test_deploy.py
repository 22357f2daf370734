"""The units that are shipped: systemd understands them, and they start what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UNITS = sorted((ROOT / "deploy").glob("*.service"))
VERIFY = shutil.which("systemd-analyze")

ORDINARY = {
    "Description", "Wants", "After", "Type", "NotifyAccess", "ExecStart", "ExecReload", "User",
    "Group", "WorkingDirectory", "EnvironmentFile", "Environment", "TimeoutStartSec",
    "WatchdogSec", "Restart", "RestartSec", "RestartPreventExitStatus", "TimeoutStopSec",
    "WantedBy",
}  # fmt: skip
HARDENED = {
    "StateDirectory", "StateDirectoryMode", "CacheDirectory", "CacheDirectoryMode", "UMask",
    "NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices",
    "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
    "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "RemoveIPC",
    "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
    "LockPersonality", "CapabilityBoundingSet", "AmbientCapabilities", "SystemCallArchitectures",
    "SystemCallFilter", "SystemCallErrorNumber",
}  # fmt: skip


def values(unit: Path) -> dict[str, str]:
    """The last value of each key."""
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))


def test_there_is_a_unit_for_each_program() -> None:
    assert [unit.stem for unit in UNITS] == ["data-collector", "dexarb-bot", "paper-trading"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_says_what_it_has_to(unit: Path) -> None:
    found = values(unit)
    assert found.keys() - ORDINARY == HARDENED
    assert found["Type"] == "notify"
    assert found["WatchdogSec"]
    assert found["ProtectSystem"] == "strict"
    assert found["NoNewPrivileges"] == found["PrivateTmp"] == found["ProtectHome"] == "yes"
    assert "MemoryDenyWriteExecute" not in found  # kernels are compiled


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_program_of_ours_with_a_file_that_is_shipped(unit: Path) -> None:
    programs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    started = values(unit)["ExecStart"].split()
    assert Path(started[0]).name == unit.stem
    assert unit.stem in programs
    assert (ROOT / "config" / Path(started[-1]).name).is_file()
    assert Path(started[-1]).parent == Path("/var/lib") / values(unit)["StateDirectory"] / "config"


def verified(unit: Path, folder: Path, text: str) -> str:
    """What systemd says of the unit, with the programs where they are here."""
    here = folder / unit.name
    here.write_text(text.replace("/opt/dexarb/bin", str(Path(sys.executable).parent)))
    done = subprocess.run(
        [str(VERIFY), "verify", "--man=no", here], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.skipif(VERIFY is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line(tmp_path: Path, unit: Path) -> None:
    text = unit.read_text()
    assert verified(unit, tmp_path, text) == ""
    assert "NoNewPrivilege" in verified(
        unit, tmp_path, text.replace("NewPrivileges", "NewPrivilege")
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_document_makes_every_file_that_a_unit_needs(unit: Path) -> None:
    told = (ROOT / "docs" / "deploying.md").read_text()
    places = re.findall(r"/opt/dexarb|/etc/dexarb/\S+|/var/lib/dexarb/config", unit.read_text())
    assert len(places) >= 2
    assert all(place in told for place in [*places, f"deploy/{unit.name}"])
