"""Line settings for a rig."""

from __future__ import annotations

from recorder.clock import utc_now
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.switches import NUMBER, Rig
from tests.scenarios.definitions import Line
from tests.scenarios.files import Sounds


def set_every_line(rig: Rig, name: Line) -> Sounds:
    """Give every line of the rig the settings of ``name``."""
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line(name, f"{NUMBER}{number:02}") for number in range(90)]
    write_snapshot(rig.snapshot, lines, [], utc_now())
    rig.wait_snapshot()
    return sounds
