"""The shipped units, checked by systemd's own tools and against the docs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.capture.daemon import DRAIN, FLUSH
from tests.deploy.boot import REPOSITORY

SYSTEMD = REPOSITORY / "deploy" / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.glob("accord-*.service"))
DOCTOR = "accord-doctor.service"
EXPOSED = 1.5
"""Exposure, of 10: the rest is mostly network access."""
EXPOSED_DOCTOR = 1.6
"""It sees what supervises other processes."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (package systemd)"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A copy with a command that this machine has."""
    for path in SYSTEMD.glob("accord*"):
        text = path.read_text().replace("/opt/accord/bin/accord", sys.executable)
        (tmp_path / path.name).write_text(text)
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("unit", [*UNITS, "accord-doctor.timer", "accord.target"])
def test_systemd_understands_every_line(units: Path, unit: str) -> None:
    process = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"./{unit}"], cwd=units, capture_output=True, text=True
    )
    lines = [line for line in (process.stdout + process.stderr).splitlines() if "accord" in line]
    assert (process.returncode, lines) == (0, [])


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_little_is_exposed(units: Path, unit: str) -> None:
    threshold = round((EXPOSED_DOCTOR if unit == DOCTOR else EXPOSED) * 10)
    process = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={threshold}",
         f"./{unit}"],
        cwd=units, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout[-2000:]


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit != DOCTOR])
def test_a_stopped_process_is_reached_by_the_watchdog(unit: str) -> None:
    text = (SYSTEMD / unit).read_text()
    assert "WatchdogSignal=SIGKILL" in text
    assert re.search(r"^Restart=always$", text, re.MULTILINE)


def test_planned_restart_of_the_daemon_is_a_reload() -> None:
    """A restart has a gap, whose length the page states, and which systemd must not cut short."""
    text = (SYSTEMD / "accord-daemon.service").read_text()
    assert re.search(r"^ExecReload=/bin/kill -HUP \$MAINPID$", text, re.MULTILINE)
    limit = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert limit is not None
    assert int(limit[1]) > DRAIN + FLUSH
    page = (REPOSITORY / "docs" / "operate" / "services.md").read_text()
    section = page[page.index("## Restarting without losing calls") : page.index("## Stopping")]
    section = " ".join(section.split())
    assert "| systemd | `systemctl reload accord-daemon`" in section
    assert "**Do not use `systemctl restart accord-daemon` for a planned restart.**" in section
    assert f"at most {DRAIN + FLUSH:g} s" in section


@pytest.mark.parametrize("unit", UNITS)
def test_no_secret_is_in_a_unit_s_environment(unit: str) -> None:
    for line in (SYSTEMD / unit).read_text().splitlines():
        if line.startswith("Environment=") and re.search("PASSWORD|KEY|KEK", line):
            assert "_FILE=%d/" in line or "FOLDER=" in line, line


@pytest.mark.parametrize("unit", UNITS)
def test_unit_waits_for_its_disks(unit: str) -> None:
    """Each of Accord's folders that a unit may write may be a mount of its own."""
    text = (SYSTEMD / unit).read_text()
    mounts = re.search(r"^RequiresMountsFor=(.*)$", text, re.MULTILINE)
    paths = re.search(r"^ReadWritePaths=(.*)$", text, re.MULTILINE)
    assert mounts is not None
    assert paths is not None
    for folder in paths[1].split():
        if not folder.startswith("-"):
            assert any(Path(each).is_relative_to(folder) for each in mounts[1].split()), folder
