"""The agent's unit, by systemd's own tools (`systemd-analyze`, `systemd-sysusers`; Debian package systemd)."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "doorstile-agent.service"
USERS = ROOT / "systemd" / "doorstile.sysusers"
MOST_EXPOSURE = 1.7


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing; apt-get install systemd")
        pytest.skip(f"{name} is missing; apt-get install systemd")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.service
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/doorstile/bin/doorstile", "/bin/true"))
    done = run(tool("systemd-analyze"), "verify", "--man=no", str(unit))
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


@pytest.mark.service
def test_the_unit_leaves_the_agent_little_to_break() -> None:
    done = run(
        tool("systemd-analyze"), "security", "--offline=true", f"--threshold={MOST_EXPOSURE * 10:.0f}", str(UNIT)
    )
    assert done.returncode == 0, done.stdout[-200:]


def test_watchdog_of_the_board_is_fed_by_systemd() -> None:
    """A kernel that hangs leaves the relay on until the board starts anew; a BCM2835 counts to 15 s at most."""
    read = configparser.ConfigParser()
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(ROOT / "systemd" / "doorstile-watchdog.conf")
    assert read["Manager"]["RuntimeWatchdogSec"] == "10s"


@pytest.mark.service
def test_systemd_accepts_the_user(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    done = run(tool("systemd-sysusers"), f"--root={tmp_path}", str(USERS))
    assert done.returncode == 0, done.stderr
    assert "doorstile:" in (tmp_path / "etc" / "passwd").read_text()


@pytest.mark.unit
def test_the_unit_starts_the_agent_again_whatever_happens() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert (service["Type"], service["Restart"], service["RestartSec"]) == ("notify", "always", "1s")
    assert (service["WatchdogSec"], service["User"], service["StateDirectory"]) == ("15s", "doorstile", "doorstile")
    assert service["WatchdogSignal"] == "SIGKILL", "systemd's own SIGABRT waits for a stopped process to go on"


@pytest.mark.unit
def test_the_unit_needs_no_network_to_start() -> None:
    assert "network" not in UNIT.read_text().split("[Service]")[0].replace("before the network", "")
