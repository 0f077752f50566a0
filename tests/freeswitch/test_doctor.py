"""What ``accord doctor`` says of the real switch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.freeswitch.switches import Rig


def doctor(folder: Path, rig: Rig) -> list[str]:
    said = subprocess.run(
        [sys.executable, "-m", "recorder", "doctor"],
        env={**os.environ, **rig.environment, "ACCORD_NODE_DATA": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [line for line in said.stdout.splitlines() if "switch: " in line]


def test_it_finds_modules_and_extensions_in_the_running_switch(tmp_path: Path, rig: Rig) -> None:
    first, *rest = doctor(tmp_path, rig)
    assert first.startswith(f"ok    switch: 127.0.0.1:{rig.environment['ACCORD_SWITCH_PORT']}, UP ")
    assert rest == ["ok    switch: the dialplan has every extension"]
