"""The command of ``make run`` as a newcomer runs it: without FreeSWITCH, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

HOUSE = Path(__file__).parents[2]


@pytest.mark.timeout(240)
def test_four_calls_can_be_heard_within_two_minutes(tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    environment |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(HOUSE)}
    process = subprocess.run(
        [sys.executable, "-m", "demo", "--once"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=220,
    )
    output = process.stdout
    assert process.returncode == 0, output + process.stderr
    assert "the practice switch stands in for it" in output
    assert "4 of 4 recordings sealed, stored and listed" in output
    assert re.search(r"Listen at +http://127\.0\.0\.1:\d+/", output)
    ready = re.search(r"(\d+) s  ready", output)
    assert ready, output
    assert int(ready[1]) < 120
    password = re.search(r"password +(\S+)", output)
    assert password
    assert re.search(r"http://localhost:\d+/together/invitation/[\w-]{43}\n +code +\d{6}\n", output)
    assert re.search(r"http://127\.0\.0\.1:\d+/\n +code +\d{3}.\d{3}.\d{3}\n", output), "the telephone"
    secret = tmp_path / ".accord" / "login"
    assert secret.read_text() == password[1]
    assert secret.stat().st_mode & 0o077 == 0, "only its owner reads the password"


def test_second_demo_in_a_folder_names_the_first(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(HOUSE), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "demo"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None
            assert "two lines are ready" in first.stdout.readline()
            second = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
            )
        finally:
            first.terminate()
            first.communicate(timeout=60)
    assert second.returncode == 1
    assert re.search(r"its panel is http://127\.0\.0\.1:\d+/", second.stderr)
    assert "Ctrl-C" in second.stderr
    assert "Traceback" not in second.stderr
