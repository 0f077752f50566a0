"""Line settings for a rig."""

from __future__ import annotations

from recorder.spool.snapshot import to_json
from tests.freeswitch.switches import NUMBER, Rig
from tests.scenarios.definitions import Line
from tests.scenarios.files import Sounds


def set_every_line(rig: Rig, name: Line) -> Sounds:
    """Give every line of the rig the settings of ``name``."""
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line(name, f"{NUMBER}{number:02}") for number in range(90)]
    temporary = rig.snapshot / ".new"
    temporary.write_bytes(to_json("2026-01-01T00:00:00.000Z", lines, []))
    temporary.rename(rig.snapshot / "snapshot.json")
    rig.wait_snapshot()
    return sounds
