"""Writes ``transcripts/doctor.jsonl.gz``: the doctor's commands to a real switch, and its answers.

ACCORD_FREESWITCH=/path/to/freeswitch python -m tests.scenarios.capture_doctor
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.freeswitch.switches import HOME, Rig, free_ports
from tests.scenarios.capture import FOLDER, TRANSCRIPTS, ConnectionCapture, Tap


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    rig = Rig(FOLDER)
    rig.spool.mkdir(parents=True)
    (port,) = free_ports(1)
    tap = Tap(port, rig.switch.esl_port, "switch", "daemon")
    try:
        rig.switch.start()
        subprocess.run(
            [sys.executable, "-m", "recorder", "doctor"],
            env={
                **os.environ,
                **rig.environment,
                "ACCORD_NODE_DATA": str(FOLDER / HOME),
                "ACCORD_SWITCH_PORT": str(port),
            },
            stdout=subprocess.DEVNULL,
            check=False,  # there are no keys and no catalogue here
        )
    finally:
        rig.stop()
    whole = ConnectionCapture()
    for each in tap.connections:
        whole.pieces += each.pieces
    whole.write(TRANSCRIPTS / "doctor.jsonl.gz")
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
