"""A unit or a container may hide the machine's boot id: its clock is still checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.clock import HIDDEN_BOOT_ID, Uptime
from recorder.errors import ClockError
from recorder.lifecycle.clock_guard import ClockGuard
from tests.clock import Clock


def keeper(path: Path, clock: Clock, up: float, boot: str = HIDDEN_BOOT_ID) -> ClockGuard:
    return ClockGuard(path / ".clock", {}, clock, since_boot=lambda: Uptime(boot, up))


def test_time_passes_by_the_uptime(tmp_path: Path, clock: Clock) -> None:
    assert keeper(tmp_path, clock, 100.0).check() == clock()
    clock.forward(minutes=1)
    assert keeper(tmp_path, clock, 160.0).check() == clock()
    clock.forward(days=40)
    with pytest.raises(ClockError):
        keeper(tmp_path, clock, 161.0).check()


def test_restarted_uptime_is_a_reboot(tmp_path: Path, clock: Clock) -> None:
    keeper(tmp_path, clock, 100_000.0).check()
    clock.forward(hours=5)
    assert keeper(tmp_path, clock, 30.0).check() == clock()
    clock.forward(days=2)
    with pytest.raises(ClockError):
        keeper(tmp_path, clock, 10.0).check()


def test_hidden_boot_time_is_no_jump(tmp_path: Path, clock: Clock) -> None:
    keeper(tmp_path, clock, 100.0, boot="first").check()
    clock.forward(minutes=1)
    assert keeper(tmp_path, clock, 160.0).check() == clock()
    clock.forward(minutes=1)
    assert keeper(tmp_path, clock, 220.0, boot="first").check() == clock()


LOOKS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from recorder.lifecycle.clock_guard import ClockGuard
assert not Path("/proc/sys").exists()
ClockGuard(Path(sys.argv[1]), {}, lambda: datetime.now(UTC)).check()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a /proc that hides the machine")
def test_proc_with_processes_only(tmp_path: Path) -> None:
    """As with systemd's ``ProcSubset=pid``."""
    shell = 'mount -t proc -o subset=pid proc /proc && exec "$@"'
    python = [sys.executable, "-c", LOOKS, str(tmp_path / ".clock")]
    ran = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", shell, "-", *python],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare failed" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip(f"no namespaces here: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / ".clock").exists()
